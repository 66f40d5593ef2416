/* SPDX-License-Identifier: Apache-2.0 */
/* What the mailer takes; tests/keysrv/ sends by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "keysrv/receipt/mailer.h"

static void
t_mailer_wants_a_port(void **state)
{
	struct cf_mailer_options o = { .server = "localhost" };
	struct cf_mailer *mailer = NULL;

	(void)state;
	assert_int_equal(cf_mailer_new(&o, &mailer, NULL), CF_E_CONFIG);
	o.server = "127.0.0.1:25";
	o.helo = "a/b";
	assert_int_equal(cf_mailer_new(&o, &mailer, NULL), CF_E_CONFIG);
	assert_null(mailer);
}

static void
t_mailer_sends_no_odd_bytes(void **state)
{
	static const char *const bad[] = {
		"", "a", "a\n", "a\r\nb", "a\rb\r\n", "a\nb\r\n",
		"a\xc3\xa4\r\n", "a\r\n\r",
	};
	struct cf_mailer_options o = { .server = "127.0.0.1:1" };
	struct cf_mailer *mailer = NULL;
	size_t i;

	(void)state;
	assert_int_equal(cf_mailer_new(&o, &mailer, NULL), CF_OK);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(cf_mailer_send(mailer, "a@b", bad[i],
		    strlen(bad[i]), NULL), CF_E_INTERNAL);
	assert_int_equal(cf_mailer_send(mailer, "a@b>", "a\r\n", 3, NULL),
	    CF_E_ADDRESS);
	assert_int_equal(cf_mailer_send(mailer, "a@b", "a\r\n", 3, NULL),
	    CF_E_MAIL_AWAY);
	cf_mailer_free(&mailer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_mailer_wants_a_port),
		cmocka_unit_test(t_mailer_sends_no_odd_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
