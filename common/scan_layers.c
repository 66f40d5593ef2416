/* SPDX-License-Identifier: Apache-2.0 */
/* cf_scan - see scan.h: encodings. */
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "common/hex.h"
#include "common/scan.h"

#define B64_LINE 60		/* a longer line of base64 is no text */
#define B64_RUN 16		/* a shorter one is a word */
#define WIDE_RUN 8		/* characters of UTF-16 that are no accident */

static bool
may_decode(const struct cf_scan *s, int depth)
{
	return depth < CF_SCAN_DEPTH_MAX && s->layers < CF_SCAN_LAYERS_MAX;
}

/* Room for what `len` bytes can become, and no more than is left. */
static struct cf_buf
layer_buf(const struct cf_scan *s, size_t len)
{
	struct cf_buf out = CF_BUF_INIT_SECRET(len < s->left ? len : s->left);

	return out;
}

static void
read_decoded(struct cf_scan *s, struct cf_buf *out, int depth)
{
	if (out->len > 0 && !out->full) {
		s->layers++;
		s->left -= out->len;
		cf_scan_text(s, out->data, out->data + out->len, depth + 1);
	}
	cf_buf_free(out);
}

static const char *
end_of_line(const char *p, const char *end)
{
	const char *eol = memchr(p, '\n', (size_t)(end - p));

	return eol == NULL ? end : eol;
}

/* How many characters of base64 the line is, 0 when it has others. */
static size_t
b64_line(const char *p, const char *eol)
{
	const char *from = p;
	size_t len;

	while (p < eol && cf_scan_is_b64(*p))
		p++;
	len = (size_t)(p - from);
	while (p < eol && *p == '=')
		p++;
	while (p < eol && (*p == '\r' || *p == ' ' || *p == '\t'))
		p++;
	return p == eol ? len : 0;
}

/* One line of quoted-printable.  True: it was written in it, not plain. */
static bool
unquote_line(const char *p, const char *eol, const char *end,
    struct cf_buf *out)
{
	bool quoted = false;
	const char *stop = eol;

	while (stop > p && (stop[-1] == '\r' || stop[-1] == ' ' ||
	    stop[-1] == '\t'))
		stop--;
	for (; p < stop; p++) {
		if (*p != '=') {
			cf_buf_addc(out, *p);
		} else if (p + 1 == stop) {
			return true;		/* the next line goes on */
		} else if (stop - p > 2 && cf_hex_byte(p + 1) >= 0) {
			cf_buf_addc(out, (char)cf_hex_byte(p + 1));
			quoted = true;
			p += 2;
		} else {
			cf_buf_addc(out, '=');
		}
	}
	if (eol < end)
		cf_buf_adds(out, eol > p && eol[-1] == '\r' ? "\r\n" : "\n");
	return quoted;
}

static bool
is_uu_begin(const char *p, const char *eol)
{
	static const char begin[] = "begin ";
	const size_t n = sizeof begin - 1;

	return (size_t)(eol - p) > n && memcmp(p, begin, n) == 0 &&
	    isdigit((unsigned char)p[n]);
}

/* The bytes that a line of uuencode says it is; 0: it is none. */
static size_t
uu_count(const char *p, const char *eol)
{
	return p < eol && *p >= ' ' && *p <= '`' ?
	    (size_t)((*p - ' ') & 63) : 0;
}

/*
 * A line of uuencode may have what looks like quoted-printable in it.  As it
 * was written it is no longer than it says, but for a checksum's character;
 * quoted it would be.
 */
static bool
is_plain_uu(const char *p, const char *eol)
{
	size_t count = uu_count(p, eol);

	if (eol > p && eol[-1] == '\r')
		eol--;
	return count > 0 && (size_t)(eol - p) <= (count + 2) / 3 * 4 + 2;
}

/* Does quoted-printable join the next line to this one? */
static bool
is_broken_softly(const char *p, const char *eol)
{
	while (eol > p && (eol[-1] == '\r' || eol[-1] == ' ' ||
	    eol[-1] == '\t'))
		eol--;
	return eol > p && eol[-1] == '=';
}

/*
 * All of it taken for quoted-printable, but for uuencode, and for the lines
 * that are nothing but base64: these are most of a large mail.
 */
