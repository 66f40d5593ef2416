/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: which can stand in a message, and which can be registered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/address.h"
#include "common/wire.h"

static void
t_address_check(void **state)
{
	static const char *const good[] = {
		"a@b", "ann.b+c=d@a-b.test", "x_{|}~!#$%&'*/?^`@a.test",
		"ann@[127.0.0.1]", "ann@[IPv6:2001:db8::1]", "1@2.3",
	};
	static const char *const bad[] = {
		"", "@", "a@", "@b", "a", "a@b.", "a@.b", "a@b..c", ".a@b",
		"a.@b", "a..b@c", "a b@c", "a@b c", "a@b\n", "a\t@b", "<a@b>",
		"a@b>", "a,b@c", "a;b@c", "a:b@c", "\"a\"@b", "(a)b@c", "a@b_c",
		"a@[]", "a@[b", "a@b]", "a@[1\r\n]", "a@b@c", "\x7f@b",
		"\xc3\xa4@b", "a@\xc3\xa4", "a\\@b",
	};
	char address[CF_ADDRESS_MAX + 2];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		if (!cf_address_ok(good[i]))
			fail_msg("%s", good[i]);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (cf_address_ok(bad[i]))
			fail_msg("%s", bad[i]);
	memset(address, 'a', sizeof address);
	memcpy(address + sizeof address - 3, "@b", 3);
	assert_int_equal(strlen(address), CF_ADDRESS_MAX + 1);
	assert_false(cf_address_ok(address));
	assert_true(cf_address_ok(address + 1));
}

/* As an MTA hands it over: may it be registered as a recipient? */
static const struct {
	const char *address;
	bool registrable;
} registered[] = {
	{ "ann@b.test", true },
	{ "ann.b+c=d_{|}~!#$%&'*/?^`@a-b.test", true },
	{ "ann@[127.0.0.1]", true },
	{ "ann@[IPv6:2001:db8::1]", true },
	{ "ann@win_host.a.test", true },
	{ "a..b.@docomo.test", true },
	{ "\xc3\xa4nn@\xc3\xa4.test", true },
	{ "\xe5\xb1\xb1\xe7\x94\xb0@\xe4\xbe\x8b.test", true },
	{ "\xd8\xb9\xd9\x84\xd9\x8a@\xd9\x85.test", true },
	{ "\xf0\x9f\x93\xa7@b", true },
	{ "\"ann\"@b.test", true },
	{ "\"ann@a.test\"@b.test", true },
	{ "\"a..b\"@b.test", true },
	{ "postmaster", true },
	{ "\"a b\"@c", true },
	{ "\"a, b\" <c\"@d", false },
	{ "\"a, b <c\"@d", true },
	{ "\"a\\\"b\\\\\"@c", true },
	{ "\"ceo@bank.test (by way of) <x\"@a.test", true },
	{ "\"https://evil.test/\"@a.test", true },
	/* no address */
	{ "", false }, { "@", false }, { "@b", false },
	{ "a@", false }, { "a@.b", false },
	{ "a@b.", false }, { "a@b..c", false },
	{ "a@[]", false }, { "a@[b", false },
	{ "a@b]", false }, { "a@[1 2]", false },
	{ "\"a@b", false }, { "\"a\"b@c", false },
	{ "\"a\\", false }, { "\"", false },
	/* two, or more than an address */
	{ "x@a.test,victim@c.test@a.test", false },
	{ "a@b@c", false }, { "a,b@c", false },
	{ "a;b@c", false }, { "a b@c", false },
	{ "a@b c", false }, { " a@b", false },
	{ "a@b ", false }, { "(a)b@c", false },
	{ "<a@b>", false }, { "a:b@c", false },
	{ "a\\@b", false }, { "@a,@b:c@d", false },
	{ "ceo@bank.test (sent for) <x@a.test", false },
	/* more than is seen, or another thing */
	{ "a\tb@c", false }, { "a\n@b", false },
	{ "\x7f@b", false }, { "\x1b@b", false },
	{ "\"a\tb\"@c", false }, { "\"a\xe2\x80\xa8" "b\"@c", false },
	{ "\xc2\x85@b", false },			/* next line */
	{ "\xe2\x80\xaetset@oec\xe2\x80\xac.test", false },
	{ "ceo@bank.test\xc2\xa0\xc2\xa0@a.test", false },
	{ "ann\xc2\xa0@a.test", false },
	{ "a\xe2\x80\x8b@b", false },		/* zero width */
	{ "a\xe2\x80\xa8@b", false },		/* line separator */
	{ "a\xc2\xad@b", false },		/* soft hyphen */
	{ "a\xe3\x85\xa4@b", false },		/* Hangul filler */
	{ "a\xe3\x80\x80@b", false },		/* ideographic space */
	{ "a@b\xef\xb8\x8f", false },		/* variation */
	{ "a\xf3\xa0\x81\x81@b", false },	/* tag */
	{ "ceo\xef\xbc\xa0" "bank.test@a.test", false },	/* wide @ */
	{ "a@b\xe3\x80\x82test", false },	/* ideographic stop */
	{ "a\xef\xbc\x8c" "b@c", false },	/* wide comma */
	/* no UTF-8 */
	{ "\xff@b", false }, { "\xc3@b", false },
	{ "\xc0\x80@b", false }, { "\xed\xa0\x80@b", false },
	{ "a\xc3", false }, { "\"\xff\"@b", false },
};

static void
t_registrable_address(void **state)
{
	char address[CF_WIRE_ADDRESS_MAX + 2] = "";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof registered / sizeof registered[0]; i++)
		if (cf_address_registrable(registered[i].address) !=
		    registered[i].registrable)
			fail_msg("%zu: %s", i, registered[i].address);
	memset(address, 'a', CF_WIRE_ADDRESS_MAX + 1);
	assert_false(cf_address_registrable(address));
	assert_true(cf_address_registrable(address + 1));
	address[60] = '@';	/* domain: 260, 255 */
	assert_false(cf_address_registrable(address + 1));
	address[60] = 'a';
	address[65] = '@';
	assert_true(cf_address_registrable(address + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_address_check),
		cmocka_unit_test(t_registrable_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
