/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the From field names, and whether the proved domain covers them. */
#include "tests/unit/fixture.h"

#include "common/composite.h"
#include "common/vouch.h"

static void
assert_vouch(const char *what, const char *message, size_t len,
    const char *domain, bool want, const char *want_from)
{
	struct cf_buf from = CF_BUF_INIT(4096);
	bool got = cf_vouch(message, len, domain, &from);

	if (got != want || strcmp(cf_buf_str(&from), want_from) != 0)
		fail_msg("%s: %d \"%s\"", what, got, cf_buf_str(&from));
	cf_buf_free(&from);
}

static void
t_vectors(void **state)
{
	json_t *root = fixture_json("vouched.json");
	const json_t *cases = json_object_get(root, "cases"), *one, *address;
	size_t i, k;

	(void)state;
	assert_in_range(json_array_size(cases), 15, 1000);
	json_array_foreach(cases, i, one) {
		struct cf_buf want = CF_BUF_INIT(4096);
		char *message = cf_asprintf("%s\r\nFrom: x@body.test\r\n",
		    fixture_text(one, "header"));

		json_array_foreach(json_object_get(one, "from"), k, address)
			cf_buf_addf(&want, "%s%s", k > 0 ? ", " : "",
			    json_string_value(address));
		assert_vouch(fixture_text(one, "name"), message,
		    strlen(message), fixture_text(one, "domain"),
		    json_is_true(json_object_get(one, "vouched")),
		    cf_buf_str(&want));
		cf_buf_free(&want);
		free(message);
	}
	json_decref(root);
}

#define CASE(what, text, want, from) \
	assert_vouch((what), (text), sizeof(text) - 1, "a.test", (want), \
	    (from))

/* Where programs differ about what is a field, none is believed. */
static void
t_odd_headers_are_not_vouched_for(void **state)
{
	(void)state;
	CASE("a second one behind a bare CR",
	    "From: a@a.test\r\nX: y\rFrom: b@b.test\r\n\r\n", false, "");
	CASE("a blank before the colon",
	    "From: a@a.test\r\nFrom \t: b@b.test\r\n\r\n", false, "");
	CASE("an end of the header by CR alone",
	    "From: a@a.test\r\n\r\rFrom: b@b.test\r\n\r\n", false, "");
	CASE("NUL", "From: a@a.test\0, b@b.test\r\n\r\n", false, "");
	CASE("LF alone", "From: a@a.test\n\nFrom: b@b.test\n", true,
	    "a@a.test");
	CASE("no end of the header", "Subject: x\r\nFrom: a@a.test", true,
	    "a@a.test");
	CASE("hidden", "From: a\xe2\x80\x8b@b.test\r\n\r\n", false,
	    "a\ufffd@b.test");
	CASE("a second domain behind", "From: <a@a.test@b.test>\r\n\r\n",
	    false, "a@a.test");
	CASE("a second domain in front", "From: <b@b.test@a.test>\r\n\r\n",
	    false, "b@b.test");
	CASE("an address as a name", "From: b@b.test <a@a.test>\r\n\r\n",
	    false, "a@a.test");
	CASE("a name alone beside", "From: Ann, a@a.test\r\n\r\n", false,
	    "Ann, a@a.test");
	CASE("quoted and in comments", "From: \"b@b.test \\\" x@x\" (c@c.test "
	    "(d@d)) <a@a.test>\r\n\r\n", true, "a@a.test");
	CASE("nothing", "", false, "");
}

static int
setup(void **state)
{
	(void)state;
	cf_composite_init();
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_vectors),
		cmocka_unit_test(t_odd_headers_are_not_vouched_for),
	};

	return cmocka_run_group_tests_name("vouch", tests, setup, NULL);
}
