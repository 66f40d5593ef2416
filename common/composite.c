/* SPDX-License-Identifier: Apache-2.0 */
/* cf_composite - see composite.h. */
#include "common/composite.h"

#include <endian.h>
#include <errno.h>
#include <gmime/gmime.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/mem.h"

#define NOTICE_MAX ((size_t)4 << 20)	/* both texts, quoted-printable */
/* A message with more lines like these is not worth a tree; P has seven. */
#define DASHED_MAX 100		/* lines that begin with "--" */
#define COLON_MAX 20000		/* lines that may be header fields */

/* base64: 57 bytes make one line of 76 characters. */
#define LINE_IN 57
#define LINE_OUT 76
#define READ_MAX (LINE_IN * 840)
#define PIECE_MAX 65535	/* what libmilter sends in one packet */
#define PAIRS 4096

void
cf_composite_init(void)
{
	g_mime_init();	/* counts its calls */
}

/* ---- outer header ---- */

/* Fields that stand outside exactly once, with a value of ours. */
enum fixed { FIXED_MIME, FIXED_TYPE, FIXED_VERSION, FIXED__COUNT };

static const char *const fixed_name[FIXED__COUNT] = {
	"MIME-Version", "Content-Type", "Counterfoil-Version"
};

static enum fixed
fixed_of(const char *name)
{
	int i = 0;

	while (i < FIXED__COUNT && strcasecmp(name, fixed_name[i]) != 0)
		i++;
	return (enum fixed)i;
}

static bool
goes(const char *name)
{
	return cf_mform_drops(name) || cf_mform_is_structural(name) ||
	    strcasecmp(name, "Disposition-Notification-To") == 0 ||
	    strcasecmp(name, "Return-Receipt-To") == 0 ||
	    /* Of the body that goes; a signer behind us makes a new one. */
	    strcasecmp(name, "DKIM-Signature") == 0;
}

/* Which one of its name fields[i] is, from 1. */
static unsigned
instance(const struct cf_field *fields, size_t i)
{
	unsigned n = 1;
	size_t k;

	for (k = 0; k < i; k++)
		if (strcasecmp(fields[k].name, fields[i].name) == 0)
			n++;
	return n;
}

static void
add_edit(struct cf_edits *list, enum cf_edit_kind kind, const char *name,
    unsigned index, const char *value)
{
	struct cf_edit edit = { kind, name, index, value };

	list->item[list->count++] = edit;
}

static void
add_outer(struct cf_edits *list, const char *name, const char *value)
{
	struct cf_field field = { name, value };

	list->outer[list->outer_count++] = field;
}

void
cf_composite_edits(const struct cf_field *fields, size_t count,
    const char *boundary, struct cf_edits *ret)
{
	const char *value[FIXED__COUNT] = { " 1.0", NULL, " 1" };
	bool there[FIXED__COUNT] = { false };
	struct cf_edits list = { 0 };
	enum fixed f;
	size_t i;

	list.content_type = cf_asprintf(" multipart/mixed; boundary=\"%s\"",
	    boundary);
	value[FIXED_TYPE] = list.content_type;
	list.item = cf_calloc(count + FIXED__COUNT, sizeof *list.item);
	list.outer = cf_calloc(count + FIXED__COUNT, sizeof *list.outer);
	for (i = 0; i < count; i++) {
		f = fixed_of(fields[i].name);
		if (f < FIXED__COUNT && !there[f]) {
			there[f] = true;
			/* An edit costs the mail server a look at its file. */
			if (strcmp(fields[i].value, value[f]) != 0)
				add_edit(&list, CF_EDIT_CHANGE,
				    fields[i].name, 1, value[f] + 1);
			add_outer(&list, fields[i].name, value[f]);
		} else if (f == FIXED__COUNT && !goes(fields[i].name)) {
			add_outer(&list, fields[i].name, fields[i].value);
		}
	}
	/* Downwards, so that no deletion moves an index still to come. */
	for (i = count; i-- > 0; ) {
		f = fixed_of(fields[i].name);
		if (f == FIXED__COUNT ? goes(fields[i].name) :
		    instance(fields, i) > 1)
			add_edit(&list, CF_EDIT_DELETE, fields[i].name,
			    instance(fields, i), NULL);
	}
	for (i = 0; i < FIXED__COUNT; i++) {
		if (there[i])
			continue;
		add_edit(&list, CF_EDIT_ADD, fixed_name[i], 0, value[i] + 1);
		add_outer(&list, fixed_name[i], value[i]);
	}
	*ret = list;
}

