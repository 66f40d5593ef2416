/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_link_find - L in what people and programs hand over.
 *
 * The page finds by the same rules (common/web/src/link.ts, readings.ts);
 * tests/vectors/links.json holds both to one table of cases.
 *
 * Knows: what becomes of a link on its way (counterfoil-format(7)).
 * Does not know: HTTP, keys, mail.
 * Threads: no shared state.   Logging: never (the caller logs `why`).
 */
#ifndef CF_COMMON_LINK_FIND_H
#define CF_COMMON_LINK_FIND_H

#include "common/link.h"

enum cf_link_found {
	CF_LINK_OK,
	CF_LINK_NONE,		/* nothing was given at all */
	CF_LINK_INCOMPLETE,	/* the beginning of L, cut off */
	CF_LINK_LOWERCASE,	/* L whose letters were made alike */
	CF_LINK_AMBIGUOUS,	/* two different L */
	CF_LINK_OPAQUE,		/* a link of a service that hides L */
	CF_LINK_UNKNOWN		/* something else */
};

/*
 * Look for L in `text` (NUL-terminated, untrusted).  Only with CF_LINK_OK
 * `ret` is set, only with CF_LINK_OPAQUE `ret_service`, to a name for people.
 */
enum cf_link_found cf_link_look(const char *text, struct cf_link *ret,
    const char **ret_service);
/*
 * The same with a sentence that says what is wrong.
 * CF_E_LINK_SYNTAX  there is none, a part of one, or more than one
 * CF_E_LINK_LOST    one stood there, and copying it again does not help
 */
CF_MUST_USE enum cf_err cf_link_find(const char *text, struct cf_link *ret,
    struct cf_why *why);

#endif
