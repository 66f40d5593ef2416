/* SPDX-License-Identifier: Apache-2.0 */
/* cf_conf - see conf.h. */
#include "common/conf.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/link.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"

/*
 * libconfuse's callbacks carry no user pointer, so the load under way is
 * found here; the lock makes it one at a time.
 */
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static struct load {
	const struct cf_conf_opt *table;
	size_t count;
	unsigned char *seen;	/* was it given? one flag an option */
	struct cf_why *why;
	const char *path;
	bool failed;		/* the first error is the one told */
} *current;

static void *
field(void *base, const struct cf_conf_opt *opt)
{
	return (char *)base + opt->offset;
}

static const void *
const_field(const void *base, const struct cf_conf_opt *opt)
{
	return (const char *)base + opt->offset;
}

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

static const char *
nearest(const char *name)
{
	const char *best = current->table[0].key;
	size_t i, d, best_d = SIZE_MAX;

	for (i = 0; i < current->count; i++) {
		d = distance(name, current->table[i].key);
		if (d < best_d) {
			best_d = d;
			best = current->table[i].key;
		}
	}
	return best;
}

static void
fail_at(int line, const char *text)
{
	if (current->failed)
		return;
	current->failed = true;
	(void)cf_fail(CF_E_CONFIG, current->why, "%s:%d: %s", current->path,
	    line, text);
}

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[200], full[400], name[64];

	(void)vsnprintf(text, sizeof text, fmt, ap);
	if (sscanf(text, "no such option '%63[^']'", name) == 1)
		(void)snprintf(full, sizeof full,
		    "unknown option \"%s\"; the nearest one is \"%s\"", name,
		    nearest(name));
	else
		(void)snprintf(full, sizeof full, "%s", text);
	fail_at(cfg->line, full);
}

static enum cf_err
check_values(cfg_opt_t *copt, const struct cf_conf_opt *opt,
    struct cf_why *why)
{
	unsigned i;
	long n;

	if (opt->type == CF_CONF_INT) {
		n = cfg_opt_getnint(copt, 0);
		if (n < opt->min || n > opt->max)
			return cf_fail(CF_E_CONFIG, why,
			    "%ld is not between %ld and %ld", n, opt->min,
			    opt->max);
		return CF_OK;
	}
	if (opt->type == CF_CONF_BOOL || opt->check == NULL)
		return CF_OK;
	for (i = 0; i < cfg_opt_size(copt); i++)
		if (opt->check(cfg_opt_getnstr(copt, i), why) != CF_OK)
			return CF_E_CONFIG;
	return CF_OK;
}

static int
on_validate(cfg_t *cfg, cfg_opt_t *copt)
{
	struct cf_why why = { "" };
	char text[CF_WHY_MAX + 100];
	size_t i;

	for (i = 0; i < current->count; i++)
		if (strcmp(current->table[i].key, copt->name) == 0)
			break;
	if (i == current->count)
		cf_bug("option without a row");
	/* libconfuse asks once for each item of a list, and adds lists up. */
	if (current->seen[i] && current->table[i].type != CF_CONF_LIST) {
		(void)snprintf(text, sizeof text, "\"%s\" is given twice",
		    copt->name);
		fail_at(cfg->line, text);
		return -1;
	}
	current->seen[i] = 1;
	if (check_values(copt, &current->table[i], &why) == CF_OK)
		return 0;
	(void)snprintf(text, sizeof text, "%s: %s", copt->name, why.text);
	fail_at(cfg->line, text);
	return -1;
}

static void
list_add(struct cf_conf_list *list, const char *item, size_t len)
{
	list->item = cf_realloc(list->item, list->count + 1,
	    sizeof *list->item);
	list->item[list->count++] = cf_strndup(item, len);
}

static void
list_split(struct cf_conf_list *list, const char *text)
{
	size_t len;

	for (text += strspn(text, " "); *text != '\0';
	    text += strspn(text, " ")) {
		len = strcspn(text, " ");
		list_add(list, text, len);
		text += len;
	}
}