void
cf_edits_free(struct cf_edits *edits)
{
	static const struct cf_edits none;

	free(edits->item);
	free(edits->outer);
	free(edits->content_type);
	*edits = none;
}

/* ---- quoted-printable ---- */

/* RFC 2045 6.7; a lone dot and "From " are encoded for the MTAs' sake. */
static bool
is_literal(const char *p, size_t col)
{
	if (*p == ' ' || *p == '\t')
		return p[1] != '\0' && p[1] != '\n' &&
		    (p[1] != '\r' || p[2] != '\n');
	if (col == 0 && (*p == '.' || strncmp(p, "From ", 5) == 0))
		return false;
	return *p > ' ' && *p <= '~' && *p != '=';
}

/* How many characters from here may stand as they are, `max` at most. */
static size_t
literal_run(const char *text, size_t col, size_t max)
{
	size_t n = 0;

	while (n < max && is_literal(text + n, col + n))
		n++;
	return n;
}

void
cf_composite_quote(const char *text, struct cf_buf *ret)
{
	static const char hex[] = "0123456789ABCDEF";
	const size_t room = LINE_OUT - 1;	/* and "=" */
	char code[3] = "=";
	size_t col = 0, n;

	while (*text != '\0') {
		if (*text == '\n' || (*text == '\r' && text[1] == '\n')) {
			text += *text == '\r' ? 2 : 1;
			cf_buf_add(ret, "\r\n", 2);
			col = 0;
			continue;
		}
		n = literal_run(text, col, room - col);
		cf_buf_add(ret, text, n);
		text += n;
		col += n;
		if (n > 0)
			continue;
		if (col + 3 > room) {
			cf_buf_add(ret, "=\r\n", 3);
			col = 0;
			continue;
		}
		code[1] = hex[(unsigned char)*text >> 4];
		code[2] = hex[(unsigned char)*text & 15];
		cf_buf_add(ret, code, 3);
		col += 3;
		text++;
	}
	if (col > 0)
		cf_buf_add(ret, "\r\n", 2);
}

/* ---- writing ---- */

void
cf_composite_boundary(char ret[CF_BOUNDARY_LEN + 1])
{
	unsigned char random[16];

	if (RAND_bytes(random, sizeof random) != 1)
		cf_bug("no random bytes");
	memcpy(ret, "=_cf_", 5);
	cf_b64url_encode(random, sizeof random, ret + 5);
}

/* Everything in front of the base64 lines. */
static void
add_prologue(const struct cf_composite_parts *p, struct cf_buf *out)
{
	/* Neither boundary begins with the other (RFC 2046 5.1.1). */
	const char *id = p->boundary + 5;

	/* Most of it at once: what grows is copied and wiped each time. */
	(void)cf_buf_reserve(out, strlen(p->text) + strlen(p->html) + 2048);
	cf_buf_addf(out, "--%s\r\n"
	    "Content-Type: multipart/alternative; boundary=\"=_cn_%s\"\r\n"
	    "\r\n--=_cn_%s\r\n", p->boundary, id, id);
	cf_buf_adds(out, "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	cf_composite_quote(p->text, out);
	cf_buf_addf(out, "\r\n--=_cn_%s\r\n"
	    "Content-Type: text/html; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n", id);
	cf_composite_quote(p->html, out);
	cf_buf_addf(out, "\r\n--=_cn_%s--\r\n--%s\r\n"
	    "Content-Type: " CF_CONTAINER_TYPE ";\r\n"
	    " name=\"" CF_CONTAINER_NAME "\"\r\n"
	    "Content-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n"
	    " filename=\"" CF_CONTAINER_NAME "\"\r\n"
	    "Counterfoil-Locator: %s\r\n\r\n", id, p->boundary, p->locator);
}

static void
add_epilogue(const struct cf_composite_parts *p, struct cf_buf *out)
{
	cf_buf_addf(out, "--%s--\r\n", p->boundary);
}

/*
 * The body in the making.  It goes out in pieces as large as one milter
 * packet; what begins a piece may be the notice with its link.
 */
struct writer {
	cf_composite_write_fn *write;
	void *arg;
	size_t len, used;		/* of `out`: now, and at most so far */
	size_t part_len;
	unsigned char part[LINE_IN];	/* of a line that is not full yet */
	unsigned char out[PIECE_MAX + 1];	/* the encoder adds a NUL */
	char pair[PAIRS][2];		/* base64 of each twelve bits */
};

static void
fill_pairs(char pair[PAIRS][2])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < PAIRS; i++) {
		pair[i][0] = letters[i >> 6];
		pair[i][1] = letters[i & 63];
	}
}

