/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: values, their errors and the lines of these. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conf.h"
#include "common/file.h"
#include "common/mem.h"

struct sample {
	char *name;
	long number;
	bool yes;
	struct cf_conf_list items;
	long size, time_s, time_ms;
	int way, days;
	char *secret_file;
};

static const struct cf_conf_name ways[] = {
	{ "left", 4 }, { "right", 8 }, { "up", 15 }, { NULL, 0 },
};

/* Bits, of which the option may have several. */
static const struct cf_conf_name days[] = {
	{ "mon", 1 }, { "tue", 2 }, { "sun", 64 }, { NULL, 0 },
};

#define CF_CONF_INTO sample
#include "common/conf_rows.h"

static const struct cf_conf_opt sample_table[] = {
	STR(name, "anna", NULL, RESTART,
	    "The name."),
	INT(number, "7", 1, 9, RESTART,
	    "The number."),
	BOOL(yes, "true", RESTART,
	    "Whether."),
	LIST(items, "a b", cf_conf_check_service_url, RESTART,
	    "The items."),
	SIZE(size, "100", -1, 3L << 30, LIVE,
	    "The size."),
	TIME(time_s, "30", 1, 864000, RESTART,
	    "The time."),
	ENUM(way, "right", ways, RESTART,
	    "The way."),
	SET(days, "tue mon", days, RESTART,
	    "The days."),
	TIME_MS(time_ms, "500", 1, 864000, RESTART,
	    "The short time."),
	STR(secret_file, NULL, cf_conf_check_secret_file, RESTART,
	    "The secret."),
};
#define N_OPTS (sizeof sample_table / sizeof sample_table[0])

static enum cf_err
load_bytes(const void *text, size_t len, struct sample *s, struct cf_why *why)
{
	char path[] = "/tmp/cfconfXXXXXX";
	enum cf_err rc;
	int fd = mkstemp(path);

	assert_int_equal(cf_file_write_all(fd, text, len, NULL), CF_OK);
	close(fd);
	rc = cf_conf_load(path, sample_table, N_OPTS, s, why);
	unlink(path);
	return rc;
}

static enum cf_err
load(const char *text, mode_t secret_mode, struct sample *s,
    struct cf_why *why)
{
	char path[] = "/tmp/cfconfXXXXXX", secret[64];
	struct cf_buf buf = CF_BUF_INIT(4096);
	enum cf_err rc;
	int fd = mkstemp(path), fd2;

	(void)snprintf(secret, sizeof secret, "%s.secret", path);
	fd2 = open(secret, O_CREAT | O_WRONLY, 0600);
	(void)fchmod(fd2, secret_mode);
	close(fd2);
	cf_buf_adds(&buf, text);
	cf_buf_addf(&buf, "secret_file = \"%s\"\n", secret);
	assert_int_equal(cf_file_write_all(fd, buf.data, buf.len, NULL), CF_OK);
	close(fd);
	cf_buf_free(&buf);
	rc = cf_conf_load(path, sample_table, N_OPTS, s, why);
	unlink(path);
	unlink(secret);
	return rc;
}

static void
t_conf_loads_and_defaults(void **state)
{
	struct sample s;
	struct cf_why why;

	(void)state;
	assert_int_equal(load("number = 3\nitems = {\"https://x.example\"}\n",
	    0600, &s, &why), CF_OK);
	assert_string_equal(s.name, "anna");
	assert_int_equal(s.number, 3);
	assert_true(s.yes);
	assert_int_equal(s.items.count, 1);
	cf_conf_free(sample_table, N_OPTS, &s);
	assert_null(s.name);
}

/* What comes before: each line of it must count as one. */
#define BEFORE "# one\n\n## three, with = and \"\n// four\n" \
	"/* five\n # six */ name = 'b' # \"\nyes=on // seven\n\t\r\n"
#define BEFORE_LINES 8

