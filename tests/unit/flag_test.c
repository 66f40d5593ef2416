/* SPDX-License-Identifier: Apache-2.0 */
/* The flag's options, the policy file, the tag in the Subject. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mem.h"
#include "milter/gateway/rules.h"
#include "milter/gateway/subject.h"
#include "milter/gateway/want.h"

#define DAY 86400

/* ---- options ---- */

static enum cf_err
parse(const char *text, enum cf_want_place place, struct cf_want *ret)
{
	static const struct cf_want none;

	*ret = none;
	return cf_want_parse(text, place, ret, NULL);
}

static void
t_parse_takes_the_grammar(void **state)
{
	static const struct {
		const char *text;
		bool expires;		/* is it given? */
		int64_t expires_s;
	} good[] = {
		{ "yes", false, 0 }, { " \t\r\n YES \n\t", false, 0 },
		{ "expires=7d", true, 7 * DAY },
		{ "EXPIRES = 36H", true, 36 * 3600 },
		{ "expires\n =\r\n\t2w", true, 14 * DAY },
		{ "expires=1h", true, 3600 },
		{ "expires=3650d", true, 3650LL * DAY },
		{ "expires=never", true, 0 },
		{ "require=bearer", false, 0 },
		{ "require=Bearer; expires=1d;layers=none", true, DAY },
		{ " layers = none ; expires = 1d ", true, DAY },
	};
	struct cf_want want;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (parse(good[i].text, CF_WANT_IN_FLAG, &want) != CF_OK ||
		    want.given[CF_WANT_EXPIRES] != good[i].expires ||
		    want.expires_s != good[i].expires_s)
			fail_msg("%s", good[i].text);
	}
}

/* The error, and a word that its sentence must have. */
struct bad {
	const char *text;
	enum cf_err rc;
	const char *word;
};

static const struct bad bad_flags[] = {
	{ "", CF_E_SYNTAX, "an option should stand" },
	{ "no", CF_E_SYNTAX, "\"no\"" },
	{ "yes please", CF_E_SYNTAX, "yes please" },
	{ "yes;", CF_E_SYNTAX, "an option should stand" },
	{ "yes; yes", CF_E_SYNTAX, "\"yes\"" },
	{ "expires=7d; yes", CF_E_SYNTAX, "\"yes\"" },
	{ "yes; expires=soon", CF_E_SYNTAX, "expires=soon" },
	{ "ye s", CF_E_SYNTAX, "ye s" },
	{ "\"yes\"", CF_E_SYNTAX, "\"yes\" stands in quotation" },
	{ "yes (please)", CF_E_SYNTAX, "(please)" },
	{ "expires", CF_E_SYNTAX, "expires" },
	{ "expires=", CF_E_SYNTAX, "expires" },
	{ "=7d", CF_E_SYNTAX, "=7d" },
	{ "expires=7d;", CF_E_SYNTAX, "an option should stand" },
	{ ";expires=7d", CF_E_SYNTAX, ";expires" },
	{ "expires=7d;;layers=none", CF_E_SYNTAX, ";layers" },
	{ "expires=7d layers=none", CF_E_SYNTAX, "layers=none" },
	{ "expires=7d, ", CF_E_SYNTAX, "expires" },
	{ "expires=7d,8d", CF_E_SYNTAX, "expires" },
	{ "expires=7 d", CF_E_SYNTAX, "expires" },
	{ "expires=7", CF_E_SYNTAX, "expires=7" },
	{ "expires=d", CF_E_SYNTAX, "expires=d" },
	{ "expires=0d", CF_E_SYNTAX, "expires=0d" },
	{ "expires=07d", CF_E_SYNTAX, "expires=07d" },
	{ "expires=-7d", CF_E_SYNTAX, "expires=-7d" },
	{ "expires=7m", CF_E_SYNTAX, "expires=7m" },
	{ "expires=3651d", CF_E_SYNTAX, "expires=3651d" },
	{ "expires=99999w", CF_E_SYNTAX, "expires=99999w" },
	{ "expires=999999h", CF_E_SYNTAX, "expires=999999h" },
	{ "expires=2026-12-01", CF_E_SYNTAX, "expires=2026-12-01" },
	{ "expires=7d; Expires=8d", CF_E_SYNTAX, "twice" },
	{ "require=anybody", CF_E_SYNTAX, "require=anybody" },
	{ "require=bearer,bearer", CF_E_SYNTAX, "require" },
	{ "layers=none,sign", CF_E_SYNTAX, "layers=none" },
	{ "layers=paint", CF_E_SYNTAX, "layers=paint" },
	{ "colour=red", CF_E_SYNTAX, "colour" },
	{ "receipt=always", CF_E_SYNTAX, "receipt" },
	{ "expires=7d; x=(7d)", CF_E_SYNTAX, "(7d)" },
	{ "expires=7d; x=j\xc3\xa4", CF_E_SYNTAX, "behind x=" },
	{ "a2345678901234567890123456789012x=1", CF_E_SYNTAX, "a23456" },
	{ "layers=sign,sign,sign,sign,sign,sign,sign,sign,sign", CF_E_SYNTAX,
	    "layers" },
	{ "require=mailbox", CF_E_POLICY, "require=mailbox" },
	{ "require=account", CF_E_POLICY, "require=account" },
	{ "expires=7d; require=Certificate", CF_E_POLICY,
	    "require=Certificate" },
	{ "layers=sign", CF_E_POLICY, "layers=sign" },
	{ "layers=encrypt, timestamp", CF_E_POLICY, "layers=encrypt" },
	{ "not-before=7d", CF_E_POLICY, "not-before" },
	{ "count=3", CF_E_POLICY, "count" },
};

