/* SPDX-License-Identifier: Apache-2.0 */
/* What is written about a key in an hour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keysrv/key/quota.h"

#define NOW INT64_C(1796000000000)
#define HOUR (3600 * INT64_C(1000))

static const struct cf_quota nothing = { .hour_at_ms = -1 };

static void
t_refusals_are_events_up_to_a_number(void **state)
{
	struct cf_quota q = nothing;
	int i;

	(void)state;
	for (i = 0; i < CF_QUOTA_REFUSED; i++)
		assert_true(cf_quota_refuse(&q, false, NOW + i));
	assert_false(cf_quota_refuse(&q, false, NOW + 500));
	assert_int_equal(q.hour_at_ms, NOW);
	for (i = 0; i < CF_QUOTA_HELD; i++)
		assert_true(cf_quota_refuse(&q, true, NOW + 600));
	assert_false(cf_quota_refuse(&q, true, NOW + 700));
	assert_int_equal(q.more, 2);
	assert_false(cf_quota_is_spent(&q));
}

static void
t_an_hour_ends_with_what_is_left(void **state)
{
	struct cf_quota_rest rest = { 0, 0 };
	struct cf_quota q = nothing;

	(void)state;
	assert_false(cf_quota_turn(&q, NOW, &rest));
	q = (struct cf_quota){ NOW, CF_QUOTA_REFUSED, 3, 7, 60 };
	assert_false(cf_quota_turn(&q, NOW + HOUR - 1, &rest));
	assert_int_equal(q.more, 7);
	assert_true(cf_quota_turn(&q, NOW + HOUR, &rest));
	assert_int_equal(rest.since_ms, NOW);
	assert_int_equal(rest.count, 7);
	assert_memory_equal(&q, &nothing, sizeof q);
	q = (struct cf_quota){ NOW, 3, 0, 0, 60 };
	assert_false(cf_quota_turn(&q, NOW + HOUR, &rest));
	assert_memory_equal(&q, &nothing, sizeof q);
	/* The clock was put back, a little and far. */
	q = (struct cf_quota){ NOW, 3, 0, 1, 0 };
	assert_false(cf_quota_turn(&q, NOW - HOUR + 1, &rest));
	assert_int_equal(q.more, 1);
	assert_int_equal(cf_quota_wait_s(&q, NOW - HOUR + 1), 3600);
	assert_true(cf_quota_turn(&q, NOW - HOUR, &rest));
}

static void
t_releases_are_spent(void **state)
{
	struct cf_quota q = nothing;
	int i;

	(void)state;
	for (i = 0; i < CF_QUOTA_RELEASED; i++) {
		assert_false(cf_quota_is_spent(&q));
		cf_quota_release(&q, NOW + i);
	}
	assert_true(cf_quota_is_spent(&q));
	assert_int_equal(cf_quota_wait_s(&q, NOW), 3600);
	assert_int_equal(cf_quota_wait_s(&q, NOW + 1), 3600);
	assert_int_equal(cf_quota_wait_s(&q, NOW + HOUR - 1), 1);
	assert_int_equal(cf_quota_wait_s(&q, NOW + HOUR + 5), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_refusals_are_events_up_to_a_number),
		cmocka_unit_test(t_an_hour_ends_with_what_is_left),
		cmocka_unit_test(t_releases_are_spent),
	};

	return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