static void
set_default(const struct cf_conf_opt *opt, void *to)
{
	const char *def = opt->def;

	switch (opt->type) {
	case CF_CONF_STR:
		*(char **)to = def == NULL ? NULL : cf_strdup(def);
		break;
	case CF_CONF_INT:
		*(long *)to = def == NULL ? 0 : strtol(def, NULL, 10);
		break;
	case CF_CONF_BOOL:
		*(bool *)to = def != NULL && strcmp(def, "true") == 0;
		break;
	case CF_CONF_LIST:
		memset(to, 0, sizeof(struct cf_conf_list));
		if (def != NULL)
			list_split(to, def);
		break;
	}
}

static void
free_value(const struct cf_conf_opt *opt, void *to)
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
	}
}

static void
set_value(cfg_t *cfg, const struct cf_conf_opt *opt, void *to)
{
	cfg_opt_t *copt = cfg_getopt(cfg, opt->key);
	unsigned i;

	free_value(opt, to);
	switch (opt->type) {
	case CF_CONF_STR:
		*(char **)to = cf_strdup(cfg_opt_getnstr(copt, 0));
		break;
	case CF_CONF_INT:
		*(long *)to = cfg_opt_getnint(copt, 0);
		break;
	case CF_CONF_BOOL:
		*(bool *)to = cfg_opt_getnbool(copt, 0) == cfg_true;
		break;
	case CF_CONF_LIST:
		for (i = 0; i < cfg_opt_size(copt); i++) {
			const char *s = cfg_opt_getnstr(copt, i);

			list_add(to, s, strlen(s));
		}
		break;
	}
}

static cfg_opt_t *
make_opts(const struct cf_conf_opt *table, size_t count)
{
	cfg_opt_t *opts = cf_calloc(count + 1, sizeof *opts);
	size_t i;

	for (i = 0; i < count; i++) {
		cfg_opt_t str = CFG_STR(table[i].key, NULL, CFGF_NONE);
		cfg_opt_t num = CFG_INT(table[i].key, 0, CFGF_NONE);
		cfg_opt_t boolean = CFG_BOOL(table[i].key, cfg_false,
		    CFGF_NONE);
		cfg_opt_t list = CFG_STR_LIST(table[i].key, NULL, CFGF_NONE);

		opts[i] = table[i].type == CF_CONF_STR ? str :
		    table[i].type == CF_CONF_INT ? num :
		    table[i].type == CF_CONF_BOOL ? boolean : list;
	}
	opts[count] = (cfg_opt_t)CFG_END();
	return opts;
}

static enum cf_err
parse(struct load *load, void *into)
{
	CF_AUTO(cf_free) cfg_opt_t *opts = make_opts(load->table, load->count);
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	size_t i;
	int rc;

	cfg_set_error_function(cfg, on_error);
	for (i = 0; i < load->count; i++)
		cfg_set_validate_func(cfg, load->table[i].key, on_validate);
	rc = cfg_parse(cfg, load->path);
	if (rc == CFG_FILE_ERROR && !load->failed) {
		load->failed = true;
		(void)cf_fail(CF_E_CONFIG, load->why, "%s: %s", load->path,
		    strerrordesc_np(errno));
	} else if (rc != CFG_SUCCESS) {
		fail_at(cfg->line, "syntax error");
	}
	for (i = 0; i < load->count && !load->failed; i++)
		if (load->seen[i])
			set_value(cfg, &load->table[i],
			    field(into, &load->table[i]));
	cfg_free(cfg);
	return load->failed ? CF_E_CONFIG : CF_OK;
}

enum cf_err
cf_conf_load(const char *path, const struct cf_conf_opt *table, size_t count,
    void *into, struct cf_why *why)
{
	CF_AUTO(cf_free) unsigned char *seen = cf_calloc(count, 1);
	struct load load = { table, count, seen, why, path, false };
	enum cf_err rc;

	cf_conf_defaults(table, count, into);
	pthread_mutex_lock(&load_lock);
	current = &load;
	rc = parse(&load, into);
	current = NULL;
	pthread_mutex_unlock(&load_lock);
	if (rc != CF_OK)
		cf_conf_free(table, count, into);
	return rc;
}

