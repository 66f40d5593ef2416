/* SPDX-License-Identifier: Apache-2.0 */
/* Names, folds and comments of header fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/field.h"

static void
t_names_match_in_any_case(void **state)
{
	(void)state;
	assert_true(cf_field_is("bcc", "Bcc"));
	assert_true(cf_field_is("BCC \t", "Bcc"));
	assert_false(cf_field_is("Bcc2", "Bcc"));
	assert_false(cf_field_is("Bc", "Bcc"));
	assert_false(cf_field_is("Resent-Bcc", "Bcc"));
	assert_false(cf_field_is("Bcc x", "Bcc"));
	assert_false(cf_field_is("", "Bcc"));
}

static void
t_values_are_unfolded(void **state)
{
	static const struct { const char *value, *want; bool whole; } cases[] = {
		{ "", "", true },
		{ " yes", "yes", true },
		{ " \n \t", "", true },
		{ " a\n b\r\n\tc \t\n", "a b\tc", true },
		{ "1234567", "1234567", true },
		{ " 1234567 \n ", "1234567", true },
		{ "12345678", "1234567", false },
		{ "123456 78", "123456", false },
	};
	char out[8];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(cf_field_unfold(cases[i].value, out,
		    sizeof out), cases[i].whole);
		assert_string_equal(out, cases[i].want);
	}
}

static void
t_comments_are_skipped(void **state)
{
	static const struct { const char *value, *rest; bool good; } cases[] = {
		{ "", "", true },
		{ "x", "x", true },
		{ " \t\r\n x y", "x y", true },
		{ "(c) x", "x", true },
		{ " (a (b) c)(d)\n x", "x", true },
		{ "(a \\) b) x", "x", true },
		{ "(a \\( b) x", "x", true },
		{ ") x", ") x", true },
		{ "\\(x)", "\\(x)", true },
		{ "(a", "", false },
		{ "(a (b) x", "", false },
		{ "(a\\", "", false },
		{ " (a) ", "", true },
	};
	const char *p;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		p = cases[i].value;
		len = strlen(p);
		assert_int_equal(cf_field_skip_cfws(&p, &len),
		    cases[i].good);
		assert_string_equal(p, cases[i].rest);
		assert_int_equal(len, strlen(cases[i].rest));
		assert_string_equal(cf_field_after_cfws(cases[i].value),
		    cases[i].rest);
	}
	/* A NUL is a byte like others, and nothing behind `len` is read. */
	p = " \0x";
	len = 3;
	assert_true(cf_field_skip_cfws(&p, &len));
	assert_int_equal(len, 2);
	p = "  x";
	len = 1;
	assert_true(cf_field_skip_cfws(&p, &len));
	assert_int_equal(len, 0);
	p = "(a)";
	len = 2;
	assert_false(cf_field_skip_cfws(&p, &len));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_names_match_in_any_case),
		cmocka_unit_test(t_values_are_unfolded),
		cmocka_unit_test(t_comments_are_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