static void
writer_free(struct writer **w)
{
	OPENSSL_cleanse((*w)->out, (*w)->len > (*w)->used ? (*w)->len :
	    (*w)->used);
	free(*w);
}

static enum cf_err
flush(struct writer *w, struct cf_why *why)
{
	size_t len = w->len;

	if (len > w->used)
		w->used = len;
	w->len = 0;
	return len == 0 ? CF_OK : w->write(w->arg, w->out, len, why);
}

static enum cf_err
put(struct writer *w, const char *data, size_t len, struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	size_t n;

	for (; len > 0 && rc == CF_OK; data += n, len -= n) {
		n = PIECE_MAX - w->len;
		n = len < n ? len : n;
		memcpy(w->out + w->len, data, n);
		w->len += n;
		if (w->len == PIECE_MAX)
			rc = flush(w, why);
	}
	return rc;
}

/*
 * base64 by pairs of characters, six bytes a turn: half the time of libcrypto,
 * which was a sixth of all that a large message costs the milter.
 */
static size_t
encode_line(const struct writer *w, unsigned char *out,
    const unsigned char *in, size_t len)
{
	unsigned char *p = out;
	uint64_t bits;
	int shift;

	/* Eight are read, the last two of them once more the next time. */
	for (; len >= sizeof bits; in += 6, len -= 6) {
		memcpy(&bits, in, sizeof bits);
		bits = be64toh(bits);
		for (shift = 52; shift >= 16; shift -= 12, p += 2)
			memcpy(p, w->pair[bits >> shift & (PAIRS - 1)], 2);
	}
	return (size_t)(p - out) + (size_t)EVP_EncodeBlock(p, in, (int)len);
}

/* One line of base64. */
static enum cf_err
put_line(struct writer *w, const unsigned char *bytes, size_t len,
    struct cf_why *why)
{
	enum cf_err rc = CF_OK;

	if (PIECE_MAX - w->len < LINE_OUT + 2)
		rc = flush(w, why);
	if (rc != CF_OK)
		return rc;
	w->len += encode_line(w, w->out + w->len, bytes, len);
	memcpy(w->out + w->len, "\r\n", 2);
	w->len += 2;
	return CF_OK;
}

static enum cf_err
end_lines(struct writer *w, struct cf_why *why)
{
	size_t len = w->part_len;

	w->part_len = 0;
	return len == 0 ? CF_OK : put_line(w, w->part, len, why);
}

static enum cf_err
encode(struct writer *w, const void *data, size_t len, struct cf_why *why)
{
	const unsigned char *p = data;
	enum cf_err rc = CF_OK;
	size_t n;

	while (len > 0 && rc == CF_OK) {
		if (w->part_len == 0 && len >= LINE_IN) {
			n = LINE_IN;
			rc = put_line(w, p, n, why);
		} else {
			n = LINE_IN - w->part_len;
			n = len < n ? len : n;
			memcpy(w->part + w->part_len, p, n);
			w->part_len += n;
			if (w->part_len == LINE_IN)
				rc = end_lines(w, why);
		}
		p += n;
		len -= n;
	}
	return rc;
}