void
cf_conf_defaults(const struct cf_conf_opt *table, size_t count, void *into)
{
	size_t i;

	for (i = 0; i < count; i++)
		set_default(&table[i], field(into, &table[i]));
}

void
cf_conf_free(const struct cf_conf_opt *table, size_t count, void *into)
{
	size_t i;

	for (i = 0; i < count; i++)
		free_value(&table[i], field(into, &table[i]));
}

static void
print_quoted(const char *s, FILE *out)
{
	putc('"', out);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', out);
		putc(*s, out);
	}
	putc('"', out);
}

static void
print_value(const struct cf_conf_opt *opt, const void *from, FILE *out)
{
	const struct cf_conf_list *list = from;
	const char *const *str = from;
	size_t i;

	switch (opt->type) {
	case CF_CONF_STR:
		print_quoted(*str, out);
		break;
	case CF_CONF_INT:
		fprintf(out, "%ld", *(const long *)from);
		break;
	case CF_CONF_BOOL:
		fputs(*(const bool *)from ? "true" : "false", out);
		break;
	case CF_CONF_LIST:
		putc('{', out);
		for (i = 0; i < list->count; i++) {
			fputs(i == 0 ? "" : ", ", out);
			print_quoted(list->item[i], out);
		}
		putc('}', out);
		break;
	}
}

void
cf_conf_print(const struct cf_conf_opt *table, size_t count, const void *from,
    FILE *out)
{
	const void *value;
	size_t i;

	for (i = 0; i < count; i++) {
		value = const_field(from, &table[i]);
		fprintf(out, "# %s\n", table[i].manual);
		if (table[i].type == CF_CONF_STR &&
		    *(const char *const *)value == NULL) {
			fprintf(out, "# %s =\n\n", table[i].key);
			continue;
		}
		fprintf(out, "%s = ", table[i].key);
		print_value(&table[i], value, out);
		fputs("\n\n", out);
	}
}

bool
cf_conf_list_has(const struct cf_conf_list *list, const char *item)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (strcmp(list->item[i], item) == 0)
			return true;
	return false;
}

enum cf_err
cf_conf_check_secret_file(const char *value, struct cf_why *why)
{
	return cf_secret_check_file(value, why);
}

enum cf_err
cf_conf_check_readable(const char *value, struct cf_why *why)
{
	if (access(value, R_OK) != 0)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", value,
		    strerrordesc_np(errno));
	return CF_OK;
}

enum cf_err
cf_conf_check_directory(const char *value, struct cf_why *why)
{
	struct stat st;

	if (stat(value, &st) != 0)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", value,
		    strerrordesc_np(errno));
	if (!S_ISDIR(st.st_mode))
		return cf_fail(CF_E_CONFIG, why, "%s: not a directory", value);
	return CF_OK;
}

enum cf_err
cf_conf_check_service_url(const char *value, struct cf_why *why)
{
	return cf_link_check_service(value, why);
}

enum cf_err
cf_conf_check_log(const char *value, struct cf_why *why)
{
	if (strcmp(value, "stderr") == 0 || strcmp(value, "syslog") == 0)
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "must be stderr or syslog");
}

enum cf_err
cf_conf_check_log_level(const char *value, struct cf_why *why)
{
	enum cf_log_level level;

	if (cf_log_level_parse(value, &level))
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "must be error, warn, info or debug");
}

enum cf_err
cf_conf_check_hostport(const char *value, struct cf_why *why)
{
	const char *colon = strrchr(value, ':');
	char *end;
	long port;

	if (colon != NULL && colon != value && colon[1] >= '0' &&
	    colon[1] <= '9') {
		port = strtol(colon + 1, &end, 10);
		if (*end == '\0' && port >= 1 && port <= 65535)
			return CF_OK;
	}
	return cf_fail(CF_E_CONFIG, why, "must be address:port");
}
