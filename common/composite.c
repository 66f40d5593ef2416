/* SPDX-License-Identifier: Apache-2.0 */
/* cf_composite - see composite.h. */
#include "common/composite.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/b64.h"
#include "common/b64url.h"
#include "common/mem.h"
#include "common/qp.h"
#include "common/secret.h"
#include "common/wire.h"

#define NOTICE_MAX ((size_t)4 << 20)	/* both texts, quoted-printable */
/* A message with more lines like these is not worth a tree; P has seven. */
#define DASHED_MAX 100		/* lines that begin with "--" */
#define COLON_MAX 20000		/* lines that may be header fields */
#define DEPTH_MAX 8		/* multiparts around the notice */

#define READ_MAX (CF_B64_LINE_IN * 1150)	/* 64 kB, in whole lines */
#define PIECE_MAX 65535	/* what libmilter sends in one packet */

void
cf_composite_init(void)
{
	g_mime_init();	/* counts its calls */
}

/* ---- outer header ---- */

/* Fields that stand outside exactly once, with a value of ours. */
enum fixed { FIXED_MIME, FIXED_TYPE, FIXED_VERSION, FIXED__COUNT };

static const char *const fixed_name[FIXED__COUNT] = {
	"MIME-Version", "Content-Type", CF_VERSION_FIELD
};

static enum fixed
fixed_of(const char *name)
{
	int i = 0;

	while (i < FIXED__COUNT && !cf_field_is(name, fixed_name[i]))
		i++;
	return (enum fixed)i;
}