static void
t_parse_names_what_it_refuses(void **state)
{
	struct cf_want want = { .expires_s = 77 };
	char longest[CF_WANT_MAX + 2];
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad_flags / sizeof bad_flags[0]; i++) {
		why.text[0] = '\0';
		if (cf_want_parse(bad_flags[i].text, CF_WANT_IN_FLAG, &want,
		    &why) != bad_flags[i].rc ||
		    strstr(why.text, bad_flags[i].word) == NULL ||
		    want.expires_s != 77)
			fail_msg("%s: %s", bad_flags[i].text, why.text);
	}
	memset(longest, ' ', sizeof longest - 1);
	memcpy(longest, "yes", 3);
	longest[CF_WANT_MAX + 1] = '\0';
	assert_int_equal(cf_want_parse(longest, CF_WANT_IN_FLAG, &want, NULL),
	    CF_E_SYNTAX);
	longest[CF_WANT_MAX] = '\0';
	assert_int_equal(cf_want_parse(longest, CF_WANT_IN_FLAG, &want, NULL),
	    CF_OK);
}

static void
t_parse_knows_the_place(void **state)
{
	struct cf_want want;

	(void)state;
	assert_int_equal(parse("yes", CF_WANT_IN_DEFAULTS, &want),
	    CF_E_SYNTAX);
	assert_int_equal(parse("yes", CF_WANT_IN_RULE, &want), CF_E_SYNTAX);
	assert_int_equal(parse("receipt=always", CF_WANT_IN_DEFAULTS, &want),
	    CF_E_SYNTAX);
	assert_int_equal(parse("receipt=always", CF_WANT_IN_RULE, &want),
	    CF_OK);
	assert_true(want.always && want.given[CF_WANT_RECEIPT]);
	assert_int_equal(parse("receipt=asked", CF_WANT_IN_RULE, &want),
	    CF_OK);
	assert_true(!want.always && want.given[CF_WANT_RECEIPT]);
	assert_int_equal(parse("receipt=never", CF_WANT_IN_RULE, &want),
	    CF_E_SYNTAX);
	assert_int_equal(parse("expires=1d", CF_WANT_IN_DEFAULTS, &want),
	    CF_OK);
}

static void
t_format_is_read_back(void **state)
{
	static const char *const texts[] = { "expires=168h", "expires=never",
	    "require=bearer; expires=36h; layers=none; receipt=always",
	    "layers=none", "receipt=asked" };
	struct cf_buf buf = CF_BUF_INIT(200);
	struct cf_want want;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_int_equal(parse(texts[i], CF_WANT_IN_RULE, &want),
		    CF_OK);
		cf_buf_reset(&buf);
		cf_want_format(&want, &buf);
		assert_string_equal(cf_buf_str(&buf), texts[i]);
	}
	cf_buf_free(&buf);
}

