/* SPDX-License-Identifier: Apache-2.0 */
/* cf_visible - see visible.h. */
#include "common/visible.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"	/* U+FFFD */
#define ISOLATE_BEGIN "\xe2\x81\xa8"	/* U+2068 */
#define ISOLATE_END "\xe2\x81\xa9"	/* U+2069 */

#define ZWNJ 0x200c
#define ZWJ 0x200d
#define IN_COLOUR 0xfe0f
#define KEYCAP 0x20e3

struct range {
	uint32_t first, last;
};

/* Not seen, but they change how others are read, or pass for nothing. */
static const struct range hidden[] = {
	{ 0x0, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x34f, 0x34f },
	{ 0x61c, 0x61c }, { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 },
	{ 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
	{ 0x2060, 0x206f }, { 0x2800, 0x2800 }, { 0x3164, 0x3164 },
	{ 0xfdd0, 0xfdef }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
	{ 0xffa0, 0xffa0 }, { 0xfff0, 0xfffc }, { 0xfffe, 0xffff },
	{ 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
};

static const struct range blank[] = {
	{ 0x9, 0xa }, { 0xd, 0xd }, { 0x20, 0x20 }, { 0xa0, 0xa0 },
	{ 0x1680, 0x1680 }, { 0x2000, 0x200a }, { 0x202f, 0x202f },
	{ 0x205f, 0x205f }, { 0x3000, 0x3000 },
};

/* Scripts whose letters a joiner ties or parts: Arabic to Sinhala. */
static const struct range joining[] = {
	{ 0x620, 0x6ff }, { 0x750, 0x77f }, { 0x8a0, 0xdff },
};

/* What a joiner makes one picture of. */
static const struct range picture[] = {
	{ 0xa9, 0xa9 }, { 0xae, 0xae }, { 0x203c, 0x203c },
	{ 0x2049, 0x2049 }, { 0x2122, 0x2122 }, { 0x2139, 0x2139 },
	{ 0x2190, 0x21ff }, { 0x2300, 0x27bf }, { 0x2900, 0x2bff },
	{ 0x3030, 0x303d }, { 0x3297, 0x3299 }, { 0x1f000, 0x1faff },
};

static const struct range right_to_left[] = {
	{ 0x590, 0x61b }, { 0x61d, 0x8ff }, { 0xfb1d, 0xfdcf },
	{ 0xfdf0, 0xfdff }, { 0xfe70, 0xfefe },
	{ 0x10800, 0x10fff }, { 0x1e800, 0x1efff },
};

#define IN(c, table) is_in((c), (table), sizeof (table) / sizeof (table)[0])

static bool
is_in(uint32_t c, const struct range *table, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (c >= table[i].first && c <= table[i].last)
			return true;
	return false;
}

size_t
cf_utf8_char(const char *text, size_t len, uint32_t *ret_point)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)text;
	size_t n, i;
	uint32_t c;

	if (s[0] < 0x80) {
		*ret_point = s[0];
		return 1;
	}
	n = s[0] >= 0xf0 && s[0] < 0xf8 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
	    s[0] >= 0xc0 && s[0] < 0xe0 ? 2 : 0;
	if (n == 0 || n > len)
		return 0;
	c = s[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_point = c;
	return n;
}

bool
cf_visible_char(uint32_t point)
{
	return !IN(point, hidden) && !IN(point, blank);
}

/*
 * Joiners stay where they do their work, inside words of some scripts and
 * inside pictures, and a picture or a digit on a key may be in colour.
 */
static bool
is_at_work(uint32_t before, uint32_t c, uint32_t after)
{
	if (c == IN_COLOUR)
		return IN(before, picture) || after == KEYCAP;
	if (c == ZWJ && (IN(before, picture) || before == IN_COLOUR))
		return IN(after, picture);
	return (c == ZWJ || c == ZWNJ) && IN(before, joining) &&
	    IN(after, joining);
}

/* The code point at `text`, U+FFFD for a byte that begins none, 0 = end. */
static uint32_t
point_at(const char *text, size_t len, size_t *ret_n)
{
	uint32_t c = 0;

	*ret_n = len == 0 ? 0 : cf_utf8_char(text, len, &c);
	if (*ret_n > 0 || len == 0)
		return c;
	*ret_n = 1;
	return 0xfffd;
}

static bool
has_right_to_left(const char *text, size_t len)
{
	size_t n;

	for (; len > 0; text += n, len -= n)
		if (IN(point_at(text, len, &n), right_to_left))
			return true;
	return false;
}

/* Where to cut, so that no character is torn. */
static size_t
cut_at(const char *text, size_t len, size_t max)
{
	size_t at = 0, n;

	while (at < len) {
		(void)point_at(text + at, len - at, &n);
		if (at + n > max)
			return at;
		at += n;
	}
	return at;
}

static void
add_characters(struct cf_buf *out, const char *text, size_t len)
{
	uint32_t before = 0, c, after;
	bool any = false, gap = false;
	size_t n, next;

	for (; len > 0; text += n, len -= n, before = c) {
		c = point_at(text, len, &n);
		if (IN(c, blank)) {
			gap = any;
			continue;
		}
		after = point_at(text + n, len - n, &next);
		if (gap)
			cf_buf_addc(out, ' ');
		gap = false;
		any = true;
		if (c == 0xfffd ||
		    (IN(c, hidden) && !is_at_work(before, c, after)))
			cf_buf_adds(out, REPLACEMENT);
		else
			cf_buf_add(out, text, n);
	}
}

void
cf_visible_add(struct cf_buf *out, const char *text, size_t max)
{
	size_t len = strlen(text), end = cut_at(text, len, max);
	bool turns = has_right_to_left(text, end);

	if (turns)
		cf_buf_adds(out, ISOLATE_BEGIN);
	add_characters(out, text, end);
	if (turns)
		cf_buf_adds(out, ISOLATE_END);
	if (end < len)
		cf_buf_adds(out, "...");
}