static bool
goes(const char *name)
{
	return cf_mform_drops(name) || cf_mform_is_structural(name) ||
	    cf_field_is(name, "Disposition-Notification-To") ||
	    cf_field_is(name, "Return-Receipt-To") ||
	    /* Of the body that goes; a signer behind us makes a new one. */
	    cf_field_is(name, "DKIM-Signature");
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

/* ---- writing ---- */

void
cf_composite_boundary(char ret[CF_BOUNDARY_LEN + 1])
{
	unsigned char random[16];

	cf_random(random, sizeof random);
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
	cf_qp_add(out, p->text);
	cf_buf_addf(out, "\r\n--=_cn_%s\r\n"
	    "Content-Type: text/html; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n", id);
	cf_qp_add(out, p->html);
	cf_buf_addf(out, "\r\n--=_cn_%s--\r\n--%s\r\n"
	    "Content-Type: " CF_CONTAINER_TYPE ";\r\n"
	    " name=\"" CF_CONTAINER_NAME "\"\r\n"
	    "Content-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n"
	    " filename=\"" CF_CONTAINER_NAME "\"\r\n"
	    CF_LOCATOR_FIELD ": %s\r\n\r\n", id, p->boundary, p->locator);
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
	unsigned char part[CF_B64_LINE_IN];	/* of a line not full yet */
	unsigned char out[PIECE_MAX];
	struct cf_b64_table table;
};

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

/* One line of base64. */
static enum cf_err
put_line(struct writer *w, const unsigned char *bytes, size_t len,
    struct cf_why *why)
{
	enum cf_err rc = CF_OK;

	if (PIECE_MAX - w->len < CF_B64_LINE_OUT)
		rc = flush(w, why);
	if (rc != CF_OK)
		return rc;
	w->len += cf_b64_line(&w->table, bytes, len, w->out + w->len);
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
		if (w->part_len == 0 && len >= CF_B64_LINE_IN) {
			n = CF_B64_LINE_IN;
			rc = put_line(w, p, n, why);
		} else {
			n = CF_B64_LINE_IN - w->part_len;
			n = len < n ? len : n;
			memcpy(w->part + w->part_len, p, n);
			w->part_len += n;
			if (w->part_len == CF_B64_LINE_IN)
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
	cf_b64_fill(&w->table);
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
	uint64_t e_len;

	add_prologue(parts, &text);
	add_epilogue(parts, &text);
	e_len = parts->head_len + parts->ciphertext_len + parts->tail_len;
	return text.len + cf_b64_size(e_len);
}

/* ---- finding the notice ---- */

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

/* The value of an entity's next field of that name from `*i` on, or NULL. */
static const char *
next_field(GMimeObject *entity, const char *name, int *i)
{
	GMimeHeaderList *list = g_mime_object_get_header_list(entity);
	GMimeHeader *header;
	const char *value;

	while (*i < g_mime_header_list_get_count(list)) {
		header = g_mime_header_list_get_header_at(list, (*i)++);
		if (strcasecmp(g_mime_header_get_name(header), name) != 0)
			continue;
		value = g_mime_header_get_raw_value(header);
		return value == NULL ? "" : value + strspn(value, " \t\r\n");
	}
	return NULL;
}

/* Is the first word of `value` that, in quotes or not? */
static bool
word_is(const char *value, const char *want)
{
	size_t n = strlen(want);
	bool quoted = *value == '"';

	value += quoted;
	return strncasecmp(value, want, n) == 0 && (quoted ?
	    value[n] == '"' : strchr(" \t\r\n;(", value[n]) != NULL);
}

/* One of the fields of that name says so, whatever else stands there. */
static bool
field_says(GMimeObject *entity, const char *name, const char *want)
{
	const char *value;
	int i = 0;

	while ((value = next_field(entity, name, &i)) != NULL)
		if (word_is(value, want))
			return true;
	return false;
}

static bool
type_is(GMimeObject *entity, const char *type, const char *subtype)
{
	GMimeContentType *ct = g_mime_object_get_content_type(entity);

	return ct != NULL && g_mime_content_type_is_type(ct, type, subtype);
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

/* What has been seen of the notice, and why it is not to be replaced. */
struct hunt {
	const struct tree *tree;
	const char *handle;
	struct cf_composite *found;
	int count;
	const char *reason;
};

/* Text that ASCII can be put into. */
static bool
is_ascii_like(GMimeObject *leaf)
{
	static const char *const known[] = { "utf-8", "us-ascii",
	    "iso-8859-1", "iso-8859-15", "windows-1252" };
	GMimeContentType *ct = g_mime_object_get_content_type(leaf);
	const char *charset = ct == NULL ? NULL :
	    g_mime_content_type_get_parameter(ct, "charset");
	size_t i;

	for (i = 0; charset != NULL && i < sizeof known / sizeof known[0]; i++)
		if (strcasecmp(charset, known[i]) == 0)
			return true;
	return charset == NULL;
}

/* NULL, or why this text cannot be replaced. */
static const char *
read_place(const struct tree *t, GMimeObject *leaf, struct cf_place *ret)
{
	static const char encoding[] = "Content-Transfer-Encoding";

	ret->base64 = field_says(leaf, encoding, "base64");
	if (!ret->base64 && !field_says(leaf, encoding, "quoted-printable"))
		return "the notice is neither in quoted-printable nor in "
		    "base64 any more";
	if (!is_ascii_like(leaf))
		return "the notice is in a character set that is not known "
		    "here";
	if (!content_span(t, leaf, &ret->off, &ret->len) ||
	    ret->len > NOTICE_MAX)
		return "a notice part has no content, or too much";
	return NULL;
}

static bool
has_handle(const struct tree *t, const struct cf_place *place,
    const char *handle)
{
	CF_AUTO(cf_buf_free) struct cf_buf text =
	    CF_BUF_INIT_SECRET(place->len + 8);
	GMimeEncoding decoder;

	g_mime_encoding_init_decode(&decoder, place->base64 ?
	    GMIME_CONTENT_ENCODING_BASE64 :
	    GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
	if (!cf_buf_reserve(&text, g_mime_encoding_outlen(&decoder,
	    place->len) > text.max ? text.max : g_mime_encoding_outlen(
	    &decoder, place->len)))
		return false;
	text.len = g_mime_encoding_step(&decoder, t->bytes + place->off,
	    place->len, text.data);
	return memmem(text.data, text.len, handle, strlen(handle)) != NULL;
}

/* Our notice is a text and its HTML that have the link with the key id. */
static void
look_at_pair(struct hunt *h, GMimeMultipart *pair)
{
	GMimeObject *text = g_mime_multipart_get_part(pair, 0);
	GMimeObject *html = g_mime_multipart_get_part(pair, 1);
	struct cf_composite c = { 0 };
	const char *reason;

	if (!GMIME_IS_PART(text) || !GMIME_IS_PART(html) ||
	    !type_is(text, "text", "plain") || !type_is(html, "text", "html"))
		return;
	reason = read_place(h->tree, text, &c.text);
	if (reason == NULL)
		reason = read_place(h->tree, html, &c.html);
	if (reason == NULL && c.text.off + c.text.len > c.html.off)
		reason = "the parts of the notice are one within the other";
	if (reason != NULL) {
		h->reason = reason;
	} else if (has_handle(h->tree, &c.text, h->handle) ||
	    has_handle(h->tree, &c.html, h->handle)) {
		*h->found = c;
		h->count++;
	}
}

/* Not into messages that it carries, nor where a signature is over it. */
static void
walk(struct hunt *h, GMimeObject *entity, int depth)
{
	GMimeMultipart *m = (GMimeMultipart *)entity;
	int i, count;

	if (!GMIME_IS_MULTIPART(entity) || depth > DEPTH_MAX)
		return;
	if (type_is(entity, "multipart", "signed") ||
	    type_is(entity, "multipart", "encrypted")) {
		h->reason = "it has been signed or encrypted on its way";
		return;
	}
	count = g_mime_multipart_get_count(m);
	if (type_is(entity, "multipart", "alternative") && count == 2)
		look_at_pair(h, m);
	for (i = 0; i < count; i++)
		walk(h, g_mime_multipart_get_part(m, i), depth + 1);
}

/* NULL, or why the notice of the message is not to be replaced. */
static const char *
find_notice(const struct tree *t, const char *handle, struct cf_composite *c)
{
	struct hunt h = { t, handle, c, 0, "its notice is not there: no "
	    "multipart/alternative of text/plain and text/html has a link "
	    "with its key id" };

	if (!field_says((GMimeObject *)t->message, CF_VERSION_FIELD,
	    "1"))
		return "no field " CF_VERSION_FIELD " has the value 1";
	walk(&h, g_mime_message_get_mime_part(t->message), 0);
	if (h.count > 1)
		return "its notice is there more than once";
	return h.count == 1 ? NULL : h.reason;
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

enum cf_err
cf_composite_parse(const void *message, size_t len, const char *handle,
    struct cf_composite *ret, struct cf_why *why)
{
	GByteArray lent = { (guint8 *)(uintptr_t)message, (guint)len };
	CF_AUTO(tree_free) struct tree t = { message, len, NULL, NULL, NULL };
	struct cf_composite c = { 0 };
	const char *reason;

	if (len == 0 || len > G_MAXINT)
		return cf_fail(CF_E_NOT_SEALED, why,
		    "the message is empty or larger than 2 GB");
	if (is_overgrown(message, len))
		return cf_fail(CF_E_NOT_SEALED, why, "the message has too many "
		    "parts or header fields to be one of ours");
	if (!tree_grow(&t, &lent))
		return cf_fail(CF_E_NOT_SEALED, why, "this is not a message");
	reason = find_notice(&t, handle, &c);
	if (reason != NULL)
		return cf_fail(CF_E_NOT_SEALED, why, "%s", reason);
	c.body_off = body_offset(message, len);
	*ret = c;
	return CF_OK;
}

static void
add_base64(const char *text, struct cf_buf *out)
{
	CF_AUTO(cf_buf_free) struct cf_buf wire =
	    CF_BUF_INIT_SECRET(NOTICE_MAX);

	for (; *text != '\0'; text++) {
		if (*text == '\n' && (wire.len == 0 ||
		    wire.data[wire.len - 1] != '\r'))
			cf_buf_addc(&wire, '\r');
		cf_buf_addc(&wire, *text);
	}
	cf_b64_add(out, wire.data, wire.len);
}

/* `text` in the place of what stands there, in the same encoding. */
static enum cf_err
write_place(const struct cf_place *place, const char *text,
    cf_composite_write_fn *write, void *arg, struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf out =
	    CF_BUF_INIT_SECRET(NOTICE_MAX);
	enum cf_err rc;

	if (place->base64)
		add_base64(text, &out);
	else
		cf_qp_add(&out, text);
	rc = cf_buf_check(&out, why);
	return rc == CF_OK ? write(arg, out.data, out.len, why) : rc;
}

enum cf_err
cf_composite_rewrite(const void *message, size_t len,
    const struct cf_composite *composite, const char *text, const char *html,
    cf_composite_write_fn *write, void *arg, struct cf_why *why)
{
	const struct cf_composite *c = composite;
	size_t between = c->text.off + c->text.len;
	size_t behind = c->html.off + c->html.len;
	const char *bytes = message;
	enum cf_err rc;

	if (c->body_off > c->text.off || between > c->html.off ||
	    behind > len)
		cf_bug("rewriting what has no notice");
	rc = write(arg, bytes + c->body_off, c->text.off - c->body_off, why);
	if (rc == CF_OK)
		rc = write_place(&c->text, text, write, arg, why);
	if (rc == CF_OK)
		rc = write(arg, bytes + between, c->html.off - between, why);
	if (rc == CF_OK)
		rc = write_place(&c->html, html, write, arg, why);
	return rc == CF_OK ? write(arg, bytes + behind, len - behind, why) :
	    rc;
}