static const struct {
	const char *text;
	int line;		/* of the text */
	const char *want;
} mistakes[] = {
	{ "numbr = 3", 1, "unknown option \"numbr\"; the nearest one is "
	    "\"number\"" },
	{ "include(\"x\")", 1, "unknown option \"include\"" },
	{ "number = 3\nnumber = 3", 2, "\"number\" is given twice" },
	{ "items = {}\n\nitems = {}", 3, "\"items\" is given twice" },
	{ "number\nsize = 1", 1, "no = behind \"number\"" },
	{ "number: 3", 1, "no = behind \"number\"" },
	{ "number { }", 1, "no = behind \"number\"" },
	{ "items += {}", 1, "no = behind \"items\"" },
	{ "number =\nsize = 1", 1, "number: there is no value" },
	{ "number =", 1, "number: there is no value" },
	{ "number = # 3\n3", 1, "number: there is no value" },
	{ "number = ,", 1, "number: a value is expected, not \",\"" },
	{ "number = 3 size = 4", 1, "number: there is more behind" },
	{ "size = 60 M", 1, "size: there is more behind the value" },
	{ "items = [\"https://x.example\"]", 1, "items: several values are "
	    "written { \"a\", \"b\" }, not with [" },
	{ "items = [https://x.example]", 1, "items: several values are" },
	{ "items = (\"https://x.example\")", 1, "}, not with (" },
	{ "items = \"https://x.example\", \"https://y.example\"", 1,
	    "items: there is more behind the value; several values are "
	    "written { \"a\", \"b\" }" },
	{ "number = {3}", 1, "number: there must be one value" },
	{ "= 3", 1, "an option is expected, not \"=\"" },
	{ "}", 1, "an option is expected, not \"}\"" },
	{ "\x01", 1, "an option is expected, not \"?\"" },
	{ "number = x", 1, "number: \"x\" is not a whole number" },
	{ "number = 3k", 1, "number: \"3k\" is not a whole number" },
	{ "number = 10", 1, "number: 10 is not between 1 and 9" },
	{ "number = 99999999999999999999", 1, "is not a whole number" },
	{ "size = 60x", 1, "size: \"60x\" is not a number of bytes, such as" },
	{ "size = 4G", 1, "size: 4G is not between -1 and 3221225472" },
	{ "size = 9999999999999999G", 1, "is not a number of bytes" },
	{ "time_s = 5k", 1, "time_s: \"5k\" is not a number of seconds" },
	{ "time_s = 20d", 1, "time_s: 20d is not between" },
	{ "way = down", 1, "way: must be left, right or up" },
	{ "way = \"\"", 1, "way: must be left, right or up" },
	{ "way = Left", 1, "way: must be left, right or up" },
	{ "way = {left, up}", 1, "way: there must be one value" },
	{ "days = {mon,\n\"\"}", 2, "days: \"\" is not known" },
	{ "days = {mon,\nsat}", 2, "days: \"sat\" is not known, it must be "
	    "mon, tue or sun" },
	{ "time_ms = 2h", 1, "time_ms: \"2h\" is not a number of milli" },
	{ "yes = 7up", 1, "yes" },
	{ "items = {\n\t\"https://x.example\", # a\n\n\tb, c\n}", 4,
	    "items: " },
	{ "items = {\n\"https://x.example\"\n\"https://y.example\"\n}", 3,
	    "items: there is no comma between" },
	{ "items = {,\n}", 1, "items: a value is expected, not \",\"" },
	{ "\nitems = {\n\"https://x.example\",\nnumber = 3\n", 2,
	    "items: the list that begins here has no }" },
	{ "items = {\n\"https://x.example\"\n\n", 1,
	    "items: the list that begins here has no }" },
	{ "items = {\n\"https://x.example\n\n}\nnumber = \"3\"", 2,
	    "the text that begins with \" has no end in its line" },
	{ "\"", 1, "an option is expected" },
	{ "size = \"3\nnumber = \"3\"", 1, "has no end in its line" },
	{ "size = '3\nnumber = 3", 1, "begins with ' has no end" },
	{ "size = \"3\\", 1, "has no end in its line" },
	{ "size = \"3\\\n\"", 1, "has no end in its line" },
	{ "size = \"3\"3", 1, "size: there is more behind" },
	{ "number = 3\n/* and\nso on", 2, "the comment that begins here" },
};

/* `text` behind BEFORE, its lines ended by `end`, with or without the last. */
static void
check_mistake(size_t i, const char *end, bool last)
{
	char want[40], why_not[700];
	struct cf_buf buf = CF_BUF_INIT(4096);
	struct cf_why why = { "" };
	struct sample s;
	const char *p;

	cf_buf_adds(&buf, BEFORE);
	for (p = mistakes[i].text; *p != '\0'; p++)
		if (*p == '\n')
			cf_buf_adds(&buf, end);
		else
			cf_buf_addc(&buf, *p);
	if (last)
		cf_buf_adds(&buf, end);
	(void)snprintf(want, sizeof want, ":%d: ",
	    BEFORE_LINES + mistakes[i].line);
	(void)snprintf(why_not, sizeof why_not, "%zu: %s", i,
	    mistakes[i].text);
	if (load_bytes(buf.data, buf.len, &s, &why) != CF_E_CONFIG)
		fail_msg("loads: %s", why_not);
	if (strstr(why.text, want) == NULL ||
	    strstr(why.text, mistakes[i].want) == NULL)
		fail_msg("%s: got \"%s\"", why_not, why.text);
	cf_buf_free(&buf);
}

static void
t_conf_names_the_line(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
		check_mistake(i, "\n", true);
		check_mistake(i, "\n", false);
		check_mistake(i, "\r\n", true);
		check_mistake(i, "\r\n", false);
	}
}

