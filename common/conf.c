/* SPDX-License-Identifier: Apache-2.0 */
/* cf_conf - see conf.h. */
#include "common/conf.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/conf_scan.h"
#include "common/file.h"
#include "common/link.h"
#include "common/listen_unix.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"

#define FILE_MAX ((size_t)1 << 20)
#define ENTRY_MAX 4096	/* bytes of a user or group, with its members */

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
field(void *base, const struct cf_conf_opt *opt)
{
	return (char *)base + opt->offset;
}

static const void *
const_field(const void *base, const struct cf_conf_opt *opt)
{
	return (const char *)base + opt->offset;
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

/* What the scanner lets through and libconfuse does not take. */
static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[200];

	(void)vsnprintf(text, sizeof text, fmt, ap);
	fail_at(cfg->line, text);
}

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

const struct cf_conf_name cf_conf_logs[] = {
	{ "stderr", CF_LOG_STDERR }, { "syslog", CF_LOG_SYSLOG }, { NULL, 0 },
};
const struct cf_conf_name cf_conf_log_levels[] = {
	{ "error", CF_LOG_ERROR }, { "warn", CF_LOG_WARN },
	{ "info", CF_LOG_INFO }, { "debug", CF_LOG_DEBUG }, { NULL, 0 },
};

bool
cf_conf_value(const struct cf_conf_name *names, const char *text, int *ret)
{
	for (; names->name != NULL; names++)
		if (strcmp(names->name, text) == 0) {
			*ret = names->value;
			return true;
		}
	return false;
}

const char *
cf_conf_name(const struct cf_conf_name *names, int value)
{
	for (; names->name != NULL; names++)
		if (names->value == value)
			return names->name;
	cf_bug("a value without a name");
}

static enum cf_err
check_name(const struct cf_conf_opt *opt, const char *text,
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
	(void)cf_fail(CF_E_CONFIG, why, "must be %s", cf_buf_str(&list));
	cf_buf_free(&list);
	return CF_E_CONFIG;
}

static enum cf_err
check_values(cfg_opt_t *copt, const struct cf_conf_opt *opt,
    struct cf_why *why)
{
	unsigned i;

	if (is_number(opt))
		return check_number(opt, cfg_opt_getnstr(copt, 0), why);
	if (opt->type == CF_CONF_ENUM)
		return check_name(opt, cfg_opt_getnstr(copt, 0), why);
	if (opt->type == CF_CONF_BOOL || opt->check == NULL)
		return CF_OK;
	for (i = 0; i < cfg_opt_size(copt); i++)
		if (opt->check(cfg_opt_getnstr(copt, i), why) != CF_OK)
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
	case CF_CONF_SIZE:
	case CF_CONF_TIME_S:
	case CF_CONF_TIME_MS:
		if (!parse_number(opt->type, cfg_opt_getnstr(copt, 0), to))
			cf_bug("a number that was checked");
		break;
	case CF_CONF_BOOL:
		*(bool *)to = cfg_opt_getnbool(copt, 0) == cfg_true;
		break;
	case CF_CONF_ENUM:
		if (!cf_conf_value(opt->names, cfg_opt_getnstr(copt, 0), to))
			cf_bug("a name that was checked");
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
		cfg_opt_t boolean = CFG_BOOL(table[i].key, cfg_false,
		    CFGF_NONE);
		cfg_opt_t list = CFG_STR_LIST(table[i].key, NULL, CFGF_NONE);

		/* Numbers may have units, which libconfuse does not know. */
		opts[i] = table[i].type == CF_CONF_BOOL ? boolean :
		    table[i].type == CF_CONF_LIST ? list : str;
	}
	opts[count] = (cfg_opt_t)CFG_END();
	return opts;
}

static enum cf_err
parse(struct load *load, const char *plain, void *into)
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
		fail_at(cfg->line, "syntax error");
	for (i = 0; i < load->count && !load->failed; i++)
		if (load->lines[i] != 0)
			set_value(cfg, &load->table[i],
			    field(into, &load->table[i]));
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
read_file(const char *path, struct cf_buf *text, struct cf_why *why)
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

	rc = read_file(load->path, &text, load->why);
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
		rc = parse(&load, cf_buf_str(&plain), into);
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
	}
}

static bool
same_value(const struct cf_conf_opt *opt, const void *a, const void *b)
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
		return *(const int *)a == *(const int *)b;
	case CF_CONF_LIST:
		for (i = 0; i < list[0]->count && i < list[1]->count; i++)
			if (strcmp(list[0]->item[i], list[1]->item[i]) != 0)
				return false;
		return list[0]->count == list[1]->count;
	}
	cf_bug("option type");
}

char *
cf_conf_changed(const struct cf_conf_opt *table, size_t count,
    const void *before, const void *after)
{
	struct cf_buf names = CF_BUF_INIT(10000);
	size_t i;

	for (i = 0; i < count; i++)
		if (table[i].restart && !same_value(&table[i],
		    (const char *)before + table[i].offset,
		    (const char *)after + table[i].offset))
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
cf_conf_check_user(const char *value, struct cf_why *why)
{
	struct passwd pw, *found = NULL;
	char text[ENTRY_MAX];

	/* One too large for us is there. */
	if (*value != '\0' && getpwnam_r(value, &pw, text, sizeof text,
	    &found) == 0 && found == NULL)
		return cf_fail(CF_E_CONFIG, why, "there is no user named %s",
		    value);
	return CF_OK;
}

enum cf_err
cf_conf_check_group(const char *value, struct cf_why *why)
{
	struct group gr, *found = NULL;
	char text[ENTRY_MAX];

	if (*value != '\0' && getgrnam_r(value, &gr, text, sizeof text,
	    &found) == 0 && found == NULL)
		return cf_fail(CF_E_CONFIG, why, "there is no group named %s",
		    value);
	return CF_OK;
}

enum cf_err
cf_conf_check_service_url(const char *value, struct cf_why *why)
{
	return cf_link_check_service(value, why);
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

enum cf_err
cf_conf_check_metrics(const char *value, struct cf_why *why)
{
	struct sockaddr_un address;

	if (strncmp(value, "unix:/", 6) == 0 ?
	    cf_listen_unix_address(value + 5, &address) :
	    cf_conf_check_hostport(value, NULL) == CF_OK)
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "must be ADDRESS:PORT or unix:/PATH "
	    "of at most %zu characters", sizeof address.sun_path - 1);
}
