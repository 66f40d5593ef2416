/* SPDX-License-Identifier: Apache-2.0 */
/* cf_scan - see scan.h: encodings. */
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "common/hex.h"
#include "common/scan.h"

#define B64_RUN 16		/* a shorter one is a word */
#define WIDE_RUN 8		/* characters of UTF-16 that are no accident */

static bool
may_decode(const struct cf_scan *s, const struct cf_scan_text *text)
{
	return s->failed == CF_OK && text->depth < CF_SCAN_DEPTH_MAX &&
	    s->layers < CF_SCAN_LAYERS_MAX;
}

/* For what `len` bytes can become, and for no more than is left. */
static void
layer_begin(const struct cf_scan *s, size_t len, struct cf_bulk *ret)
{
	cf_bulk_init(ret, s->place, len < s->left ? len : s->left);
}

/* What was decoded from `outer` is looked through like that. */
static void
read_decoded(struct cf_scan *s, const struct cf_scan_text *outer,
    struct cf_bulk *out)
{
	struct cf_scan_text text = { .depth = outer->depth + 1 };
	struct cf_buf all;
	enum cf_err rc = cf_bulk_map(out, &all, NULL);

	if (rc == CF_OK && out->len > 0) {
		s->layers++;
		s->left -= out->len;
		text.p = all.data;
		text.end = all.data + all.len;
		text.pages = cf_pages_begin(text.p, out->spooled);
		cf_scan_text(s, &text);
	} else if (rc != CF_OK && rc != CF_E_TOO_LARGE) {
		cf_scan_fail(s, out);
	}
	cf_bulk_free(out);
}

static const char *
end_of_line(struct cf_scan_text *text, const char *p)
{
	const char *eol = cf_pages_chr(&text->pages, p, text->end, '\n');

	return eol == NULL ? text->end : eol;
}

/* How many characters of base64 the line is, 0 when it has others. */
static size_t
b64_line(struct cf_scan_text *text, const char *p, const char *eol)
{
	const char *from = p;
	size_t len;

	for (; p < eol && cf_scan_b64_value[(unsigned char)*p] > 0; p++)
		cf_scan_pass(text, p);
	len = (size_t)(p - from);
	while (p < eol && *p == '=')
		p++;
	while (p < eol && (*p == '\r' || *p == ' ' || *p == '\t'))
		p++;
	return p == eol ? len : 0;
}

/* One line of quoted-printable.  True: it was written in it, not plain. */
static bool
unquote_line(struct cf_scan_text *text, const char *p, const char *eol,
    struct cf_bulk *out)
{
	bool quoted = false;
	const char *stop = eol;

