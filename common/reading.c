/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reading - see reading.h. */
#include "common/reading.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/hex.h"
#include "common/link_find.h"
#include "common/mem.h"

/* What a hostile file can make us do; counterfoil-format(7) has them too. */
#define DEPTH_MAX 8		/* encodings around one another */
#define LAYERS_MAX 1000		/* decoded texts in all */
#define GROWTH_MAX 4		/* times the file: their bytes in all */
#define ATTEMPTS_MAX 32		/* E's that are decoded whole and are none */
#define LINKS_MAX 256		/* different L's */
#define WORDS_MAX (512 * 1024)	/* bytes of words, and of fields, with an L */
#define WORD_MIN 60		/* no L is shorter */
#define WORD_MAX 8192
#define LINES_MAX 2048		/* bytes of a link that was broken */

#define B64_LINE 60		/* a longer line of base64 is no text */
#define B64_RUN 16		/* a shorter one is a word */
#define B64_HEAD 160		/* the head of E, and what may be between */
#define WIDE_RUN 8		/* characters of UTF-16 that are no accident */

static const unsigned char oid[] = { 0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7,
    0x0d, 0x01, 0x09, 0x10, 0x01, 0x17 };
#define OID_HEAD 3		/* what a change of its bytes as text leaves */
#define OID_TAIL 5
#define OID_SPAN 32		/* how far they can come to be apart */
#define HEAD_LEN (6 + sizeof oid)	/* of the longest DER length */

static const char field[] = "Counterfoil-Locator:";
static const char b64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789-_";

struct found {
	struct cf_link link;
	bool in_field;
};

struct scan {
	struct cf_reading reading;
	struct found *link;
	size_t link_count;
	size_t attempts, layers;
	size_t words, fields;	/* their bytes, so far */
	size_t left;		/* bytes that may still be decoded */
	struct cf_why damage;	/* of what looked like E */
	bool packed, packed_whole;	/* zip or the like: in it; all of it */
};

static void
scan_free(struct scan **scan)
{
	cf_reading_free(&(*scan)->reading);
	OPENSSL_cleanse((*scan)->link, LINKS_MAX * sizeof *(*scan)->link);
	free((*scan)->link);
	OPENSSL_cleanse(*scan, sizeof **scan);
	free(*scan);
}

/* ---- E ---- */

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
note_damage(struct scan *s, const char *what)
{
	if (s->damage.text[0] == '\0')
		(void)cf_fail(CF_E_CONTAINER, &s->damage, "%s", what);
}

/*
 * Is it E?  Then it is kept, and `e` is empty.  A key seals one message: what
 * has a key id once more is that one again, or was decoded wrongly.
 */
