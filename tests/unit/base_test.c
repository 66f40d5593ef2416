/* SPDX-License-Identifier: Apache-2.0 */
/* The small modules everything stands on: b64url, buf, clock, link, digest,
 * proxy, err, log, file, mem. */
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
#include "common/digest.h"
#include "common/file.h"
#include "common/link.h"
#include "common/log.h"
#include "common/mem.h"
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
		cmocka_unit_test(t_digest_is_that_of_the_standards),
		cmocka_unit_test(t_random_bytes_differ),
		cmocka_unit_test(t_proxy_takes_host_and_port_alone),
		cmocka_unit_test(t_proxy_carries_what_is_outside),
		cmocka_unit_test(t_error_table_is_consistent),
		cmocka_unit_test(t_why_is_one_printable_line),
		cmocka_unit_test(t_log_line_cannot_be_forged),
		cmocka_unit_test(t_file_is_written_whole_or_not_at_all),
		cmocka_unit_test(t_double_free_is_found),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
