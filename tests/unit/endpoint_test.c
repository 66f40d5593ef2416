/* SPDX-License-Identifier: Apache-2.0 */
/* Which path leads to which endpoint, and what bodies endpoints take. */
#include "common/json.h"
#include "keysrv/http/body.h"
#include "keysrv/http/kind.h"
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

/* Listed kinds have a line in the queue. */
static bool
is_listed(const struct cf_kind *kind)
{
	size_t i;

	for (i = 0; i < CF_KIND__COUNT; i++)
		if (cf_kinds[i] == kind)
			return true;
	return false;
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
		assert_int_equal(ep->action->kind == &cf_kind_single,
		    ep->action->run != NULL);
		assert_int_equal(ep->body == CF_BODY_NONE, ep->body_max == 0);
		/* A page of any origin has nothing to be known by. */
		assert_true((ep->who & CF_WHO_PAGE) == 0 ||
		    (ep->who & CF_WHO_KNOWN) == 0);
		assert_int_equal(ep->body == CF_BODY_RAW,
		    ep->action->raw_type != NULL);
		/* A form comes with cookies: not for other sites' pages. */
		if (ep->body == CF_BODY_FORM) {
			assert_string_equal(ep->method, "POST");
			assert_int_equal(ep->who & CF_WHO_PAGE, 0);
		}
		/* Somebody decides it; of a batch, each has an item. */
		assert_true(ep->action->kind == NULL ||
		    ep->action->ask == NULL);
		if (ep->action->run == NULL && ep->action->ask == NULL)
			assert_non_null(ep->action->parse);
		assert_true(ep->action->kind == NULL ||
		    is_listed(ep->action->kind));
	}
}

static void
t_each_kind_is_whole(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < CF_KIND__COUNT; i++) {
		assert_true((cf_kinds[i]->run == NULL) !=
		    (cf_kinds[i]->fn == NULL));
		for (j = 0; j < i; j++)
			assert_string_not_equal(cf_kinds[i]->name,
			    cf_kinds[j]->name);
	}
}

/* ---- bodies ---- */

static const struct cf_action action = { .raw_type = "text/x-test" };

static struct cf_endpoint
taking(enum cf_body body)
{
	return (struct cf_endpoint){ .name = "test", .method = "POST",
	    .body = body, .body_max = 100, .action = &action };
}

static const char *given_type;

static const char *
field(const struct cf_req *req, const char *name)
{
	(void)req;
	if (strcmp(name, "Sec-Fetch-Site") == 0)
		return "same-origin";
	return strcmp(name, "Content-Type") == 0 ? given_type : NULL;
}

static char service_url[] = "https://keys.example";
static const struct cf_settings settings = { .service_url = service_url };
static const struct cf_ks ks = { .settings = &settings };

static enum cf_err
type_of(enum cf_body body, const char *type, struct cf_why *why)
{
	const struct cf_endpoint ep = taking(body);
	const struct cf_req req = { .ks = &ks, .ep = &ep, .field = field };

	given_type = type;
	return cf_body_check_header(&req, why);
}

static void
t_each_body_has_its_type(void **state)
{
	static const struct {
		enum cf_body body;
		const char *type;
	} rows[] = {
		{ CF_BODY_JSON, "application/json" },
		{ CF_BODY_FORM, "application/x-www-form-urlencoded" },
		{ CF_BODY_RAW, "text/x-test" },
	};
	char type[100];
	struct cf_why why;
	size_t i, k;

	(void)state;
	assert_int_equal(type_of(CF_BODY_NONE, NULL, &why), CF_OK);
	assert_int_equal(type_of(CF_BODY_NONE, "text/plain", &why), CF_OK);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (k = 0; k < sizeof rows / sizeof rows[0]; k++)
			assert_int_equal(type_of(rows[i].body, rows[k].type,
			    &why), i == k ? CF_OK : CF_E_MEDIA_TYPE);
		assert_int_equal(type_of(rows[i].body, NULL, &why),
		    CF_E_MEDIA_TYPE);
		assert_int_equal(type_of(rows[i].body, "", &why),
		    CF_E_MEDIA_TYPE);
		assert_non_null(strstr(why.text, rows[i].type));
		(void)snprintf(type, sizeof type, "%s; charset=utf-8",
		    rows[i].type);
		type[0] = (char)(type[0] - 'a' + 'A');
		assert_int_equal(type_of(rows[i].body, type, &why), CF_OK);
		(void)snprintf(type, sizeof type, "%sx", rows[i].type);
		assert_int_equal(type_of(rows[i].body, type, &why),
		    CF_E_MEDIA_TYPE);
	}
}

static enum cf_err
read_body(enum cf_body body, const char *text, size_t len, struct cf_req *req)
{
	static struct cf_endpoint ep;
	static struct cf_buf buf;
	struct cf_why why;

	ep = taking(body);
	cf_buf_free(&buf);
	buf = (struct cf_buf)CF_BUF_INIT(ep.body_max);
	cf_buf_add(&buf, text, len);
	*req = (struct cf_req){ .ep = &ep };
	return cf_body_read(req, &buf, &why);
}

static void
t_a_body_is_read_as_the_endpoint_says(void **state)
{
	char large[101] = { 0 };
	struct cf_req req;

	(void)state;
	assert_int_equal(read_body(CF_BODY_JSON, "{\"a\":1}", 7, &req),
	    CF_OK);
	assert_int_equal(json_object_size(req.json), 1);
	assert_null(req.raw);
	cf_json_free(&req.json);
	assert_int_equal(read_body(CF_BODY_JSON, "[]", 2, &req), CF_E_SYNTAX);
	assert_null(req.json);
	/* Whatever it is: other bytes, and none. */
	assert_int_equal(read_body(CF_BODY_RAW, "{\0\xff", 3, &req), CF_OK);
	assert_int_equal(req.raw_len, 3);
	assert_memory_equal(req.raw, "{\0\xff", 3);
	assert_null(req.json);
	assert_int_equal(read_body(CF_BODY_RAW, "", 0, &req), CF_OK);
	assert_int_equal(req.raw_len, 0);
	assert_non_null(req.raw);
	assert_int_equal(read_body(CF_BODY_RAW, large, 101, &req),
	    CF_E_TOO_LARGE);
	assert_int_equal(read_body(CF_BODY_JSON, large, 101, &req),
	    CF_E_TOO_LARGE);
	/* What nobody asked for was not kept. */
	assert_int_equal(read_body(CF_BODY_NONE, large, 101, &req), CF_OK);
	assert_null(req.raw);
	assert_int_equal(read_body(CF_BODY_NONE, "", 0, &req), CF_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_find_knows_each_path),
		cmocka_unit_test(t_find_knows_no_other),
		cmocka_unit_test(t_each_row_is_whole),
		cmocka_unit_test(t_each_body_has_its_type),
		cmocka_unit_test(t_a_body_is_read_as_the_endpoint_says),
		cmocka_unit_test(t_each_kind_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
