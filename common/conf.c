/* SPDX-License-Identifier: Apache-2.0 */
/* cf_conf - see conf.h. */
#include "common/conf.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf_scan.h"
#include "common/conf_value.h"
#include "common/file.h"
#include "common/mem.h"

#define FILE_MAX ((size_t)1 << 20)
#define ENTRY_MAX 4096	/* bytes of a user's entry */

/*
 * libconfuse's callbacks carry no user pointer, so the load under way is
 * found here; the lock makes it one at a time.
 */
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static struct load {
	const struct cf_conf_opt *table;
	size_t count;
	int *lines;		/* where each option was given, or 0 */
	struct cf_why *why;
	const char *path;
	bool failed;		/* the first error is the one told */
} *current;

static void *
field_of(void *base, const struct cf_conf_opt *opt)
{
	return (char *)base + opt->offset;
}

static const void *
const_field_of(const void *base, const struct cf_conf_opt *opt)
{
	return (const char *)base + opt->offset;
}

static void
conf_fail_at(int line, const char *text)
{
	if (current->failed)
		return;
	current->failed = true;
	(void)cf_fail(CF_E_CONFIG, current->why, "%s:%d: %s", current->path,
	    line, text);
}

/* What the scanner lets through and libconfuse does not take. */
static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[200];

	(void)vsnprintf(text, sizeof text, fmt, ap);
	conf_fail_at(cfg->line, text);
}

static enum cf_err
check_values(cfg_opt_t *copt, const struct cf_conf_opt *opt,
    struct cf_why *why)
{
	unsigned i;

	if (opt->type == CF_CONF_BOOL)
		return CF_OK;
	for (i = 0; i < cfg_opt_size(copt); i++)
		if (cf_conf_value_check(opt, cfg_opt_getnstr(copt, i),
		    why) != CF_OK)
			return CF_E_CONFIG;
	return CF_OK;
}

/* libconfuse asks once for each item of a list. */
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
	if (check_values(copt, &current->table[i], &why) == CF_OK)
		return 0;
	(void)snprintf(text, sizeof text, "%s: %s", copt->name, why.text);
	conf_fail_at(cfg->line, text);
	return -1;
}

static void
set_value(cfg_t *cfg, const struct cf_conf_opt *opt, void *to)
{
	cfg_opt_t *copt = cfg_getopt(cfg, opt->key);
	unsigned i;

	cf_conf_value_free(opt, to);
	/* libconfuse knows more words for true than one. */
	if (opt->type == CF_CONF_BOOL)
		cf_conf_value_set(opt, cfg_opt_getnbool(copt, 0) == cfg_true ?
		    "true" : "false", to);
	else
		for (i = 0; i < cfg_opt_size(copt); i++)
			cf_conf_value_set(opt, cfg_opt_getnstr(copt, i), to);
}

static cfg_opt_t *
make_opts(const struct cf_conf_opt *table, size_t count)
{
	cfg_opt_t *opts = cf_calloc(count + 1, sizeof *opts);
	size_t i;

	for (i = 0; i < count; i++) {
		cfg_opt_t str = CFG_STR(table[i].key, NULL, CFGF_NONE);
		cfg_opt_t boolean = CFG_BOOL(table[i].key, cfg_false,
		    CFGF_NONE);
		cfg_opt_t list = CFG_STR_LIST(table[i].key, NULL, CFGF_NONE);

		/* Numbers may have units, which libconfuse does not know. */
		opts[i] = table[i].type == CF_CONF_BOOL ? boolean :
		    cf_conf_is_list(&table[i]) ? list : str;
	}
	opts[count] = (cfg_opt_t)CFG_END();
	return opts;
}

static enum cf_err
conf_parse(struct load *load, const char *plain, void *into)
{
	CF_AUTO(cf_free) cfg_opt_t *opts = make_opts(load->table, load->count);
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	size_t i;
	int rc;

	cfg_set_error_function(cfg, on_error);
	for (i = 0; i < load->count; i++)
		cfg_set_validate_func(cfg, load->table[i].key, on_validate);
	rc = cfg_parse_buf(cfg, plain);
	if (rc != CFG_SUCCESS)
		conf_fail_at(cfg->line, "syntax error");
	for (i = 0; i < load->count && !load->failed; i++)
		if (load->lines[i] != 0)
			set_value(cfg, &load->table[i],
			    field_of(into, &load->table[i]));
	cfg_free(cfg);
	return load->failed ? CF_E_CONFIG : CF_OK;
}

/* Who started us may, and who we became may not. */
static enum cf_err
may_not_read(const char *path, struct cf_why *why)
{
	struct passwd pw, *found = NULL;
	char text[ENTRY_MAX];

	(void)getpwuid_r(geteuid(), &pw, text, sizeof text, &found);
	return cf_fail(CF_E_CONFIG, why, "%s: user %s may not read it; see "
	    "the modes of the file and its directories", path,
	    found == NULL ? "?" : pw.pw_name);
}

