/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_field - a field of a message's header, as a milter sees it.
 *
 * Knows: names, folds, comments (RFC 5322 2.2, 3.2.2).
 * Does not know: what any field means.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_FIELD_H
#define CF_COMMON_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#define CF_LINE_MAX 998		/* bytes of a line, RFC 5322 2.1.1 */

/*
 * The name; the value with the blanks behind the colon (SMFIP_HDR_LEADSPC;
 * without that, give it one space) and with bare LF in its folds.  Both
 * NUL-terminated, both any other bytes.
 */
struct cf_field {
	const char *name;
	const char *value;
};

/*
 * Is this the field `name`?  In any case, and with the blanks before the
 * colon that RFC 5322 4.5 lets old mail have.
 */
bool cf_field_is(const char *field_name, const char *name);
/*
 * The value without folds and outer blanks to `out`, which takes `cap` bytes
 * with the NUL.  False: it was cut.
 */
bool cf_field_unfold(const char *value, char *out, size_t cap);
/*
 * Move *p on, behind blanks, folds and comments, in the *len bytes there.
 * False: a comment does not end; then nothing is left.
 */
bool cf_field_skip_cfws(const char **p, size_t *len);
/* The same for a NUL-terminated value: where it goes on. */
const char *cf_field_after_cfws(const char *value);

#endif