static enum cf_err
encode_fd(struct writer *w, const struct cf_composite_parts *p,
    struct cf_why *why)
{
	CF_AUTO(cf_free) unsigned char *in = cf_calloc(1, READ_MAX);
	enum cf_err rc = CF_OK;
	uint64_t done = 0, left = p->ciphertext_len;
	ssize_t n;

	while (left > 0 && rc == CF_OK) {
		n = pread(p->ciphertext_fd, in, left < READ_MAX ?
		    (size_t)left : READ_MAX, (off_t)(p->ciphertext_off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return cf_fail(CF_E_IO, why, "reading the sealed "
			    "message back: %s", n == 0 ? "it is too short" :
			    strerrordesc_np(errno));
		rc = encode(w, in, (size_t)n, why);
		done += (uint64_t)n;
		left -= (uint64_t)n;
	}
	return rc;
}

static enum cf_err
write_sealed(struct writer *w, const struct cf_composite_parts *p,
    struct cf_why *why)
{
	enum cf_err rc;

	rc = encode(w, p->head, p->head_len, why);
	if (rc == CF_OK && p->ciphertext != NULL)
		rc = encode(w, p->ciphertext, (size_t)p->ciphertext_len, why);
	else if (rc == CF_OK)
		rc = encode_fd(w, p, why);
	if (rc == CF_OK)
		rc = encode(w, p->tail, p->tail_len, why);
	return rc == CF_OK ? end_lines(w, why) : rc;
}

enum cf_err
cf_composite_write(const struct cf_composite_parts *parts,
    cf_composite_write_fn *write, void *arg, struct cf_why *why)
{
	CF_AUTO(writer_free) struct writer *w = cf_calloc(1, sizeof *w);
	CF_AUTO(cf_buf_free) struct cf_buf text =
	    CF_BUF_INIT_SECRET(NOTICE_MAX);
	struct cf_link link;
	enum cf_err rc;

	if (strlen(parts->boundary) != CF_BOUNDARY_LEN ||
	    strncmp(parts->boundary, "=_cf_", 5) != 0)
		cf_bug("boundary of another form");
	/* What is no L could end the line and begin another field. */
	rc = cf_link_parse(parts->locator, &link, why);
	if (rc != CF_OK)
		return rc;
	cf_link_wipe(&link);
	w->write = write;
	w->arg = arg;
	fill_pairs(w->pair);
	add_prologue(parts, &text);
	rc = cf_buf_check(&text, why);
	if (rc == CF_OK)
		rc = put(w, text.data, text.len, why);
	if (rc == CF_OK)
		rc = write_sealed(w, parts, why);
	if (rc != CF_OK)
		return rc;
	cf_buf_reset(&text);
	add_epilogue(parts, &text);
	rc = put(w, text.data, text.len, why);
	return rc == CF_OK ? flush(w, why) : rc;
}

uint64_t
cf_composite_size(const struct cf_composite_parts *parts)
{
	CF_AUTO(cf_buf_free) struct cf_buf text =
	    CF_BUF_INIT_SECRET(NOTICE_MAX);
	uint64_t e_len, chars;

	add_prologue(parts, &text);
	add_epilogue(parts, &text);
	e_len = parts->head_len + parts->ciphertext_len + parts->tail_len;
	chars = (e_len + 2) / 3 * 4;
	return text.len + chars + 2 * ((chars + LINE_OUT - 1) / LINE_OUT);
}

/* ---- base64, reading ---- */

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
	['+'] = 63, ['/'] = 64
};

/* Copy without line ends and blanks at them. */
static void
join_lines(const char *p, size_t len, struct cf_buf *out)
{
	const char *end = p + len, *eol, *next;

	for (; p < end; p = next) {
		eol = memchr(p, '\n', (size_t)(end - p));
		next = eol == NULL ? end : eol + 1;
		eol = eol == NULL ? end : eol;
		while (eol > p && strchr(" \t\r", eol[-1]) != NULL &&
		    eol[-1] != '\0')
			eol--;
		cf_buf_add(out, p, (size_t)(eol - p));
	}
}

/*
 * Decode in place; the output is never ahead of the input.  Strict: whole
 * groups, padding only at the end, spare bits 0.
 */
static bool
decode_joined(struct cf_buf *buf)
{
	unsigned char *in = (unsigned char *)buf->data, *out = in;
	size_t len = buf->len, pad = 0;
	uint32_t a, b, c, d, v, bad = 0;
	unsigned char last[4];

	if (len == 0 || len % 4 != 0)
		return false;
	while (pad < 2 && in[len - 1 - pad] == '=')
		pad++;
	memcpy(last, in + len - 4, 4);
	memset(last + 4 - pad, 'A', pad);
	for (; len > 0; len -= 4, in += 4, out += 3) {
		if (len == 4)
			memcpy(in, last, 4);
		a = b64_value[in[0]] - 1u;
		b = b64_value[in[1]] - 1u;
		c = b64_value[in[2]] - 1u;
		d = b64_value[in[3]] - 1u;
		bad |= a | b | c | d;
		v = a << 18 | b << 12 | c << 6 | d;
		out[0] = (unsigned char)(v >> 16);
		out[1] = (unsigned char)(v >> 8);
		out[2] = (unsigned char)v;
	}
	if (bad > 63 || (pad > 0 && out[-1] != 0) ||
	    (pad > 1 && out[-2] != 0))
		return false;
	buf->len = (size_t)(out - (unsigned char *)buf->data) - pad;
	buf->data[buf->len] = '\0';
	return true;
}

/* ---- reading ---- */

/*
 * GMime makes an object of every part and of every field, some hundred times
 * as large as the line that asks for it, and looks at every boundary for
 * every line that may be one.  Ten megabytes of such lines cost gigabytes.
 * A fold makes no field of its own, and no field is a boundary.
 */
static bool
is_overgrown(const char *p, size_t len)
{
	const char *end = p + len, *eol;
	size_t dashed = 0, colon = 0;
	bool body = false;

	for (; p < end; p = eol + 1) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL)
			eol = end;
		body |= eol == p || (eol == p + 1 && *p == '\r');
		if (body && eol - p > 1 && p[0] == '-' && p[1] == '-')
			dashed++;
		if ((body || (*p != ' ' && *p != '\t')) &&
		    memchr(p, ':', (size_t)(eol - p)) != NULL)
			colon++;
	}
	return dashed > DASHED_MAX || colon > COLON_MAX;
}

