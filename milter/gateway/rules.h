/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_rules - the policy file: what domains and users want of receipts.
 *
 *   # whose                     options, as in the flag
 *   from @example.org           expires=30d
 *   to   @partner.example       receipt=always; expires=7d
 *   from ann@example.org        expires=never
 *
 * Lists of options inherit: from a domain < to a domain < to an address <
 * from an address.
 * Threads: const once loaded.   Logging: never.
 */
#ifndef CF_MILTER_RULES_H
#define CF_MILTER_RULES_H

#include <stddef.h>

#include "common/err.h"
#include "milter/gateway/want.h"

struct cf_rules;

/*
 * Read the file.  Gives *ret; free with cf_rules_free().
 * CF_E_CONFIG  `why` begins with "file:line: ", or it cannot be read
 */
CF_MUST_USE enum cf_err cf_rules_load(const char *path, struct cf_rules **ret,
    struct cf_why *why);
void cf_rules_free(struct cf_rules **rules);
/* Lay what the rules say over `want`.  `rules` may be NULL: none. */
void cf_rules_apply(const struct cf_rules *rules, const char *sender,
    const char *recipient, struct cf_want *want);

#endif
