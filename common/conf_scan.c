/* SPDX-License-Identifier: Apache-2.0 */
/* cf_conf_scan - see conf_scan.h. */
#include "common/conf_scan.h"

#include <stdint.h>
#include <string.h>

#include "common/mem.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"0123456789_-"
#define LIST_FORM "several values are written { \"a\", \"b\" }"
#define BLANKS " \t\r\v\f"
#define NAME_MAX_LEN 60

struct scan {
	const char *p;		/* what comes next; ends in NUL */
	int line;		/* of that */
	const struct cf_conf_opt *table;
	size_t count;
	int *lines;	/* 0: not given */
	struct cf_buf *out;
	int bad_line;
	struct cf_why *why;
};

#define BAD(s, at, ...) \
	((s)->bad_line = (at), cf_fail(CF_E_CONFIG, (s)->why, __VA_ARGS__))

/* ---- names ---- */

/* Edit distance (Levenshtein) of two short names, for "did you mean". */
static size_t
distance(const char *a, const char *b)
{
	size_t row[64], i, j, up, left, m = strlen(b);

	if (m >= 64)
		return m;
	for (j = 0; j <= m; j++)
		row[j] = j;
	for (i = 1; a[i - 1] != '\0'; i++) {
		up = row[0];
		row[0] = i;
		for (j = 1; j <= m; j++) {
			left = row[j];
			row[j] = up + (a[i - 1] != b[j - 1]);
			if (left + 1 < row[j])
				row[j] = left + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			up = left;
		}
	}
	return row[m];
}

/* A name so near that it may be meant, or NULL. */
static const char *
nearest(const struct scan *s, const char *name)
{
	const char *best = NULL;
	size_t i, d, best_d = SIZE_MAX;

	for (i = 0; i < s->count; i++) {
		d = distance(name, s->table[i].key);
		if (d < best_d) {
			best_d = d;
			best = s->table[i].key;
		}
	}
	return best_d <= 2 || best_d <= strlen(name) / 3 ? best : NULL;
}

/* The option whose name stands at `p`, or NULL; *ret_len: the name's. */
static const struct cf_conf_opt *
option_at(const struct scan *s, const char *p, size_t *ret_len)
{
	size_t i, len = strspn(p, NAME_CHARS);

	*ret_len = len;
	for (i = 0; i < s->count; i++)
		if (strlen(s->table[i].key) == len &&
		    memcmp(s->table[i].key, p, len) == 0)
			return &s->table[i];
	return NULL;
}

/* ---- what means nothing ---- */

static void
next_line(struct scan *s)
{
	cf_buf_addc(s->out, '\n');
	s->line++;
	s->p++;
}

static enum cf_err
skip_comment(struct scan *s)
{
	const char *end = strstr(s->p + 2, "*/");

	if (end == NULL)
		return BAD(s, s->line, "the comment that begins here with "
		    "/* has no end");
	while (s->p < end)
		if (*s->p == '\n')
			next_line(s);
		else
			s->p++;
	s->p += 2;
	return CF_OK;
}

/* Go on to what means something, in this line or, with `lines`, below. */
static enum cf_err
skip(struct scan *s, bool lines)
{
	enum cf_err rc = CF_OK;

	while (rc == CF_OK) {
		s->p += strspn(s->p, BLANKS);
		if (*s->p == '#' || strncmp(s->p, "//", 2) == 0)
			s->p += strcspn(s->p, "\n");
		else if (strncmp(s->p, "/*", 2) == 0)
			rc = skip_comment(s);
		else if (lines && *s->p == '\n')
			next_line(s);
		else
			break;
	}
	return rc;
}

/* ---- values ---- */

static enum cf_err
take_quoted(struct scan *s)
{
	const char quote = *s->p, *end;

	for (end = s->p + 1; *end != quote; end++) {
		if (*end == '\\' && end[1] != '\0')
			end++;
		if (*end == '\0' || *end == '\n')
			return BAD(s, s->line, "the text that begins with %c "
			    "has no end in its line", quote);
	}
	end++;
	cf_buf_add(s->out, s->p, (size_t)(end - s->p));
	s->p = end;
	return CF_OK;
}

/* A word without quotes gets those in which nothing but \ is special. */
static enum cf_err
take_word(struct scan *s, const char *key)
{
	size_t i, len = strcspn(s->p, BLANKS "\n\"'{},#");

	if (len == 0)
		return BAD(s, s->line, "%s: a value is expected, not \"%c\"",
		    key, *s->p);
	cf_buf_addc(s->out, '\'');
	for (i = 0; i < len; i++) {
		if (s->p[i] == '\\')
			cf_buf_addc(s->out, '\\');
		cf_buf_addc(s->out, s->p[i]);
	}
	cf_buf_addc(s->out, '\'');
	s->p += len;
	return CF_OK;
}

static enum cf_err
take_value(struct scan *s, const char *key)
{
	return *s->p == '"' || *s->p == '\'' ? take_quoted(s) :
	    take_word(s, key);
}

