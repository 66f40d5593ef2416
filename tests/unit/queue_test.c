/* SPDX-License-Identifier: Apache-2.0 */
/* The key server's queue: places, workers that wake up, and its end. */
#include "keysrv/http/queue.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "keysrv/http/batch.h"
#include "keysrv/http/kind.h"
#include "tests/unit/fixture.h"

static void
say_yes(struct cf_batch *batch)
{
	size_t i;

	for (i = 0; i < batch->count; i++)
		batch->req[i]->rc = batch->req[i]->kind->run == say_yes
		    ? CF_OK : CF_E_INTERNAL;
}

static void
say_no(struct cf_batch *batch)
{
	size_t i;

	for (i = 0; i < batch->count; i++)
		batch->req[i]->rc = batch->req[i]->kind->run == say_no
		    ? CF_E_REVOKED : CF_E_INTERNAL;
}

static const struct cf_kind good = { .name = "good", .run = say_yes };
static const struct cf_kind bad = { .name = "bad", .run = say_no };
static const struct cf_kind *const kinds[] = { &good, &bad };
#define KINDS (sizeof kinds / sizeof kinds[0])

static struct cf_req *given_back;
static size_t times;

static void
done(struct cf_req *req)
{
	given_back = req;
	times++;
}

static void
t_reserve_gives_as_many_places_as_there_are(void **state)
{
	struct cf_queue *q = cf_queue_new(kinds, KINDS, 2, done);

	(void)state;
	assert_true(cf_queue_reserve(q));
	assert_true(cf_queue_reserve(q));
	assert_false(cf_queue_reserve(q));
	cf_queue_free(&q);
	assert_null(q);
}

/* Between its place and the queue, the workers ended. */
static void
t_push_answers_when_the_workers_have_gone(void **state)
{
	struct cf_queue *q = cf_queue_new(kinds, KINDS, 2, done);
	struct cf_req req = { .kind = &good, .rc = CF_ERR__COUNT };

	(void)state;
	times = 0;
	assert_true(cf_queue_reserve(q));
	cf_queue_stop(q);
	cf_queue_push(q, &req);
	assert_int_equal(times, 1);
	assert_ptr_equal(given_back, &req);
	assert_int_equal(req.rc, CF_E_BUSY);
	assert_false(cf_queue_reserve(q));
	cf_queue_free(&q);
}

/* ---- workers, without a database ---- */

enum cf_err __wrap_cf_db_connect(struct cf_db *db, struct cf_why *why);

enum cf_err
__wrap_cf_db_connect(struct cf_db *db, struct cf_why *why)
{
	(void)db;
	(void)why;
	return CF_OK;
}

#define CLIENTS 6
#define ROUNDS 3000
#define WORKERS 8

struct client {
	struct cf_req req;	/* first: done() gets it */
	struct cf_queue *queue;
	sem_t answered;
	atomic_bool lost;
};

static void
wake_client(struct cf_req *req)
{
	sem_post(&((struct client *)req)->answered);
}

/* One request after the other; nobody else may have to wake the worker. */
static void *
ask(void *arg)
{
	struct client *c = arg;
	struct timespec until;
	int i;

	for (i = 0; i < ROUNDS && !c->lost; i++) {
		c->req.kind = kinds[i % KINDS];
		c->req.rc = CF_ERR__COUNT;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += 60;
		if (!cf_queue_reserve(c->queue)) {
			c->lost = true;
			break;
		}
		cf_queue_push(c->queue, &c->req);
		if (sem_clockwait(&c->answered, CLOCK_MONOTONIC, &until) != 0 ||
		    c->req.rc != (c->req.kind == &good ? CF_OK : CF_E_REVOKED))
			c->lost = true;
	}
	return NULL;
}

