/* SPDX-License-Identifier: Apache-2.0 */
/* cf_queue - see queue.h. */
#include "keysrv/queue.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/mem.h"

/* A client has given up by then; its key must not be released to nobody. */
#define WAIT_MAX_MS 25000

static void (*const run_kind[CF_KIND__COUNT])(struct cf_batch *) = {
	[CF_KIND_ISSUE] = cf_issue_batch,
	[CF_KIND_READ] = cf_read_batch,
	[CF_KIND_STATUS] = cf_status_batch,
	[CF_KIND_RETRIEVE] = cf_release_batch,
	[CF_KIND_OPEN] = cf_opening_batch,
};

struct line {
	struct cf_req *first, **last;
};

struct worker {
	struct cf_queue *queue;
	struct cf_db *db;
	pthread_t thread;
};

struct cf_queue {
	pthread_mutex_t lock;
	pthread_cond_t work;		/* something waits, or all shall end */
	struct line line[CF_KIND__COUNT];
	size_t limit;
	size_t reserved;		/* reserved, waiting or under way */
	uint64_t serial;
	bool stopping;
	void (*done)(struct cf_req *);
	const struct cf_ks *ks;
	struct worker *worker;
	size_t worker_count;
};

struct cf_queue *
cf_queue_new(size_t limit, void (*done)(struct cf_req *))
{
	struct cf_queue *q = cf_calloc(1, sizeof *q);
	int i;

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	for (i = 0; i < CF_KIND__COUNT; i++)
		q->line[i].last = &q->line[i].first;
	q->limit = limit;
	q->done = done;
	return q;
}

void
cf_queue_free(struct cf_queue **queue)
{
	struct cf_queue *q = *queue;

	if (q == NULL)
		return;
	pthread_cond_destroy(&q->work);
	pthread_mutex_destroy(&q->lock);
	free(q->worker);
	free(q);
	*queue = NULL;
}

bool
cf_queue_reserve(struct cf_queue *q)
{
	bool ok;

	pthread_mutex_lock(&q->lock);
	ok = q->reserved < q->limit && !q->stopping;
	if (ok)
		q->reserved++;
	pthread_mutex_unlock(&q->lock);
	return ok;
}

void
cf_queue_push(struct cf_queue *q, struct cf_req *req)
{
	struct line *line = &q->line[req->ep->kind];

	req->queued_ms = cf_clock_mono_ms();
	req->next = NULL;
	pthread_mutex_lock(&q->lock);
	req->serial = q->serial++;
	*line->last = req;
	line->last = &req->next;
	pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
}

/* The line whose first request has waited longest; NULL if all are empty. */
static struct line *
oldest_line(struct cf_queue *q)
{
	struct line *best = NULL;
	int i;

	for (i = 0; i < CF_KIND__COUNT; i++) {
		struct line *l = &q->line[i];

		if (l->first != NULL && (best == NULL ||
		    l->first->serial < best->first->serial))
			best = l;
	}
	return best;
}

/* Waits.  0 when the queue is stopping and empty. */
static size_t
take(struct cf_queue *q, struct cf_req **batch, bool *ret_stopping)
{
	struct line *line;
	size_t n = 0;

	pthread_mutex_lock(&q->lock);
	while ((line = oldest_line(q)) == NULL && !q->stopping)
		pthread_cond_wait(&q->work, &q->lock);
	while (line != NULL && line->first != NULL && n < CF_BATCH_MAX) {
		batch[n++] = line->first;
		line->first = line->first->next;
	}
	if (line != NULL && line->first == NULL)
		line->last = &line->first;
	*ret_stopping = q->stopping;
	pthread_mutex_unlock(&q->lock);
	return n;
}

static void
give_back(struct cf_queue *q, struct cf_req **batch, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		q->done(batch[i]);
	pthread_mutex_lock(&q->lock);
	q->reserved -= n;
	pthread_mutex_unlock(&q->lock);
}

/* Requests that have waited too long are answered without being done. */
static size_t
refuse_stale(struct cf_queue *q, struct cf_req **batch, size_t n,
    bool stopping)
{
	int64_t now = cf_clock_mono_ms();
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		if (now - batch[i]->queued_ms <= WAIT_MAX_MS && !stopping) {
			batch[kept++] = batch[i];
			continue;
		}
		cf_req_fail(batch[i], CF_E_BUSY, NULL);
		give_back(q, &batch[i], 1);
	}
	return kept;
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct cf_queue *q = w->queue;
	struct cf_req *taken[CF_BATCH_MAX];
	struct cf_batch batch = { q->ks, w->db, taken, 0 };
	bool stopping;
	size_t n;

	while ((n = take(q, taken, &stopping)) > 0) {
		batch.count = refuse_stale(q, taken, n, stopping);
		if (batch.count == 0)
			continue;
		run_kind[taken[0]->ep->kind](&batch);
		give_back(q, taken, batch.count);
	}
	return NULL;
}

enum cf_err
cf_queue_start(struct cf_queue *q, const struct cf_ks *ks, size_t count,
    struct cf_why *why)
{
	const struct cf_db_options options = {
		.conninfo = ks->settings->database,
		.role = "counterfoil_keysrv",
		.unsafe_database = ks->settings->unsafe_database,
	};
	enum cf_err rc = CF_OK;
	size_t i;

	q->ks = ks;
	q->worker = cf_calloc(count, sizeof *q->worker);
	for (i = 0; i < count && rc == CF_OK; i++) {
		q->worker[i].queue = q;
		q->worker[i].db = cf_db_new(&options);
		rc = cf_db_connect(q->worker[i].db, why);
		if (rc == CF_OK && pthread_create(&q->worker[i].thread, NULL,
		    work, &q->worker[i]) != 0)
			rc = cf_fail(CF_E_INTERNAL, why, "no thread");
		if (rc == CF_OK)
			q->worker_count++;
		else
			cf_db_free(&q->worker[i].db);
	}
	if (rc != CF_OK)
		cf_queue_stop(q);
	return rc;
}

void
cf_queue_stop(struct cf_queue *q)
{
	size_t i;

	pthread_mutex_lock(&q->lock);
	q->stopping = true;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (i = 0; i < q->worker_count; i++) {
		pthread_join(q->worker[i].thread, NULL);
		cf_db_free(&q->worker[i].db);
	}
	q->worker_count = 0;
}