static enum cf_err
conf_read_file(const char *path, struct cf_buf *text, struct cf_why *why)
{
	struct cf_why inner = { "" };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum cf_err rc;

	if (fd < 0 && errno == EACCES)
		return may_not_read(path, why);
	if (fd < 0)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", path,
		    strerrordesc_np(errno));
	rc = cf_file_read_fd(fd, text, &inner);
	close(fd);
	if (rc != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", path, inner.text);
	return CF_OK;
}

/* The text in the form that libconfuse counts right. */
static enum cf_err
read_plain(const struct load *load, struct cf_buf *ret)
{
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(FILE_MAX);
	struct cf_why inner = { "" };
	enum cf_err rc;
	int line = 0;

	rc = conf_read_file(load->path, &text, load->why);
	if (rc != CF_OK)
		return rc;
	rc = cf_conf_scan(&text, load->table, load->count, load->lines, ret,
	    &line, &inner);
	if (rc != CF_OK)
		return cf_fail(rc, load->why, "%s:%d: %s", load->path, line,
		    inner.text);
	return CF_OK;
}

enum cf_err
cf_conf_load(const char *path, const struct cf_conf_opt *table, size_t count,
    void *into, struct cf_why *why)
{
	CF_AUTO(cf_free) int *lines = cf_calloc(count, sizeof *lines);
	CF_AUTO(cf_buf_free) struct cf_buf plain = CF_BUF_INIT(4 * FILE_MAX);
	struct load load = { table, count, lines, why, path, false };
	enum cf_err rc;

	cf_conf_defaults(table, count, into);
	rc = read_plain(&load, &plain);
	if (rc == CF_OK) {
		pthread_mutex_lock(&load_lock);
		current = &load;
		rc = conf_parse(&load, cf_buf_str(&plain), into);
		current = NULL;
		pthread_mutex_unlock(&load_lock);
	}
	if (rc != CF_OK)
		cf_conf_free(table, count, into);
	return rc;
}

enum cf_err
cf_conf_fail_at(const char *path, const struct cf_conf_opt *table,
    size_t count, const char *key, struct cf_why *why, const char *fmt, ...)
{
	CF_AUTO(cf_free) int *lines = cf_calloc(count, sizeof *lines);
	CF_AUTO(cf_buf_free) struct cf_buf plain = CF_BUF_INIT(4 * FILE_MAX);
	struct load load = { table, count, lines, NULL, path, false };
	char text[CF_WHY_MAX];
	va_list ap;
	size_t i;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* It was read before: what changed meanwhile has no line. */
	if (read_plain(&load, &plain) == CF_OK)
		for (i = 0; i < count; i++)
			if (strcmp(table[i].key, key) == 0 && lines[i] != 0)
				return cf_fail(CF_E_CONFIG, why,
				    "%s:%d: %s: %s", path, lines[i], key,
				    text);
	return cf_fail(CF_E_CONFIG, why, "%s: %s: %s", path, key, text);
}

void
cf_conf_defaults(const struct cf_conf_opt *table, size_t count, void *into)
{
	size_t i;

	for (i = 0; i < count; i++)
		cf_conf_value_default(&table[i], field_of(into, &table[i]));
}

void
cf_conf_free(const struct cf_conf_opt *table, size_t count, void *into)
{
	size_t i;

	for (i = 0; i < count; i++)
		cf_conf_value_free(&table[i], field_of(into, &table[i]));
}

char *
cf_conf_changed(const struct cf_conf_opt *table, size_t count,
    const void *before, const void *after)
{
	struct cf_buf names = CF_BUF_INIT(10000);
	size_t i;

	for (i = 0; i < count; i++)
		if (table[i].restart && !cf_conf_value_same(&table[i],
		    const_field_of(before, &table[i]),
		    const_field_of(after, &table[i])))
			cf_buf_addf(&names, " %s", table[i].key);
	return names.len == 0 ? NULL : cf_buf_take(&names, NULL);
}

void
cf_conf_print(const struct cf_conf_opt *table, size_t count, const void *from,
    FILE *out)
{
	const void *value;
	size_t i;

	for (i = 0; i < count; i++) {
		value = const_field_of(from, &table[i]);
		fprintf(out, "# %s\n", table[i].manual);
		if (table[i].type == CF_CONF_STR &&
		    *(const char *const *)value == NULL) {
			fprintf(out, "# %s =\n\n", table[i].key);
			continue;
		}
		fprintf(out, "%s = ", table[i].key);
		cf_conf_value_print(&table[i], value, out);
		fputs("\n\n", out);
	}
}
