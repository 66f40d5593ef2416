/* SPDX-License-Identifier: Apache-2.0 */
/* cf_queue - see queue.h. */
#include "keysrv/http/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/mem.h"
#include "keysrv/counts.h"
#include "keysrv/http/batch.h"
#include "keysrv/http/kind.h"

/* A client has given up by then; its key must not be released to nobody. */
#define WAIT_MAX_MS 25000
/*
 * The fewer batches, the less each request costs: a batch shares statements
 * and one commit.  So this many workers do one kind at a time, and what comes
 * meanwhile makes the next batch.  The second one begins when as many wait as
 * the first has taken: those who have just been answered ask again one by one,
 * and the first of them would be a batch of its own.  Another worker helps
 * when the line is long or when somebody has waited, be it for a lock or for a
 * slow disk.
 */
#define CALM_WORKERS 2
#define CROWD 64		/* requests */
#define PATIENCE_MS 20

struct line {
	const struct cf_kind *kind;
	struct cf_req *first, **last;
	size_t count;
	size_t running;			/* batches of this kind under way */
	size_t taken;			/* requests of the last batch */
};

/*
 * Each waits for a condition of its own: with several waiting for one, the
 * signal of the C library of Debian 12 may wake none (glibc bug 25847).
 */
struct worker {
	struct cf_queue *queue;
	struct cf_db *db;
	pthread_t thread;
	pthread_cond_t wake;		/* something waits, or all shall end */
	struct worker *next_idle;
};

struct cf_queue {
	pthread_mutex_t lock;
	struct line *line;		/* one a kind */
	size_t line_count;
	size_t limit;
	size_t reserved;		/* reserved, waiting or under way */
	uint64_t serial;
	bool stopping;
	bool watched;			/* a worker wakes up for patience */
	void (*done)(struct cf_req *);
	const struct cf_ks *ks;
	struct worker *worker;
	size_t worker_count;
	struct worker *idle;		/* who had work last is first */
};

