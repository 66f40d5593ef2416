/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of `counterfoil-milter -n`, each in a file of its own.
 *
 * Threads: one.   Logging: never; findings go to `out`.
 */
#ifndef CF_MILTER_CHECK_PARTS_H
#define CF_MILTER_CHECK_PARTS_H

#include "milter/check/check.h"

/* Does reader_url lead to the page, as browsers get there? */
void cf_check_page(struct cf_check *check);
/* Each key server: does it answer, as who, and does it take our token? */
void cf_check_key_servers(struct cf_check *check);
/* What is kept, for how long, and is there room? */
void cf_check_store(struct cf_check *check);
/*
 * A Postfix instance by its configuration directory, a Sendmail by its
 * configuration file.  False: it does not use us.  That is an error when it
 * was named, and nothing is said of one that was `guessed`.
 */
bool cf_check_postfix(struct cf_check *check, const char *directory,
    bool guessed);
bool cf_check_sendmail(struct cf_check *check, const char *file,
    bool guessed);

#endif