static void
read_quoted(struct cf_scan *s, const char *p, const char *end, int depth)
{
	struct cf_buf out = layer_buf(s, (size_t)(end - p));
	bool quoted = false, in_uu = false, joined = false;
	const char *eol;

	if (!may_decode(s, depth))
		return;
	for (; p < end && !out.full; p = eol + (eol < end)) {
		eol = end_of_line(p, end);
		if (in_uu && !joined && is_plain_uu(p, eol)) {
			cf_buf_add(&out, p, (size_t)(eol - p) + (eol < end));
			continue;
		}
		in_uu = is_uu_begin(p, eol) ||
		    (in_uu && (joined || uu_count(p, eol) > 0));
		joined = is_broken_softly(p, eol);
		if (b64_line(p, eol) < B64_LINE ||
		    memchr(p, '=', (size_t)(eol - p)) != NULL)
			quoted |= unquote_line(p, eol, end, &out);
	}
	if (quoted)
		read_decoded(s, &out, depth);
	cf_buf_free(&out);
}

static void
read_run(struct cf_scan *s, const char *p, const char *end, int depth)
{
	struct cf_buf out = layer_buf(s, (size_t)(end - p) / 4 * 3 + 3);

	/* E itself is most of a large mail, and has been looked at. */
	if (!may_decode(s, depth) || cf_scan_b64_total(p, end) > 0 ||
	    !cf_buf_reserve(&out, out.max))
		return;
	(void)cf_scan_b64(p, end, (unsigned char *)out.data, out.max,
	    &out.len);
	read_decoded(s, &out, depth);
}

/* Each run of lines of base64: a text, a message, a file with E in it. */
static void
read_runs(struct cf_scan *s, const char *p, const char *end, int depth)
{
	const char *from, *eol;

	while (p < end) {
		eol = end_of_line(p, end);
		if (b64_line(p, eol) < B64_RUN) {
			p = eol + (eol < end);
			continue;
		}
		for (from = p; p < end; p = eol + (eol < end)) {
			eol = end_of_line(p, end);
			if (b64_line(p, eol) == 0)
				break;
		}
		read_run(s, from, p, depth);
	}
}

/* One line of uuencode; false at the end of it. */
static bool
uudecode_line(const char *p, const char *eol, struct cf_buf *out)
{
	size_t want = uu_count(p, eol);
	unsigned char bytes[3];
	uint32_t bits;
	int i;

	if (!is_plain_uu(p, eol))
		return false;
	for (p++; want > 0; want -= want < 3 ? want : 3) {
		for (bits = 0, i = 0; i < 4; i++, p++)
			bits = bits << 6 | (p < eol && *p >= ' ' && *p <= '`' ?
			    (uint32_t)((*p - ' ') & 63) : 0);
		bytes[0] = (unsigned char)(bits >> 16);
		bytes[1] = (unsigned char)(bits >> 8);
		bytes[2] = (unsigned char)bits;
		cf_buf_add(out, bytes, want < 3 ? want : 3);
	}
	return true;
}

static void
read_uuencoded(struct cf_scan *s, const char *p, const char *end, int depth)
{
	struct cf_buf out;
	const char *eol;

	for (; p < end; p = eol + (eol < end)) {
		eol = end_of_line(p, end);
		if (!is_uu_begin(p, eol) || !may_decode(s, depth))
			continue;
		out = layer_buf(s, (size_t)(end - p));
		do {
			p = eol + (eol < end);
			eol = end_of_line(p, end);
		} while (uudecode_line(p, eol, &out));
		read_decoded(s, &out, depth);
	}
}

/* Where the UTF-16 ends that begins at `p`: each second byte of it is 0. */
static const char *
end_of_wide(const char *p, const char *end)
{
	while (end - p >= 2 && p[0] != '\0' && p[1] == '\0')
		p += 2;
	return p;
}

/*
 * All that is UTF-16, of either order: a file that some program saved, or a
 * text within another's format.  What matters in it is ASCII.
 */
static void
read_wide(struct cf_scan *s, const char *p, const char *end, int depth)
{
	struct cf_buf out = layer_buf(s, (size_t)(end - p));
	const char *begin = p, *zero, *from;
	bool last;

	if (!may_decode(s, depth))
		return;
	while ((zero = memchr(p, '\0', (size_t)(end - p))) != NULL) {
		from = zero > p ? zero - 1 : zero;
		last = from > begin && from[-1] == '\0';
		p = end_of_wide(from, end);
		if (p - from >= 2 * WIDE_RUN) {
			for (; from < p; from += 2)
				cf_buf_addc(&out, *from);
			/* In the other order this one belongs to the 0. */
			if (last && p < end && *p != '\0')
				cf_buf_addc(&out, *p);
			cf_buf_addc(&out, '\n');
		}
		if (p <= zero)
			p = zero + 1;
	}
	read_decoded(s, &out, depth);
}

void
cf_scan_layers(struct cf_scan *s, const char *p, const char *end, int depth)
{
	read_runs(s, p, end, depth);
	read_uuencoded(s, p, end, depth);
	read_quoted(s, p, end, depth);
	read_wide(s, p, end, depth);
}
