/* SPDX-License-Identifier: Apache-2.0 */
/* cf_b64 - see b64.h. */
#include "common/b64.h"

#include <endian.h>
#include <openssl/crypto.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789+/";

void
cf_b64_fill(struct cf_b64_table *table)
{
	size_t i;

	for (i = 0; i < CF_B64_PAIRS; i++) {
		table->pair[i][0] = letters[i >> 6];
		table->pair[i][1] = letters[i & 63];
	}
}

/* The end of a line: up to three bytes a turn, and CRLF. */
static size_t
end_line(const unsigned char *in, size_t len, unsigned char *out)
{
	unsigned char *p = out;
	unsigned bits;

	for (; len >= 3; in += 3, len -= 3, p += 4) {
		bits = (unsigned)in[0] << 16 | (unsigned)in[1] << 8 | in[2];
		p[0] = (unsigned char)letters[bits >> 18];
		p[1] = (unsigned char)letters[bits >> 12 & 63];
		p[2] = (unsigned char)letters[bits >> 6 & 63];
		p[3] = (unsigned char)letters[bits & 63];
	}
	if (len > 0) {
		bits = (unsigned)in[0] << 16 |
		    (len > 1 ? (unsigned)in[1] << 8 : 0);
		p[0] = (unsigned char)letters[bits >> 18];
		p[1] = (unsigned char)letters[bits >> 12 & 63];
		p[2] = len > 1 ? (unsigned char)letters[bits >> 6 & 63] : '=';
		p[3] = '=';
		p += 4;
	}
	memcpy(p, "\r\n", 2);
	return (size_t)(p - out) + 2;
}

/*
 * By pairs of characters, six bytes a turn: half the time of libcrypto, which
 * was a sixth of all that a large message costs the milter.
 */
size_t
cf_b64_line(const struct cf_b64_table *table, const void *bytes, size_t len,
    unsigned char *out)
{
	const unsigned char *in = bytes;
	unsigned char *p = out;
	uint64_t bits;
	int shift;

	/* Eight are read, the last two of them once more the next time. */
	for (; len >= sizeof bits; in += 6, len -= 6) {
		memcpy(&bits, in, sizeof bits);
		bits = be64toh(bits);
		for (shift = 52; shift >= 16; shift -= 12, p += 2)
			memcpy(p, table->pair[bits >> shift &
			    (CF_B64_PAIRS - 1)], 2);
	}
	return (size_t)(p - out) + end_line(in, len, p);
}

void
cf_b64_add(struct cf_buf *out, const void *bytes, size_t len)
{
	unsigned char line[CF_B64_LINE_OUT];
	const unsigned char *in = bytes;
	size_t n;

	for (; len > 0; in += n, len -= n) {
		n = len < CF_B64_LINE_IN ? len : CF_B64_LINE_IN;
		cf_buf_add(out, line, end_line(in, n, line));
	}
	OPENSSL_cleanse(line, sizeof line);
}

uint64_t
cf_b64_size(uint64_t len)
{
	uint64_t lines = (len + CF_B64_LINE_IN - 1) / CF_B64_LINE_IN;

	return (len + 2) / 3 * 4 + 2 * lines;
}