static void
t_workers_wake_for_every_request(void **state)
{
	struct cf_settings settings = { 0 };
	struct cf_ks ks = { .settings = &settings };
	struct cf_queue *q = cf_queue_new(kinds, KINDS, 1000, wake_client);
	static struct client client[CLIENTS];
	pthread_t thread[CLIENTS];
	int i;

	(void)state;
	assert_int_equal(cf_queue_start(q, &ks, WORKERS, NULL), CF_OK);
	for (i = 0; i < CLIENTS; i++) {
		client[i].queue = q;
		sem_init(&client[i].answered, 0, 0);
		assert_int_equal(pthread_create(&thread[i], NULL, ask,
		    &client[i]), 0);
	}
	for (i = 0; i < CLIENTS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < CLIENTS; i++)
		assert_false(client[i].lost);
	cf_queue_stop(q);
	cf_queue_free(&q);
}

/* ---- when the second worker begins ---- */

#define FEW 4

static sem_t begun, may_end;
static size_t sizes[2];		/* of the batches, as they began */
static atomic_size_t batches;

static void
hold(struct cf_batch *batch)
{
	size_t i, n = atomic_fetch_add(&batches, 1);

	for (i = 0; i < batch->count; i++)
		batch->req[i]->rc = CF_OK;
	if (n < 2)
		sizes[n] = batch->count;
	sem_post(&begun);
	while (sem_wait(&may_end) != 0)
		;
	sem_post(&may_end);
}

static const struct cf_kind slow = { .name = "slow", .run = hold };
static const struct cf_kind *const slow_kinds[] = { &slow };

static void
ignore(struct cf_req *req)
{
	(void)req;
}

static void
push(struct cf_queue *q, struct cf_req *req, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		req[i] = (struct cf_req){ .kind = &slow, .rc = CF_ERR__COUNT };
		assert_true(cf_queue_reserve(q));
		cf_queue_push(q, &req[i]);
	}
}

static bool
has_begun(int64_t limit_ms)
{
	int64_t until_ms = cf_clock_mono_ms() + limit_ms;
	const struct timespec until = { until_ms / 1000,
	    until_ms % 1000 * 1000000 };

	return sem_clockwait(&begun, CLOCK_MONOTONIC, &until) == 0;
}

/* One batch is under way, and as many come again; false: too slowly. */
static bool
second_batch_is_as_large(void)
{
	struct cf_settings settings = { 0 };
	struct cf_ks ks = { .settings = &settings };
	struct cf_queue *q = cf_queue_new(slow_kinds, 1, 100, ignore);
	struct cf_req first[FEW], second[FEW];
	int64_t began_ms;
	bool in_time;

	batches = 0;
	sem_init(&begun, 0, 0);
	sem_init(&may_end, 0, 0);
	push(q, first, FEW);
	assert_int_equal(cf_queue_start(q, &ks, WORKERS, NULL), CF_OK);
	assert_true(has_begun(60000));
	began_ms = cf_clock_mono_ms();
	push(q, second, FEW - 1);
	if (!has_begun(10)) {
		push(q, second + FEW - 1, 1);
		assert_true(has_begun(60000));
	}
	/* Nobody had waited so long that a worker came for that. */
	in_time = cf_clock_mono_ms() - began_ms < 20;
	sem_post(&may_end);
	cf_queue_stop(q);
	cf_queue_free(&q);
	assert_int_equal(sizes[0], FEW);
	if (in_time)
		assert_int_equal(sizes[1], FEW);
	return in_time;
}

static void
t_second_worker_begins_with_as_many_as_the_first(void **state)
{
	int tries;

	(void)state;
	for (tries = 0; !second_batch_is_as_large(); tries++)
		assert_in_range(tries, 0, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_reserve_gives_as_many_places_as_there_are),
		cmocka_unit_test(t_push_answers_when_the_workers_have_gone),
		cmocka_unit_test(t_workers_wake_for_every_request),
		cmocka_unit_test(
		    t_second_worker_begins_with_as_many_as_the_first),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
