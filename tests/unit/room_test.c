/* SPDX-License-Identifier: Apache-2.0 */
/* How much sealed mail from outside is stored: one state, so one order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "milter/store/room.h"

static struct cf_mconf conf;

static int64_t
bytes(void)
{
	struct cf_room_facts facts;

	cf_room_facts(&facts);
	return facts.bytes;
}

static uint64_t
refused(enum cf_room_reason reason)
{
	struct cf_room_facts facts;

	cf_room_facts(&facts);
	return facts.refused[reason];
}

static enum cf_err
ask(long limit, uint64_t size)
{
	struct cf_why why = { "" };
	enum cf_err rc;

	conf.store_limit = limit;
	rc = cf_room_ask(&conf, size, &why);
	assert_int_equal(rc == CF_OK, why.text[0] == '\0');
	return rc;
}

static int
begin(void **state)
{
	static char place[] = "/tmp";

	(void)state;
	conf.store_directory = place;
	return 0;
}

/* What nobody has counted yet is no reason to refuse all that fits. */
static void
t_before_the_first_count_only_size_counts(void **state)
{
	struct cf_room_facts facts;

	(void)state;
	cf_room_facts(&facts);
	assert_false(facts.counted);
	cf_room_add(100000);
	assert_int_equal(ask(50000, 4096), CF_OK);
	assert_int_equal(ask(50000, 50001), CF_E_FULL);
	assert_int_equal(ask(0, UINT64_C(1) << 40), CF_OK);
}

static void
t_count_replaces_what_was_known(void **state)
{
	(void)state;
	cf_room_counted(&conf, cf_room_mark(), 3, 3 * 4096);
	assert_int_equal(bytes(), 3 * 4096);
	assert_int_equal(ask(4 * 4096, 4096), CF_OK);
	/* A file takes whole blocks. */
	assert_int_equal(ask(4 * 4096, 4097), CF_E_FULL);
	cf_room_add(1);
	assert_int_equal(bytes(), 4 * 4096);
	assert_int_equal(ask(4 * 4096, 1), CF_E_FULL);
	cf_room_add(-1);
	assert_int_equal(ask(4 * 4096, 1), CF_OK);
}

/* It may have been counted or not: the limit is not passed unseen. */
static void
t_count_keeps_what_came_meanwhile(void **state)
{
	int64_t mark;

	(void)state;
	mark = cf_room_mark();
	cf_room_add(4096);
	cf_room_counted(&conf, mark, 3, 3 * 4096);
	assert_int_equal(bytes(), 4 * 4096);
	mark = cf_room_mark();
	cf_room_add(-4096);
	cf_room_counted(&conf, mark, 3, 3 * 4096);
	assert_int_equal(bytes(), 3 * 4096);
}

static void
t_reserve_goes_by_the_file_system(void **state)
{
	struct cf_why why = { "" };

	(void)state;
	conf.store_limit = 0;
	conf.store_reserve = 1L << 60;
	assert_int_equal(cf_room_ask(&conf, 1, &why), CF_E_FULL);
	assert_non_null(strstr(why.text, "store_reserve"));
	assert_int_equal(cf_room_ask_spool(&conf, &why), CF_E_FULL);
	conf.store_reserve = 1;
	assert_int_equal(cf_room_ask(&conf, 1, &why), CF_OK);
	assert_int_equal(cf_room_ask(&conf, UINT64_C(1) << 60, &why),
	    CF_E_FULL);
	conf.store_reserve = 0;
	assert_int_equal(cf_room_ask(&conf, UINT64_C(1) << 60, &why), CF_OK);
	assert_int_equal(cf_room_ask_spool(&conf, &why), CF_OK);
}

static void
t_each_refusal_is_counted(void **state)
{
	const struct cf_why why = { "full" };

	(void)state;
	assert_int_equal(refused(CF_ROOM_LIMIT), 3);
	assert_int_equal(refused(CF_ROOM_RESERVE), 3);
	cf_room_is_full(&why);
	assert_int_equal(refused(CF_ROOM_DISK), 1);
}

static void
t_sizes_read_as_options_are_written(void **state)
{
	static const struct { uint64_t bytes; const char *text; } rows[] = {
		{ 0, "0 bytes" }, { 1000, "1000 bytes" }, { 1024, "1k" },
		{ 150000, "150000 bytes" }, { 12 << 20, "12M" },
		{ 1 << 30, "1G" }, { UINT64_C(82791129088), "77.1G" },
		{ (12 << 20) + 1, "12.0M" }, { UINT64_C(900000) << 30,
		"900000G" }, { UINT64_MAX, "17179869184.0G" },
	};
	char text[CF_ROOM_TEXT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cf_room_text(rows[i].bytes, text);
		assert_string_equal(text, rows[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_before_the_first_count_only_size_counts),
		cmocka_unit_test(t_count_replaces_what_was_known),
		cmocka_unit_test(t_count_keeps_what_came_meanwhile),
		cmocka_unit_test(t_reserve_goes_by_the_file_system),
		cmocka_unit_test(t_each_refusal_is_counted),
		cmocka_unit_test(t_sizes_read_as_options_are_written),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
