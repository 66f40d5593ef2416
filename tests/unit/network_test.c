/* SPDX-License-Identifier: Apache-2.0 */
/* Networks, and who is behind a proxy. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/network.h"

static struct cf_network
network(const char *text)
{
	struct cf_network n;

	if (!cf_network_parse(text, &n))
		fail_msg("%s", text);
	return n;
}

static void
t_network_holds_what_is_in_it(void **state)
{
	static const struct {
		const char *network, *address;
		bool inside;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.0/25", "192.0.2.128", false },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "::1", false },
		{ "192.0.2.1", "192.0.2.0/24", false },
		{ "2001:db8::/64", "2001:db8::ffff:0:0:1", true },
		{ "2001:db8::/64", "2001:db8:0:1::", false },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", true },
	};
	static const char *const bad[] = {
		"", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/x", "::1/129",
		"1.2.3.4 ", "a.test", "[::1]",
	};
	struct cf_network n, inside;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		n = network(cases[i].network);
		inside = network(cases[i].address);
		if (cf_network_has(&n, &inside) != cases[i].inside)
			fail_msg("%s %s", cases[i].network, cases[i].address);
	}
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (cf_network_parse(bad[i], &n))
			fail_msg("%s", bad[i]);
}

static void
t_network_of_an_option_has_no_bits_behind_its_prefix(void **state)
{
	static const char *const good[] = { "192.0.2.0/24", "192.0.2.7",
	    "0.0.0.0/0", "::/0", "2001:db8::/33", "::ffff:10.0.0.0/104",
	    "192.0.2.128/25" };
	static const char *const bits[] = { "192.0.2.1/24", "1.0.0.0/0",
	    "2001:db8:8000::/32", "::ffff:10.0.0.1/104", "192.0.2.64/25",
	    "::1/127" };
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(cf_network_check(good[i], &why), CF_OK);
	for (i = 0; i < sizeof bits / sizeof bits[0]; i++) {
		assert_int_equal(cf_network_check(bits[i], &why),
		    CF_E_CONFIG);
		assert_non_null(strstr(why.text, "bits set"));
	}
	assert_int_equal(cf_network_check("a.test", &why), CF_E_CONFIG);
	assert_non_null(strstr(why.text, "is not an address"));
}

static void
t_network_of_a_client_is_its_address(void **state)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr local = { .sa_family = AF_UNIX };
	struct cf_network have, want = network("192.0.2.7");

	(void)state;
	assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr), 1);
	assert_true(cf_network_of((const void *)&v4, &have));
	assert_memory_equal(&have, &want, sizeof want);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7",
	    &v6.sin6_addr), 1);
	assert_true(cf_network_of((const void *)&v6, &have));
	assert_memory_equal(&have, &want, sizeof want);
	want = network("2001:db8::7");
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::7", &v6.sin6_addr),
	    1);
	assert_true(cf_network_of((const void *)&v6, &have));
	assert_memory_equal(&have, &want, sizeof want);
	assert_false(cf_network_of(&local, &have));
}

static void
t_network_is_cut_to_its_first_bits(void **state)
{
	static const struct {
		const char *address;
		unsigned prefix;
		const char *want;
	} cases[] = {
		{ "192.0.2.255", 24, "192.0.2.0/24" },
		{ "192.0.2.255", 25, "192.0.2.128/25" },
		{ "192.0.2.255", 32, "192.0.2.255" },
		{ "255.255.255.255", 0, "0.0.0.0/0" },
		{ "255.255.255.255", 7, "254.0.0.0/7" },
		{ "2001:db8:ffff:ffff:ffff::1", 64, "2001:db8:ffff:ffff::/64" },
		{ "2001:db8:ffff:ffff:ffff::1", 33, "2001:db8:8000::/33" },
		{ "::1", 128, "::1" },
	};
	struct cf_network have, want;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		have = network(cases[i].address);
		want = network(cases[i].want);
		cf_network_cut(&have, cases[i].prefix);
		if (memcmp(&have, &want, sizeof want) != 0)
			fail_msg("%s/%u", cases[i].address, cases[i].prefix);
	}
}

static void
t_client_is_the_last_that_is_no_proxy(void **state)
{
	static const struct {
		const char *peer, *forwarded, *client;
	} cases[] = {
		{ "198.51.100.7", "203.0.113.1", "198.51.100.7" },
		{ "192.0.2.1", NULL, "192.0.2.1" },
		{ "192.0.2.1", "", "192.0.2.1" },
		{ "192.0.2.1", "203.0.113.1", "203.0.113.1" },
		{ "::ffff:192.0.2.1", "203.0.113.1", "203.0.113.1" },
		{ "192.0.2.1", "9.9.9.9, 203.0.113.1", "203.0.113.1" },
		{ "192.0.2.1", "9.9.9.9,203.0.113.1 , 192.0.2.2",
		    "203.0.113.1" },
		{ "192.0.2.1", "192.0.2.3", "192.0.2.3" },
		{ "192.0.2.1", "203.0.113.1:4711", "203.0.113.1" },
		{ "fd00::1", "[2001:db8::5]:80", "2001:db8::5" },
		{ "fd00::1", "9.9.9.9, 2001:db8::5", "2001:db8::5" },
		{ "192.0.2.1", "9.9.9.9, unknown", "192.0.2.1" },
		{ "192.0.2.1", "9.9.9.9, 10.0.0.0/8", "192.0.2.1" },
		{ "192.0.2.1", "9.9.9.9, unknown, 192.0.2.2", "192.0.2.2" },
	};
	struct cf_network proxies[] = { network("192.0.2.0/29"),
	    network("fd00::1") };
	struct cf_network client, want;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		client = network(cases[i].peer);
		want = network(cases[i].client);
		cf_network_behind(proxies, 2, cases[i].forwarded, &client);
		if (memcmp(&client, &want, sizeof client) != 0)
			fail_msg("%s: %s", cases[i].peer, cases[i].forwarded);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_network_holds_what_is_in_it),
		cmocka_unit_test(
		    t_network_of_an_option_has_no_bits_behind_its_prefix),
		cmocka_unit_test(t_network_of_a_client_is_its_address),
		cmocka_unit_test(t_network_is_cut_to_its_first_bits),
		cmocka_unit_test(t_client_is_the_last_that_is_no_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
