/* SPDX-License-Identifier: Apache-2.0 */
/* The key server's queue without its workers: places, and its end. */
#include "keysrv/queue.h"
#include "tests/unit/fixture.h"

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
	struct cf_queue *q = cf_queue_new(2, done);

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
	struct cf_queue *q = cf_queue_new(2, done);
	struct cf_req req = { .ep = &cf_ep_retrieve, .rc = CF_ERR__COUNT };

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_reserve_gives_as_many_places_as_there_are),
		cmocka_unit_test(t_push_answers_when_the_workers_have_gone),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
