/* SPDX-License-Identifier: Apache-2.0 */
/* What postconf prints, taken apart: as in postconf(5), master(5) and
 * MILTER_README, and as nobody should write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "milter/check/postfix_conf.h"

#define MAIN \
	"compatibility_level = 3.6\n" \
	"content_filter =\n" \
	"not a parameter\n" \
	"smtpd_milters = inet:127.0.0.1:8891, unix:/a\n" \
	"header_checks = pcre:{{/^A = B/ FILTER x}}\n"
#define OVERRIDES \
	"10027/inet/smtpd_milters = unix:/run/cf/milter.sock\n" \
	"127.0.0.1:10027/inet/content_filter = x:y = z\n"
#define MASTER \
	"smtp       inet  n       -       y       -       -       smtpd\n" \
	"127.0.0.1:10027 inet n - n - - smtpd -o content_filter=\n" \
	"cut        unix  n - n -\n" \
	"\n" \
	"counterfoil unix - - - - 5 smtp -o smtp_tls_security_level=none\n"

static void
parse(struct cf_postfix_conf *conf, const char *main_text,
    const char *overrides, const char *master)
{
	memset(conf, 0, sizeof *conf);
	conf->main.max = conf->overrides.max = conf->master.max = 65536;
	cf_buf_adds(&conf->main, main_text);
	cf_buf_adds(&conf->overrides, overrides);
	cf_buf_adds(&conf->master, master);
	cf_postfix_conf_parse(conf);
}

static void
t_value_in_force_is_the_services_own(void **state)
{
	struct cf_postfix_conf conf;
	const struct cf_postfix_service *front, *hop;

	(void)state;
	parse(&conf, MAIN, OVERRIDES, MASTER);
	front = cf_postfix_service(&conf, "smtp", "inet");
	hop = cf_postfix_service(&conf, "127.0.0.1:10027", "inet");
	assert_non_null(front);
	assert_non_null(hop);
	assert_string_equal(cf_postfix_value(&conf, NULL, "smtpd_milters"),
	    "inet:127.0.0.1:8891, unix:/a");
	assert_string_equal(cf_postfix_value(&conf, front, "smtpd_milters"),
	    "inet:127.0.0.1:8891, unix:/a");
	assert_string_equal(cf_postfix_value(&conf, NULL, "content_filter"),
	    "");
	assert_string_equal(cf_postfix_value(&conf, hop, "content_filter"),
	    "x:y = z");
	assert_string_equal(cf_postfix_value(&conf, NULL, "header_checks"),
	    "pcre:{{/^A = B/ FILTER x}}");
	assert_string_equal(cf_postfix_value(&conf, hop, "unknown"), "");
	cf_postfix_conf_free(&conf);
}

static void
t_services_are_found_by_name_and_port(void **state)
{
	struct cf_postfix_conf conf;

	(void)state;
	parse(&conf, MAIN, OVERRIDES, MASTER);
	assert_int_equal(conf.service_count, 3);
	assert_null(cf_postfix_service(&conf, "smtp", "unix"));
	assert_null(cf_postfix_service(&conf, "cut", "unix"));
	assert_string_equal(cf_postfix_service(&conf, "counterfoil",
	    "unix")->command, "smtp");
	assert_string_equal(cf_postfix_listener(&conf,
	    "[127.0.0.1]:10027")->name, "127.0.0.1:10027");
	assert_string_equal(cf_postfix_listener(&conf, "[::1]:smtp")->name,
	    "smtp");
	assert_null(cf_postfix_listener(&conf, "[127.0.0.1]:1"));
	assert_null(cf_postfix_listener(&conf, "127.0.0.1"));
	cf_postfix_conf_free(&conf);
}

static void
t_chroot_has_the_default_of_the_level(void **state)
{
	static const char *const levels[] = { "0", "1", "3.6" };
	struct cf_postfix_conf conf;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		char text[40];

		(void)snprintf(text, sizeof text, "compatibility_level = %s\n",
		    levels[i]);
		parse(&conf, text, "", MASTER);
		assert_true(cf_postfix_is_chrooted(&conf, &conf.service[0]));
		assert_false(cf_postfix_is_chrooted(&conf, &conf.service[1]));
		assert_int_equal(cf_postfix_is_chrooted(&conf,
		    &conf.service[2]), i == 0);
		cf_postfix_conf_free(&conf);
	}
}

static void
t_nothing_printed_is_nothing(void **state)
{
	struct cf_postfix_conf conf;

	(void)state;
	parse(&conf, "", "", "");
	assert_int_equal(conf.service_count + conf.param_count, 0);
	assert_string_equal(cf_postfix_value(&conf, NULL, "x"), "");
	cf_postfix_conf_free(&conf);
	/* Without an end of line, and never parsed at all. */
	parse(&conf, "a = b", "", "a b c d e f g h");
	assert_string_equal(cf_postfix_value(&conf, NULL, "a"), "b");
	assert_string_equal(conf.service[0].command, "h");
	cf_postfix_conf_free(&conf);
	cf_postfix_conf_free(&conf);
}

