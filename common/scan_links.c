/* SPDX-License-Identifier: Apache-2.0 */
/* cf_scan - see scan.h: L. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/b64url.h"
#include "common/link_find.h"
#include "common/mem.h"
#include "common/scan.h"
#include "common/wire.h"

#define WORD_MIN 60		/* no L is shorter */
#define WORD_MAX 8192
#define LINES_MAX 2048		/* bytes of a link that was broken */

static const char field[] = CF_LOCATOR_FIELD ":";

static void
add_link(struct cf_scan *s, const struct cf_link *link, bool in_field)
{
	struct cf_scan_link *f;
	size_t i;

	for (i = 0; i < s->link_count; i++)
		if (cf_link_equal(&s->link[i].link, link)) {
			s->link[i].in_field |= in_field;
			return;
		}
	if (s->link_count == CF_SCAN_LINKS_MAX)
		return;
	f = &s->link[s->link_count++];
	f->link = *link;
	f->in_field = in_field;
}

/* The one that is most surely this message's is told. */
static void
lose_link(struct cf_scan *s, enum cf_reading_lost how, const char *what,
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
		n = strspn(text, CF_B64URL_CHARS);
		if (n == CF_HANDLE_LEN &&
		    cf_b64url_decode(text, n, id, sizeof id))
			return true;
	}
	return false;
}

/* The L in a text, if there is one; else what is wrong with it. */
static bool
take_link(struct cf_scan *s, const char *text, bool in_field)
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
		lose_link(s, CF_LOST_NONE, "its " CF_LOCATOR_FIELD " holds no "
		    "whole link", "");
	return false;
}

/* The rest of a field's line, and the lines that continue it, in one. */
static void
read_field(struct cf_scan *s, const char *p, const char *end)
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
find_fields(struct cf_scan *s, struct cf_scan_text *text)
{
	const char *p = text->p, *eol;

	for (; (size_t)(text->end - p) > sizeof field &&
	    s->fields < CF_SCAN_WORDS_MAX; p = cf_scan_over(text, eol + 1)) {
		if ((*p == 'C' || *p == 'c') &&
		    strncasecmp(p, field, sizeof field - 1) == 0)
			read_field(s, p + sizeof field - 1, text->end);
		cf_scan_pass(text, p);
		eol = cf_pages_chr(&text->pages, p, text->end, '\n');
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
end_of_word(struct cf_scan_text *text, const char *p)
{
	const char *end = text->end;

	for (; p < end && !ends_word(p, end); p++) {
		cf_scan_pass(text, p);
		if (*p == '<' && (p = cf_pages_chr(&text->pages, p, end,
		    '>')) == NULL)
			return end;
	}
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
read_word(struct cf_scan *s, const char *p, size_t len)
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
find_words(struct cf_scan *s, struct cf_scan_text *text)
{
	const char *p = text->p, *end = text->end, *from;
	size_t len;
	bool begins;

	for (; p < end && s->words < CF_SCAN_WORDS_MAX; p++) {
		cf_scan_pass(text, p);
		p = cf_scan_over(text, p);
		if (p == end || ends_word(p, end))
			continue;
		from = p;
		p = end_of_word(text, p);
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

void
cf_scan_links(struct cf_scan *s, struct cf_scan_text *text)
{
	find_fields(s, text);
	find_words(s, text);
}

static const struct cf_scan_link *
link_for(const struct cf_scan *s, const struct cf_sealed *part)
{
	const struct cf_scan_link *best = NULL, *f;
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

void
cf_scan_match_links(struct cf_scan *s)
{
	const struct cf_scan_link *f;
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