/* One message with GMime's tree over it. */
struct tree {
	const char *bytes;
	size_t len;
	GMimeStream *stream;
	GMimeParser *parser;
	GMimeMessage *message;
};

static void
tree_free(struct tree *t)
{
	if (t->message != NULL)
		g_object_unref(t->message);
	if (t->parser != NULL)
		g_object_unref(t->parser);
	if (t->stream != NULL)
		g_object_unref(t->stream);
}

/*
 * GMime reads the caller's bytes where they are: the array struct lends
 * them, and the stream, which does not own it, only reads.
 */
static bool
tree_grow(struct tree *t, GByteArray *lent)
{
	GMimeParserOptions *options = g_mime_parser_options_new();

	t->stream = g_mime_stream_mem_new();
	g_mime_stream_mem_set_byte_array((GMimeStreamMem *)t->stream, lent);
	t->parser = g_mime_parser_new_with_stream(t->stream);
	g_mime_parser_set_persist_stream(t->parser, TRUE);
	t->message = g_mime_parser_construct_message(t->parser, options);
	g_mime_parser_options_free(options);
	return t->message != NULL &&
	    g_mime_message_get_mime_part(t->message) != NULL;
}

/*
 * The one field of that name among an entity's, trimmed; NULL when there is
 * none or more than one.  Gives.
 */
