/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_metrics - what the milter has done, counted for a monitoring system.
 *
 * Counters live from start to end of the process and only grow.  Labels come
 * from the program and its configuration, never from mail, so their number
 * is bounded.
 * Does not know: HTTP, libmilter.
 * Threads: safe.   Logging: never.
 */
#ifndef CF_MILTER_METRICS_H
#define CF_MILTER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

/* Remember when the process began. */
void cf_metrics_begin(void);
/*
 * One message ended so.  Both words are static; they are what the log line
 * has.  Bytes as there.
 */
void cf_metrics_message(const char *verdict, const char *cause,
    uint64_t bytes_in, uint64_t bytes_out);
/* One request to a key server, by the URL in the configuration. */
void cf_metrics_key_request(const char *server, enum cf_err result,
    int64_t ms);
void cf_metrics_reload(bool good);
/* A connection of a mail server came. */
void cf_metrics_connection(void);
/* For cf_metrics_serve(); `arg` is not used. */
CF_MUST_USE enum cf_err cf_metrics_write(void *arg, struct cf_buf *out);

#endif