static bool
keep(struct scan *s, struct cf_buf *e)
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
may_try(struct scan *s)
{
	if (s->attempts < ATTEMPTS_MAX)
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
take_der(struct scan *s, const char *p, const char *end, size_t total)
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
find_ruins(struct scan *s, const char *p, const char *end)
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
find_der(struct scan *s, const char *p, const char *end)
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

static bool
is_b64(char c)
{
	return b64_value[(unsigned char)c] != 0;
}

/*
 * Decode up to `want` bytes of base64, over all that is none (RFC 2045 6.8),
 * to a line that begins with "--": there the part ends.  Padding ends a piece,
 * and another may follow.  Gives the place behind.
 */
static const char *
decode_b64(const char *p, const char *end, unsigned char *out, size_t want,
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

/* The length of the E that begins with this base64, 0 = none does. */
static size_t
b64_total(const char *p, const char *end)
{
	unsigned char head[HEAD_LEN];
	size_t len;

	(void)decode_b64(p, end - p > B64_HEAD ? p + B64_HEAD : end, head,
	    sizeof head, &len);
	return der_total(head, len);
}

/* E in base64.  Gives the end of what was taken, or NULL. */
static const char *
take_b64(struct scan *s, const char *p, const char *end)
{
	struct cf_buf e = CF_BUF_INIT(SIZE_MAX - 1);
	size_t total = b64_total(p, end);
	const char *next;
	bool good = false;

	if (total == 0)
		return NULL;
	if (total / 3 * 4 > (size_t)(end - p))
		note_damage(s, "it is cut off");
	if (total / 3 * 4 > (size_t)(end - p) || !may_try(s) ||
	    !cf_buf_reserve(&e, total))
		return NULL;
	next = decode_b64(p, end, (unsigned char *)e.data, total, &e.len);
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
find_b64(struct scan *s, const char *p, const char *end)
{
	const char *at = p, *next;

	while ((at = memmem(at, (size_t)(end - at), "MI", 2)) != NULL) {
		next = take_b64(s, at, end);
		at = next == NULL ? at + 2 : next;
	}
}

/* ---- L ---- */

static void
add_link(struct scan *s, const struct cf_link *link, bool in_field)
{
	struct found *f;
	size_t i;

	for (i = 0; i < s->link_count; i++)
		if (cf_link_equal(&s->link[i].link, link)) {
			s->link[i].in_field |= in_field;
			return;
		}
	if (s->link_count == LINKS_MAX)
		return;
	f = &s->link[s->link_count++];
	f->link = *link;
	f->in_field = in_field;
}

/* The one that is most surely this message's is told. */
static void
lose_link(struct scan *s, enum cf_reading_lost how, const char *what,
    const char *more)
{
	struct cf_reading *r = &s->reading;

	if (how < r->lost)
		return;
	r->lost = how;
	(void)cf_fail(CF_E_LINK_LOST, &r->no_link, "%s%s", what, more);
}

/* A word of the length of a key id, which others hardly have. */
static bool
has_key_id(const char *text)
{
	unsigned char id[CF_KEY_ID_LEN];
	size_t n;

	for (; *text != '\0'; text += n + (text[n] != '\0')) {
		n = strspn(text, b64url);
		if (n == CF_HANDLE_LEN &&
		    cf_b64url_decode(text, n, id, sizeof id))
			return true;
	}
	return false;
}

/* The L in a text, if there is one; else what is wrong with it. */
static bool
take_link(struct scan *s, const char *text, bool in_field)
{
	CF_AUTO(cf_link_wipe) struct cf_link link = { 0 };
	const char *service = NULL;

	switch (cf_link_look(text, &link, &service)) {
	case CF_LINK_OK:
		add_link(s, &link, in_field);
		return true;
	case CF_LINK_LOWERCASE:
		lose_link(s, CF_LOST_ALIKE, "small letters were made of the "
		    "capitals in its link", "");
		break;
	case CF_LINK_INCOMPLETE:
		if (has_key_id(text))
			lose_link(s, CF_LOST_CUT, "the end of its link is "
			    "missing", "");
		break;
	case CF_LINK_OPAQUE:
		lose_link(s, CF_LOST_OPAQUE, service, " put a link of its own "
		    "in its place");
		break;
	default:
		break;
	}
	if (in_field)
		lose_link(s, CF_LOST_NONE, "its Counterfoil-Locator holds no "
		    "whole link", "");
	return false;
}

/* The rest of a field's line, and the lines that continue it, in one. */
static void
read_field(struct scan *s, const char *p, const char *end)
{
	CF_AUTO(cf_buf_free) struct cf_buf text =
	    CF_BUF_INIT_SECRET(WORD_MAX);
	const char *from = p;

	for (; p < end && !text.full; p++) {
		if (*p == '\n' && (p + 1 == end ||
		    (p[1] != ' ' && p[1] != '\t')))
			break;
		if (strchr(" \t\r\n", *p) == NULL)
			cf_buf_addc(&text, *p);
	}
	s->fields += (size_t)(p - from);
	(void)take_link(s, cf_buf_str(&text), true);
}

static void
find_fields(struct scan *s, const char *p, const char *end)
{
	const char *eol;

	for (; (size_t)(end - p) > sizeof field && s->fields < WORDS_MAX;
	    p = eol + 1) {
		if ((*p == 'C' || *p == 'c') &&
		    strncasecmp(p, field, sizeof field - 1) == 0)
			read_field(s, p + sizeof field - 1, end);
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL)
			break;
	}
}

/* A `<wbr>` is where a long word may be broken, and no end. */
static bool
ends_word(const char *p, const char *end)
{
	return (unsigned char)*p <= ' ' || *p == '"' || *p == '\'' ||
	    *p == '>' || (*p == '<' && (end - p < 4 ||
	    strncasecmp(p, "<wbr", 4) != 0));
}

/* Where the word ends that begins at `p`. */
static const char *
end_of_word(const char *p, const char *end)
{
	for (; p < end && !ends_word(p, end); p++)
		if (*p == '<' && (p = memchr(p, '>', (size_t)(end - p))) ==
		    NULL)
			return end;
	return p;
}

static bool
has_one(const char *p, size_t len, const char *const *marks)
{
	for (; *marks != NULL; marks++)
		if (memmem(p, len, *marks, strlen(*marks)) != NULL)
			return true;
	return false;
}

/* A scheme, or what is made of it where no link is to be one. */
static bool
may_begin_link(const char *p, size_t len)
{
	static const char *const marks[] = { "ttp", "TTP", "hxxp", "aHR0c",
	    NULL };

	return len <= WORD_MAX && has_one(p, len, marks);
}

/* Whole, but perhaps without its scheme, or all of it in escapes. */
static bool
may_be_link(const char *p, size_t len)
{
	static const char *const marks[] = { "#", "%", NULL };

	return len >= WORD_MIN && len <= WORD_MAX && has_one(p, len, marks);
}

static bool
read_word(struct scan *s, const char *p, size_t len)
{
	char *word = cf_strndup(p, len);
	bool is_link = take_link(s, word, false);

	s->words += len;
	OPENSSL_cleanse(word, len);
	free(word);
	return is_link;
}

/* The end of the lines over which a link may go on that begins at `p`. */
static const char *
end_of_lines(const char *p, const char *end)
{
	const char *stop = end - p > LINES_MAX ? p + LINES_MAX : end;
	bool blank = false;

	for (; p < stop; p++) {
		if (*p == '"' || *p == '\'' || *p == '<' ||
		    (*p == '\n' && blank))
			return p;
		if (*p == '\n')
			blank = true;
		else if (*p != '>' && *p != ' ' && *p != '\t' && *p != '\r')
			blank = false;
	}
	return stop;
}

static bool
ends_line(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p < end && (*p == '\n' || *p == '\r');
}

static void
find_words(struct scan *s, const char *p, const char *end)
{
	const char *from;
	size_t len;
	bool begins;

	for (; p < end && s->words < WORDS_MAX; p++) {
		if (ends_word(p, end))
			continue;
		from = p;
		p = end_of_word(p, end);
		len = (size_t)(p - from);
		begins = may_begin_link(from, len);
		if (((begins && len >= WORD_MIN) || may_be_link(from, len)) &&
		    read_word(s, from, len))
			continue;
		/* Broken at the end of its line? */
		if (begins && ends_line(p, end))
			(void)read_word(s, from, (size_t)(end_of_lines(from,
			    end) - from));
	}
}

static const struct found *
link_for(const struct scan *s, const struct cf_sealed *part)
{
	const struct found *best = NULL, *f;
	size_t i;

	for (i = 0; i < s->link_count; i++) {
		f = &s->link[i];
		if (memcmp(f->link.key_id, part->container.key_id,
		    CF_KEY_ID_LEN) == 0 && (best == NULL ||
		    (f->in_field && !best->in_field)))
			best = f;
	}
	return best;
}

static void
match_links(struct scan *s)
{
	const struct found *f;
	struct cf_sealed *part;
	size_t i;

	for (i = 0; i < s->reading.count; i++) {
		part = &s->reading.part[i];
		f = link_for(s, part);
		part->has_link = f != NULL;
		if (f != NULL)
			part->link = f->link;
		else if (s->link_count > 0)
			lose_link(s, CF_LOST_NONE, "the link beside it is for "
			    "another message", "");
	}
}

/* ---- what is written in another encoding ---- */

static void read_layer(struct scan *s, const char *p, const char *end,
    int depth);

static bool
may_decode(const struct scan *s, int depth)
{
	return depth < DEPTH_MAX && s->layers < LAYERS_MAX;
}

/* Room for what `len` bytes can become, and no more than is left. */
static struct cf_buf
layer_buf(const struct scan *s, size_t len)
{
	struct cf_buf out = CF_BUF_INIT_SECRET(len < s->left ? len : s->left);

	return out;
}

static void
read_decoded(struct scan *s, struct cf_buf *out, int depth)
{
	if (out->len > 0 && !out->full) {
		s->layers++;
		s->left -= out->len;
		read_layer(s, out->data, out->data + out->len, depth + 1);
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

	while (p < eol && is_b64(*p))
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
read_quoted(struct scan *s, const char *p, const char *end, int depth)
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
read_run(struct scan *s, const char *p, const char *end, int depth)
{
	struct cf_buf out = layer_buf(s, (size_t)(end - p) / 4 * 3 + 3);

	/* E itself is most of a large mail, and has been looked at. */
	if (!may_decode(s, depth) || b64_total(p, end) > 0 ||
	    !cf_buf_reserve(&out, out.max))
		return;
	(void)decode_b64(p, end, (unsigned char *)out.data, out.max,
	    &out.len);
	read_decoded(s, &out, depth);
}

/* Each run of lines of base64: a text, a message, a file with E in it. */
static void
read_runs(struct scan *s, const char *p, const char *end, int depth)
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
read_uuencoded(struct scan *s, const char *p, const char *end, int depth)
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
read_wide(struct scan *s, const char *p, const char *end, int depth)
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

/* Compressed: nothing can be found in it, and the person can unpack it. */
static void
note_packed(struct scan *s, const char *p, size_t len, bool whole)
{
	static const char *const begin[] = { "PK\3\4", "\x1f\x8b\b",
	    "7z\xbc\xaf", "Rar!" };
	size_t i, n;

	for (i = 0; i < sizeof begin / sizeof *begin; i++) {
		n = strlen(begin[i]);
		if (len < n || memcmp(p, begin[i], n) != 0)
			continue;
		s->packed = true;
		s->packed_whole |= whole;
	}
}

static void
read_layer(struct scan *s, const char *p, const char *end, int depth)
{
	note_packed(s, p, (size_t)(end - p), depth == 0);
	find_der(s, p, end);
	find_ruins(s, p, end);
	find_b64(s, p, end);
	find_fields(s, p, end);
	find_words(s, p, end);
	read_runs(s, p, end, depth);
	read_uuencoded(s, p, end, depth);
	read_quoted(s, p, end, depth);
	read_wide(s, p, end, depth);
}

/* ---- a file ---- */

static bool
is_bare(const struct cf_reading *r, const char *p, size_t len)
{
	const struct cf_buf *e = &r->part[0].e;
	size_t i;

	if (r->count != 1 || len < e->len || memcmp(p, e->data, e->len) != 0)
		return false;
	for (i = e->len; i < len; i++)
		if (p[i] != '\0' && strchr(" \t\r\n", p[i]) == NULL)
			return false;
	return true;
}

/* Why there is no E in it. */
static enum cf_err
refuse(const struct scan *s, struct cf_why *why)
{
	if (s->packed_whole || (s->packed && s->link_count > 0))
		return cf_fail(CF_E_NOT_SEALED, why, "a packed file (zip or "
		    "the like) is not looked into: unpack it, and give what "
		    "was in it");
	if (s->damage.text[0] != '\0')
		return cf_fail(CF_E_CONTAINER, why, "%s", s->damage.text);
	return cf_fail(CF_E_NOT_SEALED, why, s->link_count == 0 ?
	    "there is no sealed part in it" : "its link is there, but no "
	    "sealed part: something on the way took it out");
}

enum cf_err
cf_reading_parse(const void *file, size_t len, struct cf_reading *ret,
    struct cf_why *why)
{
	CF_AUTO(scan_free) struct scan *s = cf_calloc(1, sizeof *s);
	const char *p = file;

	s->link = cf_calloc(LINKS_MAX, sizeof *s->link);
	s->left = len > SIZE_MAX / GROWTH_MAX ? SIZE_MAX : len * GROWTH_MAX;
	if (len > 0)
		read_layer(s, p, p + len, 0);
	if (s->reading.count == 0)
		return refuse(s, why);
	match_links(s);
	s->reading.bare = is_bare(&s->reading, p, len);
	*ret = s->reading;
	memset(&s->reading, 0, sizeof s->reading);
	return CF_OK;
}

void
cf_reading_free(struct cf_reading *reading)
{
	size_t i;

	for (i = 0; i < reading->count; i++)
		cf_buf_free(&reading->part[i].e);
	OPENSSL_cleanse(reading, sizeof *reading);
}
