/* SPDX-License-Identifier: Apache-2.0 */
/* Which path leads to which endpoint. */
#include "keysrv/http/endpoint.h"
#include "tests/unit/fixture.h"

static void
check(const char *path, const char *name, const char *tail)
{
	const char *got = NULL;
	const struct cf_endpoint *ep = cf_endpoint_find(path, &got);

	assert_non_null(ep);
	assert_string_equal(ep->name, name);
	assert_string_equal(got, tail);
}

static void
t_find_knows_each_path(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < CF_ENDPOINT__COUNT; i++)
		if (strcmp(cf_endpoints[i].path, "/k/") != 0)
			check(cf_endpoints[i].path, cf_endpoints[i].name, "");
	check("/k/abc", "key_page", "abc");
	check("/k/%23", "key_page", "%23");
}

static void
t_find_knows_no_other(void **state)
{
	static const char *const paths[] = { "", "k", "/k", "/k/", "/k/a/",
	    "/k/a/b", "//", "/x", "/healthz/", "/healthz/x", "/HEALTHZ",
	    "/api/v1/issue/", "/api/v1/issu", "/api/v1/" };
	const char *tail;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof paths / sizeof paths[0]; i++)
		assert_null(cf_endpoint_find(paths[i], &tail));
}

/* What would crash at the first request is seen here. */
static void
t_each_row_is_whole(void **state)
{
	const struct cf_endpoint *ep;
	size_t i;

	(void)state;
	for (i = 0; i < CF_ENDPOINT__COUNT; i++) {
		ep = &cf_endpoints[i];
		assert_int_equal(ep->action->kind == CF_KIND_SINGLE,
		    ep->action->run != NULL);
		assert_int_equal(ep->body == CF_BODY_NONE, ep->body_max == 0);
		if (ep->action->kind != CF_KIND_SINGLE &&
		    ep->action->kind != CF_KIND_READY)
			assert_non_null(ep->action->parse);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_find_knows_each_path),
		cmocka_unit_test(t_find_knows_no_other),
		cmocka_unit_test(t_each_row_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
