/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of links on their way: the cases that the page holds, too. */
#include "tests/unit/fixture.h"

#include <time.h>

#include "common/link_find.h"

static const char *const results[] = {
	[CF_LINK_OK] = "ok",
	[CF_LINK_NONE] = "none",
	[CF_LINK_INCOMPLETE] = "incomplete",
	[CF_LINK_LOWERCASE] = "lowercase",
	[CF_LINK_AMBIGUOUS] = "ambiguous",
	[CF_LINK_OPAQUE] = "opaque",
	[CF_LINK_UNKNOWN] = "unknown",
};

static void
assert_case(const char *name, const char *text, const char *want,
    const char *want_link, const char *want_service)
{
	char got[CF_LINK_MAX + 1] = "";
	const char *service = "";
	struct cf_link link;
	enum cf_link_found found = cf_link_look(text, &link, &service);

	if (found == CF_LINK_OK)
		cf_link_format(&link, got);
	if (strcmp(results[found], want) != 0 ||
	    strcmp(got, want_link) != 0 || strcmp(service, want_service) != 0)
		fail_msg("%s: %s %s%s, not %s: %s", name, results[found], got,
		    service, want, text);
}

static const char *
text_or_empty(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static void
t_vectors(void **state)
{
	json_t *root = fixture_json("links.json");
	const json_t *cases = json_object_get(root, "cases"), *one;
	size_t i;

	(void)state;
	assert_in_range(json_array_size(cases), 100, 1000);
	json_array_foreach(cases, i, one)
		assert_case(fixture_text(one, "name"),
		    fixture_text(one, "text"), fixture_text(one, "result"),
		    text_or_empty(one, "link"), text_or_empty(one, "service"));
	json_decref(root);
}

static void
t_cut_at_every_byte_is_told(void **state)
{
	json_t *root = fixture_json("links.json");
	const json_t *cuts = json_object_get(root, "cuts"), *one;
	char *text;
	size_t i, n;

	(void)state;
	assert_int_equal(json_array_size(cuts), 4);
	json_array_foreach(cuts, i, one) {
		text = cf_strdup(json_string_value(one));
		for (n = strlen(text) - 1; n > 0; n--) {
			text[n] = '\0';
			assert_case("cut", text, "incomplete", "", "");
		}
		free(text);
	}
	json_decref(root);
}

static void
t_says_what_to_do(void **state)
{
	struct cf_link link;
	struct cf_why why = { "" };

	(void)state;
	assert_int_equal(cf_link_find("https://bit.ly/x", &link, &why),
	    CF_E_LINK_LOST);
	assert_non_null(strstr(why.text, "Bitly's own link"));
}

/* Work is bounded: the longest text, of what costs most. */
static void
t_hostile_text_costs_little(void **state)
{
	static const char *const pieces[] = { "/v3/__", "http://", "&#", "=",
		"aHR0c", "%", "/v2/url?u=", "/v3/__**_", "https://a/k/", "[",
		"http://a.", " \n", "%25", "http:" };
	struct cf_link link;
	const char *service;
	char text[16385];
	clock_t before = clock();
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		for (n = 0; n < sizeof text - 1; n++)
			text[n] = pieces[i][n % strlen(pieces[i])];
		text[n] = '\0';
		assert_int_not_equal(cf_link_look(text, &link, &service),
		    CF_LINK_OK);
	}
	assert_true(clock() - before < 10 * CLOCKS_PER_SEC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_vectors),
		cmocka_unit_test(t_cut_at_every_byte_is_told),
		cmocka_unit_test(t_says_what_to_do),
		cmocka_unit_test(t_hostile_text_costs_little),
	};

	return cmocka_run_group_tests_name("link_find", tests, NULL, NULL);
}
