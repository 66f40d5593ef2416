/* SPDX-License-Identifier: Apache-2.0 */
/* cf_slots - see slots.h. */
#include "milter/gateway/slots.h"

#include <pthread.h>
#include <time.h>

#include "common/clock.h"
#include "milter/gateway/sock.h"

#define TELL_EVERY_MS 3000
#define WAIT_MS 1000
#define NUDGE_MIN_MS 10		/* between two */
#define NUDGE_MAX_MS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	pthread_cond_t freed;
	long taken;
} slots[CF_SLOTS__COUNT] = {
	{ PTHREAD_COND_INITIALIZER, 0 },
	{ PTHREAD_COND_INITIALIZER, 0 },
};

/* The longer this lasts, the less often. */
static void
nudge(struct cf_progress *progress, int64_t now)
{
	int64_t pause = now - progress->began_ms;

	if (progress->began_ms == 0) {
		progress->began_ms = now;
		pause = NUDGE_MIN_MS;
	} else if (now < progress->nudge_ms) {
		return;
	}
	progress->nudge_ms = now + (pause < NUDGE_MAX_MS ? pause :
	    NUDGE_MAX_MS);
	cf_sock_nudge();
}

bool
cf_progress_tick(struct cf_progress *progress)
{
	int64_t now = cf_clock_mono_ms();

	nudge(progress, now);
	if (now - progress->last_ms >= TELL_EVERY_MS) {
		progress->last_ms = now;
		if (!progress->tell(progress->arg))
			progress->gone = true;
	}
	return !progress->gone;
}

/* One wait of at most WAIT_MS, whatever is done to the time of day. */
static void
wait_a_moment(enum cf_slots kind)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_MS / 1000;
	pthread_cond_clockwait(&slots[kind].freed, &lock, CLOCK_MONOTONIC,
	    &until);
}

bool
cf_slots_take(enum cf_slots kind, long max, int64_t deadline_ms,
    struct cf_progress *progress)
{
	bool alive = true;

	pthread_mutex_lock(&lock);
	while (slots[kind].taken >= max && alive &&
	    cf_clock_mono_ms() < deadline_ms) {
		wait_a_moment(kind);
		pthread_mutex_unlock(&lock);
		alive = cf_progress_tick(progress);
		pthread_mutex_lock(&lock);
	}
	alive = alive && slots[kind].taken < max;
	if (alive)
		slots[kind].taken++;
	pthread_mutex_unlock(&lock);
	return alive;
}

void
cf_slots_give(enum cf_slots kind)
{
	pthread_mutex_lock(&lock);
	slots[kind].taken--;
	pthread_cond_signal(&slots[kind].freed);
	pthread_mutex_unlock(&lock);
}

long
cf_slots_taken(enum cf_slots kind)
{
	long n;

	pthread_mutex_lock(&lock);
	n = slots[kind].taken;
	pthread_mutex_unlock(&lock);
	return n;
}
