/* SPDX-License-Identifier: Apache-2.0 */
/* The recipient's notice: what it says, and that input cannot bend it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/notice.h"

#define LINK "https://reader.a.test/m/AAAAAAAAAAAAAAAAAAAAAA#https%3A%2F%2Fk"

struct both {
	struct cf_buf text, html;
};

static void
build(struct both *b, const char *sender, bool known, const char *link)
{
	struct cf_notice notice = { sender, known, "https://keys.test:8443",
		link };

	b->text.max = b->html.max = CF_NOTICE_MAX;
	assert_int_equal(cf_notice_build(&notice, &b->text, &b->html, NULL),
	    CF_OK);
}

static void
end(struct both *b)
{
	cf_buf_free(&b->text);
	cf_buf_free(&b->html);
}

static void
t_build_says_who_what_and_where(void **state)
{
	struct both b = { 0 };
	int i;

	(void)state;
	build(&b, "alice@a.test", true, LINK);
	for (i = 0; i < 2; i++) {
		const char *s = cf_buf_str(i == 0 ? &b.text : &b.html);

		assert_non_null(strstr(s, "alice@a.test"));
		assert_non_null(strstr(s, "has sent you a message"));
		assert_non_null(strstr(s, "keys.test:8443"));
		assert_non_null(strstr(s, "records nothing yet"));
		assert_non_null(strstr(s, "is not"));
		assert_non_null(strstr(s, "message.counterfoil"));
	}
	/* The link has a line of its own. */
	assert_non_null(strstr(cf_buf_str(&b.text), "\n\n" LINK "\n\n"));
	assert_non_null(strstr(cf_buf_str(&b.html), "href=\"" LINK "\""));
	assert_non_null(strstr(cf_buf_str(&b.html), ">" LINK "</a>"));
	assert_non_null(strstr(cf_buf_str(&b.html), "href=\"" LINK
	    "\">Go to the message</a>"));
	end(&b);
}

static void
t_build_claims_no_more_than_known(void **state)
{
	struct both b = { 0 };

	(void)state;
	build(&b, "alice@a.test", false, LINK);
	assert_null(strstr(cf_buf_str(&b.text), "has sent you"));
	assert_non_null(strstr(cf_buf_str(&b.text), "is named as the sender"));
	/* Whether the receipt goes to that address is not known either. */
	assert_null(strstr(cf_buf_str(&b.text), "alice@a.test is told"));
	end(&b);
}

static void
t_build_html_loads_nothing(void **state)
{
	static const char *const bad[] = { "<img", "<script", "src=", "url(",
		"<link", "<iframe", "onclick", "http-equiv", "<form" };
	struct both b = { 0 };
	size_t i;

	(void)state;
	build(&b, "alice@a.test", true, LINK);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_null(strstr(cf_buf_str(&b.html), bad[i]));
	end(&b);
}

static void
t_build_plain_senders_are_named(void **state)
{
	static const char *const named[] = { "ann@a.test",
		"first.last+tag@mail.a.test", "SRS0=x1=Y2=b.test=ann@a.test",
		"x@xn--bcher-kva.test", "ann_b-c@[192.0.2.1]" };
	struct both b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof named / sizeof named[0]; i++) {
		build(&b, named[i], false, LINK);
		assert_memory_equal(cf_buf_str(&b.text), named[i],
		    strlen(named[i]));
		assert_non_null(strstr(cf_buf_str(&b.html), named[i]));
		end(&b);
	}
	build(&b, "pat.o'brien@a.test", true, LINK);
	assert_non_null(strstr(cf_buf_str(&b.html),
	    "<strong>pat.o&#39;brien@a.test</strong>"));
	end(&b);
}

/* Nothing that a mail program would make a link, or that hides. */
static void
t_build_misleading_senders_are_left_out(void **state)
{
	static const char *const left_out[] = { "", "nobody", "a b@c.test",
		"a@b\nhttps://evil.test/", "gr\xc3\xbc@b.test",
		"a@b.test\r\n\r\n<b>", "\"<b>evil</b>\"@x.test",
		"\"http://evil.test/login\"@x.test",
		"http://evil.test/login@x.test", "evil.test/login@x.test",
		"www.evil.test@x.test", "WWW.evil.test@x.test",
		"evil.test?a@x.test", "evil.test#a@x.test",
		"%65vil.test@x.test", "mailto:evil@evil.test@x.test",
		"evil\xe2\x80\xae@x.test", "evil\xc2\xad@x.test" };
	struct both b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
		build(&b, left_out[i], true, LINK);
		assert_memory_equal(cf_buf_str(&b.text), "Somebody has sent",
		    17);
		assert_null(strstr(cf_buf_str(&b.text), "evil"));
		assert_null(strstr(cf_buf_str(&b.html), "<b>"));
		end(&b);
	}
}

static void
t_build_lines_are_short_but_for_the_link(void **state)
{
	struct both b = { 0 };
	const char *p, *eol;

	(void)state;
	build(&b, "alice@a.test", true, LINK);
	for (p = cf_buf_str(&b.text); *p != '\0'; p = eol + 1) {
		eol = strchr(p, '\n');
		assert_non_null(eol);
		if (strncmp(p, "https://", 8) != 0)
			assert_true(eol - p <= 72);
	}
	end(&b);
}

static void
t_build_refuses_what_does_not_fit(void **state)
{
	struct cf_notice notice = { "a@b.test", true, "https://k", LINK };
	struct cf_buf small = CF_BUF_INIT(100), large = CF_BUF_INIT(9999);

	(void)state;
	assert_int_equal(cf_notice_build(&notice, &small, &large, NULL),
	    CF_E_TOO_LARGE);
	assert_int_equal(cf_notice_build(&notice, &large, &small, NULL),
	    CF_E_TOO_LARGE);
	cf_buf_free(&small);
	cf_buf_free(&large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_build_says_who_what_and_where),
		cmocka_unit_test(t_build_claims_no_more_than_known),
		cmocka_unit_test(t_build_html_loads_nothing),
		cmocka_unit_test(t_build_plain_senders_are_named),
		cmocka_unit_test(t_build_misleading_senders_are_left_out),
		cmocka_unit_test(t_build_lines_are_short_but_for_the_link),
		cmocka_unit_test(t_build_refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
