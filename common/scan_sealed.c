/* SPDX-License-Identifier: Apache-2.0 */
/* cf_scan - see scan.h: E. */
#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>

#include "common/scan.h"

#define B64_HEAD 160		/* the head of E, and what may be between */
#define PIECE 16384		/* bytes that are taken at once */

static const unsigned char oid[] = { 0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7,
    0x0d, 0x01, 0x09, 0x10, 0x01, 0x17 };
#define OID_HEAD 3		/* what a change of its bytes as text leaves */
#define OID_TAIL 5
#define OID_SPAN 32		/* how far they can come to be apart */
#define HEAD_LEN (6 + sizeof oid)	/* of the longest DER length */

/* The length of the E that begins with these bytes, 0 = none does. */
static size_t
der_total(const unsigned char *p, size_t len)
{
	size_t n, i, total = 0;

	if (len < HEAD_LEN || p[0] != 0x30 || p[1] < 0x81 || p[1] > 0x84)
		return 0;
	n = p[1] & 0x7fu;
	for (i = 0; i < n; i++)
		total = total << 8 | p[2 + i];
	return memcmp(p + 2 + n, oid, sizeof oid) == 0 ? 2 + n + total : 0;
}

static void
note_damage(struct cf_scan *s, const char *what)
{
	if (s->damage.text[0] == '\0')
		(void)cf_fail(CF_E_CONTAINER, &s->damage, "%s", what);
}

/*
 * Is it E?  Then it is kept, and `bulk` is empty.  A key seals one message:
 * what has a key id once more is that one again, or was decoded wrongly.
 */
static bool
keep(struct cf_scan *s, struct cf_bulk *bulk)
{
	struct cf_reading *r = &s->reading;
	struct cf_container c;
	struct cf_sealed *part;
	struct cf_why why;
	struct cf_buf e;
	size_t i;

	if (cf_bulk_map(bulk, &e, NULL) != CF_OK) {
		cf_scan_fail(s, bulk);
		return false;
	}
	if (cf_container_parse(cf_buf_str(&e), e.len, &c, &why) != CF_OK) {
		note_damage(s, why.text);
		return false;
	}
	for (i = 0; i < r->count; i++)
		if (memcmp(r->part[i].container.key_id, c.key_id,
		    CF_KEY_ID_LEN) == 0)
			return true;
	if (r->count == CF_READING_PARTS)
		return true;
	part = &r->part[r->count++];
	part->bulk = *bulk;
	part->e = e;
	part->container = c;
	part->container.mapped = bulk->spooled;
	cf_b64url_encode(c.key_id, CF_KEY_ID_LEN, part->handle);
	memset(bulk, 0, sizeof *bulk);
	return true;
}

static bool
may_try(struct cf_scan *s)
{
	if (s->attempts < CF_SCAN_ATTEMPTS_MAX)
		return true;
	note_damage(s, "too much in it looks like a sealed part");
	return false;
}

static void
begin_e(const struct cf_scan *s, size_t total, struct cf_bulk *ret)
{
	cf_bulk_init(ret, s->place, total);
	/* Without room nothing is added, and keep() says why. */
	(void)!cf_bulk_reserve(ret, total, NULL);
}

static void
add_as_is(struct cf_scan_text *text, const char *p, size_t want,
    struct cf_bulk *out)
{
	size_t n;

	for (; want > 0; p += n, want -= n) {
		n = want < PIECE ? want : PIECE;
		cf_bulk_add(out, p, n);
		cf_scan_pass(text, p);
	}
}

/* Some program took E for text, and each LF became CR LF. */
static void
add_joined(struct cf_scan_text *text, const char *p, size_t want,
    struct cf_bulk *out)
{
	for (; p < text->end && out->len < want; p++) {
		if (*p != '\r' || p + 1 == text->end || p[1] != '\n')
			cf_bulk_addc(out, *p);
		cf_scan_pass(text, p);
	}
}

