/* SPDX-License-Identifier: Apache-2.0 */
/* cf_rules - see rules.h. */
#include "milter/gateway/rules.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/mem.h"

#define FILE_MAX ((size_t)16 << 20)

enum side { SIDE_TO, SIDE_FROM };

struct rule {
	enum side side;
	char *whose;		/* address, or @domain */
	int line;
	struct cf_want want;
};

struct cf_rules {
	struct rule *item;	/* in the order of compare() */
	size_t count;
};

void
cf_rules_free(struct cf_rules **rules)
{
	struct cf_rules *r = *rules;
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < r->count; i++)
		free(r->item[i].whose);
	free(r->item);
	free(r);
	*rules = NULL;
}

static int
compare(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	if (x->side != y->side)
		return x->side < y->side ? -1 : 1;
	return strcasecmp(x->whose, y->whose);
}

/* ---- reading ---- */

/* The next word of the line, ended by a NUL; "" at its end. */
static char *
next_word(char **line)
{
	char *word = *line + strspn(*line, " \t");
	char *end = word + strcspn(word, " \t");

	*line = end;
	if (*end != '\0')
		*(*line)++ = '\0';
	return word;
}

static bool
is_whose(const char *word)
{
	const char *at = strrchr(word, '@');

	return at != NULL && at[1] != '\0' && strpbrk(word, "<>,;=") == NULL;
}

static enum cf_err
read_line(char *line, struct rule *ret, struct cf_why *why)
{
	const char *side = next_word(&line);
	const char *whose;
	enum cf_err rc;

	if (strcasecmp(side, "from") == 0)
		ret->side = SIDE_FROM;
	else if (strcasecmp(side, "to") == 0)
		ret->side = SIDE_TO;
	else
		return cf_fail(CF_E_CONFIG, why,
		    "\"%.40s\": a rule begins with from or to", side);
	whose = next_word(&line);
	if (!is_whose(whose))
		return cf_fail(CF_E_CONFIG, why,
		    "\"%.40s\" is neither an address nor @domain", whose);
	rc = cf_want_parse(line, CF_WANT_IN_RULE, &ret->want, why);
	if (rc == CF_OK)
		ret->whose = cf_strdup(whose);
	return rc;
}

static enum cf_err
read_lines(char *text, struct cf_rules *rules, int *ret_line,
    struct cf_why *why)
{
	struct rule rule;
	enum cf_err rc;
	char *line;

	for (*ret_line = 1; (line = strsep(&text, "\n")) != NULL;
	    (*ret_line)++) {
		line[strcspn(line, "\r")] = '\0';
		line += strspn(line, " \t");
		if (*line == '\0' || *line == '#')
			continue;
		memset(&rule, 0, sizeof rule);
		rule.line = *ret_line;
		rc = read_line(line, &rule, why);
		if (rc != CF_OK)
			return rc;
		rules->item = cf_realloc(rules->item, rules->count + 1,
		    sizeof *rules->item);
		rules->item[rules->count++] = rule;
	}
	return CF_OK;
}

/* Sort; the later one of two rules for the same is a mistake. */
static enum cf_err
put_in_order(struct cf_rules *rules, int *ret_line, struct cf_why *why)
{
	const struct rule *r = rules->item;
	size_t i;

	if (rules->count > 0)
		qsort(rules->item, rules->count, sizeof *rules->item, compare);
	for (i = 1; i < rules->count; i++) {
		if (compare(&r[i - 1], &r[i]) != 0)
			continue;
		*ret_line = r[i].line > r[i - 1].line ? r[i].line :
		    r[i - 1].line;
		return cf_fail(CF_E_CONFIG, why,
		    "there is another rule %s %s, in line %d",
		    r[i].side == SIDE_TO ? "to" : "from", r[i].whose,
		    r[i].line + r[i - 1].line - *ret_line);
	}
	return CF_OK;
}

enum cf_err
cf_rules_load(const char *path, struct cf_rules **ret, struct cf_why *why)
{
	CF_AUTO(cf_rules_free) struct cf_rules *rules =
	    cf_calloc(1, sizeof *rules);
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(FILE_MAX);
	struct cf_why inner = { "" };
	enum cf_err rc;
	int line = 0;

	rc = cf_file_read(path, &text, &inner);
	if (rc != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "%s", inner.text);
	if (memchr(cf_buf_str(&text), '\0', text.len) != NULL)
		return cf_fail(CF_E_CONFIG, why, "%s: it is not text", path);
	rc = text.data == NULL ? CF_OK :
	    read_lines(text.data, rules, &line, &inner);
	if (rc == CF_OK)
		rc = put_in_order(rules, &line, &inner);
	if (rc != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "%s:%d: %s", path, line,
		    inner.text);
	*ret = rules;
	rules = NULL;
	return CF_OK;
}

/* ---- applying ---- */

static void
apply_one(const struct cf_rules *rules, enum side side, const char *whose,
    struct cf_want *want)
{
	struct rule key = { side, NULL, 0, { .expires_s = 0 } };
	CF_AUTO(cf_free) char *copy = cf_strdup(whose);
	const struct rule *found = NULL;

	key.whose = copy;
	if (rules->count > 0)
		found = bsearch(&key, rules->item, rules->count,
		    sizeof *rules->item, compare);
	if (found != NULL)
		cf_want_inherit(want, &found->want);
}

static const char *
domain(const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL ? "" : at;
}

void
cf_rules_apply(const struct cf_rules *rules, const char *sender,
    const char *recipient, struct cf_want *want)
{
	if (rules == NULL)
		return;
	apply_one(rules, SIDE_FROM, domain(sender), want);
	apply_one(rules, SIDE_TO, domain(recipient), want);
	apply_one(rules, SIDE_TO, recipient, want);
	apply_one(rules, SIDE_FROM, sender, want);
}