static void
t_conf_takes_what_is_well_formed(void **state)
{
	static const char text[] = "\xef\xbb\xbf" BEFORE "number=3\r\n"
	    "size =\t60M /* a\nb */ # c\n"
	    "items = { https://a.example, 'https://b.example'\n,\n"
	    "\"https://c.example\", }";
	struct cf_why why = { "" };
	struct sample s;

	(void)state;
	if (load_bytes(text, sizeof text - 1, &s, &why) != CF_OK)
		fail_msg("%s", why.text);
	assert_string_equal(s.name, "b");
	assert_true(s.yes);
	assert_int_equal(s.number, 3);
	assert_int_equal(s.size, 60L << 20);
	assert_int_equal(s.items.count, 3);
	assert_string_equal(s.items.item[0], "https://a.example");
	assert_string_equal(s.items.item[2], "https://c.example");
	cf_conf_free(sample_table, N_OPTS, &s);
	assert_int_equal(load_bytes("items = {}", 10, &s, &why), CF_OK);
	assert_int_equal(s.items.count, 0);
	cf_conf_free(sample_table, N_OPTS, &s);
	assert_int_equal(load_bytes("name = a\\b=c", 12, &s, &why), CF_OK);
	assert_string_equal(s.name, "a\\b=c");
	cf_conf_free(sample_table, N_OPTS, &s);
	assert_int_equal(load_bytes("yes = on\nn\0", 11, &s, &why),
	    CF_E_CONFIG);
	assert_non_null(strstr(why.text, ":2: "));
	assert_int_equal(cf_conf_load("/", sample_table, N_OPTS, &s, &why),
	    CF_E_CONFIG);
	assert_string_equal(why.text, "/: read: Is a directory");
}

static void
t_conf_finds_a_line_again(void **state)
{
	char path[] = "/tmp/cfconfXXXXXX", want[100];
	static const char text[] = BEFORE "number = 3\n";
	struct cf_why why;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(cf_file_write_all(fd, text, sizeof text - 1, NULL),
	    CF_OK);
	close(fd);
	assert_int_equal(cf_conf_fail_at(path, sample_table, N_OPTS, "number",
	    &why, "%d is odd", 3), CF_E_CONFIG);
	(void)snprintf(want, sizeof want, "%s:%d: number: 3 is odd", path,
	    BEFORE_LINES + 1);
	assert_string_equal(why.text, want);
	assert_int_equal(cf_conf_fail_at(path, sample_table, N_OPTS, "size",
	    &why, "small"), CF_E_CONFIG);
	(void)snprintf(want, sizeof want, "%s: size: small", path);
	assert_string_equal(why.text, want);
	unlink(path);
	assert_int_equal(cf_conf_fail_at(path, sample_table, N_OPTS, "number",
	    &why, "odd"), CF_E_CONFIG);
	(void)snprintf(want, sizeof want, "%s: number: odd", path);
	assert_string_equal(why.text, want);
}

static void
t_conf_names_what_changed(void **state)
{
	static const struct {
		const char *text, *names;
	} rows[] = {
		{ "", NULL }, { "name = \"anna\"\nnumber = 7", NULL },
		{ "name = bob", " name" }, { "number = 8", " number" },
		{ "yes = false\ntime_s = 1", " yes time_s" },
		{ "items = {\"https://a.test\"}", " items" },
		{ "items = {}", " items" },
		{ "way = right", NULL }, { "way = up", " way" },
		{ "days = {mon, tue, mon}", NULL }, { "days = {}", " days" },
		{ "size = 5", NULL }, { "size = 5\ntime_ms = 1", " time_ms" },
	};
	struct sample before, after;
	struct cf_why why;
	char *names;
	size_t i;

	(void)state;
	assert_int_equal(load_bytes("", 0, &before, &why), CF_OK);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (load_bytes(rows[i].text, strlen(rows[i].text), &after,
		    &why) != CF_OK)
			fail_msg("%s: %s", rows[i].text, why.text);
		names = cf_conf_changed(sample_table, N_OPTS, &before,
		    &after);
		if (names == NULL || rows[i].names == NULL)
			assert_ptr_equal(names, rows[i].names);
		else
			assert_string_equal(names, rows[i].names);
		free(names);
		cf_conf_free(sample_table, N_OPTS, &after);
	}
	cf_conf_free(sample_table, N_OPTS, &before);
}

