/* SPDX-License-Identifier: Apache-2.0 */
/* Assurances: their words, which the page has too, and their order. */
#include "tests/unit/fixture.h"

#include "common/assurance.h"

/* On a terminal an apostrophe is that of ASCII. */
static char *
plain(const char *text)
{
	static const char curly[] = "\u2019";
	char *out = cf_strdup(text), *p;

	while ((p = strstr(out, curly)) != NULL) {
		*p = '\'';
		memmove(p + 1, p + sizeof curly - 1,
		    strlen(p + sizeof curly - 1) + 1);
	}
	return out;
}

static void
t_words_and_sentences_are_those_of_the_page(void **state)
{
	json_t *root = fixture_json("assurance.json");
	const json_t *cases = json_object_get(root, "cases"), *one;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(cases), CF_ASSURANCE__COUNT);
	json_array_foreach(cases, i, one) {
		enum cf_assurance a = CF_ASSURANCE__COUNT;
		char *records = plain(fixture_text(one, "records"));

		assert_true(cf_assurance_parse(fixture_text(one, "name"), &a));
		assert_int_equal(a, i);
		assert_string_equal(cf_assurance_name(a),
		    fixture_text(one, "name"));
		assert_string_equal(cf_assurance_records(a), records);
		free(records);
	}
	json_decref(root);
}

static void
t_other_words_are_none(void **state)
{
	json_t *root = fixture_json("assurance.json");
	const json_t *words = json_object_get(root, "unknown"), *one;
	enum cf_assurance a = CF_ASSURANCE_ACCOUNT;
	size_t i;

	(void)state;
	assert_in_range(json_array_size(words), 3, 100);
	json_array_foreach(words, i, one)
		assert_false(cf_assurance_parse(json_string_value(one), &a));
	assert_int_equal(a, CF_ASSURANCE_ACCOUNT);
	json_decref(root);
}

static void
t_each_does_for_itself_and_all_below(void **state)
{
	int known, asked;

	(void)state;
	for (known = 0; known < CF_ASSURANCE__COUNT; known++)
		for (asked = 0; asked < CF_ASSURANCE__COUNT; asked++)
			assert_int_equal(cf_assurance_at_least(
			    (enum cf_assurance)known,
			    (enum cf_assurance)asked), asked <= known);
	assert_false(cf_assurance_at_least(CF_ASSURANCE_BEARER,
	    CF_ASSURANCE_MAILBOX));
	assert_false(cf_assurance_at_least(CF_ASSURANCE_ACCOUNT,
	    CF_ASSURANCE_CERTIFICATE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_words_and_sentences_are_those_of_the_page),
		cmocka_unit_test(t_other_words_are_none),
		cmocka_unit_test(t_each_does_for_itself_and_all_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
