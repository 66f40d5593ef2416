/* SPDX-License-Identifier: Apache-2.0 */
/* cf_clock - see clock.h. */
#include "common/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t fixed_ms = -1;

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
cf_clock_ms(void)
{
	int64_t ms = atomic_load(&fixed_ms);

	return ms >= 0 ? ms : read_clock(CLOCK_REALTIME);
}

int64_t
cf_clock_mono_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void
cf_clock_set_ms(int64_t ms)
{
	atomic_store(&fixed_ms, ms);
}

static void
split(int64_t ms, struct tm *tm, unsigned *milli)
{
	time_t s = (time_t)(ms / 1000);

	*milli = (unsigned)(ms % 1000);
	gmtime_r(&s, tm);
}

void
cf_clock_format(int64_t ms, char out[CF_TIME_LEN + 1])
{
	struct tm tm;
	unsigned milli;
	char day[sizeof "2026-11-23T13:35:00"];

	split(ms, &tm, &milli);
	if (strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		day[0] = '\0';
	(void)snprintf(out, CF_TIME_LEN + 1, "%s.%03uZ", day, milli % 1000);
}

bool
cf_clock_parse(const char *text, int64_t *ret_ms)
{
	char again[CF_TIME_LEN + 1];
	struct tm tm = { 0 };
	unsigned milli;
	int64_t ms;
	int used = 0;

	if (strlen(text) != CF_TIME_LEN ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ%n", &tm.tm_year,
	    &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
	    &milli, &used) != 7 || used != CF_TIME_LEN || tm.tm_year < 1970)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	ms = (int64_t)timegm(&tm) * 1000 + milli;
	/* timegm() mends 31 February; writing it again shows that it did. */
	cf_clock_format(ms, again);
	if (strcmp(again, text) != 0)
		return false;
	*ret_ms = ms;
	return true;
}

/* Not strftime(): %a and %b follow the locale, RFC 5322 does not. */
void
cf_clock_format_mail(int64_t ms, char out[32])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm;
	unsigned milli;

	split(ms, &tm, &milli);
	(void)snprintf(out, 32, "%.3s, %02u %.3s %04u %02u:%02u:%02u +0000",
	    days + tm.tm_wday * 3, (unsigned)tm.tm_mday % 100,
	    months + tm.tm_mon * 3, (unsigned)(tm.tm_year + 1900) % 10000,
	    (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
	    (unsigned)tm.tm_sec % 100);
}
