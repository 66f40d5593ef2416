/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_conf_opt - the rows of an option table, and the names of values.
 *
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_CONF_OPT_H
#define CF_COMMON_CONF_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

enum cf_conf_type {
	CF_CONF_STR,	/* field: char * (NULL when default is NULL) */
	CF_CONF_INT,	/* field: long */
	CF_CONF_SIZE,	/* long, bytes; in the file with k, M or G, too */
	CF_CONF_TIME_S,	/* long, seconds; with s, m, h or d, too */
	CF_CONF_TIME_MS,	/* long, milliseconds; with ms, s or m, too */
	CF_CONF_BOOL,	/* field: bool */
	CF_CONF_ENUM,	/* field: int, one of the row's names */
	CF_CONF_LIST,	/* field: struct cf_conf_list */
	CF_CONF_SET	/* a list; int, the bits of any of the row's names */
};

struct cf_conf_list {
	char **item;
	size_t count;
};

/* A value of a fixed list; the last of a list has no name. */
struct cf_conf_name {
	const char *name;
	int value;		/* an enum's; the option's struct says which */
};

struct cf_conf_opt {
	const char *key;
	enum cf_conf_type type;
	size_t offset;		/* offsetof(struct, field) */
	const char *def;	/* default as text; lists: "a b" by blanks;
				 * numbers without units */
	long min, max;		/* numbers only; inclusive */
	/* Checks a string or one list item, or NULL.  `why` gets a sentence. */
	enum cf_err (*check)(const char *value, struct cf_why *why);
	const struct cf_conf_name *names;	/* ENUM and SET; else NULL */
	bool restart;		/* a reload alone does not make it count */
	const char *manual;	/* one sentence, for the manual page */
};

/* Has it any number of values? */
bool cf_conf_is_list(const struct cf_conf_opt *opt);
/* False if the text is none of them. */
bool cf_conf_value(const struct cf_conf_name *names, const char *text,
    int *ret);
/* Lends: static. */
const char *cf_conf_name(const struct cf_conf_name *names, int value);
bool cf_conf_list_has(const struct cf_conf_list *list, const char *item);

/* Of options that all daemons have. */
extern const struct cf_conf_name cf_conf_logs[];	/* enum cf_log_to */
extern const struct cf_conf_name cf_conf_log_levels[];	/* cf_log_level */

#endif