/* Does the next option begin here, with its = behind the name? */
static bool
at_option(const struct scan *s)
{
	size_t len;

	return option_at(s, s->p, &len) != NULL &&
	    s->p[len + strspn(s->p + len, BLANKS)] == '=';
}

static enum cf_err
take_list(struct scan *s, const char *key)
{
	int began = s->line;
	bool first = true, comma = true;
	enum cf_err rc;

	cf_buf_addc(s->out, '{');
	s->p++;
	for (;;) {
		rc = skip(s, true);
		if (rc != CF_OK || *s->p == '}')
			break;
		if (*s->p == '\0' || at_option(s))
			return BAD(s, began,
			    "%s: the list that begins here has no }", key);
		if (*s->p == ',' && !comma) {
			s->p++;
			comma = true;
			continue;
		}
		if (!comma)
			return BAD(s, s->line, "%s: there is no comma between "
			    "two values", key);
		if (!first)
			cf_buf_addc(s->out, ',');
		rc = take_value(s, key);
		if (rc != CF_OK)
			return rc;
		first = comma = false;
	}
	if (rc == CF_OK) {
		cf_buf_addc(s->out, '}');
		s->p++;
	}
	return rc;
}

/* ---- options ---- */

static enum cf_err
take_equal_sign(struct scan *s, const char *key)
{
	enum cf_err rc = skip(s, false);

	if (rc == CF_OK && *s->p != '=')
		return BAD(s, s->line, "there is no = behind \"%s\"", key);
	if (rc != CF_OK)
		return rc;
	cf_buf_addc(s->out, '=');
	s->p++;
	rc = skip(s, false);
	if (rc == CF_OK && (*s->p == '\n' || *s->p == '\0'))
		return BAD(s, s->line, "%s: there is no value behind the =",
		    key);
	return rc;
}

static enum cf_err
take_values(struct scan *s, const struct cf_conf_opt *opt)
{
	const bool braces = *s->p == '{';
	const bool bare = cf_conf_is_list(opt) && !braces;
	enum cf_err rc;

	if (braces && !cf_conf_is_list(opt))
		return BAD(s, s->line, "%s: there must be one value, not a "
		    "list", opt->key);
	if (bare && (*s->p == '[' || *s->p == '('))
		return BAD(s, s->line, "%s: " LIST_FORM ", not with %c",
		    opt->key, *s->p);
	rc = braces ? take_list(s, opt->key) : take_value(s, opt->key);
	if (rc == CF_OK)
		rc = skip(s, false);
	if (rc == CF_OK && *s->p != '\n' && *s->p != '\0')
		return BAD(s, s->line, "%s: there is more behind the value%s",
		    opt->key, bare ? "; " LIST_FORM : "");
	return rc;
}

static enum cf_err
take_option(struct scan *s)
{
	const struct cf_conf_opt *opt;
	CF_AUTO(cf_free) char *name = NULL;
	const char *near;
	enum cf_err rc;
	size_t len;

	opt = option_at(s, s->p, &len);
	if (len == 0)
		return BAD(s, s->line, "an option is expected, not \"%c\"",
		    *s->p);
	name = cf_strndup(s->p, len > NAME_MAX_LEN ? NAME_MAX_LEN : len);
	if (opt == NULL) {
		near = nearest(s, name);
		return BAD(s, s->line, "unknown option \"%s\"%s%s%s", name,
		    near == NULL ? "" : "; the nearest one is \"",
		    near == NULL ? "" : near, near == NULL ? "" : "\"");
	}
	if (s->lines[opt - s->table] != 0)
		return BAD(s, s->line, "\"%s\" is given twice", name);
	s->lines[opt - s->table] = s->line;
	cf_buf_adds(s->out, opt->key);
	s->p += len;
	rc = take_equal_sign(s, opt->key);
	return rc == CF_OK ? take_values(s, opt) : rc;
}

static enum cf_err
take_all(struct scan *s, const struct cf_buf *text)
{
	enum cf_err rc;

	/* Some editors put it in front of UTF-8. */
	if (strncmp(s->p, "\xef\xbb\xbf", 3) == 0)
		s->p += 3;
	do {
		rc = skip(s, true);
		if (rc == CF_OK && *s->p != '\0')
			rc = take_option(s);
	} while (rc == CF_OK && *s->p != '\0');
	if (rc == CF_OK && s->p != cf_buf_str(text) + text->len)
		rc = BAD(s, s->line, "there is a NUL byte");
	return rc;
}

enum cf_err
cf_conf_scan(const struct cf_buf *text, const struct cf_conf_opt *table,
    size_t count, int *lines, struct cf_buf *ret_plain, int *ret_line,
    struct cf_why *why)
{
	struct scan s = { cf_buf_str(text), 1, table, count, lines, ret_plain,
	    0, why };
	enum cf_err rc = take_all(&s, text);

	/* libconfuse takes no text for the end of a file. */
	cf_buf_addc(ret_plain, '\n');
	*ret_line = s.bad_line;
	return rc;
}