/* E as it is.  Gives the end of what was taken, or NULL. */
static const char *
take_der(struct cf_scan *s, struct cf_scan_text *text, const char *p,
    size_t total)
{
	size_t have = (size_t)(text->end - p);
	struct cf_bulk e;
	bool good = false;

	if (total > have)
		note_damage(s, "it is cut off");
	if (total > have || !may_try(s))
		return NULL;
	begin_e(s, total, &e);
	add_as_is(text, p, total, &e);
	good = keep(s, &e);
	if (good) {
		s->begins |= text->depth == 0 && p == text->p;
	} else {
		cf_bulk_free(&e);
		begin_e(s, total, &e);
		add_joined(text, p, total, &e);
		good = keep(s, &e);
	}
	cf_bulk_free(&e);
	s->attempts += !good;
	return good ? p + total : NULL;
}

/*
 * The next end of the OID's tail from `p` on, or NULL.  Its last byte is one
 * that texts do not have.
 */
static const char *
next_tail(struct cf_scan_text *text, const char *p)
{
	const unsigned char *tail = oid + sizeof oid - OID_TAIL;

	while ((p = cf_pages_chr(&text->pages, p, text->end,
	    (char)tail[OID_TAIL - 1])) != NULL) {
		p++;
		if (p - text->p >= OID_TAIL &&
		    memcmp(p - OID_TAIL, tail, OID_TAIL) == 0)
			break;
	}
	return p;
}

/* What remains of E where a program took its bytes for letters. */
static void
find_ruins(struct cf_scan *s, struct cf_scan_text *text)
{
	const char *p = text->p, *at = p, *from, *tail;

	while ((at = next_tail(text, at)) != NULL) {
		tail = at - OID_TAIL;
		from = tail - p > OID_SPAN ? tail - OID_SPAN : p;
		from = memmem(from, (size_t)(tail - from), oid, OID_HEAD);
		if (from != NULL && ((size_t)(at - from) != sizeof oid ||
		    memcmp(from, oid, sizeof oid) != 0))
			note_damage(s, "its bytes were changed: a program on "
			    "the way took them for text");
	}
}

/* E as it is whose OID is at `at`, as take_der(). */
static const char *
take_oid(struct cf_scan *s, struct cf_scan_text *text, const char *at)
{
	size_t n, total;

	for (n = 3; n <= 6 && (size_t)(at - text->p) >= n; n++) {
		total = der_total((const unsigned char *)at - n,
		    (size_t)(text->end - at) + n);
		if (total > 0)
			return take_der(s, text, at - n, total);
	}
	return NULL;
}

static void
find_der(struct cf_scan *s, struct cf_scan_text *text)
{
	const char *at = text->p, *from = at, *next;

	while ((at = next_tail(text, at)) != NULL) {
		if ((size_t)(at - from) < sizeof oid ||
		    memcmp(at - sizeof oid, oid, sizeof oid) != 0)
			continue;
		next = take_oid(s, text, at - sizeof oid);
		if (next != NULL)
			at = next;
		from = at;
	}
}

