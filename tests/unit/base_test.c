/* SPDX-License-Identifier: Apache-2.0 */
/* The small modules everything stands on: b64url, buf, clock, conf, link. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/b64url.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/link.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/network.h"
#include "common/proxy.h"
#include "common/secret.h"
#include "config.h"

static void
t_b64url_round_trip_every_length(void **state)
{
	unsigned char in[70], out[70];
	char text[100];
	size_t len, i;

	(void)state;
	for (len = 0; len <= 64; len++) {
		for (i = 0; i < len; i++)
			in[i] = (unsigned char)(i * 37 + len * 11);
		cf_b64url_encode(in, len, text);
		assert_int_equal(strlen(text), CF_B64URL_LEN(len));
		assert_true(cf_b64url_decode(text, strlen(text), out, len));
		assert_memory_equal(in, out, len);
	}
	cf_b64url_encode("\0\x10\x83\x10\x51\x87\xfb\xff\xbe", 9, text);
	assert_string_equal(text, "ABCDEFGH-_--");
}

static void
t_b64url_rejects_foreign_text(void **state)
{
	unsigned char out[8];
	char text[3] = "AA";
	int c;

	(void)state;
	for (c = 0; c < 256; c++) {
		text[0] = (char)c;
		assert_int_equal(cf_b64url_decode(text, 2, out, 1),
		    c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
		    "nopqrstuvwxyz0123456789-_", c) != NULL);
	}
	assert_false(cf_b64url_decode("AB", 2, out, 1));	/* spare bits */
	assert_false(cf_b64url_decode("AA=", 3, out, 1));
	assert_false(cf_b64url_decode("A", 1, out, 1));
}

static void
t_buf_keeps_its_ceiling(void **state)
{
	struct cf_buf buf = CF_BUF_INIT_SECRET(10);

	(void)state;
	cf_buf_adds(&buf, "12345");
	cf_buf_addf(&buf, "%d", 67890);
	assert_int_equal(cf_buf_check(&buf, NULL), CF_OK);
	cf_buf_addc(&buf, 'x');
	assert_int_equal(cf_buf_check(&buf, NULL), CF_E_TOO_LARGE);
	assert_string_equal(cf_buf_str(&buf), "1234567890");
	cf_buf_free(&buf);
}

static void
t_clock_text_round_trips(void **state)
{
	char text[CF_TIME_LEN + 1], mail[32];
	int64_t ms;

	(void)state;
	cf_clock_format(1795440900123, text);
	assert_string_equal(text, "2026-11-23T13:35:00.123Z");
	assert_true(cf_clock_parse(text, &ms));
	assert_true(ms == 1795440900123);
	cf_clock_format_mail(ms, mail);
	assert_string_equal(mail, "Mon, 23 Nov 2026 13:35:00 +0000");
	assert_false(cf_clock_parse("2026-02-30T00:00:00.000Z", &ms));
	assert_false(cf_clock_parse("2026-11-23T13:35:00.123z", &ms));
	assert_false(cf_clock_parse("2026-11-23T13:35:00.12Z", &ms));
}

#define HANDLE "AAECAwQFBgcICQoLDA0ODw"
#define TOKEN "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define L "https://keys.example:8443/k/" HANDLE "#" TOKEN

static void
t_link_parses_and_formats(void **state)
{
	struct cf_link link;
	char out[CF_READER_LINK_MAX + 1];

	(void)state;
	assert_int_equal(cf_link_parse(L, &link, NULL), CF_OK);
	assert_string_equal(link.service, "https://keys.example:8443");
	assert_string_equal(link.handle, HANDLE);
	assert_int_equal(link.token.bytes[31], 31);
	cf_link_format(&link, out);
	assert_string_equal(out, L);
	cf_link_format_reader(&link, "https://r.example", HANDLE, out);
	assert_string_equal(out, "https://r.example/m/" HANDLE
	    "#keys.example:8443/" HANDLE "/" TOKEN);
	/* Loopback follows the reader, or stays whole. */
	assert_int_equal(cf_link_parse("http://[::1]:80/k/" HANDLE "#" TOKEN,
	    &link, NULL), CF_OK);
	cf_link_format_reader(&link, "http://127.0.0.1", HANDLE, out);
	assert_string_equal(out, "http://127.0.0.1/m/" HANDLE
	    "#[::1]:80/" HANDLE "/" TOKEN);
	cf_link_format_reader(&link, "https://r.example", HANDLE, out);
	assert_string_equal(out, "https://r.example/m/" HANDLE
	    "#http://[::1]:80/k/" HANDLE "#" TOKEN);
	cf_link_wipe(&link);
}

