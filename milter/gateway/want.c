/* SPDX-License-Identifier: Apache-2.0 */
/* cf_want - see want.h. */
#include "milter/gateway/want.h"

#include <string.h>
#include <strings.h>

#include "common/assurance.h"
#include "common/wire.h"

#define HOUR_S 3600
#define WORDS_MAX 8

struct span {
	const char *p;
	size_t len;
};

/* One option as it was read. */
struct option {
	struct span name;
	struct span word[WORDS_MAX];
	size_t words;
};

/* ---- words ---- */

static bool
is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-';
}

static void
skip_blanks(const char **p)
{
	*p += strspn(*p, " \t\r\n");
}

/* Skips the blanks around it.  False when there is none. */
static bool
eat_word(const char **p, struct span *ret)
{
	skip_blanks(p);
	ret->p = *p;
	while (is_word_char(**p))
		(*p)++;
	ret->len = (size_t)(*p - ret->p);
	skip_blanks(p);
	return ret->len > 0 && ret->len <= CF_WANT_WORD_MAX;
}

static bool
eat_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static bool
is(struct span s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.p, text, s.len) == 0;
}

/* The word of `list` (ended by NULL) that `s` is, or NULL. */
static const char *
one_of(struct span s, const char *const *list)
{
	while (*list != NULL && !is(s, *list))
		list++;
	return *list;
}

/* What stands there instead of a word, for the sentence. */
static int
shown_len(const char *p)
{
	return (int)strnlen(p, 60);
}

/* ---- the options ---- */

static enum cf_err
not_one_word(const struct option *o, struct cf_why *why)
{
	return cf_fail(CF_E_SYNTAX, why, "%.*s takes one word",
	    (int)o->name.len, o->name.p);
}

static enum cf_err
unknown_word(const struct option *o, size_t i, const char *known,
    struct cf_why *why)
{
	return cf_fail(CF_E_SYNTAX, why, "%.*s=%.*s is not known: it may be %s",
	    (int)o->name.len, o->name.p, (int)o->word[i].len, o->word[i].p,
	    known);
}

static bool
find_assurance(struct span s, enum cf_assurance *ret)
{
	int i;

	for (i = 0; i < CF_ASSURANCE__COUNT; i++) {
		if (is(s, cf_assurance_name((enum cf_assurance)i))) {
			*ret = (enum cf_assurance)i;
			return true;
		}
	}
	return false;
}

static enum cf_err
read_require(const struct option *o, struct cf_want *want, struct cf_why *why)
{
	enum cf_assurance asked;

	(void)want;
	if (o->words != 1)
		return not_one_word(o, why);
	if (!find_assurance(o->word[0], &asked))
		return unknown_word(o, 0,
		    "bearer, mailbox, account or certificate", why);
	if (asked != CF_ASSURANCE_BEARER)
		return cf_fail(CF_E_POLICY, why, "require=%.*s cannot be had "
		    "yet: this version knows whoever holds the message and "
		    "no more (require=bearer)", (int)o->word[0].len,
		    o->word[0].p);
	return CF_OK;
}

/* "36h", "7d", "2w" in seconds; -1: not of that form, or out of range. */
static int64_t
duration(struct span s)
{
	int64_t n = 0;
	size_t i;

	if (s.len < 2 || s.len > 6 || s.p[0] == '0')
		return -1;
	for (i = 0; i + 1 < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		n = n * 10 + (s.p[i] - '0');
	}
	switch (s.p[i]) {
	case 'h': case 'H':
		n *= HOUR_S;
		break;
	case 'd': case 'D':
		n *= 24 * HOUR_S;
		break;
	case 'w': case 'W':
		n *= 7 * 24 * HOUR_S;
		break;
	default:
		return -1;
	}
	return n <= CF_ISSUE_EXPIRES_MAX_S ? n : -1;
}

static enum cf_err
read_expires(const struct option *o, struct cf_want *want, struct cf_why *why)
{
	if (o->words != 1)
		return not_one_word(o, why);
	want->expires_s = is(o->word[0], "never") ? 0 : duration(o->word[0]);
	if (want->expires_s < 0)
		return unknown_word(o, 0, "a number of hours, days or weeks "
		    "such as 36h, 7d or 2w, at most ten years, or never", why);
	return CF_OK;
}

static enum cf_err
read_layers(const struct option *o, struct cf_want *want, struct cf_why *why)
{
	static const char *const later[] = { "sign", "encrypt", "timestamp",
	    NULL };
	size_t i;

	(void)want;
	if (o->words == 1 && is(o->word[0], "none"))
		return CF_OK;
	for (i = 0; i < o->words; i++)
		if (one_of(o->word[i], later) == NULL)
			return unknown_word(o, i,
			    "none, or a list of sign, encrypt and timestamp",
			    why);
	return cf_fail(CF_E_POLICY, why, "layers=%.*s cannot be had yet: this "
	    "version has no layers (layers=none)", (int)o->word[0].len,
	    o->word[0].p);
}

static enum cf_err
read_receipt(const struct option *o, struct cf_want *want, struct cf_why *why)
{
	if (o->words != 1)
		return not_one_word(o, why);
	want->always = is(o->word[0], "always");
	if (!want->always && !is(o->word[0], "asked"))
		return unknown_word(o, 0, "asked or always", why);
	return CF_OK;
}

