/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_slots - how much of one kind of work may be under way at a time, and the
 * sign of life that a mail server wants while it waits.
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
	int64_t began_ms, nudge_ms;	/* the first and the next nudge */
	bool gone;
};

/*
 * Tell when it is time (every 3 s).  Call at least every 2 s.
 *
 * It nudges, too, from the first call on, at intervals that grow: libmilter's
 * pool hands a session to a worker by a condition variable and goes by a
 * count of idle workers that only falls when one has woken.  Two sessions
 * that become ready together wake one worker, and the other session is served
 * when some worker ends its task.  One that waits long for the key server
 * therefore makes the pool look again.
 */
bool cf_progress_tick(struct cf_progress *progress);

enum cf_slots {
	CF_SLOTS_KEY_REQUESTS,
	CF_SLOTS_LARGE_INBOUND,	/* messages that lie in memory whole */
	CF_SLOTS__COUNT
};

/*
 * Take one of `max` slots; wait for one until `deadline_ms` (monotonic).
 * False: none came free, or the mail server is gone.
 */
bool cf_slots_take(enum cf_slots kind, long max, int64_t deadline_ms,
    struct cf_progress *progress);
void cf_slots_give(enum cf_slots kind);
/* How many are taken. */
long cf_slots_taken(enum cf_slots kind);

#endif