static void
t_link_rejects(void **state)
{
	static const char *const bad[] = {
		"", "https://", "http://keys.example/k/" HANDLE "#" TOKEN,
		"https://Keys.example/k/" HANDLE "#" TOKEN,
		"https://keys.example:0/k/" HANDLE "#" TOKEN,
		"https://keys.example:65536/k/" HANDLE "#" TOKEN,
		"https://u@keys.example/k/" HANDLE "#" TOKEN,
		"https://keys..example/k/" HANDLE "#" TOKEN,
		"https://keys.example/k/" HANDLE "x#" TOKEN,
		"https://keys.example/k/" HANDLE "#" TOKEN "x",
		"https://keys.example/k/" HANDLE "#" TOKEN "\n",
		"https://keys.example/x/" HANDLE "#" TOKEN,
		"http://127.0.0.1.example/k/" HANDLE "#" TOKEN,
		"http://128.0.0.1/k/" HANDLE "#" TOKEN,
	};
	struct cf_link link;
	char cut[sizeof L], longest[CF_LINK_MAX + 3];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_not_equal(cf_link_parse(bad[i], &link, NULL), CF_OK);
	for (i = 0; i + 1 < sizeof L; i++) {
		memcpy(cut, L, i);
		cut[i] = '\0';
		assert_int_equal(cf_link_parse(cut, &link, NULL),
		    CF_E_LINK_SYNTAX);
	}
	memset(longest, 'a', sizeof longest);
	memcpy(longest, "https://", 8);
	longest[CF_LINK_MAX + 1] = '\0';
	assert_int_equal(cf_link_parse(longest, &link, NULL),
	    CF_E_LINK_TOO_LONG);
	longest[CF_LINK_MAX] = '\0';
	assert_int_equal(cf_link_parse(longest, &link, NULL),
	    CF_E_LINK_SYNTAX);
	assert_int_equal(cf_link_parse("http://[::1]:80/k/" HANDLE "#" TOKEN,
	    &link, NULL), CF_OK);
	assert_int_equal(cf_link_parse("http://127.9.9.9:80/k/" HANDLE "#"
	    TOKEN, &link, NULL), CF_OK);
}

struct sample {
	char *name;
	long number;
	bool yes;
	struct cf_conf_list items;
	long size, time_s, time_ms;
	int way;
	char *secret_file;
};

