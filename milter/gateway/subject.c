/* SPDX-License-Identifier: Apache-2.0 */
/* cf_subject - see subject.h. */
#include "milter/gateway/subject.h"

#include <glib.h>
#include <string.h>

#include "common/hex.h"
#include "common/mem.h"
#include "common/mform.h"

#define BLANKS " \t\r\n"

/* An encoded word, =?charset?B?text?= (RFC 2047 2). */
struct word {
	const char *charset, *text, *end;	/* end: behind it */
	size_t charset_len, text_len;
	bool base64;
};

static bool
find_word(const char *p, struct word *ret)
{
	if (p[0] != '=' || p[1] != '?')
		return false;
	ret->charset = p + 2;
	ret->charset_len = strcspn(ret->charset, "?" BLANKS);
	p = ret->charset + ret->charset_len;
	if (ret->charset_len == 0 || p[0] != '?' || p[1] == '\0' ||
	    strchr("BbQq", p[1]) == NULL || p[2] != '?')
		return false;
	ret->base64 = p[1] == 'B' || p[1] == 'b';
	ret->text = p + 3;
	ret->text_len = strcspn(ret->text, "?" BLANKS);
	ret->end = ret->text + ret->text_len;
	if (ret->end[0] != '?' || ret->end[1] != '=')
		return false;
	ret->end += 2;
	return true;
}

/* One byte of Q (RFC 2047 4.2): *ret_len characters of the text. */
static char
q_byte(const char *p, size_t left, size_t *ret_len)
{
	*ret_len = 1;
	if (*p == '_')
		return ' ';
	if (*p != '=' || left < 3 || cf_hex_byte(p + 1) < 0)
		return *p;
	*ret_len = 3;
	return (char)cf_hex_byte(p + 1);
}

/* Give the bytes of a Base64 word, NUL-ended; `*ret_len` without it. */
static char *
decode_base64(const struct word *w, size_t *ret_len)
{
	CF_AUTO(cf_free) char *text = cf_strndup(w->text, w->text_len);
	guchar *bytes = g_base64_decode(text, ret_len);
	char *copy = cf_strndup((const char *)bytes, *ret_len);

	g_free(bytes);
	return copy;
}

/* How many characters of a Q word the tag takes; 0: it is not there. */
static size_t
tag_in_q(const struct word *w, const char *tag)
{
	size_t at = 0, n;

	for (; *tag != '\0'; tag++, at += n)
		if (at >= w->text_len || g_ascii_tolower(q_byte(w->text + at,
		    w->text_len - at, &n)) != g_ascii_tolower(*tag))
			return 0;
	return at;
}

static bool
begins(const char *text, const char *tag)
{
	return g_ascii_strncasecmp(text, tag, strlen(tag)) == 0;
}

bool
cf_subject_has_tag(const char *value, const char *tag)
{
	struct word w;
	size_t len;

	value += strspn(value, BLANKS);
	if (begins(value, tag))
		return true;
	if (!find_word(value, &w))
		return false;
	if (!w.base64)
		return tag_in_q(&w, tag) > 0;
	CF_AUTO(cf_free) char *bytes = decode_base64(&w, &len);
	return begins(bytes, tag);
}

/* ---- for the outside ---- */

/* Cut between words, which an encoded word never is longer than. */
static void
cut(struct cf_buf *text)
{
	size_t n = CF_SUBJECT_MAX;

	if (text->len <= n)
		return;
	while (n > 0 && text->data[n] != ' ')
		n--;
	if (n == 0)
		n = CF_SUBJECT_MAX;
	text->data[n] = '\0';
	text->len = n;
}

/* On one line: what is folded is unfolded, what is no character a blank. */
static char *
flatten(const char *text)
{
	char *out = cf_strdup(text), *to = out;
	const char *p;

	for (p = text; *p != '\0'; p++) {
		if (*p == '\r' || *p == '\n')
			continue;
		*to++ = (unsigned char)*p < ' ' || *p == 0x7f ? ' ' : *p;
	}
	*to = '\0';
	return out;
}

void
cf_subject_write(const char *text, struct cf_buf *ret)
{
	CF_AUTO(cf_buf_free) struct cf_buf words = CF_BUF_INIT(
	    4 * strlen(text) + 1000);
	CF_AUTO(cf_free) char *line = flatten(text);
	CF_AUTO(cf_free) char *flat = NULL;

	cf_mform_pre_encode(&words, line);
	/* It folds; whoever writes the field folds again. */
	flat = flatten(cf_buf_str(&words));
	cf_buf_reset(&words);
	cf_buf_adds(&words, flat + strspn(flat, " "));
	cut(&words);
	while (words.len > 0 && words.data[words.len - 1] == ' ')
		words.data[--words.len] = '\0';
	cf_buf_adds(ret, cf_buf_str(&words));
}

/* What the word has behind the tag, as a word again; none if nothing. */
static void
add_rest(struct cf_buf *buf, const struct word *w, const char *tag)
{
	size_t at, n, len;
	gchar *text;

	if (w->base64) {
		CF_AUTO(cf_free) char *bytes = decode_base64(w, &len);

		at = strlen(tag);
		at += strspn(bytes + at, " \t");
		if (at >= len)
			return;
		text = g_base64_encode((const guchar *)bytes + at, len - at);
		cf_buf_addf(buf, "=?%.*s?B?%s?=", (int)w->charset_len,
		    w->charset, text);
		g_free(text);
		return;
	}
	at = tag_in_q(w, tag);
	while (at < w->text_len && strchr(" \t", q_byte(w->text + at,
	    w->text_len - at, &n)) != NULL)
		at += n;
	if (at < w->text_len)
		cf_buf_addf(buf, "=?%.*s?Q?%.*s?=", (int)w->charset_len,
		    w->charset, (int)(w->text_len - at), w->text + at);
}

void
cf_subject_untag(const char *value, const char *tag, struct cf_buf *ret)
{
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(
	    2 * strlen(value) + 100);
	struct word w;

	value += strspn(value, BLANKS);
	if (begins(value, tag)) {
		value += strlen(tag);
		cf_buf_adds(&text, value + strspn(value, BLANKS));
	} else if (find_word(value, &w)) {
		add_rest(&text, &w, tag);
		cf_buf_adds(&text, text.len > 0 ? w.end : w.end +
		    strspn(w.end, BLANKS));
	}
	cf_subject_write(cf_buf_str(&text), ret);
}
