/* SPDX-License-Identifier: Apache-2.0 */
/* cf_flight - see flight.h. */
#include "milter/gateway/flight.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t landed = PTHREAD_COND_INITIALIZER;
static size_t count;
static bool stopping;

bool
cf_flight_begin(void)
{
	bool go;

	pthread_mutex_lock(&lock);
	go = !stopping;
	if (go)
		count++;
	pthread_mutex_unlock(&lock);
	return go;
}

void
cf_flight_end(void)
{
	pthread_mutex_lock(&lock);
	if (--count == 0)
		pthread_cond_broadcast(&landed);
	pthread_mutex_unlock(&lock);
}

size_t
cf_flight_stop(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	stopping = true;
	n = count;
	pthread_mutex_unlock(&lock);
	return n;
}

size_t
cf_flight_wait(int64_t ms)
{
	struct timespec until;
	size_t n;

	/* Not by the time of day, which may be set meanwhile. */
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	pthread_mutex_lock(&lock);
	while (count > 0 && pthread_cond_clockwait(&landed, &lock,
	    CLOCK_MONOTONIC, &until) != ETIMEDOUT)
		;
	n = count;
	pthread_mutex_unlock(&lock);
	return n;
}

size_t
cf_flight_count(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = count;
	pthread_mutex_unlock(&lock);
	return n;
}
