/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_flight - the messages under way, and the end of new ones at a stop.
 *
 * Threads: safe.   Logging: never.
 */
#ifndef CF_MILTER_FLIGHT_H
#define CF_MILTER_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message begins.  False: the program is stopping, take no new ones. */
bool cf_flight_begin(void);
void cf_flight_end(void);
/* Take no new ones from now on; how many are under way. */
size_t cf_flight_stop(void);
/* Wait at most `ms` for the last one; how many are left. */
size_t cf_flight_wait(int64_t ms);
/* How many are under way. */
size_t cf_flight_count(void);

#endif
