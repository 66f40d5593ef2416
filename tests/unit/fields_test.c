/* SPDX-License-Identifier: Apache-2.0 */
/* JSON objects and forms, read by a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/secret.h"
#include "keysrv/http/fields.h"

struct thing {
	unsigned char bytes[3];
	struct cf_secret secret;
	char text[6];
	char maybe[6];
	char word[6];
	char time[CF_TIME_LEN + 1];
	int64_t number;
	int64_t other;
	json_t *value;
};

#define AT(member) offsetof(struct thing, member)
static const struct cf_member table[] = {
	{ "bytes", CF_MEMBER_BYTES, .offset = AT(bytes), .len = 3 },
	{ "secret", CF_MEMBER_SECRET, .offset = AT(secret), .len = 3 },
	{ "text", CF_MEMBER_TEXT, .offset = AT(text), .len = 5 },
	{ "maybe", CF_MEMBER_TEXT_OR_EMPTY, .offset = AT(maybe), .len = 5 },
	{ "word", CF_MEMBER_WORD, .offset = AT(word), .len = 5 },
	{ "time", CF_MEMBER_TIME, .offset = AT(time) },
	{ "number", CF_MEMBER_INT, .offset = AT(number), .min = -2, .max = 7 },
	{ "value", CF_MEMBER_VALUE, .offset = AT(value) },
	{ "other", CF_MEMBER_INT, .offset = AT(other), .min = 1, .max = 9,
	    .optional = true },
};
#undef AT

/* An object in which all that must be is well. */
static json_t *
good(void)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:n}",
	    "bytes", "AQID", "secret", "BAUG", "text", "h\xc3\xa9 o", "maybe",
	    "", "word", "a-b~!", "time", "2026-11-23T13:35:00.123Z", "number",
	    7, "value");

	assert_non_null(o);
	return o;
}

static enum cf_err
read_thing(const json_t *o, struct thing *t, struct cf_why *why)
{
	memset(t, 0, sizeof *t);
	t->other = 42;
	return cf_fields_read(o, table, sizeof table / sizeof table[0], t,
	    why);
}

static void
t_all_types_are_read(void **state)
{
	json_t *o = good();
	struct cf_why why;
	struct thing t;

	(void)state;
	assert_int_equal(read_thing(o, &t, &why), CF_OK);
	assert_memory_equal(t.bytes, "\1\2\3", 3);
	assert_int_equal(t.secret.len, 3);
	assert_memory_equal(t.secret.bytes, "\4\5\6", 3);
	assert_string_equal(t.text, "h\xc3\xa9 o");
	assert_string_equal(t.maybe, "");
	assert_string_equal(t.word, "a-b~!");
	assert_string_equal(t.time, "2026-11-23T13:35:00.123Z");
	assert_int_equal(t.number, 7);
	assert_true(json_is_null(t.value));
	cf_secret_wipe(&t.secret);
	json_decref(o);
}

static void
t_an_optional_one_may_lack(void **state)
{
	json_t *o = good();
	struct cf_why why;
	struct thing t;

	(void)state;
	assert_int_equal(read_thing(o, &t, &why), CF_OK);
	assert_int_equal(t.other, 42);
	json_object_set_new(o, "other", json_integer(9));
	assert_int_equal(read_thing(o, &t, &why), CF_OK);
	assert_int_equal(t.other, 9);
	/* It is read, not taken out. */
	assert_int_equal(read_thing(o, &t, &why), CF_OK);
	assert_int_equal(t.other, 9);
	/* There, it must be of its form. */
	json_object_set_new(o, "other", json_null());
	assert_int_equal(read_thing(o, &t, &why), CF_E_SYNTAX);
	assert_non_null(strstr(why.text, "\"other\""));
	json_decref(o);
}

static void
t_others_must_be_there_and_alone(void **state)
{
	struct cf_why why;
	struct thing t;
	json_t *o;
	size_t i;

	(void)state;
	for (i = 0; i < 8; i++) {
		o = good();
		json_object_del(o, table[i].name);
		assert_int_equal(read_thing(o, &t, &why), CF_E_SYNTAX);
		assert_non_null(strstr(why.text, table[i].name));
		/* An unknown one does not make up for it. */
		json_object_set_new(o, "stranger", json_null());
		assert_int_equal(read_thing(o, &t, &why), CF_E_SYNTAX);
		cf_secret_wipe(&t.secret);
		json_decref(o);
	}
	o = good();
	json_object_set_new(o, "stranger", json_null());
	assert_int_equal(read_thing(o, &t, &why), CF_E_SYNTAX);
	/* Nor does one in place of an optional one. */
	assert_non_null(strstr(why.text, "not known here"));
	json_decref(o);
	o = json_array();
	assert_int_equal(read_thing(o, &t, &why), CF_E_SYNTAX);
	json_decref(o);
}

/* One member as given is refused, and the sentence does not repeat it. */
static void
refused(const char *name, json_t *value)
{
	json_t *o = good();
	struct cf_why why;
	struct thing t;

	assert_int_equal(json_object_set_new(o, name, value), 0);
	assert_int_equal(read_thing(o, &t, &why), CF_E_SYNTAX);
	assert_non_null(strstr(why.text, name));
	assert_null(strstr(why.text, "evil"));
	cf_secret_wipe(&t.secret);
	json_decref(o);
}

