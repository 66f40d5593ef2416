/* SPDX-License-Identifier: Apache-2.0 */
/* Who may use the flag, which addresses are ours, and which are lists. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "milter/gateway/standing.h"

#define COUNT(a) (sizeof (a) / sizeof (a)[0])

static char example[] = "example.org", own[] = "own.example",
    team[] = "team@example.org", all[] = "@lists.example", hop[] = "hop";
static char *domains[] = { example, own }, *lists[] = { team, all },
    *daemons[] = { hop };
static struct cf_network networks[2];
static struct cf_snapshot snapshot;

static int
begin(void **state)
{
	(void)state;
	memset(&snapshot, 0, sizeof snapshot);
	assert_true(cf_network_parse("192.0.2.0/24", &networks[0]));
	assert_true(cf_network_parse("2001:db8::/32", &networks[1]));
	snapshot.networks = networks;
	snapshot.network_count = COUNT(networks);
	snapshot.conf.local_domains = (struct cf_conf_list){ domains,
	    COUNT(domains) };
	snapshot.conf.list_addresses = (struct cf_conf_list){ lists,
	    COUNT(lists) };
	snapshot.conf.entitled_daemons = (struct cf_conf_list){ daemons,
	    COUNT(daemons) };
	return 0;
}

static bool
entitled(const char *address, const char *user, const char *daemon)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
		return cf_standing_entitled(&snapshot,
		    (const struct sockaddr *)(const void *)&v4, user, daemon);
	assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
	return cf_standing_entitled(&snapshot,
	    (const struct sockaddr *)(const void *)&v6, user, daemon);
}

static void
t_networks_entitle(void **state)
{
	(void)state;
	assert_true(entitled("192.0.2.7", NULL, NULL));
	assert_true(entitled("::ffff:192.0.2.7", NULL, NULL));
	assert_true(entitled("2001:db8:1::5", NULL, NULL));
	assert_false(entitled("192.0.3.7", NULL, NULL));
	assert_false(entitled("2001:db9::5", NULL, NULL));
	snapshot.network_count = 0;
	assert_false(entitled("192.0.2.7", NULL, NULL));
}

static void
t_login_entitles_where_it_is_trusted(void **state)
{
	(void)state;
	assert_false(entitled("198.51.100.1", "ann", NULL));
	snapshot.conf.trust_authenticated = true;
	assert_true(entitled("198.51.100.1", "ann", NULL));
	assert_false(entitled("198.51.100.1", "", NULL));
	assert_false(entitled("198.51.100.1", NULL, NULL));
}

static void
t_daemon_entitles_by_its_whole_name(void **state)
{
	(void)state;
	assert_true(entitled("198.51.100.1", NULL, "hop"));
	assert_false(entitled("198.51.100.1", NULL, "hop2"));
	assert_false(entitled("198.51.100.1", NULL, "Hop"));
	assert_false(entitled("198.51.100.1", NULL, ""));
}

/* A program of the same machine, by a socket: only what else it has counts. */
static void
t_client_without_address_is_in_no_network(void **state)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct sockaddr_storage none = { .ss_family = AF_UNSPEC };

	(void)state;
	assert_false(cf_standing_entitled(&snapshot,
	    (const struct sockaddr *)(const void *)&local, NULL, NULL));
	assert_false(cf_standing_entitled(&snapshot,
	    (const struct sockaddr *)(const void *)&none, NULL, NULL));
	assert_true(cf_standing_entitled(&snapshot,
	    (const struct sockaddr *)(const void *)&none, NULL, "hop"));
}

static void
t_login_is_the_sender_or_his_local_part_here(void **state)
{
	static const struct {
		const char *login, *sender;
		bool is;
	} rows[] = {
		{ "ann@example.org", "ann@example.org", true },
		{ "Ann@Example.org", "ann@example.org", true },
		{ "ann@far.example", "ann@far.example", true },
		{ "ann", "ann@example.org", true },
		{ "ANN", "ann@own.example", true },
		{ "ann", "ann@far.example", false },
		{ "an", "ann@example.org", false },
		{ "anna", "ann@example.org", false },
		{ "ann@own.example", "ann@example.org", false },
		{ "ann", "bob@example.org", false },
		{ "ann", "", false },
		{ "ann", "ann", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		if (cf_standing_is_login_of(&snapshot, rows[i].login,
		    rows[i].sender) != rows[i].is)
			fail_msg("%s, %s", rows[i].login, rows[i].sender);
}

static void
t_local_is_by_the_whole_domain(void **state)
{
	(void)state;
	assert_true(cf_standing_is_local(&snapshot, "x@example.org"));
	assert_true(cf_standing_is_local(&snapshot, "x@OWN.example"));
	assert_true(cf_standing_is_local(&snapshot, "root"));
	assert_true(cf_standing_is_local(&snapshot, "\"a@b\"@example.org"));
	assert_false(cf_standing_is_local(&snapshot, "x@sub.example.org"));
	assert_false(cf_standing_is_local(&snapshot, "x@notexample.org"));
	assert_false(cf_standing_is_local(&snapshot, "example.org@far.org"));
	assert_false(cf_standing_is_local(&snapshot, "x@"));
}

static void
t_list_is_an_address_or_all_of_a_domain(void **state)
{
	(void)state;
	assert_true(cf_standing_is_list(&snapshot, "team@example.org"));
	assert_true(cf_standing_is_list(&snapshot, "Team@Example.org"));
	assert_true(cf_standing_is_list(&snapshot, "any@lists.example"));
	assert_false(cf_standing_is_list(&snapshot, "ann@example.org"));
	assert_false(cf_standing_is_list(&snapshot, "any@sub.lists.example"));
	assert_false(cf_standing_is_list(&snapshot, "team"));
	assert_false(cf_standing_is_list(&snapshot, ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(t_networks_entitle, begin),
		cmocka_unit_test_setup(t_login_entitles_where_it_is_trusted,
		    begin),
		cmocka_unit_test_setup(t_daemon_entitles_by_its_whole_name,
		    begin),
		cmocka_unit_test_setup(
		    t_client_without_address_is_in_no_network, begin),
		cmocka_unit_test_setup(
		    t_login_is_the_sender_or_his_local_part_here, begin),
		cmocka_unit_test_setup(t_local_is_by_the_whole_domain, begin),
		cmocka_unit_test_setup(t_list_is_an_address_or_all_of_a_domain,
		    begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
