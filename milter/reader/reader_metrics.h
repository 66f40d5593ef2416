/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_reader_metrics - what the reader has done, counted for a monitoring
 * system.
 *
 * Labels are words of the program: no address, no name of a message.
 * Threads: safe.   Logging: never.
 */
#ifndef CF_MILTER_READER_METRICS_H
#define CF_MILTER_READER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct cf_reader_metrics;

/* Remembers when the process began.  Gives. */
struct cf_reader_metrics *cf_reader_metrics_new(void);
void cf_reader_metrics_free(struct cf_reader_metrics **metrics);
/* One request; both words are static. */
void cf_reader_metrics_request(struct cf_reader_metrics *metrics,
    const char *endpoint, const char *result);
void cf_reader_metrics_reload(struct cf_reader_metrics *metrics, bool good);
/* The end of this PEM file's certificate; NULL: there is none. */
void cf_reader_metrics_certificate(struct cf_reader_metrics *metrics,
    const char *path);
/* For cf_metrics_serve(); `metrics` is one. */
CF_MUST_USE enum cf_err cf_reader_metrics_write(void *metrics,
    struct cf_buf *out);

#endif