struct cf_queue *
cf_queue_new(const struct cf_kind *const *kinds, size_t count, size_t limit,
    void (*done)(struct cf_req *))
{
	struct cf_queue *q = cf_calloc(1, sizeof *q);
	size_t i;

	pthread_mutex_init(&q->lock, NULL);
	q->line = cf_calloc(count, sizeof *q->line);
	q->line_count = count;
	for (i = 0; i < count; i++) {
		q->line[i].kind = kinds[i];
		q->line[i].last = &q->line[i].first;
	}
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
	pthread_mutex_destroy(&q->lock);
	free(q->line);
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

static bool
is_ready(const struct cf_queue *q, const struct line *l, int64_t now_ms)
{
	return l->first != NULL && (q->stopping || l->running == 0 ||
	    (l->running < CALM_WORKERS && l->count >= l->taken) ||
	    l->count >= CROWD ||
	    now_ms - l->first->queued_ms >= PATIENCE_MS);
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

/* One idle worker, if there is one: the others look before they wait. */
static void
wake_one(struct cf_queue *q)
{
	struct worker *w = q->idle;

	if (w == NULL)
		return;
	q->idle = w->next_idle;
	pthread_cond_signal(&w->wake);
}

static struct line *
line_of(struct cf_queue *q, const struct cf_kind *kind)
{
	size_t i;

	for (i = 0; i < q->line_count; i++)
		if (q->line[i].kind == kind)
			return &q->line[i];
	cf_bug("a request of a kind that the queue was not given");
}

/* A place was reserved; since then the workers may have gone. */
void
cf_queue_push(struct cf_queue *q, struct cf_req *req)
{
	struct line *line = line_of(q, req->kind);
	int64_t now = cf_clock_mono_ms();

	req->queued_ms = now;
	req->next = NULL;
	pthread_mutex_lock(&q->lock);
	if (q->stopping) {
		pthread_mutex_unlock(&q->lock);
		cf_req_fail(req, CF_E_BUSY, NULL);
		give_back(q, &req, 1);
		return;
	}
	req->serial = q->serial++;
	*line->last = req;
	line->last = &req->next;
	line->count++;
	if (!q->watched || is_ready(q, line, now))
		wake_one(q);
	pthread_mutex_unlock(&q->lock);
}

/* The ready line whose first request has waited longest, or NULL. */
static struct line *
oldest_ready(struct cf_queue *q, int64_t now_ms)
{
	struct line *best = NULL;
	size_t i;

	for (i = 0; i < q->line_count; i++) {
		struct line *l = &q->line[i];

		if (is_ready(q, l, now_ms) && (best == NULL ||
		    l->first->serial < best->first->serial))
			best = l;
	}
	return best;
}

/* When the oldest request was queued, or -1 if none waits. */
static int64_t
oldest_ms(const struct cf_queue *q)
{
	int64_t ms = -1;
	size_t i;

	for (i = 0; i < q->line_count; i++)
		if (q->line[i].first != NULL && (ms < 0 ||
		    q->line[i].first->queued_ms < ms))
			ms = q->line[i].first->queued_ms;
	return ms;
}

/* It woke by itself, or whoever woke it has taken it off already. */
static void
leave_idle(struct worker *w)
{
	struct worker **p;

	for (p = &w->queue->idle; *p != NULL; p = &(*p)->next_idle)
		if (*p == w) {
			*p = w->next_idle;
			return;
		}
}

/* Wait for a signal; one of the idle workers also wakes up for patience. */
static void
wait_for_work(struct worker *w)
{
	struct cf_queue *q = w->queue;
	int64_t until = oldest_ms(q);
	struct timespec ts;

	w->next_idle = q->idle;
	q->idle = w;
	if (until < 0 || q->watched) {
		pthread_cond_wait(&w->wake, &q->lock);
	} else {
		until += PATIENCE_MS;
		ts.tv_sec = until / 1000;
		ts.tv_nsec = until % 1000 * 1000000;
		q->watched = true;
		(void)pthread_cond_timedwait(&w->wake, &q->lock, &ts);
		q->watched = false;
	}
	leave_idle(w);
}

/*
 * The worker is done with `*line` (NULL: with nothing) and takes the next
 * batch.  Waits.  0 when the queue is stopping and empty.
 */
static size_t
take(struct worker *w, struct line **line, struct cf_req **batch,
    bool *ret_stopping)
{
	struct cf_queue *q = w->queue;
	struct line *l;
	size_t n = 0;

	pthread_mutex_lock(&q->lock);
	if (*line != NULL)
		(*line)->running--;
	while ((l = oldest_ready(q, cf_clock_mono_ms())) == NULL &&
	    !q->stopping)
		wait_for_work(w);
	while (l != NULL && l->first != NULL && n < CF_BATCH_MAX) {
		batch[n++] = l->first;
		l->first = l->first->next;
		l->count--;
	}
	if (l != NULL && l->first == NULL)
		l->last = &l->first;
	if (l != NULL) {
		l->running++;
		l->taken = n;
	}
	*line = l;
	/* For what still waits: somebody to do it, or to watch it. */
	if (oldest_ms(q) >= 0)
		wake_one(q);
	*ret_stopping = q->stopping;
	pthread_mutex_unlock(&q->lock);
	return n;
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
	struct line *line = NULL;
	bool stopping;
	size_t n;

	while ((n = take(w, &line, taken, &stopping)) > 0) {
		batch.count = refuse_stale(q, taken, n, stopping);
		if (batch.count == 0)
			continue;
		cf_counts_batch(q->ks->counts, line->kind, batch.count);
		cf_batch_do(&batch, line->kind);
		give_back(q, taken, batch.count);
	}
	return NULL;
}

static enum cf_err
start_worker(struct worker *w, const struct cf_db_options *options,
    struct cf_why *why)
{
	pthread_condattr_t attr;
	enum cf_err rc;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	w->db = cf_db_new(options);
	rc = cf_db_connect(w->db, why);
	if (rc == CF_OK && pthread_create(&w->thread, NULL, work, w) != 0)
		rc = cf_fail(CF_E_INTERNAL, why, "no thread");
	if (rc != CF_OK) {
		pthread_cond_destroy(&w->wake);
		cf_db_free(&w->db);
	}
	return rc;
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
		rc = start_worker(&q->worker[i], &options, why);
		if (rc == CF_OK)
			q->worker_count++;
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
	while (q->idle != NULL)
		wake_one(q);
	pthread_mutex_unlock(&q->lock);
	for (i = 0; i < q->worker_count; i++) {
		pthread_join(q->worker[i].thread, NULL);
		pthread_cond_destroy(&q->worker[i].wake);
		cf_db_free(&q->worker[i].db);
	}
	q->worker_count = 0;
}
