/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies. */
#include "keysrv/web/cookie.h"

#include "tests/unit/fixture.h"

#define NAME "__Host-test"

static void
finds(const char *header, const char *want)
{
	const char *value = NULL;
	size_t len = 0;

	assert_true(cf_cookie_find(header, NAME, &value, &len));
	assert_int_equal(len, strlen(want));
	assert_memory_equal(value, want, len);
}

static void
t_a_cookie_is_found_among_others(void **state)
{
	(void)state;
	finds(NAME "=abc", "abc");
	finds(NAME "=", "");
	finds(NAME "=a=b", "a=b");
	finds("x=1; " NAME "=abc", "abc");
	finds(NAME "=abc; x=1", "abc");
	finds(NAME "=abc;x=1", "abc");
	finds("x=1;" NAME "=abc;", "abc");
	/* Names have no case, parts or neighbours in common. */
	finds("__host-test=1; " NAME "2=2; 3" NAME "=3; " NAME "=abc", "abc");
	finds("x=" NAME "=1; " NAME "=abc", "abc");
	/* Whatever others have set. */
	finds("x=\"a; y; =z; ;; caf\xc3\xa9=1,2 3\\; " NAME "=abc; ;", "abc");
}

static void
t_what_is_no_cookie_of_ours_is_not_found(void **state)
{
	static const char *const headers[] = { "", ";", "=", NAME, "x=1",
	    NAME " =abc", NAME ";=abc", "x=1, " NAME "=abc",
	    /* twice */
	    NAME "=abc; " NAME "=abc", NAME "=abc; x=1; " NAME "=",
	    /* not of its characters */
	    NAME "=\"abc\"", NAME "=a b", NAME "=a,b", NAME "=a\\b",
	    NAME "=caf\xc3\xa9", NAME "=a\x7f", NAME "=a\tb" };
	const char *value = "none";
	size_t i, len = 42;

	(void)state;
	assert_false(cf_cookie_find(NULL, NAME, &value, &len));
	for (i = 0; i < sizeof headers / sizeof headers[0]; i++)
		if (cf_cookie_find(headers[i], NAME, &value, &len))
			fail_msg("found in %s", headers[i]);
	assert_string_equal(value, "none");
	assert_int_equal(len, 42);
}

static void
t_a_cookie_is_for_this_host_alone(void **state)
{
	struct cf_buf out = CF_BUF_INIT(1000);

	(void)state;
	cf_cookie_write(&out, NAME, "Ab-_9", 3600);
	assert_string_equal(cf_buf_str(&out), NAME "=Ab-_9; Path=/; "
	    "Max-Age=3600; Secure; HttpOnly; SameSite=Lax");
	cf_buf_reset(&out);
	cf_cookie_write(&out, NAME, "", 0);
	assert_string_equal(cf_buf_str(&out), NAME "=; Path=/; "
	    "Max-Age=0; Secure; HttpOnly; SameSite=Lax");
	cf_buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_a_cookie_is_found_among_others),
		cmocka_unit_test(t_what_is_no_cookie_of_ours_is_not_found),
		cmocka_unit_test(t_a_cookie_is_for_this_host_alone),
	};

	return cmocka_run_group_tests_name("cookie", tests, NULL, NULL);
}
