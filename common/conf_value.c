/* SPDX-License-Identifier: Apache-2.0 */
/* cf_conf_value - see conf_value.h. */
#include "common/conf_value.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/mem.h"

static bool
is_number(const struct cf_conf_opt *opt)
{
	return opt->type == CF_CONF_INT || opt->type == CF_CONF_SIZE ||
	    opt->type == CF_CONF_TIME_S || opt->type == CF_CONF_TIME_MS;
}

/* As Postfix and nginx count: k, M and G go by 1024, with B or iB, too. */
static const struct {
	enum cf_conf_type type;
	const char *name;
	long factor;
} units[] = {
	{ CF_CONF_SIZE, "k", 1L << 10 }, { CF_CONF_SIZE, "kb", 1L << 10 },
	{ CF_CONF_SIZE, "kib", 1L << 10 }, { CF_CONF_SIZE, "m", 1L << 20 },
	{ CF_CONF_SIZE, "mb", 1L << 20 }, { CF_CONF_SIZE, "mib", 1L << 20 },
	{ CF_CONF_SIZE, "g", 1L << 30 }, { CF_CONF_SIZE, "gb", 1L << 30 },
	{ CF_CONF_SIZE, "gib", 1L << 30 },
	{ CF_CONF_TIME_S, "s", 1 }, { CF_CONF_TIME_S, "m", 60 },
	{ CF_CONF_TIME_S, "h", 3600 }, { CF_CONF_TIME_S, "d", 86400 },
	{ CF_CONF_TIME_MS, "ms", 1 }, { CF_CONF_TIME_MS, "s", 1000 },
	{ CF_CONF_TIME_MS, "m", 60000 },
};

static bool
parse_number(enum cf_conf_type type, const char *text, long *ret)
{
	char *end;
	size_t i;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (end == text || errno != 0)
		return false;
	for (i = 0; *end != '\0' && i < sizeof units / sizeof units[0]; i++)
		if (units[i].type == type &&
		    strcasecmp(end, units[i].name) == 0 &&
		    n <= LONG_MAX / units[i].factor &&
		    n >= LONG_MIN / units[i].factor) {
			*ret = n * units[i].factor;
			return true;
		}
	if (*end != '\0')
		return false;
	*ret = n;
	return true;
}

static enum cf_err
check_number(const struct cf_conf_opt *opt, const char *text,
    struct cf_why *why)
{
	const char *kind = opt->type == CF_CONF_INT ? "a whole number" :
	    opt->type == CF_CONF_SIZE ?
	    "a number of bytes, such as 5000, 64k, 60M or 2G" :
	    opt->type == CF_CONF_TIME_S ?
	    "a number of seconds, or a time such as 30s, 5m, 2h or 1d" :
	    "a number of milliseconds, or a time such as 500ms or 2s";
	long n;

	if (!parse_number(opt->type, text, &n))
		return cf_fail(CF_E_CONFIG, why, "\"%s\" is not %s", text,
		    kind);
	if (n < opt->min || n > opt->max)
		return cf_fail(CF_E_CONFIG, why,
		    "%s is not between %ld and %ld", text, opt->min, opt->max);
	return CF_OK;
}

static enum cf_err
value_check_name(const struct cf_conf_opt *opt, const char *text,
    struct cf_why *why)
{
	struct cf_buf list = CF_BUF_INIT(CF_WHY_MAX);
	const struct cf_conf_name *n = opt->names;
	int value;

	if (cf_conf_value(n, text, &value))
		return CF_OK;
	for (; n->name != NULL; n++)
		cf_buf_addf(&list, "%s%s", n == opt->names ? "" :
		    n[1].name == NULL ? " or " : ", ", n->name);
	if (opt->type == CF_CONF_SET)
		(void)cf_fail(CF_E_CONFIG, why, "\"%s\" is not known, it must "
		    "be %s", text, cf_buf_str(&list));
	else
		(void)cf_fail(CF_E_CONFIG, why, "must be %s",
		    cf_buf_str(&list));
	cf_buf_free(&list);
	return CF_E_CONFIG;
}

enum cf_err
cf_conf_value_check(const struct cf_conf_opt *opt, const char *text,
    struct cf_why *why)
{
	if (is_number(opt))
		return check_number(opt, text, why);
	if (opt->names != NULL)
		return value_check_name(opt, text, why);
	if (opt->type == CF_CONF_BOOL || opt->check == NULL)
		return CF_OK;
	return opt->check(text, why);
}

static void
value_list_add(struct cf_conf_list *list, const char *item)
{
	list->item = cf_realloc(list->item, list->count + 1,
	    sizeof *list->item);
	list->item[list->count++] = cf_strdup(item);
}

static void
value_set_add(const struct cf_conf_opt *opt, int *bits, const char *text)
{
	int bit;

	if (!cf_conf_value(opt->names, text, &bit))
		cf_bug("a name that was checked");
	*bits |= bit;
}

/* Each of the words in `text`, which stand between blanks. */
static void
add_words(const struct cf_conf_opt *opt, const char *text, void *to)
{
	size_t len;

	for (text += strspn(text, " "); *text != '\0';
	    text += strspn(text, " ")) {
		CF_AUTO(cf_free) char *word = NULL;

		len = strcspn(text, " ");
		word = cf_strndup(text, len);
		cf_conf_value_set(opt, word, to);
		text += len;
	}
}

