/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_want - what is wanted of a receipt: the options of the flag.
 *
 * One grammar for a message's flag and for the defaults of a site
 * (counterfoil-flag(7) has the ABNF):
 *
 *   flag    = "yes" [ ";" options ] / options
 *   options = option *( ";" option )
 *   option  = name "=" word *( "," word )
 *   name    = word = 1*( letter / digit / "-" )
 *
 * Any case; blanks and folds around every sign and word, not inside; no
 * comments, no quotes; no option twice.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_WANT_H
#define CF_MILTER_WANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define CF_WANT_MAX 1000	/* characters of a value */
#define CF_WANT_WORD_MAX 32	/* of a name or a word in it */

enum cf_want_option {
	CF_WANT_REQUIRE,
	CF_WANT_EXPIRES,
	CF_WANT_LAYERS,
	CF_WANT_RECEIPT,
	CF_WANT__COUNT
};

/* Options that are not `given` have no value of meaning. */
struct cf_want {
	bool given[CF_WANT__COUNT];
	int64_t expires_s;	/* after the sending; 0: never */
	bool always;		/* seal without a flag, too */
};

/* Where the options stand; not each is known everywhere. */
enum cf_want_place {
	CF_WANT_IN_FLAG,	/* a message; "yes" is known here */
	CF_WANT_IN_DEFAULTS,	/* of the site */
	CF_WANT_IN_RULE		/* of a domain or user */
};

/*
 * Read `text`.  Fills *ret; untouched on failure.  `why` names the option,
 * as a sentence for the sender.
 * CF_E_SYNTAX  not of the grammar, or an option or value that nobody knows
 * CF_E_POLICY  known, and not to be had in this version
 */
CF_MUST_USE enum cf_err cf_want_parse(const char *text,
    enum cf_want_place place, struct cf_want *ret, struct cf_why *why);
/* What `over` gives takes the place of what `want` has. */
void cf_want_inherit(struct cf_want *want, const struct cf_want *over);
/* Write what is given in the grammar of rules; "" when nothing is. */
void cf_want_format(const struct cf_want *want, struct cf_buf *ret);

#endif
