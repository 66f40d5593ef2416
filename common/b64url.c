/* SPDX-License-Identifier: Apache-2.0 */
/* cf_b64url - see b64url.h. */
#include "common/b64url.h"

#include <stdint.h>

/* 0xff if lo <= c <= hi, else 0, without a branch. */
static unsigned
in_range(unsigned c, unsigned lo, unsigned hi)
{
	return (((lo - 1 - c) & (c - hi - 1)) >> 8) & 0xff;
}

static char
enc6(unsigned v)
{
	unsigned c;

	c = in_range(v, 0 + 1, 25) & (v + 'A');
	c |= (unsigned)(v == 0) * 'A';
	c |= in_range(v, 26, 51) & (v + ('a' - 26));
	c |= in_range(v, 52, 61) & (v - 52 + '0');
	c |= in_range(v, 62, 62) & '-';
	c |= in_range(v, 63, 63) & '_';
	return (char)(unsigned char)c;
}

/* The value 0..63, or 0x100 set for a character outside the alphabet. */
static unsigned
dec6(unsigned char ch)
{
	unsigned c = ch, v = 0, ok = 0, m;

	m = in_range(c, 'A', 'Z'); v |= m & (c - 'A'); ok |= m;
	m = in_range(c, 'a', 'z'); v |= m & (c - 'a' + 26); ok |= m;
	m = in_range(c, '0', '9'); v |= m & (c - '0' + 52); ok |= m;
	m = in_range(c, '-', '-'); v |= m & 62; ok |= m;
	m = in_range(c, '_', '_'); v |= m & 63; ok |= m;
	return v | ((~ok & 0x80) << 1);
}

void
cf_b64url_encode(const void *bytes, size_t len, char *out)
{
	const unsigned char *p = bytes;
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		acc = (acc << 8) | p[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*out++ = enc6((acc >> (bits - 6)) & 63);
		acc &= (1u << bits) - 1;
	}
	if (bits > 0)
		*out++ = enc6((acc << (6 - bits)) & 63);
	*out = '\0';
}

bool
cf_b64url_decode(const char *text, size_t text_len, void *out, size_t out_len)
{
	unsigned char *p = out;
	uint32_t acc = 0;
	unsigned bits = 0, bad = 0, v;
	size_t i;

	if (text_len != CF_B64URL_LEN(out_len))
		return false;
	for (i = 0; i < text_len; i++) {
		v = dec6((unsigned char)text[i]);
		bad |= v & 0x100;
		acc = (acc << 6) | (v & 63);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*p++ = (unsigned char)(acc >> bits);
			acc &= (1u << bits) - 1;
		}
	}
	return bad == 0 && acc == 0;
}