static void
t_what_is_not_of_its_form_is_refused(void **state)
{
	(void)state;
	refused("bytes", json_string("AQI"));
	refused("bytes", json_string("AQIDBA"));
	refused("bytes", json_string("evil!"));
	refused("bytes", json_string("AQ=="));
	refused("bytes", json_integer(1));
	refused("secret", json_string("BAUGBw"));
	refused("secret", json_null());
	refused("text", json_string(""));
	refused("text", json_string("evil66"));
	refused("text", json_string("a\nb"));
	refused("text", json_string("a\x7f"));
	refused("text", json_string("a\xc2\x85"));
	refused("text", json_stringn("a\0b", 3));
	refused("maybe", json_false());
	refused("word", json_string("a b"));
	refused("word", json_string("\xc3\xa9"));
	refused("time", json_string("2026-11-23T13:35:00Z"));
	refused("time", json_string("2026-13-23T13:35:00.123Z"));
	refused("number", json_integer(8));
	refused("number", json_integer(-3));
	refused("number", json_real(1.0));
	refused("number", json_string("1"));
	refused("number", json_true());
}

/* ---- forms ---- */

/* The same, as a form has it. */
static json_t *
good_form(void)
{
	json_t *o = good();

	assert_int_equal(json_object_set_new(o, "number", json_string("7")),
	    0);
	assert_int_equal(json_object_set_new(o, "value", json_string("")), 0);
	return o;
}

static enum cf_err
read_form(const json_t *o, struct thing *t, struct cf_why *why)
{
	memset(t, 0, sizeof *t);
	t->other = 42;
	return cf_fields_read_form(o, table, sizeof table / sizeof table[0],
	    t, why);
}

static void
t_a_form_is_read_by_the_same_table(void **state)
{
	json_t *o = good_form();
	struct cf_why why;
	struct thing t;

	(void)state;
	assert_int_equal(read_form(o, &t, &why), CF_OK);
	assert_memory_equal(t.bytes, "\1\2\3", 3);
	assert_memory_equal(t.secret.bytes, "\4\5\6", 3);
	assert_string_equal(t.text, "h\xc3\xa9 o");
	assert_string_equal(t.word, "a-b~!");
	assert_int_equal(t.number, 7);
	assert_string_equal(json_string_value(t.value), "");
	assert_int_equal(t.other, 42);
	/* Shown to somebody who left it empty. */
	json_object_set_new(o, "other", json_string(""));
	assert_int_equal(read_form(o, &t, &why), CF_OK);
	assert_int_equal(t.other, 42);
	json_object_set_new(o, "other", json_string("9"));
	assert_int_equal(read_form(o, &t, &why), CF_OK);
	assert_int_equal(t.other, 9);
	json_object_set_new(o, "stranger", json_string(""));
	assert_int_equal(read_form(o, &t, &why), CF_E_SYNTAX);
	assert_non_null(strstr(why.text, "not known here"));
	json_object_del(o, "stranger");
	/* What must be filled in may not be empty. */
	json_object_set_new(o, "text", json_string(""));
	assert_int_equal(read_form(o, &t, &why), CF_E_SYNTAX);
	assert_non_null(strstr(why.text, "\"text\""));
	json_object_del(o, "text");
	assert_int_equal(read_form(o, &t, &why), CF_E_SYNTAX);
	json_decref(o);
}

static void
t_a_number_in_a_form_is_its_digits(void **state)
{
	static const struct {
		const char *text;
		int64_t number;
	} good_ones[] = { { "7", 7 }, { "0", 0 }, { "-2", -2 } };
	static const char *const bad[] = { "", "8", "-3", "+7", "07", "-0",
	    " 7", "7 ", "7.0", "0x7", "7e0", "-", "--1", "1-", "seven",
	    "99999999999999999999", "18446744073709551623",
	    "0000000000000000007" };
	struct cf_why why;
	struct thing t;
	json_t *o = good_form();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good_ones / sizeof good_ones[0]; i++) {
		json_object_set_new(o, "number",
		    json_string(good_ones[i].text));
		assert_int_equal(read_form(o, &t, &why), CF_OK);
		assert_int_equal(t.number, good_ones[i].number);
	}
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		json_object_set_new(o, "number", json_string(bad[i]));
		assert_int_equal(read_form(o, &t, &why), CF_E_SYNTAX);
		assert_non_null(strstr(why.text, "\"number\""));
	}
	json_object_set_new(o, "number", json_integer(7));
	assert_int_equal(read_form(o, &t, &why), CF_E_SYNTAX);
	json_decref(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_all_types_are_read),
		cmocka_unit_test(t_an_optional_one_may_lack),
		cmocka_unit_test(t_others_must_be_there_and_alone),
		cmocka_unit_test(t_what_is_not_of_its_form_is_refused),
		cmocka_unit_test(t_a_form_is_read_by_the_same_table),
		cmocka_unit_test(t_a_number_in_a_form_is_its_digits),
	};

	return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
