/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_budget - how much all peers together make us hold.
 *
 * Counts connections, messages, and bytes of headers and bodies, each against
 * a limit of the configuration.  What was taken must be given back.
 * Does not know: mail, libmilter.
 * Threads: safe.   Logging: never.
 */
#ifndef CF_MILTER_BUDGET_H
#define CF_MILTER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum cf_budget {
	CF_BUDGET_CONNECTIONS,
	CF_BUDGET_MESSAGES,
	CF_BUDGET_HEADERS,	/* bytes */
	CF_BUDGET_BODIES,	/* bytes */
	CF_BUDGET__COUNT
};

/* The option that limits it.  Lends: static. */
const char *cf_budget_option(enum cf_budget what);
/* The limit from now on; what is held stays.  0 is no limit. */
void cf_budget_set(enum cf_budget what, int64_t limit);
/* False: that would be too much, and nothing is taken. */
bool cf_budget_take(enum cf_budget what, int64_t amount);
void cf_budget_give(enum cf_budget what, int64_t amount);
int64_t cf_budget_held(enum cf_budget what);
/* How often it was too much, since the start. */
int64_t cf_budget_refused(enum cf_budget what);

#endif