static char *
only_field(GMimeObject *entity, const char *name)
{
	GMimeHeaderList *list = g_mime_object_get_header_list(entity);
	int count = g_mime_header_list_get_count(list), i;
	const char *value = NULL;
	GMimeHeader *header;
	size_t len;

	for (i = 0; i < count; i++) {
		header = g_mime_header_list_get_header_at(list, i);
		if (strcasecmp(g_mime_header_get_name(header), name) != 0)
			continue;
		if (value != NULL)
			return NULL;
		value = g_mime_header_get_raw_value(header);
	}
	if (value == NULL)
		return NULL;
	value += strspn(value, " \t\r\n");
	for (len = strlen(value); len > 0 &&
	    strchr(" \t\r\n", value[len - 1]) != NULL; len--)
		continue;
	return cf_strndup(value, len);
}

static bool
field_is(GMimeObject *entity, const char *name, const char *want)
{
	CF_AUTO(cf_free) char *value = only_field(entity, name);

	return value != NULL && strcasecmp(value, want) == 0;
}

static bool
has_field(GMimeObject *entity, const char *name)
{
	CF_AUTO(cf_free) char *value = only_field(entity, name);

	return value != NULL;
}

static bool
type_is(GMimeObject *entity, const char *type, const char *subtype)
{
	GMimeContentType *ct = g_mime_object_get_content_type(entity);

	return ct != NULL && g_mime_content_type_is_type(ct, type, subtype);
}

static bool
parameter_is(GMimeObject *entity, const char *name, const char *want)
{
	GMimeContentType *ct = g_mime_object_get_content_type(entity);
	const char *value = ct == NULL ? NULL :
	    g_mime_content_type_get_parameter(ct, name);

	return value != NULL && strcasecmp(value, want) == 0;
}

static bool
is_sealed(GMimeObject *entity)
{
	return GMIME_IS_PART(entity) &&
	    type_is(entity, "application", "octet-stream");
}

/* The one candidate for E at the top or right below it, or NULL. */
static GMimeObject *
find_sealed(struct tree *t, struct cf_why *why)
{
	GMimeObject *top = g_mime_message_get_mime_part(t->message), *part;
	GMimeObject *found = NULL;
	int i, count;

	if (is_sealed(top))
		return top;
	if (!GMIME_IS_MULTIPART(top) || !type_is(top, "multipart", "mixed")) {
		(void)cf_fail(CF_E_NOT_SEALED, why,
		    "the message is not multipart/mixed");
		return NULL;
	}
	count = g_mime_multipart_get_count((GMimeMultipart *)top);
	for (i = 0; i < count; i++) {
		part = g_mime_multipart_get_part((GMimeMultipart *)top, i);
		if (!is_sealed(part))
			continue;
		if (found != NULL) {
			(void)cf_fail(CF_E_NOT_SEALED, why,
			    "the message has more than one sealed part");
			return NULL;
		}
		found = part;
	}
	if (found == NULL)
		(void)cf_fail(CF_E_NOT_SEALED, why,
		    "the message has no sealed part at its top level");
	return found;
}

/* Where a leaf's content stands in the message, undecoded. */
static bool
content_span(const struct tree *t, GMimeObject *leaf, size_t *ret_off,
    size_t *ret_len)
{
	GMimeDataWrapper *data = g_mime_part_get_content((GMimePart *)leaf);
	GMimeStream *s = data == NULL ? NULL :
	    g_mime_data_wrapper_get_stream(data);

	if (s == NULL || s->bound_start < 0 || s->bound_end < s->bound_start ||
	    (uint64_t)s->bound_end > t->len)
		return false;
	*ret_off = (size_t)s->bound_start;
	*ret_len = (size_t)(s->bound_end - s->bound_start);
	return true;
}

static enum cf_err
read_locator(struct tree *t, GMimeObject *sealed, struct cf_link *ret,
    struct cf_why *why)
{
	char *text = only_field(sealed, "Counterfoil-Locator");
	enum cf_err rc;