	while (stop > p && (stop[-1] == '\r' || stop[-1] == ' ' ||
	    stop[-1] == '\t'))
		stop--;
	for (; p < stop; p++) {
		cf_scan_pass(text, p);
		if (*p != '=') {
			cf_bulk_addc(out, *p);
		} else if (p + 1 == stop) {
			return true;		/* the next line goes on */
		} else if (stop - p > 2 && cf_hex_byte(p + 1) >= 0) {
			cf_bulk_addc(out, (char)cf_hex_byte(p + 1));
			quoted = true;
			p += 2;
		} else {
			cf_bulk_addc(out, '=');
		}
	}
	if (eol < text->end && eol > p && eol[-1] == '\r')
		cf_bulk_addc(out, '\r');
	if (eol < text->end)
		cf_bulk_addc(out, '\n');
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
read_quoted(struct cf_scan *s, struct cf_scan_text *text)
{
	const char *p, *eol, *end = text->end;
	bool quoted = false, in_uu = false, joined = false;
	struct cf_bulk out;

	if (!may_decode(s, text))
		return;
	layer_begin(s, (size_t)(end - text->p), &out);
	for (p = text->p; p < end && out.failed == CF_OK;
	    p = eol + (eol < end)) {
		if (!in_uu && !joined && (p = cf_scan_over(text, p)) == end)
			break;
		eol = end_of_line(text, p);
		if (in_uu && !joined && is_plain_uu(p, eol)) {
			cf_bulk_add(&out, p, (size_t)(eol - p) + (eol < end));
			continue;
		}
		in_uu = is_uu_begin(p, eol) ||
		    (in_uu && (joined || uu_count(p, eol) > 0));
		joined = is_broken_softly(p, eol);
		if (b64_line(text, p, eol) < CF_SCAN_B64_LINE ||
		    cf_pages_chr(&text->pages, p, eol, '=') != NULL)
			quoted |= unquote_line(text, p, eol, &out);
	}
	if (quoted || out.failed != CF_OK)
		read_decoded(s, text, &out);
	cf_bulk_free(&out);
}

static void
read_run(struct cf_scan *s, struct cf_scan_text *text, const char *p,
    const char *end)
{
	struct cf_bulk out;

	/* E itself is most of a large mail, and has been looked at. */
	if (!may_decode(s, text) || cf_scan_b64_total(p, end) > 0)
		return;
	layer_begin(s, (size_t)(end - p) / 4 * 3 + 3, &out);
	(void)!cf_bulk_reserve(&out, out.max, NULL);
	(void)cf_scan_b64(text, p, end, out.max, &out);
	read_decoded(s, text, &out);
}

/* Each run of lines of base64: a text, a message, a file with E in it. */
static void
read_runs(struct cf_scan *s, struct cf_scan_text *text)
{
	const char *p = text->p, *end = text->end, *from, *eol;

	while (p < end) {
		eol = end_of_line(text, p);
		if (b64_line(text, p, eol) < B64_RUN) {
			p = eol + (eol < end);
			continue;
		}
		for (from = p; p < end; p = eol + (eol < end)) {
			p = cf_scan_over(text, p);
			eol = end_of_line(text, p);
			if (p < end && b64_line(text, p, eol) == 0)
				break;
		}
		read_run(s, text, from, p);
	}
}

/* One line of uuencode; false at the end of it. */
static bool
uudecode_line(const char *p, const char *eol, struct cf_bulk *out)
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
		cf_bulk_add(out, bytes, want < 3 ? want : 3);
	}
	return true;
}

static void
read_uuencoded(struct cf_scan *s, struct cf_scan_text *text)
{
	const char *p = text->p, *end = text->end, *eol;
	struct cf_bulk out;

	for (; p < end; p = eol + (eol < end)) {
		p = cf_scan_over(text, p);
		eol = end_of_line(text, p);
		if (!is_uu_begin(p, eol) || !may_decode(s, text))
			continue;
		layer_begin(s, (size_t)(end - p), &out);
		do {
			p = eol + (eol < end);
			eol = end_of_line(text, p);
		} while (uudecode_line(p, eol, &out));
		read_decoded(s, text, &out);
	}
}

/* Where the UTF-16 ends that begins at `p`: each second byte of it is 0. */
static const char *
end_of_wide(struct cf_scan_text *text, const char *p)
{
	for (; text->end - p >= 2 && p[0] != '\0' && p[1] == '\0'; p += 2)
		cf_scan_pass(text, p);
	return p;
}

/*
 * All that is UTF-16, of either order: a file that some program saved, or a
 * text within another's format.  What matters in it is ASCII.
 */
static void
read_wide(struct cf_scan *s, struct cf_scan_text *text)
{
	const char *p = text->p, *end = text->end, *zero, *from;
	struct cf_bulk out;
	bool last;

	if (!may_decode(s, text))
		return;
	layer_begin(s, (size_t)(end - p), &out);
	while ((zero = cf_pages_chr(&text->pages, p, end, '\0')) != NULL) {
		from = zero > p ? zero - 1 : zero;
		last = from > text->p && from[-1] == '\0';
		p = end_of_wide(text, from);
		if (p - from >= 2 * WIDE_RUN) {
			for (; from < p; from += 2) {
				cf_bulk_addc(&out, *from);
				cf_scan_pass(text, from);
			}
			/* In the other order this one belongs to the 0. */
			if (last && p < end && *p != '\0')
				cf_bulk_addc(&out, *p);
			cf_bulk_addc(&out, '\n');
		}
		if (p <= zero)
			p = zero + 1;
	}
	read_decoded(s, text, &out);
}

void
cf_scan_layers(struct cf_scan *s, struct cf_scan_text *text)
{
	read_runs(s, text);
	read_uuencoded(s, text);
	read_quoted(s, text);
	read_wide(s, text);
}
