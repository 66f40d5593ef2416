/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_conf_value - the value of one option: as text, in its field, printed.
 *
 * Knows: the types of options, units.   Does not know: files, libconfuse,
 * other options.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_CONF_VALUE_H
#define CF_COMMON_CONF_VALUE_H

#include <stdio.h>

#include "common/conf_opt.h"

/*
 * Is the text (an item of a list) one that the option may have?  Not of
 * booleans.  CF_E_CONFIG, `why` does not name the option.
 */
CF_MUST_USE enum cf_err cf_conf_value_check(const struct cf_conf_opt *opt,
    const char *text, struct cf_why *why);

/* `to` and `from`: the field itself. */

/* The default; whatever is in the field is not freed. */
void cf_conf_value_default(const struct cf_conf_opt *opt, void *to);
/*
 * A text that was checked, or of a boolean true or false; an item is added to
 * a list or set.
 */
void cf_conf_value_set(const struct cf_conf_opt *opt, const char *text,
    void *to);
void cf_conf_value_free(const struct cf_conf_opt *opt, void *to);
/* In the file's own syntax.  Not of a string that is NULL. */
void cf_conf_value_print(const struct cf_conf_opt *opt, const void *from,
    FILE *out);
bool cf_conf_value_same(const struct cf_conf_opt *opt, const void *a,
    const void *b);

#endif
