/* SPDX-License-Identifier: Apache-2.0 */
/* cf_mform - see mform.h: the writer. */
#include "common/mform.h"

#include <glib.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "common/mform_private.h"

#define OUTER_MAX 99999		/* fields; five digits */
#define HP_MAX ((size_t)16 << 20)	/* bytes of all HP-Outer lines */
/* Bytes in one RFC 2047 word: with either charset at most 75 characters. */
#define WORD_BYTES 42

bool
cf_mform_drops(const char *name)
{
	return cf_field_is(name, "Bcc") || cf_field_is(name, "Resent-Bcc") ||
	    cf_field_is(name, CF_FLAG_FIELD);
}

bool
cf_mform_is_structural(const char *name)
{
	return cf_field_is(name, "MIME-Version") ||
	    strncasecmp(name, "Content-", 8) == 0;
}

/* ---- fields as a milter sees them ---- */

static void
add_crlf(struct cf_buf *buf, const char *value)
{
	const char *eol;

	for (; (eol = strchr(value, '\n')) != NULL; value = eol + 1) {
		cf_buf_add(buf, value, (size_t)(eol - value));
		cf_buf_adds(buf, "\r\n");
	}
	cf_buf_adds(buf, value);
}

/* ---- does the Content-Type take one parameter more? ---- */

static bool
skip_cfws(struct cf_span *s)
{
	return cf_field_skip_cfws(&s->p, &s->len);
}

static bool
skip_char(struct cf_span *s, char c)
{
	if (s->len == 0 || *s->p != c)
		return false;
	s->p++;
	s->len--;
	return skip_cfws(s);
}

/* RFC 2045 5.1; the length without what may follow it, 0 = none. */
static size_t
skip_token(struct cf_span *s)
{
	size_t n = 0;

	while (n < s->len && s->p[n] > ' ' && s->p[n] < 0x7f &&
	    strchr("()<>@,;:\\\"/[]?=", s->p[n]) == NULL)
		n++;
	s->p += n;
	s->len -= n;
	return skip_cfws(s) ? n : 0;
}

static bool
skip_quoted(struct cf_span *s)
{
	for (s->p++, s->len--; s->len > 0 && *s->p != '"'; s->p++, s->len--) {
		if (*s->p != '\\' || s->len < 2)
			continue;
		s->p++;
		s->len--;
	}
	return skip_char(s, '"');
}

static bool
skip_parameter(struct cf_span *s)
{
	const char *name = s->p;
	size_t n = skip_token(s);

	if (n == 0 || (n == 2 && strncasecmp(name, "hp", 2) == 0) ||
	    !skip_char(s, '='))
		return false;
	return s->len > 0 && *s->p == '"' ? skip_quoted(s) :
	    skip_token(s) > 0;
}

static bool
takes_suffix(struct cf_span field)
{
	struct cf_span s = field;

	s.p += LIT_LEN("Content-Type:");
	s.len -= LIT_LEN("Content-Type:");
	if (!skip_cfws(&s) || skip_token(&s) == 0 || !skip_char(&s, '/') ||
	    skip_token(&s) == 0)
		return false;
	while (s.len > 0)
		if (!skip_char(&s, ';') || !skip_parameter(&s))
			return false;
	return true;
}

/* ---- HP-Outer ---- */

static bool
is_ascii(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)p[i] >= 0x80)
			return false;
	return true;
}

