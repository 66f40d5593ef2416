/* SPDX-License-Identifier: Apache-2.0 */
/* cf_composite - see composite.h; finding the notice, and another in its
 * place. */
#include "common/composite.h"

#include <gmime/gmime.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/b64.h"
#include "common/pages.h"
#include "common/qp.h"
#include "common/wire.h"

/* A message with more lines like these is not worth a tree; P has seven. */
#define DASHED_MAX 100		/* lines that begin with "--" */
#define COLON_MAX 20000		/* lines that may be header fields */
#define DEPTH_MAX 8		/* multiparts around the notice */
#define SPAN_MAX ((size_t)65535 * 4)	/* handed on at once */

/* ---- finding the notice ---- */

/*
 * GMime makes an object of every part and of every field, some hundred times
 * as large as the line that asks for it, and looks at every boundary for
 * every line that may be one.  Ten megabytes of such lines cost gigabytes.
 * A fold makes no field of its own, and no field is a boundary.
 */
static bool
is_overgrown(const struct cf_composite_file *m)
{
	struct cf_pages pages = cf_pages_begin(m->bytes, m->fd >= 0);
	const char *p = m->bytes, *end = p + m->len, *eol;
	size_t dashed = 0, colon = 0;
	bool body = false;

	for (; p < end; p = eol + 1) {
		eol = cf_pages_chr(&pages, p, end, '\n');
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
 * them, and the stream, which does not own it, only reads.  All that it reads
 * of a mapping would stay, so it reads the file.
 */
static bool
tree_grow(struct tree *t, int fd, GByteArray *lent)
{
	GMimeParserOptions *options = g_mime_parser_options_new();

	if (fd >= 0) {
		t->stream = g_mime_stream_fs_new_with_bounds(fd, 0,
		    (gint64)t->len);
		g_mime_stream_fs_set_owner((GMimeStreamFs *)t->stream, FALSE);
	} else {
		t->stream = g_mime_stream_mem_new();
		g_mime_stream_mem_set_byte_array((GMimeStreamMem *)t->stream,
		    lent);
	}
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
	    ret->len > CF_COMPOSITE_NOTICE_MAX)
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
cf_composite_parse_file(const struct cf_composite_file *message,
    const char *handle, struct cf_composite *ret, struct cf_why *why)
{
	size_t len = message->len;
	GByteArray lent = { (guint8 *)(uintptr_t)message->bytes, (guint)len };
	CF_AUTO(tree_free) struct tree t = { message->bytes, len, NULL, NULL,
	    NULL };
	struct cf_composite c = { 0 };
	const char *reason;

	if (len == 0 || len > G_MAXINT)
		return cf_fail(CF_E_NOT_SEALED, why,
		    "the message is empty or larger than 2 GB");
	if (is_overgrown(message))
		return cf_fail(CF_E_NOT_SEALED, why, "the message has too many "
		    "parts or header fields to be one of ours");
	if (!tree_grow(&t, message->fd, &lent))
		return cf_fail(CF_E_NOT_SEALED, why, "this is not a message");
	reason = find_notice(&t, handle, &c);
	if (reason != NULL)
		return cf_fail(CF_E_NOT_SEALED, why, "%s", reason);
	c.body_off = body_offset(message->bytes, len);
	*ret = c;
	return CF_OK;
}

enum cf_err
cf_composite_parse(const void *message, size_t len, const char *handle,
    struct cf_composite *ret, struct cf_why *why)
{
	const struct cf_composite_file file = { message, len, -1 };

	return cf_composite_parse_file(&file, handle, ret, why);
}

static void
add_base64(const char *text, struct cf_buf *out)
{
	CF_AUTO(cf_buf_free) struct cf_buf wire =
	    CF_BUF_INIT_SECRET(CF_COMPOSITE_NOTICE_MAX);

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
	    CF_BUF_INIT_SECRET(CF_COMPOSITE_NOTICE_MAX);
	enum cf_err rc;

	if (place->base64)
		add_base64(text, &out);
	else
		cf_qp_add(&out, text);
	rc = cf_buf_check(&out, why);
	return rc == CF_OK ? write(arg, out.data, out.len, why) : rc;
}

/* Bytes of the message as they are, from `off` up to `to`. */
static enum cf_err
write_span(const struct cf_composite_file *m, size_t off, size_t to,
    cf_composite_write_fn *write, void *arg, struct cf_why *why)
{
	const char *bytes = m->bytes;
	struct cf_pages pages = cf_pages_begin(bytes + off, m->fd >= 0);
	enum cf_err rc = CF_OK;
	size_t n;

	for (; rc == CF_OK && off < to; off += n) {
		n = to - off < SPAN_MAX ? to - off : SPAN_MAX;
		rc = write(arg, bytes + off, n, why);
		cf_pages_pass(&pages, bytes + off);
	}
	return rc;
}

enum cf_err
cf_composite_rewrite_file(const struct cf_composite_file *message,
    const struct cf_composite *composite, const char *text, const char *html,
    cf_composite_write_fn *write, void *arg, struct cf_why *why)
{
	const struct cf_composite *c = composite;
	size_t between = c->text.off + c->text.len;
	size_t behind = c->html.off + c->html.len;
	enum cf_err rc;

	if (c->body_off > c->text.off || between > c->html.off ||
	    behind > message->len)
		cf_bug("rewriting what has no notice");
	rc = write_span(message, c->body_off, c->text.off, write, arg, why);
	if (rc == CF_OK)
		rc = write_place(&c->text, text, write, arg, why);
	if (rc == CF_OK)
		rc = write_span(message, between, c->html.off, write, arg,
		    why);
	if (rc == CF_OK)
		rc = write_place(&c->html, html, write, arg, why);
	return rc == CF_OK ? write_span(message, behind, message->len, write,
	    arg, why) : rc;
}

enum cf_err
cf_composite_rewrite(const void *message, size_t len,
    const struct cf_composite *composite, const char *text, const char *html,
    cf_composite_write_fn *write, void *arg, struct cf_why *why)
{
	const struct cf_composite_file file = { message, len, -1 };

	return cf_composite_rewrite_file(&file, composite, text, html, write,
	    arg, why);
}
