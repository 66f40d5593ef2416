/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_health - can a key be issued and released just now?
 *
 * A thread with a connection of its own writes and commits every few seconds,
 * and whenever somebody asks.  It looks at the database's clock and room on
 * its disk, too, and at the master keys.  A commit that hangs is waited for
 * on that one connection, so that no sessions pile up; meanwhile all who ask
 * are told at once, and nobody else begins a commit that would hang as well.
 * Knows: what makes a server ready.   Does not know: SQL (db_upkeep.h).
 * Threads: safe.   Logging: when it becomes ready, or not, and why.
 */
#ifndef CF_KEYSRV_HEALTH_H
#define CF_KEYSRV_HEALTH_H

#include <stdbool.h>

#include "common/err.h"
#include "keysrv/http/request.h"

struct cf_health;

/*
 * Look for the first time, then start the thread.  A database that does not
 * answer is no failure.  `done` gives a request back to its HTTP thread.
 * Gives *ret; end with cf_health_stop() and cf_health_free().
 *
 * CF_E_CLOCK  our clock and the database's are too far apart
 */
CF_MUST_USE enum cf_err cf_health_start(const struct cf_ks *ks,
    void (*done)(struct cf_req *), struct cf_health **ret,
    struct cf_why *why);
/* End the thread; whoever asks from here on is told no. */
void cf_health_stop(struct cf_health *health);
void cf_health_free(struct cf_health **health);

/* Answer `req` after a look that begins now, or at once if one hangs. */
void cf_health_ask(struct cf_health *health, struct cf_req *req);
/* To be called every second or so: tells who waits for a look that hangs. */
void cf_health_tick(struct cf_health *health);

/*
 * May a transaction that writes be begun?
 * CF_E_DATABASE  commits hang;  CF_E_CLOCK  no time can be recorded
 */
CF_MUST_USE enum cf_err cf_health_may_write(struct cf_health *health);
/* What became of one. */
void cf_health_wrote(struct cf_health *health, bool ok);

#endif