	/* A part that is the whole message has its field up there. */
	if (text == NULL && sealed == g_mime_message_get_mime_part(t->message))
		text = only_field((GMimeObject *)t->message,
		    "Counterfoil-Locator");
	if (text == NULL)
		return cf_fail(CF_E_LINK_SYNTAX, why,
		    "the sealed part has not exactly one "
		    "Counterfoil-Locator field");
	rc = cf_link_parse(text, ret, why);
	OPENSSL_cleanse(text, strlen(text));
	free(text);
	return rc;
}

static enum cf_err
read_sealed(const struct tree *t, GMimeObject *sealed,
    struct cf_composite *c, struct cf_why *why)
{
	size_t off, len;

	if (g_mime_part_get_content_encoding((GMimePart *)sealed) !=
	    GMIME_CONTENT_ENCODING_BASE64)
		return cf_fail(CF_E_CONTAINER, why,
		    "the sealed part is not in base64");
	if (!content_span(t, sealed, &off, &len))
		return cf_fail(CF_E_CONTAINER, why,
		    "the sealed part has no content");
	if (cf_buf_reserve(&c->e, len))
		join_lines(t->bytes + off, len, &c->e);
	if (!decode_joined(&c->e))
		return cf_fail(CF_E_CONTAINER, why,
		    "the sealed part is not in base64, or is cut off");
	return cf_container_parse(c->e.data, c->e.len, &c->container, why);
}

/* ---- exactly P? ---- */