static void
t_conf_names_stand_for_values(void **state)
{
	struct sample s;
	struct cf_why why;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int value = 7;

	(void)state;
	assert_int_equal(load_bytes("", 0, &s, &why), CF_OK);
	assert_int_equal(s.way, 8);
	cf_conf_free(sample_table, N_OPTS, &s);
	assert_int_equal(load_bytes("way = up", 8, &s, &why), CF_OK);
	assert_int_equal(s.way, 15);
	cf_conf_print(sample_table, N_OPTS, &s, out);
	fclose(out);
	assert_non_null(strstr(text, "# The way.\nway = \"up\"\n"));
	assert_string_equal(cf_conf_name(ways, 4), "left");
	assert_false(cf_conf_value(ways, "lef", &value));
	assert_int_equal(value, 7);
	free(text);
	cf_conf_free(sample_table, N_OPTS, &s);
}

static void
t_conf_a_set_is_the_bits_of_its_words(void **state)
{
	static const char config[] = "days = {sun, mon}";
	struct sample s;
	struct cf_why why;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_int_equal(load_bytes("", 0, &s, &why), CF_OK);
	assert_int_equal(s.days, 3);
	cf_conf_free(sample_table, N_OPTS, &s);
	assert_int_equal(s.days, 0);
	assert_int_equal(load_bytes(config, strlen(config), &s, &why), CF_OK);
	assert_int_equal(s.days, 65);
	cf_conf_print(sample_table, N_OPTS, &s, out);
	fclose(out);
	assert_non_null(strstr(text, "# The days.\ndays = {\"mon\", "
	    "\"sun\"}\n"));
	free(text);
	cf_conf_free(sample_table, N_OPTS, &s);
}

static void
t_conf_numbers_take_units(void **state)
{
	static const struct {
		const char *text;
		long size, time, ms;
	} rows[] = {
		{ "size = 0", 0, 30, 500 }, { "size = -1", -1, 30, 500 },
		{ "size = \"7\"", 7, 30, 500 }, { "size = 2k", 2048, 30, 500 },
		{ "size = 2K", 2048, 30, 500 },
		{ "size = 60M", 62914560, 30, 500 },
		{ "size = 60MB", 62914560, 30, 500 },
		{ "size = \"60MiB\"", 62914560, 30, 500 },
		{ "size = 1g", 1073741824, 30, 500 },
		{ "size = 010", 10, 30, 500 },
		{ "time_s = 45", 100, 45, 500 },
		{ "time_s = 45s", 100, 45, 500 },
		{ "time_s = 5m", 100, 300, 500 },
		{ "time_s = 2h", 100, 7200, 500 },
		{ "time_s = 1d", 100, 86400, 500 },
		{ "time_ms = 20", 100, 30, 20 },
		{ "time_ms = 20ms", 100, 30, 20 },
		{ "time_ms = 2s", 100, 30, 2000 },
	};
	struct cf_why why;
	struct sample s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (load_bytes(rows[i].text, strlen(rows[i].text), &s, &why)
		    != CF_OK)
			fail_msg("%s: %s", rows[i].text, why.text);
		if (s.size != rows[i].size || s.time_s != rows[i].time ||
		    s.time_ms != rows[i].ms)
			fail_msg("%s: %ld %ld %ld", rows[i].text, s.size,
			    s.time_s, s.time_ms);
		cf_conf_free(sample_table, N_OPTS, &s);
	}
}

static void
t_conf_refuses_with_file_and_line(void **state)
{
	static const struct {
		const char *text, *want;
		mode_t mode;
	} bad[] = {
		{ "\nnumbr = 3\n", ":2: unknown option \"numbr\"; the nearest "
		    "one is \"number\"", 0600 },
		{ "number = x\n", ":1: ", 0600 },
		{ "number = 10\n", ":1: number: 10 is not between 1 and 9",
		    0600 },
		{ "yes = 7up\n", ":1: ", 0600 },
		{ "\n\nname = \"a\"\nname = \"b\"\n", ":4: \"name\" is given "
		    "twice", 0600 },
		{ "items = {\"http://x.example\"}\n", ":1: items: http:// is "
		    "for loopback only", 0600 },
		{ "name = \"unended\n", ":", 0600 },
		{ "\n", ":2: secret_file: ", 0644 },
	};
	struct sample s;
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		why.text[0] = '\0';
		assert_int_equal(load(bad[i].text, bad[i].mode, &s, &why),
		    CF_E_CONFIG);
		if (strstr(why.text, bad[i].want) == NULL)
			fail_msg("%s: got \"%s\"", bad[i].text, why.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_conf_loads_and_defaults),
		cmocka_unit_test(t_conf_names_the_line),
		cmocka_unit_test(t_conf_takes_what_is_well_formed),
		cmocka_unit_test(t_conf_finds_a_line_again),
		cmocka_unit_test(t_conf_names_what_changed),
		cmocka_unit_test(t_conf_names_stand_for_values),
		cmocka_unit_test(t_conf_a_set_is_the_bits_of_its_words),
		cmocka_unit_test(t_conf_numbers_take_units),
		cmocka_unit_test(t_conf_refuses_with_file_and_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