static const struct cf_conf_name ways[] = {
	{ "left", 4 }, { "right", 8 }, { "up", 15 }, { NULL, 0 },
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

static void
t_secret_file_round_trips_and_is_guarded(void **state)
{
	char dir[] = "/tmp/cfsecXXXXXX", path[64];
	struct cf_secret a, b = CF_SECRET_EMPTY;
	struct cf_why why;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/s", dir);
	cf_secret_random(&a, 32);
	assert_int_equal(cf_secret_write_file(path, &a, &why), CF_OK);
	assert_int_equal(cf_secret_write_file(path, &a, &why), CF_E_IO);
	assert_int_equal(cf_secret_read_file(path, 32, &b, &why), CF_OK);
	assert_true(cf_secret_equal(&a, &b));
	assert_int_equal(cf_secret_read_file(path, 16, &b, &why), CF_E_CONFIG);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(cf_secret_read_file(path, 32, &b, &why), CF_E_CONFIG);
	assert_non_null(strstr(why.text, "chmod 600"));
	unlink(path);
	rmdir(dir);
}

static void
assert_hex(const unsigned char *have, size_t len, const char *want)
{
	char hex[2 * CF_DIGEST_LEN + 1];
	size_t i;

	for (i = 0; i < len; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", have[i]);
	assert_string_equal(hex, want);
}

/* FIPS 180-2 B.1, RFC 4231 4.3. */
static void
t_digest_is_that_of_the_standards(void **state)
{
	static const struct cf_secret key = { "Jefe", 4 };
	static const char data[] = "what do ya want for nothing?";
	struct cf_digest *digest = cf_digest_new();
	unsigned char out[CF_DIGEST_LEN];

	(void)state;
	cf_digest_of("abc", 3, out);
	assert_hex(out, sizeof out, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	cf_digest_add(digest, "a", 1);
	cf_digest_add(digest, "", 0);
	cf_digest_add(digest, "bc", 2);
	cf_digest_end(digest, out);
	assert_hex(out, sizeof out, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	cf_digest_free(&digest);
	assert_null(digest);
	cf_digest_free(&digest);
	cf_hmac(&key, data, sizeof data - 1, out);
	assert_hex(out, sizeof out, "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843");
}

static void
t_random_bytes_differ(void **state)
{
	unsigned char a[32] = { 0 }, b[32] = { 0 };
	static const unsigned char zero[16];

	(void)state;
	cf_random(a, 16);
	cf_random(b, sizeof b);
	assert_memory_not_equal(a, b, 16);
	assert_memory_not_equal(b + 16, zero, 16);
	assert_memory_equal(a + 16, zero, 16);
}

/* Of `len` bytes, into a file of its own, and what becomes of them. */
static enum cf_err
read_line(const char *bytes, size_t len, size_t cap, char *out)
{
	char path[] = "/tmp/cflineXXXXXX", open_to_others[100];
	struct cf_why why = { "" };
	enum cf_err rc;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	rc = cf_secret_read_line(path, out, cap, &why);
	assert_true(rc == CF_OK || strstr(why.text, path) != NULL);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(cf_secret_read_line(path, open_to_others,
	    sizeof open_to_others, &why), CF_E_CONFIG);
	unlink(path);
	return rc;
}

static void
t_secret_line_is_one_and_whole(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *want;	/* NULL: refused */
	} rows[] = {
		{ "abcd", 4, "abcd" }, { "abcd\n", 5, "abcd" },
		{ "abcd\r\n", 6, "abcd" }, { "a\xff b\n", 5, "a\xff b" },
		{ "abcde", 5, NULL }, { "abcde\n", 6, NULL },
		{ "abcd\nx", 6, NULL }, { "ab\ncd\n", 6, NULL },
		{ "ab\n\n", 4, NULL }, { "\nab", 3, NULL }, { "", 0, NULL },
		{ "\n", 1, NULL }, { "ab\r", 3, NULL }, { "a\0b\n", 4, NULL },
		{ "ab\n\0", 4, NULL }, { "abcd\r\n\n", 7, NULL },
	};
	char out[5];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		memset(out, 'x', sizeof out);
		assert_int_equal(read_line(rows[i].bytes, rows[i].len,
		    sizeof out, out), rows[i].want ? CF_OK : CF_E_CONFIG);
		assert_string_equal(out, rows[i].want ? rows[i].want : "");
	}
}

static void
t_proxy_takes_host_and_port_alone(void **state)
{
	static const char *const good[] = { "http://proxy:1",
	    "http://proxy.example.org:3128", "https://proxy.example.org:65535",
	    "http://192.0.2.1:8080", "http://[2001:db8::1]:3128",
	    "http://127.0.0.1:3128" };
	static const struct {
		const char *value, *words;
	} bad[] = {
		{ "", "must be http://HOST:PORT" },
		{ "proxy:3128", "must be http://HOST:PORT" },
		{ "socks5h://proxy:1080", "no SOCKS" },
		{ "HTTP://proxy:3128", "must be http://HOST:PORT" },
		{ "http://", "host name" }, { "http://:3128", "host name" },
		{ "http://Proxy:3128", "lower-case" },
		{ "http://pro xy:3128", "port is missing" },
		{ "http://proxy", "port is missing" },
		{ "http://proxy:31 28", "end after the port" },
		{ "http://[::1]", "port is missing" },
		{ "http://proxy:", "port" }, { "http://proxy:0", "port" },
		{ "http://proxy:65536", "port" },
		{ "http://proxy:3128/", "end after the port" },
		{ "http://proxy:3128\r\nX: y", "end after the port" },
		{ "http://u:pass@proxy:3128", "proxy_login_file" },
		{ "http://u@proxy:3128", "proxy_login_file" },
		{ "u:pass@proxy:3128", "proxy_login_file" },
		{ "http://proxy:3128/?u:pass@", "proxy_login_file" },
	};
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(cf_proxy_check(good[i], &why), CF_OK);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		why.text[0] = '\0';
		assert_int_not_equal(cf_proxy_check(bad[i].value, &why),
		    CF_OK);
		if (strstr(why.text, bad[i].words) == NULL)
			fail_msg("%s: %s", bad[i].value, why.text);
		assert_null(strstr(why.text, "pass@"));
	}
}

static void
t_proxy_carries_what_is_outside(void **state)
{
	static char keys[] = "keys.example.org", inside[] = ".inside.test";
	static char literal[] = "[2001:db8::1]";
	static char *items[] = { keys, inside, literal };
	const struct cf_conf_list except = { items, 3 };
	static const struct {
		const char *service;
		bool carried;
	} rows[] = {
		{ "https://keys.example.net", true },
		{ "https://keys.example.org", false },
		{ "https://keys.example.org:8443", false },
		{ "https://keys.example.orga", true },
		{ "https://a.keys.example.org", true },
		{ "https://example.org", true },
		{ "https://a.inside.test", false },
		{ "https://a.b.inside.test:444", false },
		{ "https://inside.test", true },
		{ "https://outinside.test", true },
		{ "https://[2001:db8::1]:8443", false },
		{ "https://[2001:db8::2]:8443", true },
		{ "https://localhost:8443", false },
		{ "https://127.8.0.1", false }, { "https://[::1]:8443", false },
		{ "http://127.0.0.1:8443", false },
		{ "https://127.0.0.1.example.org", true },
		{ "https://localhost.example.org", true },
	};
	struct cf_proxy proxy = { 0 };
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_false(cf_proxy_carries(&proxy, rows[i].service));
	assert_int_equal(cf_proxy_load("http://proxy:3128", NULL, &except,
	    &proxy, &why), CF_OK);
	assert_string_equal(cf_proxy_place(&proxy), "proxy:3128");
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (cf_proxy_carries(&proxy, rows[i].service) !=
		    rows[i].carried)
			fail_msg("%s", rows[i].service);
	for (i = 0; i < 3; i++)
		assert_int_equal(cf_proxy_check_except(items[i], &why), CF_OK);
	for (i = 0; i < 8; i++) {
		static const char *const bad[] = { "", ".", "*.example.org",
		    "https://example.org", "example.org:443", "a b",
		    "Example.org", "..example.org" };

		assert_int_equal(cf_proxy_check_except(bad[i], &why),
		    CF_E_CONFIG);
	}
}

static void
t_secret_is_kept_in_memory_or_it_is_said(void **state)
{
	struct cf_secret s = CF_SECRET_EMPTY;
	struct cf_why why = { "" };

	(void)state;
	assert_int_equal(cf_secret_keep_in_memory(&s, sizeof s, &why), CF_OK);
	/* No memory of ours. */
	assert_int_equal(cf_secret_keep_in_memory(NULL, 4096, &why),
	    CF_E_CONFIG);
	assert_non_null(strstr(why.text, "LimitMEMLOCK"));
}

/* Every row of errors.def is usable, and the classes agree with the codes. */
static void
t_error_table_is_consistent(void **state)
{
	int i, j;

	(void)state;
	for (i = 1; i < CF_ERR__COUNT; i++) {
		enum cf_err rc = (enum cf_err)i;

		assert_true(cf_err_http(rc) >= 400 && cf_err_http(rc) < 600);
		assert_true(strlen(cf_err_text(rc)) > 10);
		assert_int_equal(cf_err_from_slug(cf_err_slug(rc)), rc);
		/* Mail waits, unless its sender himself can help. */
		if (rc != CF_E_TOO_LARGE && rc != CF_E_POLICY)
			assert_memory_equal(cf_err_smtp(rc), "451 4.", 6);
		else
			assert_memory_equal(cf_err_smtp(rc), "55", 2);
		assert_int_equal(strlen(cf_err_smtp(rc)), 9);
		for (j = 0; j < i; j++)
			assert_string_not_equal(cf_err_slug(rc),
			    cf_err_slug((enum cf_err)j));
	}
	assert_int_equal(cf_err_from_slug("no such slug"), CF_E_PROTOCOL);
}

static void
t_why_is_one_printable_line(void **state)
{
	struct cf_why why;

	(void)state;
	assert_int_equal(cf_fail(CF_E_IO, &why, "a%cb%cc%c", '\n', '\r', 0x9b),
	    CF_E_IO);
	assert_string_equal(why.text, "a?b?c?");
	assert_int_equal(cf_fail(CF_E_IO, NULL, "x"), CF_E_IO);
}

static void
t_log_line_cannot_be_forged(void **state)
{
	char got[4096];
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	cf_log_open("base_test", CF_LOG_STDERR, CF_LOG_INFO);
	cf_log(CF_LOG_INFO, "from %s", "a\nerror: forged\x1b[2J\xc3\xa4");
	cf_log(CF_LOG_DEBUG, "not wanted");
	dup2(saved, STDERR_FILENO);
	close(fds[1]);
	n = read(fds[0], got, sizeof got - 1);
	close(fds[0]);
	close(saved);
	assert_true(n > 0);
	got[n] = '\0';
	assert_non_null(strstr(got, "info: from a\\x0aerror: forged\\x1b[2J"
	    "\\xc3\\xa4\n"));
	assert_ptr_equal(strchr(got, '\n'), got + n - 1);
}

static void
t_file_is_written_whole_or_not_at_all(void **state)
{
	char dir[] = "/tmp/cffileXXXXXX", path[64];
	struct cf_buf buf = CF_BUF_INIT(100), small = CF_BUF_INIT(3);
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/f", dir);
	assert_int_equal(cf_file_write_new(path, 0640, "hello", 5, NULL),
	    CF_OK);
	assert_int_equal(cf_file_write_new(path, 0640, "other", 5, NULL),
	    CF_E_IO);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(cf_file_read(path, &buf, NULL), CF_OK);
	assert_string_equal(buf.data, "hello");
	assert_int_equal(cf_file_read(path, &small, NULL), CF_E_TOO_LARGE);
	assert_int_equal(cf_file_spool(dir, &fd, NULL), CF_OK);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 077, 0);
	close(fd);
	cf_buf_free(&buf);
	cf_buf_free(&small);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);	/* nothing else was left */
}

