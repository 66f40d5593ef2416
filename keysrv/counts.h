/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_counts - what the key server has done and how it stands, for a
 * monitoring system.
 *
 * Counters live as long as the process and only grow.  Labels are words of
 * the program: no account, no address, no handle.
 * Threads: safe.  Each takes NULL and does nothing.   Logging: never.
 */
#ifndef CF_KEYSRV_COUNTS_H
#define CF_KEYSRV_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "keysrv/http/endpoint.h"

struct cf_counts;

/* Remembers when the process began.  Gives. */
struct cf_counts *cf_counts_new(void);
void cf_counts_free(struct cf_counts **counts);
/* One answer; `ep` is NULL where no endpoint was found. */
void cf_counts_request(struct cf_counts *counts,
    const struct cf_endpoint *ep, enum cf_err result);
/* So many requests of a kind that a worker took together. */
void cf_counts_batch(struct cf_counts *counts,
    const struct cf_kind *kind, size_t requests);
/* A transaction that failed, or of which it is not known. */
void cf_counts_failed(struct cf_counts *counts, enum cf_err rc);
/* An attempt to send a receipt: "sent", "waits" or "undeliverable". */
void cf_counts_receipt(struct cf_counts *counts, const char *outcome);
/*
 * Since when the oldest receipt that waits is due, in clock.h's milliseconds;
 * negative: none waits.
 */
void cf_counts_outbox(struct cf_counts *counts, int64_t due_ms);
void cf_counts_reload(struct cf_counts *counts, bool good);
/* Read when these PEM files' certificates end; NULL: there is none. */
void cf_counts_certificates(struct cf_counts *counts, const char *tls,
    const char *signer);
/* For cf_metrics_serve(); `counts` are such. */
CF_MUST_USE enum cf_err cf_counts_write(void *counts, struct cf_buf *out);

#endif
