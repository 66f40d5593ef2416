/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_assurance - how well it is known who gets a key.
 *
 * The words and their order stand here; in the database, in JSON and in
 * records the words do.
 * Knows: words, order, what people are told.   Does not know: how anybody is
 * checked.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_ASSURANCE_H
#define CF_COMMON_ASSURANCE_H

#include <stdbool.h>

/* From the least to the most. */
enum cf_assurance {
	CF_ASSURANCE_BEARER,		/* held message and link */
	CF_ASSURANCE_MAILBOX,		/* typed a code that was mailed */
	CF_ASSURANCE_ACCOUNT,		/* signed in */
	CF_ASSURANCE_CERTIFICATE,	/* showed one, and has its key */
	CF_ASSURANCE__COUNT
};

/* "bearer" ...  Lends: static. */
const char *cf_assurance_name(enum cf_assurance assurance);
/* False: no such word; *ret is as it was. */
bool cf_assurance_parse(const char *name, enum cf_assurance *ret);
/* Does one who is known like this do where that is asked for? */
bool cf_assurance_at_least(enum cf_assurance known, enum cf_assurance asked);
/*
 * What a release at this assurance records, in our words: a key server's own
 * are worth no more than it is.  Lends: static.
 */
const char *cf_assurance_records(enum cf_assurance assurance);

#endif