#ifdef CF_WIPE_FREED
static const bool is_wiping = true;
#else
static const bool is_wiping = false;	/* the sanitizers' own allocator */
#endif

/* Though what is freed is wiped, as in the programs. */
static void
t_double_free_is_found(void **state)
{
	void *volatile p;
	int status = 0;
	pid_t pid;

	(void)state;
	if (!is_wiping)
		return;
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		p = malloc(100);
		free(p);
		free(p);
		_exit(0);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_b64url_round_trip_every_length),
		cmocka_unit_test(t_b64url_rejects_foreign_text),
		cmocka_unit_test(t_buf_keeps_its_ceiling),
		cmocka_unit_test(t_clock_text_round_trips),
		cmocka_unit_test(t_link_parses_and_formats),
		cmocka_unit_test(t_link_rejects),
		cmocka_unit_test(t_conf_loads_and_defaults),
		cmocka_unit_test(t_conf_names_the_line),
		cmocka_unit_test(t_conf_takes_what_is_well_formed),
		cmocka_unit_test(t_conf_finds_a_line_again),
		cmocka_unit_test(t_conf_names_what_changed),
		cmocka_unit_test(t_conf_names_stand_for_values),
		cmocka_unit_test(t_conf_numbers_take_units),
		cmocka_unit_test(t_conf_refuses_with_file_and_line),
		cmocka_unit_test(t_network_holds_what_is_in_it),
		cmocka_unit_test(
		    t_network_of_an_option_has_no_bits_behind_its_prefix),
		cmocka_unit_test(t_network_of_a_client_is_its_address),
		cmocka_unit_test(t_network_is_cut_to_its_first_bits),
		cmocka_unit_test(t_client_is_the_last_that_is_no_proxy),
		cmocka_unit_test(t_secret_file_round_trips_and_is_guarded),
		cmocka_unit_test(t_digest_is_that_of_the_standards),
		cmocka_unit_test(t_random_bytes_differ),
		cmocka_unit_test(t_secret_line_is_one_and_whole),
		cmocka_unit_test(t_proxy_takes_host_and_port_alone),
		cmocka_unit_test(t_proxy_carries_what_is_outside),
		cmocka_unit_test(t_secret_is_kept_in_memory_or_it_is_said),
		cmocka_unit_test(t_error_table_is_consistent),
		cmocka_unit_test(t_why_is_one_printable_line),
		cmocka_unit_test(t_log_line_cannot_be_forged),
		cmocka_unit_test(t_file_is_written_whole_or_not_at_all),
		cmocka_unit_test(t_double_free_is_found),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
