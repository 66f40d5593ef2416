/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_slots - how many key requests may be under way at a time, and the sign
 * of life that a mail server wants while it waits.
 *
 * Threads: safe.   Logging: never.
 */
#ifndef CF_MILTER_SLOTS_H
#define CF_MILTER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What keeps the mail server patient at the end of a message.  `tell` sends
 * one sign of life; false: the server is gone.
 */
struct cf_progress {
	bool (*tell)(void *arg);
	void *arg;
	int64_t last_ms;	/* monotonic; when it was last told */
	bool gone;
};

/* Tell when it is time (every 3 s).  Call at least every 2 s. */
bool cf_progress_tick(struct cf_progress *progress);

/*
 * Take one of `max` slots; wait for one until `deadline_ms` (monotonic).
 * False: none came free, or the mail server is gone.
 */
bool cf_slots_take(long max, int64_t deadline_ms,
    struct cf_progress *progress);
void cf_slots_give(void);
/* How many are taken. */
long cf_slots_taken(void);

#endif
