/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_quota - what may be written about one key in an hour.
 *
 * Refusals are events up to a number, then they are counted; those of people
 * who hold the sealed message have a number of their own, so that nobody can
 * use it up for them.  Releases after the first are many, then few: see
 * cf_quota_is_spent().
 * The hour begins with what is counted first.  No answer but that of a
 * release beyond the number depends on it.
 *
 * Does not know: where the counts are kept (key_state), under whose lock.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_QUOTA_H
#define CF_KEYSRV_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#define CF_QUOTA_REFUSED 20	/* events a key and hour */
#define CF_QUOTA_HELD 60	/* the same, with the sealed message */
#define CF_QUOTA_RELEASED 60	/* releases a key and hour */

struct cf_quota {
	int64_t hour_at_ms;	/* -1: nothing is counted */
	int64_t refused, held, more, released;
};

/* Refusals of an hour that is over, for one event. */
struct cf_quota_rest {
	int64_t since_ms, count;
};

/*
 * To be asked first: if the hour is over, all counts begin anew.  True: and
 * *ret is to be recorded.
 */
bool cf_quota_turn(struct cf_quota *quota, int64_t now_ms,
    struct cf_quota_rest *ret);
/* Count a refusal; `held`: to a holder.  True: it is an event of its own. */
bool cf_quota_refuse(struct cf_quota *quota, bool held, int64_t now_ms);
/*
 * Have there been so many releases that a network gets no second one?  One
 * that had none in this hour gets its own all the same.
 */
bool cf_quota_is_spent(const struct cf_quota *quota);
/* Count a release that is not the first of the key. */
void cf_quota_release(struct cf_quota *quota, int64_t now_ms);
/* Seconds until the hour is over, at least 1. */
int64_t cf_quota_wait_s(const struct cf_quota *quota, int64_t now_ms);

#endif