/* ---- the policy file ---- */

static enum cf_err
load(const char *text, struct cf_rules **ret, struct cf_why *why)
{
	char path[] = "/tmp/cf-rules-XXXXXX";
	int fd = mkstemp(path);
	enum cf_err rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	rc = cf_rules_load(path, ret, why);
	if (rc != CF_OK && strncmp(why->text, path, strlen(path)) == 0)
		memmove(why->text, why->text + strlen(path),
		    strlen(why->text + strlen(path)) + 1);
	unlink(path);
	return rc;
}

static int64_t
expires_days(const struct cf_rules *rules, const char *sender,
    const char *recipient)
{
	struct cf_want want = { .expires_s = 99 * DAY };

	cf_rules_apply(rules, sender, recipient, &want);
	return want.expires_s / DAY;
}

static void
t_rules_inherit_in_their_order(void **state)
{
	struct cf_why why = { "" };
	struct cf_rules *rules = NULL;
	struct cf_want want = { .expires_s = 0 };

	(void)state;
	assert_int_equal(load("# comment\n\n"
	    "  from ann@a.test   expires=4d\r\n"
	    "to\t@B.test  expires=1d; receipt=always\n"
	    "FROM @a.test expires=2d\n"
	    "to bob@b.test expires=3d\n"
	    "from eve@a.test receipt=asked", &rules, &why), CF_OK);
	assert_int_equal(expires_days(rules, "x@c.test", "x@c.test"), 99);
	assert_int_equal(expires_days(rules, "x@c.test", "x@b.test"), 1);
	assert_int_equal(expires_days(rules, "x@A.TEST", "x@c.test"), 2);
	assert_int_equal(expires_days(rules, "x@A.TEST", "x@b.test"), 1);
	assert_int_equal(expires_days(rules, "x@a.test", "Bob@b.test"), 3);
	assert_int_equal(expires_days(rules, "Ann@a.test", "bob@b.test"), 4);
	assert_int_equal(expires_days(rules, "x@s.a.test", "x@xb.test"), 99);
	assert_int_equal(expires_days(rules, "", "x"), 99);
	assert_int_equal(expires_days(NULL, "ann@a.test", "x"), 99);
	cf_rules_apply(rules, "x@a.test", "y@b.test", &want);
	assert_true(want.always);
	cf_rules_apply(rules, "eve@a.test", "y@b.test", &want);
	assert_false(want.always);
	cf_rules_free(&rules);
	assert_null(rules);
}

static void
t_rules_name_the_line(void **state)
{
	static const struct {
		const char *text, *start;
	} bad[] = {
		{ "to @b.test expires=1d\nby @b.test expires=1d\n", ":2: " },
		{ "to\n", ":1: " }, { "to @b.test\n", ":1: " },
		{ "\n\nto b.test expires=1d", ":3: " },
		{ "to @ expires=1d", ":1: " },
		{ "to <x@b.test> expires=1d", ":1: " },
		{ "to @b.test yes", ":1: " },
		{ "to @b.test expires=1x", ":1: expires=1x" },
		{ "to @b.test expires=1d # why", ":1: behind expires=" },
		{ "to @b.test require=account", ":1: require=account" },
		{ "to @b.test expires=1d\n#\nto @B.TEST layers=none\n",
		    ":3: there is another rule to @B.TEST, in line 1" },
	};
	struct cf_rules *rules = NULL;
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (load(bad[i].text, &rules, &why) != CF_E_CONFIG ||
		    rules != NULL || strncmp(why.text, bad[i].start,
		    strlen(bad[i].start)) != 0)
			fail_msg("%s: %s", bad[i].text, why.text);
	assert_int_equal(cf_rules_load("/nonexistent/x", &rules, &why),
	    CF_E_CONFIG);
	assert_int_equal(load("", &rules, &why), CF_OK);
	assert_int_equal(expires_days(rules, "a@b", "c@d"), 99);
	cf_rules_free(&rules);
}

/* ---- the Subject ---- */

#define TAG "[receipt]"

