/* SPDX-License-Identifier: Apache-2.0 */
/* cf_tend - see tend.h. */
#include "milter/gateway/tend.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "milter/gateway/snapshot.h"
#include "milter/store/room.h"
#include "milter/store/sweep.h"

/* Between two passes; a long one has a longer pause behind it. */
#define PAUSE_MS (15 * 60 * 1000)
#define PAUSE_FACTOR 10
/* Of the time of a pass, the disk has so much for others. */
#define REST_FACTOR 3

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool running, stopping, woken;
static pthread_t thread;

/* Gives whether to go on: false when it is to stop or to begin anew. */
static bool
pause_for(int64_t ms)
{
	struct timespec until;
	bool go_on;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	while (!stopping && !woken && ms > 0 && pthread_cond_clockwait(
	    &changed, &lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
		;
	go_on = !stopping && !woken;
	pthread_mutex_unlock(&lock);
	return go_on;
}

static bool
rest(void *arg, int64_t took_ms)
{
	(void)arg;
	return pause_for(took_ms * REST_FACTOR);
}

static void
tend_tell(const struct cf_mconf *conf, const struct cf_sweep_tally *tally)
{
	if (tally->removed > 0)
		cf_log(CF_LOG_INFO, "removed %zu sealed messages from %s whose "
		    "time was over", tally->removed, conf->store_directory);
	if (tally->failed > 0)
		cf_log(CF_LOG_WARN, "%zu sealed messages in %s, whose time is "
		    "over, cannot be removed: %s; do they belong to the "
		    "milter's user?", tally->failed, conf->store_directory,
		    strerrordesc_np(tally->last_errno));
	cf_log(CF_LOG_DEBUG, "%s has %lld sealed messages, %lld bytes",
	    conf->store_directory, (long long)tally->messages,
	    (long long)tally->bytes);
}

static void
tend_pass(void)
{
	struct cf_snapshot *s = cf_snapshot_get();
	int64_t mark = cf_room_mark();
	struct cf_sweep_tally tally;

	if (cf_sweep_messages(s->conf.store_directory, s->conf.store_keep_s,
	    rest, NULL, &tally)) {
		tend_tell(&s->conf, &tally);
		cf_room_counted(&s->conf, mark, tally.messages, tally.bytes);
	}
	cf_snapshot_put(&s);
}

/* Gives whether to do it again. */
static bool
wait_for_next(int64_t took_ms)
{
	int64_t ms = took_ms * PAUSE_FACTOR;
	bool again;

	(void)pause_for(ms > PAUSE_MS ? ms : PAUSE_MS);
	pthread_mutex_lock(&lock);
	woken = false;
	again = !stopping;
	pthread_mutex_unlock(&lock);
	return again;
}

static void *
tend_run(void *arg)
{
	int64_t began;

	(void)arg;
	do {
		began = cf_clock_mono_ms();
		tend_pass();
	} while (wait_for_next(cf_clock_mono_ms() - began));
	return NULL;
}

enum cf_err
cf_tend_start(struct cf_why *why)
{
	if (pthread_create(&thread, NULL, tend_run, NULL) != 0)
		return cf_fail(CF_E_INTERNAL, why, "no thread can be made");
	running = true;
	return CF_OK;
}

void
cf_tend_wake(void)
{
	pthread_mutex_lock(&lock);
	woken = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

void
cf_tend_stop(void)
{
	if (!running)
		return;
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	(void)pthread_join(thread, NULL);
	running = false;
}
