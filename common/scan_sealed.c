/* SPDX-License-Identifier: Apache-2.0 */
/* cf_scan - see scan.h: E. */
#include <stdint.h>
#include <string.h>

#include "common/scan.h"

#define B64_HEAD 160		/* the head of E, and what may be between */

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
 * Is it E?  Then it is kept, and `e` is empty.  A key seals one message: what
 * has a key id once more is that one again, or was decoded wrongly.
 */
static bool
keep(struct cf_scan *s, struct cf_buf *e)
{
	struct cf_reading *r = &s->reading;
	struct cf_container c;
	struct cf_sealed *part;
	struct cf_why why;
	size_t i;

	if (cf_container_parse(cf_buf_str(e), e->len, &c, &why) != CF_OK) {
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
	part->e = *e;
	part->container = c;
	cf_b64url_encode(c.key_id, CF_KEY_ID_LEN, part->handle);
	memset(e, 0, sizeof *e);
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

/* Some program took E for text, and each LF became CR LF. */
static void
add_joined(const char *p, const char *end, size_t want, struct cf_buf *out)
{
	const char *cr;

	while (p < end && out->len < want) {
		for (cr = p; cr < end && (*cr != '\r' || cr + 1 == end ||
		    cr[1] != '\n'); cr++)
			continue;
		cf_buf_add(out, p, (size_t)(cr - p) < want - out->len ?
		    (size_t)(cr - p) : want - out->len);
		p = cr + 1;
	}
}

/* E as it is.  Gives the end of what was taken, or NULL. */
static const char *
take_der(struct cf_scan *s, const char *p, const char *end, size_t total)
{
	size_t have = (size_t)(end - p);
	struct cf_buf e = CF_BUF_INIT(total);
	bool good = false;

	if (total > have)
		note_damage(s, "it is cut off");
	if (total > have || !may_try(s))
		return NULL;
	cf_buf_add(&e, p, total);
	good = keep(s, &e);
	if (!good) {
		cf_buf_reset(&e);
		add_joined(p, end, total, &e);
		good = keep(s, &e);
	}
	cf_buf_free(&e);
	s->attempts += !good;
	return good ? p + total : NULL;
}

/* What remains of E where a program took its bytes for letters. */
static void
find_ruins(struct cf_scan *s, const char *p, const char *end)
{
	const unsigned char *tail = oid + sizeof oid - OID_TAIL;
	const char *at = p, *from;

	while ((at = memmem(at, (size_t)(end - at), tail, OID_TAIL)) != NULL) {
		from = at - p > OID_SPAN ? at - OID_SPAN : p;
		from = memmem(from, (size_t)(at - from), oid, OID_HEAD);
		at += OID_TAIL;
		if (from != NULL && ((size_t)(at - from) != sizeof oid ||
		    memcmp(from, oid, sizeof oid) != 0))
			note_damage(s, "its bytes were changed: a program on "
			    "the way took them for text");
	}
}

static void
find_der(struct cf_scan *s, const char *p, const char *end)
{
	const char *at = p, *from = p, *next;
	size_t n, total;

	while ((at = memmem(from, (size_t)(end - from), oid, sizeof oid))
	    != NULL) {
		from = at + sizeof oid;
		for (n = 3; n <= 6; n++) {
			if ((size_t)(at - p) < n)
				break;
			total = der_total((const unsigned char *)at - n,
			    (size_t)(end - at) + n);
			if (total == 0)
				continue;
			next = take_der(s, at - n, end, total);
			if (next != NULL)
				from = next;
			break;
		}
	}
}

/* Value + 1; 0 is no character of base64. */
static const unsigned char b64_value[256] = {
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

bool
cf_scan_is_b64(char c)
{
	return b64_value[(unsigned char)c] != 0;
}

const char *
cf_scan_b64(const char *p, const char *end, unsigned char *out, size_t want,
    size_t *ret_len)
{
	uint32_t bits = 0;
	size_t len = 0;
	int count = 0;
	unsigned v;

	for (; p < end && len < want; p++) {
		v = b64_value[(unsigned char)*p];
		if (v == 0) {
			if (*p == '=')
				count = 0;
			else if (*p == '\n' && end - p > 2 && p[1] == '-' &&
			    p[2] == '-')
				break;
			continue;
		}
		bits = bits << 6 | (v - 1);
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[len++] = (unsigned char)(bits >> count);
		}
	}
	*ret_len = len;
	return p;
}

size_t
cf_scan_b64_total(const char *p, const char *end)
{
	unsigned char head[HEAD_LEN];
	size_t len;

	(void)cf_scan_b64(p, end - p > B64_HEAD ? p + B64_HEAD : end, head,
	    sizeof head, &len);
	return der_total(head, len);
}

/* E in base64.  Gives the end of what was taken, or NULL. */
static const char *
take_b64(struct cf_scan *s, const char *p, const char *end)
{
	struct cf_buf e = CF_BUF_INIT(SIZE_MAX - 1);
	size_t total = cf_scan_b64_total(p, end);
	const char *next;
	bool good = false;

	if (total == 0)
		return NULL;
	if (total / 3 * 4 > (size_t)(end - p))
		note_damage(s, "it is cut off");
	if (total / 3 * 4 > (size_t)(end - p) || !may_try(s) ||
	    !cf_buf_reserve(&e, total))
		return NULL;
	next = cf_scan_b64(p, end, (unsigned char *)e.data, total, &e.len);
	e.data[e.len] = '\0';
	if (e.len < total)
		note_damage(s, "it is cut off");
	else
		good = keep(s, &e);
	cf_buf_free(&e);
	s->attempts += !good;
	return good ? next : NULL;
}

/* 30 81 to 30 84 begin with these two characters. */
static void
find_b64(struct cf_scan *s, const char *p, const char *end)
{
	const char *at = p, *next;

	while ((at = memmem(at, (size_t)(end - at), "MI", 2)) != NULL) {
		next = take_b64(s, at, end);
		at = next == NULL ? at + 2 : next;
	}
}

void
cf_scan_sealed(struct cf_scan *s, const char *p, const char *end)
{
	find_der(s, p, end);
	find_ruins(s, p, end);
	find_b64(s, p, end);
}