static const struct row {
	const char *name;
	enum cf_err (*read)(const struct option *o, struct cf_want *want,
	    struct cf_why *why);
	bool in[CF_WANT_IN_RULE + 1];	/* the places where it is known */
} rows[CF_WANT__COUNT] = {
	[CF_WANT_REQUIRE] = { "require", read_require, { true, true, true } },
	[CF_WANT_EXPIRES] = { "expires", read_expires, { true, true, true } },
	[CF_WANT_LAYERS] = { "layers", read_layers, { true, true, true } },
	[CF_WANT_RECEIPT] = { "receipt", read_receipt,
	    { false, false, true } },
};

static const char *const names_later[] = { "not-before", "count", "network",
    "notify", NULL };

static enum cf_err
want_take(const struct option *o, enum cf_want_place place,
    struct cf_want *want, struct cf_why *why)
{
	size_t i = 0;

	while (i < CF_WANT__COUNT && !(rows[i].in[place] &&
	    is(o->name, rows[i].name)))
		i++;
	if (i == CF_WANT__COUNT && one_of(o->name, names_later) != NULL)
		return cf_fail(CF_E_POLICY, why, "the option %.*s cannot be "
		    "had yet in this version", (int)o->name.len, o->name.p);
	if (i == CF_WANT__COUNT)
		return cf_fail(CF_E_SYNTAX, why, "there is no option %.*s: "
		    "there are require, expires and layers%s",
		    (int)o->name.len, o->name.p,
		    place == CF_WANT_IN_RULE ? ", and receipt" : "");
	if (want->given[i])
		return cf_fail(CF_E_SYNTAX, why,
		    "the option %s stands there twice", rows[i].name);
	want->given[i] = true;
	return rows[i].read(o, want, why);
}

/* ---- the text ---- */

static enum cf_err
read_option(const char **p, enum cf_want_place place, struct option *o,
    struct cf_why *why)
{
	const char *hint = place == CF_WANT_IN_FLAG ? "; write yes, or options "
	    "with a ; between them, or leave the field out" : "";
	const char *start;

	skip_blanks(p);
	start = *p;
	if (*start == '"')
		return cf_fail(CF_E_SYNTAX, why, "%.*s stands in quotation "
		    "marks, which do not belong there%s", shown_len(start),
		    start, hint);
	if (*start == '\0')
		return cf_fail(CF_E_SYNTAX, why, "it ends where an option "
		    "should stand%s", hint);
	if (!eat_word(p, &o->name) || !eat_char(p, '='))
		return cf_fail(CF_E_SYNTAX, why, "\"%.*s\" is not of the form "
		    "option=value%s", shown_len(start), start, hint);
	o->words = 0;
	do {
		start = *p;
		if (o->words == WORDS_MAX || !eat_word(p, &o->word[o->words]))
			return cf_fail(CF_E_SYNTAX, why, "behind %.*s= no "
			    "value stands: %.*s", (int)o->name.len,
			    o->name.p, shown_len(start), start);
		o->words++;
	} while (eat_char(p, ','));
	if (**p != '\0' && **p != ';')
		return cf_fail(CF_E_SYNTAX, why, "behind %.*s= stands "
		    "\"%.*s\", where a semicolon or the end should be",
		    (int)o->name.len, o->name.p, shown_len(*p), *p);
	return CF_OK;
}

/* "yes", with the semicolon behind it when options follow. */
static void
eat_yes(const char **text, bool *ret_alone)
{
	const char *p = *text;
	struct span word;

	if (!eat_word(&p, &word) || !is(word, "yes") ||
	    (*p != '\0' && *p != ';'))
		return;
	*ret_alone = !eat_char(&p, ';');
	skip_blanks(&p);
	*text = p;
}

enum cf_err
cf_want_parse(const char *text, enum cf_want_place place, struct cf_want *ret,
    struct cf_why *why)
{
	struct cf_want want = { .expires_s = 0 };
	struct option option;
	bool alone = false;
	enum cf_err rc = CF_OK;

	if (strlen(text) > CF_WANT_MAX)
		return cf_fail(CF_E_SYNTAX, why,
		    "it is longer than %d characters", CF_WANT_MAX);
	if (place == CF_WANT_IN_FLAG)
		eat_yes(&text, &alone);
	if (!alone) {
		do {
			rc = read_option(&text, place, &option, why);
			if (rc == CF_OK)
				rc = want_take(&option, place, &want, why);
		} while (rc == CF_OK && eat_char(&text, ';'));
	}
	if (rc == CF_OK)
		*ret = want;
	return rc;
}

void
cf_want_inherit(struct cf_want *want, const struct cf_want *over)
{
	if (over->given[CF_WANT_EXPIRES])
		want->expires_s = over->expires_s;
	if (over->given[CF_WANT_RECEIPT])
		want->always = over->always;
	for (size_t i = 0; i < CF_WANT__COUNT; i++)
		want->given[i] |= over->given[i];
}

static void
want_add(struct cf_buf *buf, const char *text)
{
	cf_buf_adds(buf, buf->len > 0 ? "; " : "");
	cf_buf_adds(buf, text);
}

void
cf_want_format(const struct cf_want *want, struct cf_buf *ret)
{
	if (want->given[CF_WANT_REQUIRE])
		want_add(ret, "require=bearer");
	if (want->given[CF_WANT_EXPIRES]) {
		want_add(ret, "expires=");
		if (want->expires_s == 0)
			cf_buf_adds(ret, "never");
		else
			cf_buf_addf(ret, "%lldh",
			    (long long)want->expires_s / HOUR_S);
	}
	if (want->given[CF_WANT_LAYERS])
		want_add(ret, "layers=none");
	if (want->given[CF_WANT_RECEIPT])
		want_add(ret, want->always ? "receipt=always" :
		    "receipt=asked");
}