void
cf_conf_value_default(const struct cf_conf_opt *opt, void *to)
{
	const char *def = opt->def;

	switch (opt->type) {
	case CF_CONF_STR:
		*(char **)to = def == NULL ? NULL : cf_strdup(def);
		break;
	case CF_CONF_INT:
	case CF_CONF_SIZE:
	case CF_CONF_TIME_S:
	case CF_CONF_TIME_MS:
		*(long *)to = def == NULL ? 0 : strtol(def, NULL, 10);
		break;
	case CF_CONF_BOOL:
		*(bool *)to = def != NULL && strcmp(def, "true") == 0;
		break;
	case CF_CONF_ENUM:
		if (!cf_conf_value(opt->names, def, to))
			cf_bug("a default that is none of the names");
		break;
	case CF_CONF_LIST:
		memset(to, 0, sizeof(struct cf_conf_list));
		add_words(opt, def == NULL ? "" : def, to);
		break;
	case CF_CONF_SET:
		*(int *)to = 0;
		add_words(opt, def == NULL ? "" : def, to);
		break;
	}
}

void
cf_conf_value_free(const struct cf_conf_opt *opt, void *to)
{
	struct cf_conf_list *list = to;
	size_t i;

	if (opt->type == CF_CONF_STR) {
		free(*(char **)to);
		*(char **)to = NULL;
	} else if (opt->type == CF_CONF_LIST) {
		for (i = 0; i < list->count; i++)
			free(list->item[i]);
		free(list->item);
		memset(list, 0, sizeof *list);
	} else if (opt->type == CF_CONF_SET) {
		*(int *)to = 0;
	}
}

void
cf_conf_value_set(const struct cf_conf_opt *opt, const char *text, void *to)
{
	switch (opt->type) {
	case CF_CONF_STR:
		free(*(char **)to);
		*(char **)to = cf_strdup(text);
		break;
	case CF_CONF_INT:
	case CF_CONF_SIZE:
	case CF_CONF_TIME_S:
	case CF_CONF_TIME_MS:
		if (!parse_number(opt->type, text, to))
			cf_bug("a number that was checked");
		break;
	case CF_CONF_BOOL:
		*(bool *)to = strcmp(text, "true") == 0;
		break;
	case CF_CONF_ENUM:
		if (!cf_conf_value(opt->names, text, to))
			cf_bug("a name that was checked");
		break;
	case CF_CONF_LIST:
		value_list_add(to, text);
		break;
	case CF_CONF_SET:
		value_set_add(opt, to, text);
		break;
	}
}

static void
print_quoted(const char *s, FILE *out)
{
	putc('"', out);
	for (; *s != '\0'; s++) {
		if (strchr("\"\\$", *s) != NULL)
			fprintf(out, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", out);
		else
			putc(*s, out);
	}
	putc('"', out);
}

static void
print_set(const struct cf_conf_name *names, int bits, FILE *out)
{
	const char *between = "";

	putc('{', out);
	for (; names->name != NULL; names++)
		if ((bits & names->value) != 0) {
			fputs(between, out);
			print_quoted(names->name, out);
			between = ", ";
		}
	putc('}', out);
}

void
cf_conf_value_print(const struct cf_conf_opt *opt, const void *from, FILE *out)
{
	const struct cf_conf_list *list = from;
	const char *const *str = from;
	size_t i;

	switch (opt->type) {
	case CF_CONF_STR:
		print_quoted(*str, out);
		break;
	case CF_CONF_INT:
	case CF_CONF_SIZE:
	case CF_CONF_TIME_S:
	case CF_CONF_TIME_MS:
		fprintf(out, "%ld", *(const long *)from);
		break;
	case CF_CONF_BOOL:
		fputs(*(const bool *)from ? "true" : "false", out);
		break;
	case CF_CONF_ENUM:
		print_quoted(cf_conf_name(opt->names, *(const int *)from),
		    out);
		break;
	case CF_CONF_LIST:
		putc('{', out);
		for (i = 0; i < list->count; i++) {
			fputs(i == 0 ? "" : ", ", out);
			print_quoted(list->item[i], out);
		}
		putc('}', out);
		break;
	case CF_CONF_SET:
		print_set(opt->names, *(const int *)from, out);
		break;
	}
}

bool
cf_conf_value_same(const struct cf_conf_opt *opt, const void *a, const void *b)
{
	const char *const *text[2] = { a, b };
	const struct cf_conf_list *list[2] = { a, b };
	size_t i;

	switch (opt->type) {
	case CF_CONF_STR:
		return *text[0] == NULL || *text[1] == NULL
		    ? *text[0] == *text[1] : strcmp(*text[0], *text[1]) == 0;
	case CF_CONF_INT:
	case CF_CONF_SIZE:
	case CF_CONF_TIME_S:
	case CF_CONF_TIME_MS:
		return *(const long *)a == *(const long *)b;
	case CF_CONF_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CF_CONF_ENUM:
	case CF_CONF_SET:
		return *(const int *)a == *(const int *)b;
	case CF_CONF_LIST:
		for (i = 0; i < list[0]->count && i < list[1]->count; i++)
			if (strcmp(list[0]->item[i], list[1]->item[i]) != 0)
				return false;
		return list[0]->count == list[1]->count;
	}
	cf_bug("option type");
}
