/* SPDX-License-Identifier: Apache-2.0 */
/* When a key may be released, and which reason comes first if not. */
#include "keysrv/key/criteria.h"
#include "tests/unit/fixture.h"

static const struct cf_criteria_input good = {
	.known = CF_ASSURANCE_BEARER,
	.asked = CF_ASSURANCE_BEARER,
	.now_ms = 1000,
	.revoked_at_ms = -1,
	.expires_at_ms = -1,
};

static void
assert_says(const struct cf_criteria_input *in, enum cf_err rc,
    const char *words)
{
	struct cf_why why = { "" };

	assert_int_equal(cf_criteria_check(in, &why), rc);
	assert_non_null(strstr(why.text, words));
	assert_int_equal(rc == CF_OK, why.text[0] == '\0');
	/* A caller who wants no sentence gets none. */
	assert_int_equal(cf_criteria_check(in, NULL), rc);
}

static void
t_nothing_stands_against_it(void **state)
{
	struct cf_criteria_input in = good;

	(void)state;
	assert_says(&in, CF_OK, "");
	in.known = CF_ASSURANCE_CERTIFICATE;
	assert_says(&in, CF_OK, "");
}

static void
t_who_is_not_known_well_enough_gets_none(void **state)
{
	struct cf_criteria_input in = good;
	int known, asked;

	(void)state;
	for (known = 0; known < CF_ASSURANCE__COUNT; known++) {
		for (asked = 0; asked < CF_ASSURANCE__COUNT; asked++) {
			in.known = (enum cf_assurance)known;
			in.asked = (enum cf_assurance)asked;
			assert_int_equal(cf_criteria_check(&in, NULL),
			    asked <= known ? CF_OK : CF_E_INTERNAL);
		}
	}
}

static void
t_the_end_is_the_first_moment_without(void **state)
{
	struct cf_criteria_input in = good;

	(void)state;
	in.expires_at_ms = in.now_ms + 1;
	assert_says(&in, CF_OK, "");
	in.expires_at_ms = in.now_ms;
	assert_says(&in, CF_E_EXPIRED, "its time has passed");
	in.expires_at_ms = 0;
	assert_says(&in, CF_E_EXPIRED, "its time has passed");
}

static void
t_withdrawn_is_withdrawn_whenever(void **state)
{
	struct cf_criteria_input in = good;

	(void)state;
	in.revoked_at_ms = 0;
	assert_says(&in, CF_E_REVOKED, "withdrawn");
	/* A database that took over may be behind. */
	in.revoked_at_ms = in.now_ms + 1;
	assert_says(&in, CF_E_REVOKED, "withdrawn");
}

static void
t_the_first_reason_is_told(void **state)
{
	struct cf_criteria_input in = good;

	(void)state;
	in.expires_at_ms = 1;
	in.revoked_at_ms = 1;
	assert_says(&in, CF_E_REVOKED, "withdrawn");
	in.asked = CF_ASSURANCE_MAILBOX;
	assert_says(&in, CF_E_INTERNAL, "know better");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_nothing_stands_against_it),
		cmocka_unit_test(t_who_is_not_known_well_enough_gets_none),
		cmocka_unit_test(t_the_end_is_the_first_moment_without),
		cmocka_unit_test(t_withdrawn_is_withdrawn_whenever),
		cmocka_unit_test(t_the_first_reason_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
