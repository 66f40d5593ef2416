/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_conf - configuration files as option tables, over libconfuse.
 *
 * One table per program gives key, type, field, default, check and the
 * manual's sentence; loading, printing and the documents all read it.
 * Every error says file:line.  An unknown key names a valid one near it;
 * a key given twice is an error.
 * Threads: loading is serialised by a lock; a loaded struct is const after.
 */
#ifndef CF_COMMON_CONF_H
#define CF_COMMON_CONF_H

#include <stddef.h>
#include <stdio.h>

#include "common/conf_opt.h"
#include "common/err.h"

/*
 * Read `path` into `into` by the table of `count` options.  Fields are
 * allocated; free with cf_conf_free().  On failure `into` is as empty as
 * after cf_conf_free().  CF_E_CONFIG, `why` begins with "file:line: ".
 */
CF_MUST_USE enum cf_err cf_conf_load(const char *path,
    const struct cf_conf_opt *table, size_t count, void *into,
    struct cf_why *why);
/*
 * What is wrong with an option when more is known than its value.  Fails with
 * CF_E_CONFIG and "file:line: key: sentence", without the line when the file
 * does not give it.
 */
enum cf_err cf_conf_fail_at(const char *path, const struct cf_conf_opt *table,
    size_t count, const char *key, struct cf_why *why, const char *fmt, ...)
    CF_PRINTF(6, 7);
/* The defaults alone, for a program that may run without a file. */
void cf_conf_defaults(const struct cf_conf_opt *table, size_t count,
    void *into);
void cf_conf_free(const struct cf_conf_opt *table, size_t count, void *into);
/*
 * Print the values in the file's own syntax, each under its manual sentence.
 * File names of secrets are printed, secrets never stand in a configuration.
 */
void cf_conf_print(const struct cf_conf_opt *table, size_t count,
    const void *from, FILE *out);
/*
 * The names of the options whose values differ and that need a restart:
 * " a b"; NULL if there are none.  Gives; free().
 */
char *cf_conf_changed(const struct cf_conf_opt *table, size_t count,
    const void *before, const void *after);

#endif
