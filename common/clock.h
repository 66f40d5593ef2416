/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_clock - the time, behind a function, and its one text form.
 *
 * Milliseconds since 1970-01-01 UTC.  Tests call cf_clock_set_ms(); nothing
 * else does.   Threads: safe.
 */
#ifndef CF_COMMON_CLOCK_H
#define CF_COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CF_TIME_LEN 24	/* 2026-11-23T13:35:00.123Z, without the NUL */

int64_t cf_clock_ms(void);		/* wall clock */
int64_t cf_clock_mono_ms(void);		/* for durations; never set back */
void cf_clock_set_ms(int64_t ms);	/* tests; negative = real clock again */
/* RFC 3339, UTC, milliseconds.  `out` takes CF_TIME_LEN + 1 bytes. */
void cf_clock_format(int64_t ms, char out[CF_TIME_LEN + 1]);
/* Strictly that form (years 1970 to 9999). */
bool cf_clock_parse(const char *text, int64_t *ret_ms);
/* RFC 5322 date-time, e.g. "Mon, 23 Nov 2026 13:35:00 +0000".  32 bytes. */
void cf_clock_format_mail(int64_t ms, char out[32]);

#endif