/* Where to cut, so that no UTF-8 character is torn. */
static size_t
cut_word(const char *p, size_t len, bool utf8)
{
	size_t n = len < WORD_BYTES ? len : WORD_BYTES;

	while (utf8 && n < len && n > 1 && ((unsigned char)p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* RFC 2047: `len` bytes as as many encoded words as it takes. */
static void
add_encoded(struct cf_buf *buf, const char *p, size_t len)
{
	bool utf8 = g_utf8_validate(p, (gssize)len, NULL);
	unsigned char text[4 * (WORD_BYTES / 3) + 1];
	size_t n;
	int text_len;

	for (; len > 0; p += n, len -= n) {
		n = cut_word(p, len, utf8);
		text_len = EVP_EncodeBlock(text, (const unsigned char *)p,
		    (int)n);
		cf_buf_adds(buf, utf8 ? "=?utf-8?b?" : "=?unknown-8bit?b?");
		cf_buf_add(buf, text, (size_t)text_len);
		cf_buf_adds(buf, n < len ? "?=\r\n " : "?=");
	}
}

/*
 * A value with bytes above 126, as words of ASCII: every blank-separated
 * word that needs it is encoded, with the blanks in front of it if the word
 * before was encoded too (they vanish between encoded words).
 */
void
cf_mform_pre_encode(struct cf_buf *buf, const char *value)
{
	size_t blanks, word;
	bool before = false, now;

	for (; *value != '\0'; value += blanks + word, before = now) {
		blanks = strspn(value, " \t\n");
		word = strcspn(value + blanks, " \t\n");
		now = !is_ascii(value + blanks, word);
		if (!now || !before) {
			cf_buf_addf(buf, "%.*s", (int)blanks, value);
			if (now)
				add_encoded(buf, value + blanks, word);
			else
				cf_buf_add(buf, value + blanks, word);
		} else {
			cf_buf_adds(buf, "\n ");
			add_encoded(buf, value, blanks + word);
		}
	}
}

/* One HP-Outer line.  False when name or value could not stand in a line. */
static bool
add_outer(struct cf_buf *hp, const struct cf_field *f)
{
	CF_AUTO(cf_buf_free) struct cf_buf value = CF_BUF_INIT_SECRET(HP_MAX);
	size_t at = hp->len;

	if (is_ascii(f->value, strlen(f->value)))
		cf_buf_adds(&value, f->value);
	else
		cf_mform_pre_encode(&value, f->value);
	cf_buf_addf(hp, CF_MFORM_HP "%s:", f->name);
	add_crlf(hp, cf_buf_str(&value));
	cf_buf_adds(hp, "\r\n");
	if (hp->full || value.full)
		return false;
	return cf_block_name_len(hp->data + at + LIT_LEN(CF_MFORM_HP),
	    hp->len - at - LIT_LEN(CF_MFORM_HP)) == strlen(f->name) &&
	    cf_block_is_clean(hp->data + at, hp->len - at) &&
	    cf_block_field_len(hp->data + at, hp->len - at) == hp->len - at;
}

static bool
add_outers(struct cf_buf *hp, const struct cf_field *outer, size_t count,
    size_t *ret_n)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++) {
		if (cf_mform_is_structural(outer[i].name))
			continue;
		if (++n > OUTER_MAX || !add_outer(hp, &outer[i]))
			return false;
	}
	*ret_n = n;
	return true;
}

/* ---- add ---- */

static void
add_first(struct cf_buf *out, const struct cf_mform_said *said)
{
	static const char *const ct[] = { "suffix", "made", "kept" };

	cf_buf_addf(out, CF_MFORM_FIRST
	    "v=1; outer=%zu; ct=%s; mv=%s; form=%s\r\n",
	    said->outer, ct[said->ct], said->mv_made ? "made" : "kept",
	    said->wrapped ? "rfc822" : "plain");
}

static void
add_wrapped(struct cf_buf *out)
{
	static const struct cf_mform_said said = { 0, CF_MFORM_KEPT, false,
	    true };

	add_first(out, &said);
	cf_buf_adds(out, CF_MFORM_WRAPPER);
}

/* All of M in front of the empty line. */
static void
add_plain(struct cf_buf *out, const char *block, size_t len,
    const struct cf_buf *hp, size_t outer)
{
	struct cf_span type = cf_block_field(block, len, "Content-Type");
	struct cf_mform_said said = { outer, CF_MFORM_KEPT, false, false };
	size_t cut = 0;

	if (type.p == NULL)
		said.ct = CF_MFORM_MADE;
	else if (takes_suffix(type))
		said.ct = CF_MFORM_SUFFIXED;
	said.mv_made = cf_block_field(block, len, "MIME-Version").p == NULL;
	add_first(out, &said);
	cf_buf_add(out, hp->data, hp->len);
	if (said.ct == CF_MFORM_SUFFIXED) {
		cut = (size_t)(type.p - block) + type.len - 2;
		cf_buf_add(out, block, cut);
		cf_buf_adds(out, CF_MFORM_SUFFIX);
	}
	cf_buf_add(out, block + cut, len - cut);
	if (said.mv_made)
		cf_buf_adds(out, CF_MFORM_VERSION);
	if (said.ct == CF_MFORM_MADE)
		cf_buf_adds(out, CF_MFORM_TYPE);
}

/*
 * `start` is m up to and with the empty line, or all of m.  Plain where
 * that can be undone, with `block_len` the length of its fields.
 */
static enum cf_err
add_start(const char *start, size_t len, bool plain, size_t block_len,
    const struct cf_field *outer, size_t outer_count, struct cf_buf *ret,
    struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf hp = CF_BUF_INIT_SECRET(HP_MAX);
	size_t n, rest = 0;

	if (plain && add_outers(&hp, outer, outer_count, &n)) {
		add_plain(ret, start, block_len, &hp, n);
		rest = block_len;
	} else {
		add_wrapped(ret);
	}
	cf_buf_add(ret, start + rest, len - rest);
	return cf_buf_check(ret, why);
}

enum cf_err
cf_mform_head(const struct cf_field *fields, size_t count,
    const struct cf_field *outer, size_t outer_count, struct cf_buf *head,
    struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf block =
	    CF_BUF_INIT_SECRET(head->max);
	size_t i, len = 0;
	bool plain;

	for (i = 0; i < count; i++) {
		if (cf_mform_drops(fields[i].name))
			continue;
		cf_buf_adds(&block, fields[i].name);
		cf_buf_addc(&block, ':');
		add_crlf(&block, fields[i].value);
		cf_buf_adds(&block, "\r\n");
	}
	cf_buf_adds(&block, "\r\n");
	if (cf_buf_check(&block, why) != CF_OK)
		return CF_E_TOO_LARGE;
	/* A value may hold an empty line; then the block ends too early. */
	plain = cf_block_find(block.data, block.len, &len) &&
	    len == block.len - 2;
	return add_start(block.data, block.len, plain, len, outer,
	    outer_count, head, why);
}

enum cf_err
cf_mform_add(const void *m, size_t len, const struct cf_field *outer,
    size_t outer_count, struct cf_buf *ret, struct cf_why *why)
{
	size_t block_len = 0;
	bool plain = cf_block_find(m, len, &block_len);

	return add_start(m, len, plain, block_len, outer, outer_count, ret,
	    why);
}