static void
t_milters_of_every_form(void **state)
{
	static const struct {
		const char *list;
		struct cf_postfix_milter want[3];
	} cases[] = {
		{ "", { { "", "", "" } } },
		{ " , ", { { "", "", "" } } },
		{ "unix:/a", { { "unix:/a", "", "" } } },
		{ "inet:[::1]:1,unix:/b\tlocal:c", { { "inet:[::1]:1", "", "" },
		    { "unix:/b", "", "" }, { "local:c", "", "" } } },
		{ "{ unix:/a, default_action=accept, content_timeout=9s }, "
		    "unix:/b", { { "unix:/a", "accept", "9s" },
		    { "unix:/b", "", "" } } },
		{ "{unix:/a,{default_action = reject},{content_timeout = 5m}}"
		    "unix:/b", { { "unix:/a", "reject", "5m" },
		    { "unix:/b", "", "" } } },
		{ "{ unix:/a, { default_action = tempfail } }, {unix:/b}",
		    { { "unix:/a", "tempfail", "" }, { "unix:/b", "", "" } } },
		{ "{ unix:/a command_timeout=1s, connect_timeout=2s }",
		    { { "unix:/a", "", "" } } },
		{ "{unix:/a, default_action=accept", { { "unix:/a", "accept",
		    "" } } },
		{ "{", { { "", "", "" } } },
		{ "{ unix:/a, default_action= }", { { "unix:/a", "", "" } } },
	};
	struct cf_postfix_milter have;
	const char *list;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		list = cases[i].list;
		for (n = 0; cf_postfix_next_milter(&list, &have); n++) {
			assert_true(n < 3);
			assert_string_equal(have.address,
			    cases[i].want[n].address);
			assert_string_equal(have.action,
			    cases[i].want[n].action);
			assert_string_equal(have.content_timeout,
			    cases[i].want[n].content_timeout);
		}
		assert_true(n == 3 || cases[i].want[n].address[0] == '\0');
	}
}

static void
t_long_milters_are_cut(void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(4096);
	struct cf_postfix_milter have;
	const char *list;
	int i;

	(void)state;
	cf_buf_adds(&text, "unix:/");
	for (i = 0; i < 1000; i++)
		cf_buf_addc(&text, 'a');
	cf_buf_adds(&text, ", unix:/b");
	list = cf_buf_str(&text);
	assert_true(cf_postfix_next_milter(&list, &have));
	assert_int_equal(strlen(have.address), sizeof have.address - 1);
	assert_true(cf_postfix_next_milter(&list, &have));
	assert_string_equal(have.address, "unix:/b");
}

static void
t_words_are_whole_words(void **state)
{
	static const char list[] = "permit_mynetworks, Reject ,\tbounce";

	(void)state;
	assert_ptr_equal(cf_postfix_word(list, "reject"), list + 19);
	assert_ptr_equal(cf_postfix_word(list, "bounce"), strrchr(list, 'b'));
	assert_null(cf_postfix_word(list, "permit"));
	assert_null(cf_postfix_word(list, "2bounce"));
	assert_null(cf_postfix_word("", "x"));
}

static void
t_times_have_their_units(void **state)
{
	static const struct { const char *text; long s; } cases[] = {
		{ "300s", 300 }, { "7", 7 }, { "5m", 300 }, { "2h", 7200 },
		{ "1d", 86400 }, { "1w", 604800 }, { "", -1 }, { "s", -1 },
		{ "1y", -1 }, { "soon", -1 }, { "5ms", -1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(cf_postfix_seconds(cases[i].text),
		    cases[i].s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_value_in_force_is_the_services_own),
		cmocka_unit_test(t_services_are_found_by_name_and_port),
		cmocka_unit_test(t_chroot_has_the_default_of_the_level),
		cmocka_unit_test(t_nothing_printed_is_nothing),
		cmocka_unit_test(t_milters_of_every_form),
		cmocka_unit_test(t_long_milters_are_cut),
		cmocka_unit_test(t_words_are_whole_words),
		cmocka_unit_test(t_times_have_their_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
