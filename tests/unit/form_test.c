/* SPDX-License-Identifier: Apache-2.0 */
/* Forms as browsers send them, and everything that is not one. */
#include "keysrv/web/form.h"

#include "common/json.h"
#include "tests/unit/fixture.h"

/* What the form's only field has, or NULL: refused. */
static json_t *
parse(const char *text, size_t len)
{
	struct cf_why why = { "" };
	json_t *form = NULL;
	char *copy = cf_realloc(NULL, len + 1, 1);
	enum cf_err rc;

	/* Of its own size: nothing stands behind it. */
	memcpy(copy, text, len);
	rc = cf_form_parse(copy, len, &form, &why);
	free(copy);
	assert_true(rc == CF_OK || rc == CF_E_SYNTAX);
	assert_int_equal(rc == CF_OK, form != NULL);
	if (rc != CF_OK) {
		assert_string_not_equal(why.text, "");
		assert_null(strstr(why.text, "evil"));
	}
	return form;
}

static void
takes(const char *text, const char *want, size_t len)
{
	json_t *form = parse(text, strlen(text));
	const json_t *value;

	assert_non_null(form);
	value = json_object_get(form, "a");
	assert_int_equal(json_string_length(value), len);
	assert_memory_equal(json_string_value(value), want, len);
	json_decref(form);
}

static void
refuses(const char *text, size_t len)
{
	json_t *form = parse(text, len);

	if (form != NULL)
		fail_msg("taken: %s", text);
}

#define TAKES(text, want) takes(text, want, strlen(want))
#define REFUSES(text) refuses(text, sizeof text - 1)

static void
t_a_form_is_taken_apart(void **state)
{
	json_t *form;

	(void)state;
	form = parse("", 0);
	assert_non_null(form);
	assert_int_equal(json_object_size(form), 0);
	json_decref(form);
	form = parse("mail=a%40b.example&full_name=A+B&x9=", 36);
	assert_non_null(form);
	assert_int_equal(json_object_size(form), 3);
	assert_string_equal(cf_json_string(form, "mail"), "a@b.example");
	assert_string_equal(cf_json_string(form, "full_name"), "A B");
	assert_string_equal(cf_json_string(form, "x9"), "");
	json_decref(form);
}

static void
t_values_are_decoded(void **state)
{
	(void)state;
	TAKES("a=", "");
	TAKES("a=+", " ");
	TAKES("a=%2B", "+");
	TAKES("a=%2b", "+");
	TAKES("a=%25+%26%3D", "% &=");
	TAKES("a=%41*-._~zZ09", "A*-._~zZ09");
	TAKES("a=%C3%A9%F0%9F%94%91", "\xc3\xa9\xf0\x9f\x94\x91");
	TAKES("a=%253C", "%3C");
}

static void
t_what_no_browser_sends_is_refused(void **state)
{
	(void)state;
	/* no pairs */
	REFUSES("a");
	REFUSES("evil");
	REFUSES("&");
	REFUSES("a=1&");
	REFUSES("&a=1");
	REFUSES("a=1&&b=2");
	REFUSES("=1");
	REFUSES("a=1;b=2");
	/* names */
	REFUSES("A=1");
	REFUSES("%61=1");
	REFUSES("a+b=1");
	REFUSES("a[]=1");
	REFUSES("a.b=1");
	REFUSES("a\0=1");
	REFUSES("evil-name=1");
	/* not encoded, or not well */
	REFUSES("a=b=c");
	REFUSES("a=evil code");
	REFUSES("a=%");
	REFUSES("a=%4");
	REFUSES("a=%4&b=1");
	REFUSES("a=%4g");
	REFUSES("a=%g4");
	REFUSES("a=%%41");
	REFUSES("a=%u0041");
	REFUSES("a=\xc3\xa9");
	REFUSES("a=<");
	REFUSES("a=\"");
	REFUSES("a=1\r\n");
	REFUSES("a=1\0");
	REFUSES("\0");
	/* UTF-8 */
	REFUSES("a=%C3");
	REFUSES("a=%C3+");
	REFUSES("a=%C0%AF");
	REFUSES("a=%ED%A0%80");
	REFUSES("a=%F4%90%80%80");
	REFUSES("a=%FF");
	/* control characters */
	REFUSES("a=%00");
	REFUSES("a=b%00c");
	REFUSES("a=%0D%0A");
	REFUSES("a=%09");
	REFUSES("a=%1B%5B31m");
	REFUSES("a=%7F");
	REFUSES("a=%C2%85");
}

static void
t_a_field_stands_there_once(void **state)
{
	(void)state;
	REFUSES("a=1&a=1");
	REFUSES("a=1&b=2&a=");
	REFUSES("a=&a=");
}

static void
t_limits_are_kept(void **state)
{
	struct cf_buf text = CF_BUF_INIT(1000000);
	json_t *form;
	size_t i, more;

	(void)state;
	for (more = 0; more < 2; more++) {
		cf_buf_reset(&text);
		for (i = 0; i < CF_FORM_FIELDS_MAX + more; i++)
			cf_buf_addf(&text, "%sa%zu=%zu", i == 0 ? "" : "&", i,
			    i);
		form = parse(cf_buf_str(&text), text.len);
		assert_int_equal(form != NULL, more == 0);
		json_decref(form);

		cf_buf_reset(&text);
		for (i = 0; i < CF_FORM_NAME_MAX + more; i++)
			cf_buf_addc(&text, 'n');
		cf_buf_adds(&text, "=1");
		form = parse(cf_buf_str(&text), text.len);
		assert_int_equal(form != NULL, more == 0);
		json_decref(form);

		cf_buf_reset(&text);
		cf_buf_adds(&text, "a=");
		for (i = 0; i < CF_FORM_VALUE_MAX + more; i++)
			cf_buf_adds(&text, "%41");
		form = parse(cf_buf_str(&text), text.len);
		assert_int_equal(form != NULL, more == 0);
		json_decref(form);
	}
	cf_buf_free(&text);
}

/* Every text and byte comes back. */
static void
t_any_value_comes_back(void **state)
{
	struct cf_buf text = CF_BUF_INIT(10000), want = CF_BUF_INIT(10000);
	uint64_t seed = 1;
	json_t *form;
	const char *p;
	size_t i, k;

	(void)state;
	for (i = 0; i < 500; i++) {
		cf_buf_reset(&text);
		cf_buf_reset(&want);
		for (k = fixture_next(&seed) % 20; k > 0; k--)
			if (fixture_next(&seed) % 4 == 0)
				cf_buf_adds(&want, "\xe2\x82\xac");
			else
				cf_buf_addc(&want, (char)(' ' +
				    fixture_next(&seed) % 95));
		cf_buf_adds(&text, "a=");
		for (p = cf_buf_str(&want); *p != '\0'; p++)
			if (*p == ' ')
				cf_buf_addc(&text, '+');
			else
				cf_buf_addf(&text, "%%%02X",
				    (unsigned char)*p);
		form = parse(cf_buf_str(&text), text.len);
		assert_non_null(form);
		assert_string_equal(cf_json_string(form, "a"),
		    cf_buf_str(&want));
		json_decref(form);
	}
	cf_buf_free(&text);
	cf_buf_free(&want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_a_form_is_taken_apart),
		cmocka_unit_test(t_values_are_decoded),
		cmocka_unit_test(t_what_no_browser_sends_is_refused),
		cmocka_unit_test(t_a_field_stands_there_once),
		cmocka_unit_test(t_limits_are_kept),
		cmocka_unit_test(t_any_value_comes_back),
	};

	return cmocka_run_group_tests_name("form", tests, NULL, NULL);
}
