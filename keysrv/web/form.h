/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_form - read what a browser sends for a form.
 *
 * Knows: application/x-www-form-urlencoded, as browsers write it (URL
 * Standard, 5.2).   Does not know: which fields a form has: fields.h.
 * Threads: no shared state.   Logging: never.  `why` repeats nothing of it.
 */
#ifndef CF_KEYSRV_FORM_H
#define CF_KEYSRV_FORM_H

#include <jansson.h>
#include <stddef.h>

#include "common/err.h"

#define CF_FORM_TYPE "application/x-www-form-urlencoded"
#define CF_FORM_FIELDS_MAX 64
#define CF_FORM_NAME_MAX 32	/* bytes */
#define CF_FORM_VALUE_MAX 4096	/* bytes, decoded */

/*
 * Read a whole form (untrusted) into an object of strings, for
 * cf_fields_read_form().  Names are of a-z, 0-9 and _, each once; values are
 * UTF-8 without control characters.  Gives *ret, whose memory is wiped when
 * it is freed.
 * CF_E_SYNTAX  not that, or more of it than the limits above
 */
CF_MUST_USE enum cf_err cf_form_parse(const char *text, size_t len,
    json_t **ret, struct cf_why *why);

#endif
