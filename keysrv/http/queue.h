/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_queue - requests that wait for a worker, and the workers.
 *
 * Bounded: a place is reserved before the HTTP thread lets go of a request.
 * Each worker has one database connection and takes everything of one kind
 * that waits, up to CF_BATCH_MAX, oldest kind first.  Two workers do a kind
 * at a time, the second when it has as much to do as the first, and more only
 * when it is long in coming; so batches stay large.
 * Threads: safe.   Logging: never.
 */
#ifndef CF_KEYSRV_QUEUE_H
#define CF_KEYSRV_QUEUE_H

#include <stdbool.h>

#include "common/err.h"
#include "keysrv/http/request.h"

struct cf_queue;

/*
 * For requests of these kinds, `limit` at a time.  `done` gives a request back
 * to its HTTP thread; called by workers, and by cf_queue_push() when they have
 * ended.
 */
struct cf_queue *cf_queue_new(const struct cf_kind *const *kinds,
    size_t count, size_t limit, void (*done)(struct cf_req *));
void cf_queue_free(struct cf_queue **queue);

/* One place in the queue, or false when it is full. */
bool cf_queue_reserve(struct cf_queue *queue);
/* Put a request into a reserved place.  A queue that stops answers 503. */
void cf_queue_push(struct cf_queue *queue, struct cf_req *req);

/* Start `count` workers; their connections are made first. */
CF_MUST_USE enum cf_err cf_queue_start(struct cf_queue *queue,
    const struct cf_ks *ks, size_t count, struct cf_why *why);
/* Answer what still waits with 503, end the workers. */
void cf_queue_stop(struct cf_queue *queue);

#endif
