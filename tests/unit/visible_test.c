/* SPDX-License-Identifier: Apache-2.0 */
/* Text from outside, as it is shown: the cases that the page holds, too. */
#include "tests/unit/fixture.h"

#include "common/visible.h"

static char *
visible(const char *text, size_t max)
{
	struct cf_buf out = CF_BUF_INIT(4096);

	cf_visible_add(&out, text, max);
	assert_false(out.full);
	return cf_buf_take(&out, NULL);
}

static void
assert_visible(const char *text, size_t max, const char *want)
{
	char *got = visible(text, max);

	assert_string_equal(got, want);
	free(got);
}

static void
t_vectors(void **state)
{
	json_t *root = fixture_json("visible.json");
	const json_t *cases = json_object_get(root, "cases"), *one;
	size_t i;

	(void)state;
	assert_in_range(json_array_size(cases), 30, 1000);
	json_array_foreach(cases, i, one) {
		char *want = json_is_true(json_object_get(one, "rtl")) ?
		    cf_asprintf("\u2068%s\u2069", fixture_text(one, "out")) :
		    cf_strdup(fixture_text(one, "out"));
		char *got = visible(fixture_text(one, "in"), SIZE_MAX);

		if (strcmp(got, want) != 0)
			fail_msg("%s: \"%s\", not \"%s\"",
			    fixture_text(one, "name"), got, want);
		free(got);
		free(want);
	}
	json_decref(root);
}

static void
t_bytes_that_are_not_utf8_are_replaced(void **state)
{
	(void)state;
	assert_visible("a\xff" "b\xc3", SIZE_MAX, "a\ufffdb\ufffd");
	assert_visible("\xc0\xae\xc1\xbf", SIZE_MAX,
	    "\ufffd\ufffd\ufffd\ufffd");
	assert_visible("\xed\xa0\x80", SIZE_MAX, "\ufffd\ufffd\ufffd");
	assert_visible("\xf4\x90\x80\x80", SIZE_MAX,
	    "\ufffd\ufffd\ufffd\ufffd");
}

static void
t_long_text_ends_in_dots_and_tears_no_character(void **state)
{
	(void)state;
	assert_visible("abcdef", 6, "abcdef");
	assert_visible("abcdef", 5, "abcde...");
	assert_visible("abc\u00fcx", 4, "abc...");
	assert_visible("\u05d0\u05d1\u05d2", 5, "\u2068\u05d0\u05d1\u2069...");
	assert_visible("abc", 0, "...");
}

/* Whatever comes in, what comes out is one line that can be seen. */
static void
t_any_bytes_give_visible_text(void **state)
{
	uint64_t seed = 20261129;
	char text[41], *once;
	size_t round, i, n;
	uint32_t c = 0;

	(void)state;
	for (round = 0; round < 20000; round++) {
		fixture_fill(&seed, text, sizeof text - 1);
		/* Often inside the blocks where hidden characters live. */
		for (i = 0; i + 3 < sizeof text && round % 2 == 0; i += 3)
			memcpy(text + i, "\xe2\x80", 2);
		text[sizeof text - 1] = '\0';
		once = visible(text, SIZE_MAX);
		for (i = 0; once[i] != '\0'; i += n) {
			n = cf_utf8_char(once + i, strlen(once + i), &c);
			assert_true(n > 0);
			assert_false(c < 0x20 || (c >= 0x7f && c < 0xa0));
			assert_false(c == 0x200b || c == 0x200e ||
			    c == 0x200f || (c >= 0x2028 && c <= 0x202e));
		}
		free(once);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_vectors),
		cmocka_unit_test(t_bytes_that_are_not_utf8_are_replaced),
		cmocka_unit_test(
		    t_long_text_ends_in_dots_and_tears_no_character),
		cmocka_unit_test(t_any_bytes_give_visible_text),
	};

	return cmocka_run_group_tests_name("visible", tests, NULL, NULL);
}