static bool
is_blank_text(const char *text)
{
	return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

/* A multipart of `count` parts, closed, with nothing around the parts. */
static bool
is_tidy(GMimeObject *entity, const char *subtype, int count)
{
	GMimeMultipart *m = (GMimeMultipart *)entity;

	return GMIME_IS_MULTIPART(entity) &&
	    type_is(entity, "multipart", subtype) &&
	    g_mime_multipart_get_count(m) == count &&
	    m->write_end_boundary &&
	    is_blank_text(g_mime_multipart_get_prologue(m)) &&
	    is_blank_text(g_mime_multipart_get_epilogue(m));
}

static bool
is_notice(GMimeObject *leaf, const char *subtype)
{
	return GMIME_IS_PART(leaf) && type_is(leaf, "text", subtype) &&
	    has_field(leaf, "Content-Type") &&
	    parameter_is(leaf, "charset", "utf-8") &&
	    field_is(leaf, "Content-Transfer-Encoding", "quoted-printable");
}

/* NULL when it is exactly P; then the offsets are set. */
static const char *
why_inexact(const struct tree *t, GMimeObject *sealed,
    struct cf_composite *c)
{
	GMimeObject *message = (GMimeObject *)t->message, *notice, *text;
	GMimeObject *html, *top = g_mime_message_get_mime_part(t->message);

	if (!field_is(message, "Counterfoil-Version", "1"))
		return "there is not exactly one field Counterfoil-Version "
		    "with the value 1";
	if (!field_is(message, "MIME-Version", "1.0") ||
	    !has_field(top, "Content-Type"))
		return "MIME-Version or Content-Type is not there once";
	if (!is_tidy(top, "mixed", 2) ||
	    g_mime_multipart_get_part((GMimeMultipart *)top, 1) != sealed)
		return "the message is not a notice and a sealed part, and "
		    "nothing else";
	notice = g_mime_multipart_get_part((GMimeMultipart *)top, 0);
	if (!is_tidy(notice, "alternative", 2))
		return "the notice is not multipart/alternative of two parts";
	text = g_mime_multipart_get_part((GMimeMultipart *)notice, 0);
	html = g_mime_multipart_get_part((GMimeMultipart *)notice, 1);
	if (!is_notice(text, "plain") || !is_notice(html, "html"))
		return "the notice is not text/plain and text/html in utf-8 "
		    "and quoted-printable";
	if (!has_field(notice, "Content-Type") ||
	    !has_field(sealed, "Content-Type") ||
	    !field_is(sealed, "Content-Transfer-Encoding", "base64"))
		return "a part has a content field twice";
	if (!content_span(t, text, &c->text_off, &c->text_len) ||
	    !content_span(t, html, &c->html_off, &c->html_len))
		return "a notice part has no content";
	return NULL;
}

/* Behind the empty line that ends the header. */
static size_t
body_offset(const char *p, size_t len)
{
	const char *at = p, *eol;

	while ((eol = memchr(at, '\n', len - (size_t)(at - p))) != NULL) {
		if (eol == at || (eol == at + 1 && *at == '\r'))
			return (size_t)(eol + 1 - p);
		at = eol + 1;
	}
	return len;
}

static void
judge(const struct tree *t, GMimeObject *sealed, struct cf_composite *c)
{
	const char *reason = why_inexact(t, sealed, c);

	c->exact = reason == NULL;
	if (!c->exact) {
		(void)cf_fail(CF_E_NOT_SEALED, &c->inexact, "%s", reason);
		c->text_off = c->text_len = c->html_off = c->html_len = 0;
		return;
	}
	c->body_off = body_offset(t->bytes, t->len);
}

static enum cf_err
read_tree(struct tree *t, struct cf_composite *c, struct cf_why *why)
{
	GMimeObject *sealed = find_sealed(t, why);
	enum cf_err rc;

	if (sealed == NULL)
		return CF_E_NOT_SEALED;
	rc = read_locator(t, sealed, &c->locator, why);
	if (rc == CF_OK)
		rc = read_sealed(t, sealed, c, why);
	if (rc != CF_OK)
		return rc;
	if (memcmp(c->locator.key_id, c->container.key_id, CF_KEY_ID_LEN)
	    != 0)
		return cf_fail(CF_E_CONTAINER, why,
		    "the locator names another key than the sealed part");
	judge(t, sealed, c);
	return CF_OK;
}

enum cf_err
cf_composite_parse(const void *message, size_t len, struct cf_composite *ret,
    struct cf_why *why)
{
	GByteArray lent = { (guint8 *)(uintptr_t)message, (guint)len };
	CF_AUTO(tree_free) struct tree t = { message, len, NULL, NULL, NULL };
	struct cf_composite c = { .e = CF_BUF_INIT(len) };
	enum cf_err rc;

	if (len == 0 || len > G_MAXINT)
		return cf_fail(CF_E_NOT_SEALED, why,
		    "the message is empty or larger than 2 GB");
	if (is_overgrown(message, len))
		return cf_fail(CF_E_NOT_SEALED, why, "the message has too many "
		    "parts or header fields to be one of ours");
	if (!tree_grow(&t, &lent))
		return cf_fail(CF_E_NOT_SEALED, why, "this is not a message");
	rc = read_tree(&t, &c, why);
	if (rc == CF_OK)
		*ret = c;
	else
		cf_buf_free(&c.e);
	OPENSSL_cleanse(&c, sizeof c);
	return rc;
}

void
cf_composite_free(struct cf_composite *composite)
{
	cf_buf_free(&composite->e);
	OPENSSL_cleanse(composite, sizeof *composite);
}

enum cf_err
cf_composite_rewrite(const void *message, size_t len,
    const struct cf_composite *composite, const char *text, const char *html,
    cf_composite_write_fn *write, void *arg, struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf first =
	    CF_BUF_INIT_SECRET(NOTICE_MAX);
	const struct cf_composite *c = composite;
	size_t from = c->html_off + c->html_len;
	const char *bytes = message;
	enum cf_err rc;

	if (!c->exact || c->body_off > c->text_off ||
	    c->text_off + c->text_len > c->html_off || from > len)
		cf_bug("rewriting what is not exactly P");
	cf_buf_add(&first, bytes + c->body_off, c->text_off - c->body_off);
	cf_composite_quote(text, &first);
	cf_buf_add(&first, bytes + c->text_off + c->text_len,
	    c->html_off - c->text_off - c->text_len);
	cf_composite_quote(html, &first);
	rc = cf_buf_check(&first, why);
	if (rc == CF_OK)
		rc = write(arg, first.data, first.len, why);
	return rc == CF_OK ? write(arg, bytes + from, len - from, why) : rc;
}