const unsigned char cf_scan_b64_value[256] = {
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6,
	['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12,
	['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17,
	['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22,
	['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27,
	['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
	['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37,
	['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47,
	['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52,
	['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57,
	['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62,
	['+'] = 63, ['/'] = 64, ['-'] = 63, ['_'] = 64
};

/* What a piece of base64 leaves to the next one. */
struct rest {
	uint32_t bits;
	int count;
};

/* As many whole groups of four as follow one another.  Gives their bytes. */
static size_t
decode_groups(const char **at, const char *end, unsigned char *out,
    size_t want)
{
	const unsigned char *p = (const unsigned char *)*at, *v =
	    cf_scan_b64_value;
	const unsigned char *stop = p + (end - *at) / 4 * 4;
	size_t len = 0;
	uint32_t bits;

	for (; p < stop && want - len >= 3; p += 4, len += 3) {
		if (v[p[0]] == 0 || v[p[1]] == 0 || v[p[2]] == 0 ||
		    v[p[3]] == 0)
			break;
		bits = (v[p[0]] - 1u) << 18 | (v[p[1]] - 1u) << 12 |
		    (v[p[2]] - 1u) << 6 | (v[p[3]] - 1u);
		out[len] = (unsigned char)(bits >> 16);
		out[len + 1] = (unsigned char)(bits >> 8);
		out[len + 2] = (unsigned char)bits;
	}
	*at = (const char *)p;
	return len;
}

/* See cf_scan_b64(): to memory, up to `want` bytes. */
static const char *
decode(struct rest *rest, const char *p, const char *end, unsigned char *out,
    size_t want, size_t *ret_len)
{
	struct rest r = *rest;
	size_t len = 0;
	unsigned v;

	for (;; p++) {
		if (r.count == 0)
			len += decode_groups(&p, end, out + len, want - len);
		if (p == end || len == want)
			break;
		v = cf_scan_b64_value[(unsigned char)*p];
		if (v > 0) {
			r.bits = r.bits << 6 | (v - 1);
			r.count += 6;
		} else if (*p == '=') {
			r.count = 0;
		} else if (*p == '\n' && end - p > 2 && p[1] == '-' &&
		    p[2] == '-') {
			break;
		}
		if (r.count >= 8) {
			r.count -= 8;
			out[len++] = (unsigned char)(r.bits >> r.count);
		}
	}
	*rest = r;
	*ret_len = len;
	return p;
}

const char *
cf_scan_b64(struct cf_scan_text *text, const char *p, const char *end,
    size_t want, struct cf_bulk *out)
{
	unsigned char piece[PIECE];
	struct rest rest = { 0, 0 };
	size_t n = sizeof piece, len = n;

	for (; len == n && want > 0; want -= len) {
		n = want < sizeof piece ? want : sizeof piece;
		p = decode(&rest, p, end, piece, n, &len);
		cf_bulk_add(out, piece, len);
		cf_scan_pass(text, p);
	}
	OPENSSL_cleanse(piece, sizeof piece);
	return p;
}

size_t
cf_scan_b64_total(const char *p, const char *end)
{
	unsigned char head[HEAD_LEN];
	struct rest rest = { 0, 0 };
	size_t len;

	(void)decode(&rest, p, end - p > B64_HEAD ? p + B64_HEAD : end, head,
	    sizeof head, &len);
	return der_total(head, len);
}

/*
 * Which lines of these characters, of which `total` bytes were made, are
 * whole and nothing but base64?  So are all when there are no more characters
 * than the bytes take, and their line ends.
 */
static void
note_lines(struct cf_scan_text *text, const char *p, const char *end,
    size_t total)
{
	size_t ends = 0, need = total / 3 * 4 + (total % 3 * 8 + 5) / 6;
	const char *from = p, *line = p, *eol;

	while ((eol = cf_pages_chr(&text->pages, line, end, '\n')) != NULL) {
		ends += 1 + (eol > line && eol[-1] == '\r');
		if (line == p && p > text->p && p[-1] != '\n')
			from = eol + 1;
		else if (eol - line < CF_SCAN_B64_LINE + 1)
			return;
		line = eol + 1;
	}
	if ((size_t)(end - p) != need + ends ||
	    line - from <= text->e_lines_end - text->e_lines)
		return;
	text->e_lines = from;
	text->e_lines_end = line;
}

/* E in base64.  Gives the end of what was taken, or NULL. */
static const char *
take_b64(struct cf_scan *s, struct cf_scan_text *text, const char *p)
{
	size_t total = cf_scan_b64_total(p, text->end);
	const char *next;
	struct cf_bulk e;
	bool good = false;

	if (total == 0)
		return NULL;
	if (total / 3 * 4 > (size_t)(text->end - p))
		note_damage(s, "it is cut off");
	if (total / 3 * 4 > (size_t)(text->end - p) || !may_try(s))
		return NULL;
	begin_e(s, total, &e);
	next = cf_scan_b64(text, p, text->end, total, &e);
	if (e.len < total && e.failed == CF_OK)
		note_damage(s, "it is cut off");
	else
		good = keep(s, &e);
	cf_bulk_free(&e);
	s->attempts += !good;
	if (good)
		note_lines(text, p, next, total);
	return good ? next : NULL;
}

/* 30 81 to 30 84 begin with "MI". */
static void
find_b64(struct cf_scan *s, struct cf_scan_text *text)
{
	const char *at = text->p, *end = text->end, *next;

	while ((at = cf_pages_chr(&text->pages, at, end, 'M')) != NULL) {
		next = end - at > 1 && at[1] == 'I' ? take_b64(s, text, at) :
		    NULL;
		at = next == NULL ? at + 1 : next;
	}
}

void
cf_scan_sealed(struct cf_scan *s, struct cf_scan_text *text)
{
	find_der(s, text);
	find_ruins(s, text);
	find_b64(s, text);
}