static void
t_subject_tag_is_found_and_taken(void **state)
{
	static const char *const pairs[][2] = {
		{ " [receipt] Lunch", "Lunch" },
		{ "[receipt]Lunch", "Lunch" },
		{ " [RECEIPT]   Lunch  [receipt]", "Lunch  [receipt]" },
		{ "\n [Receipt]\n\tLunch", "Lunch" },
		{ " [receipt] a\n\tb\r\n c", "a b c" },
		{ " [receipt] L\xc3\xbcnch now", "=?utf-8?b?TMO8bmNo?= now" },
		{ " [receipt] L\xfcnch", "=?unknown-8bit?b?TPxuY2g=?=" },
		{ " [receipt]", "" }, { " [receipt] \n ", "" },
		{ " =?utf-8?Q?[receipt]_L=C3=BCnch?=",
		    "=?utf-8?Q?L=C3=BCnch?=" },
		{ " =?UTF-8?q?=5breceipt=5D_=20L=C3=BCnch?= today",
		    "=?UTF-8?Q?L=C3=BCnch?= today" },
		{ " =?utf-8?B?W3JlY2VpcHRdIEzDvG5jaA==?=",
		    "=?utf-8?B?TMO8bmNo?=" },
		{ " =?iso-8859-1*de?b?W1JlY2VpcHRdTPxuY2g=?= x",
		    "=?iso-8859-1*de?B?TPxuY2g=?= x" },
		{ " =?utf-8?q?=5Breceipt=5D?= Lunch", "Lunch" },
		{ " =?utf-8?q?=5Breceipt=5D_?=\n =?utf-8?q?L?=",
		    "=?utf-8?q?L?=" },
		{ " =?utf-8?B?W3JlY2VpcHRd?=", "" },
		{ " [receipt] a\x01\x7f" "b", "a  b" },
	};
	static const char *const others[] = {
		"", " ", " Lunch", " Re: [receipt] Lunch", " [receipts] x",
		" receipt", " [receip", " =?utf-8?q?Re:_=5Breceipt=5D?=",
		" =?utf-8?q?_=5Breceipt=5D?=", " =?utf-8?q?=5Breceipt?= ]",
		" =?utf-8?x?=5Breceipt=5D?=", " =?utf-8?q?=5Breceipt=5D",
		" =?utf-8?q?=5Breceipt=5D?", " =??q?=5Breceipt=5D?=",
		" =?utf-8?b?UmU6IFtyZWNlaXB0XQ==?=", " =?utf-8?b?!!?=",
		" =?", " =?a?q", " =?a?q?", " =?utf-8?q?=5Breceipt=5?=",
	};
	struct cf_buf out = CF_BUF_INIT(2000);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		cf_buf_reset(&out);
		if (!cf_subject_has_tag(pairs[i][0], TAG))
			fail_msg("not found in %s", pairs[i][0]);
		cf_subject_untag(pairs[i][0], TAG, &out);
		assert_string_equal(cf_buf_str(&out), pairs[i][1]);
	}
	for (i = 0; i < sizeof others / sizeof others[0]; i++)
		if (cf_subject_has_tag(others[i], TAG))
			fail_msg("found in %s", others[i]);
	cf_buf_free(&out);
}

static void
t_subject_is_cut_between_words(void **state)
{
	struct cf_buf out = CF_BUF_INIT(CF_SUBJECT_MAX);
	char text[4000];
	size_t i;

	(void)state;
	for (i = 0; i + 4 < sizeof text; i += 3)
		memcpy(text + i, "\xc3\xbc ", 4);
	cf_subject_write(text, &out);
	assert_int_equal(cf_buf_check(&out, NULL), CF_OK);
	assert_true(out.len > CF_SUBJECT_MAX - 100);
	assert_string_equal(out.data + out.len - 2, "?=");
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	cf_buf_reset(&out);
	cf_subject_write(text, &out);
	assert_int_equal(out.len, CF_SUBJECT_MAX);
	cf_buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_parse_takes_the_grammar),
		cmocka_unit_test(t_parse_names_what_it_refuses),
		cmocka_unit_test(t_parse_knows_the_place),
		cmocka_unit_test(t_format_is_read_back),
		cmocka_unit_test(t_rules_inherit_in_their_order),
		cmocka_unit_test(t_rules_name_the_line),
		cmocka_unit_test(t_subject_tag_is_found_and_taken),
		cmocka_unit_test(t_subject_is_cut_between_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
