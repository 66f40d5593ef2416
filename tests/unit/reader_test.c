/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader answers to which request; its configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/listen.h"
#include "common/mem.h"
#include "milter/reader/encoding.h"
#include "milter/reader/reader.h"
#include "milter/reader/reader_conf.h"

#define BLOB "AbCdEfGhIjKlMnOpQrStUg"

static const struct cf_reader_names names = {
	"/page.ungWv48Bz-pBQUDe.js", "/page.-DeXiK7bzrLc2lSR.css" };

static enum cf_reader_body
decide(const char *method, const char *path)
{
	struct cf_reader_answer a;

	cf_reader_decide(&names, method, path, false, &a);
	return a.body;
}

static void
t_decide_knows_its_paths(void **state)
{
	struct cf_reader_answer a;

	(void)state;
	assert_int_equal(decide("GET", "/"), CF_READER_PAGE);
	assert_int_equal(decide("GET", names.script), CF_READER_SCRIPT);
	assert_int_equal(decide("GET", names.style), CF_READER_STYLE);
	assert_int_equal(decide("GET", "/counterfoil.html"), CF_READER_SINGLE);
	assert_int_equal(decide("HEAD", "/healthz"), CF_READER_HEALTH);
	cf_reader_decide(&names, "GET", "/m/" BLOB, false, &a);
	assert_int_equal(a.body, CF_READER_PAGE);
	assert_string_equal(a.blob, BLOB);
	cf_reader_decide(&names, "HEAD", "/e/" BLOB, false, &a);
	assert_int_equal(a.body, CF_READER_SEALED);
	assert_string_equal(a.blob, BLOB);
	assert_int_equal(decide("GET", "http://reader.test/e/" BLOB),
	    CF_READER_SEALED);
	assert_int_equal(decide("GET", "http://reader.test"), CF_READER_PAGE);
}

static void
t_decide_knows_what_becomes_of_the_page(void **state)
{
	static const char *const behind[] = {
		"%23https%3A%2F%2Fkeys.test%2Fk%2F", "%2523keys.test", "/",
		".", ">", ")", ").", "/%23keys.test", "%3E", "%E2%80%8B",
		"&data=05", "%22",
	};
	struct cf_reader_answer a;
	char path[100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof behind / sizeof behind[0]; i++) {
		(void)snprintf(path, sizeof path, "/m/" BLOB "%s", behind[i]);
		cf_reader_decide(&names, "GET", path, false, &a);
		if (a.body != CF_READER_PAGE)
			fail_msg("%s is answered with %d", path, (int)a.body);
		assert_string_equal(a.blob, BLOB);
	}
}

static void
t_decide_refuses_other_paths(void **state)
{
	static const char *const paths[] = {
		"", "*", "//", "/.", "/..", "/m", "/m/", "/e/", "/e", "/x",
		"/index.html", "/page.js", "/page.css", "/page.js/",
		"/page.ungWv48Bz-pBQUDE.js", "/page.ungWv48Bz-pBQUDe.css",
		"/page.ungWv48Bz-pBQUDe.js.br", "/page..js",
		 "/page.jsx", "/page.js%00",
		"/e/../e/" BLOB, "/e/" BLOB "/", "/e/" BLOB "x", "/e/ab/" BLOB,
		"/e/..%2f..%2fetc%2fpasswd", "/e/../../../../etc/passwd",
		"/e/.bCdEfGhIjKlMnOpQrStUg", "/e/%41bCdEfGhIjKlMnOpQrStUg",
		"/e/Ab/dEfGhIjKlMnOpQrStUg", "/e/AbCdEfGhIjKlMnOpQrStU",
		/* not what 16 bytes encode to: two spare bits are set */
		"/e/AbCdEfGhIjKlMnOpQrStUv",
		"/m/" BLOB "x", "/m/" BLOB "%00", "/m/" BLOB "/x", "/M/" BLOB,
		"/e/" BLOB "%23https%3A%2F%2Fkeys.test", "/e/" BLOB ".",
		"/e/" BLOB "\n", "http:/" BLOB, "https://",
	};
	struct cf_reader_answer a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		cf_reader_decide(&names, "GET", paths[i], false, &a);
		if (strcmp(paths[i], "https://") == 0) {
			assert_int_equal(a.body, CF_READER_PAGE);
			continue;
		}
		if (a.body != CF_READER_NOT_FOUND)
			fail_msg("\"%s\" is answered with %d", paths[i],
			    (int)a.body);
		assert_string_equal(a.blob, "");
	}
}

static void
t_decide_refuses_other_methods_bodies_and_lengths(void **state)
{
	static const char *const methods[] = {
		"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT",
		"PATCH", "get", "GETS", "PROPFIND", "",
	};
	char path[CF_READER_PATH_MAX + 2];
	struct cf_reader_answer a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		assert_int_equal(decide(methods[i], "/"), CF_READER_METHOD);
		assert_int_equal(decide(methods[i], "/x"), CF_READER_METHOD);
	}
	cf_reader_decide(&names, "GET", "/", true, &a);
	assert_int_equal(a.body, CF_READER_LARGE);
	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[CF_READER_PATH_MAX + 1] = '\0';
	assert_int_equal(decide("GET", path), CF_READER_LONG);
	path[CF_READER_PATH_MAX] = '\0';
	assert_int_equal(decide("GET", path), CF_READER_NOT_FOUND);
}

/* The digests are those of `printf abc | sha256sum` and of nothing. */
static void
t_a_name_has_the_hash_of_the_content(void **state)
{
	char name[CF_READER_NAME_MAX + 1];

	(void)state;
	cf_reader_name("page.js", "abc", 3, name);
	assert_string_equal(name, "/page.ungWv48Bz-pBQUDe.js");
	cf_reader_name("page.css", "", 0, name);
	assert_string_equal(name, "/page.47DEQpj8HBSa-_TI.css");
}

static void
t_an_encoding_is_chosen(void **state)
{
	static const struct {
		const char *accept;
		enum cf_encoding best, without_br, without;
	} cases[] = {
#define NONE CF_ENCODING_NONE
#define GZIP CF_ENCODING_GZIP
#define BR CF_ENCODING_BROTLI
		{ NULL, NONE, NONE, NONE },
		{ "", NONE, NONE, NONE },
		{ "gzip, deflate, br, zstd", BR, GZIP, NONE },
		{ "gzip", GZIP, GZIP, NONE },
		{ "GZip,Br", BR, GZIP, NONE },
		{ "x-gzip", GZIP, GZIP, NONE },
		{ "deflate, zstd", NONE, NONE, NONE },
		{ "br;q=0, gzip", GZIP, GZIP, NONE },
		{ "br;q=0.0, gzip;q=0.000", NONE, NONE, NONE },
		{ "br;q=0.5, gzip;q=0.9", GZIP, GZIP, NONE },
		{ "br;q=0.9 ,\tgzip ; q=0.9", BR, GZIP, NONE },
		{ "br;q=0.001", BR, NONE, NONE },
		{ "identity, br;q=0.5", NONE, NONE, NONE },
		{ "identity;q=0.5, br;q=0.5", BR, NONE, NONE },
		{ "*", BR, GZIP, NONE },
		{ "*;q=0", NONE, NONE, NONE },
		{ "gzip;q=0, *", BR, NONE, NONE },
		{ "*;q=0, gzip", GZIP, GZIP, NONE },
		/* Nothing that we have: as it is all the same. */
		{ "identity;q=0, zstd", NONE, NONE, NONE },
		/* Not of the grammar: not asked for. */
		{ "br;q=2, gzip;q=1.001", NONE, NONE, NONE },
		{ "br;q=, gzip;q=x", NONE, NONE, NONE },
		{ "br;level=1, gzip;", NONE, NONE, NONE },
		{ "br;q=0.1234", NONE, NONE, NONE },
		{ "brotli, gzipped, br gzip", NONE, NONE, NONE },
		{ ",, ,gzip,,", GZIP, GZIP, NONE },
		{ "gzip;Q=1", GZIP, GZIP, NONE },
#undef NONE
#undef GZIP
#undef BR
	};
	static const bool all[] = { true, true, true };
	static const bool gzip[] = { true, true, false };
	static const bool none[] = { true, false, false };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (cf_encoding_choose(cases[i].accept, all) !=
		    cases[i].best || cf_encoding_choose(cases[i].accept,
		    gzip) != cases[i].without_br || cf_encoding_choose(
		    cases[i].accept, none) != cases[i].without)
			fail_msg("%s", cases[i].accept);
}

static void
t_kinds_are_complete(void **state)
{
	const struct cf_reader_kind *kind;
	int i;

	(void)state;
	for (i = 0; i < CF_READER__COUNT; i++) {
		kind = cf_reader_kind((enum cf_reader_body)i);
		assert_true(kind->status >= 200 && kind->status < 500);
		assert_non_null(kind->type);
		assert_non_null(kind->log_as);
		assert_int_equal((kind->file != NULL) + (kind->text != NULL),
		    i == CF_READER_SEALED ? 0 : 1);
	}
}

static void
t_policy_names_the_key_servers(void **state)
{
	char *servers[] = { (char *)(uintptr_t)"https://keys.test",
	    (char *)(uintptr_t)"http://127.0.0.1:8443" };
	const struct cf_conf_list list = { servers, 2 };
	struct cf_buf policy = CF_BUF_INIT(CF_READER_CSP_MAX);
	struct cf_buf small = CF_BUF_INIT(200);
	struct cf_why why;

	(void)state;
	assert_int_equal(cf_reader_policy(&list, &policy, &why), CF_OK);
	assert_string_equal(cf_buf_str(&policy),
	    "default-src 'none'; script-src 'self'; "
	    "style-src 'self' 'unsafe-inline'; img-src data: blob:; "
	    "connect-src 'self' https://keys.test http://127.0.0.1:8443; "
	    "frame-src 'self'; form-action 'none'; base-uri 'none'; "
	    "frame-ancestors 'none'; require-trusted-types-for 'script'; "
	    "trusted-types counterfoil dompurify");
	assert_int_equal(cf_reader_policy(&list, &small, &why), CF_E_CONFIG);
	cf_buf_free(&policy);
	cf_buf_free(&small);
}

/* ---- configuration ---- */

static enum cf_err
load(const char *text, struct cf_reader_conf *conf, struct cf_why *why)
{
	char path[] = "/tmp/reader-test-XXXXXX";
	int fd = mkstemp(path);
	enum cf_err rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)),
	    (ssize_t)strlen(text));
	close(fd);
	rc = cf_reader_conf_load(path, conf, why);
	unlink(path);
	return rc;
}

#define DIRS "store_directory = \"/tmp\"\npage_directory = \"/tmp\"\n"
#define URL "reader_url = \"https://reader.test\"\n"
#define KEYS "allowed_key_servers = {\"https://keys.test\"}\n"

static void
t_conf_takes_loopback_without_tls(void **state)
{
	static const char *const listens[] = { "127.0.0.1:1", "127.9.9.9:80",
	    "[::1]:8480", "localhost:8480" };
	struct cf_reader_conf conf;
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof listens / sizeof listens[0]; i++) {
		CF_AUTO(cf_free) char *text = cf_asprintf(
		    DIRS URL KEYS "listen = \"%s\"\n", listens[i]);

		assert_int_equal(load(text, &conf, &why), CF_OK);
		assert_false(conf.tls);
		assert_true(conf.hsts);
		cf_reader_conf_free(&conf);
	}
}

static void
t_conf_refuses_what_is_unsafe(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ DIRS URL KEYS "listen = \"0.0.0.0:80\"\n", "tls_cert" },
		{ DIRS URL KEYS "listen = \"[::]:80\"\n", "tls_cert" },
		{ DIRS URL KEYS "listen = \"192.0.2.1:80\"\n", "tls_cert" },
		{ DIRS URL KEYS "listen = \"reader.test:80\"\n", "numeric" },
		{ DIRS URL KEYS "tls_certificate = \"/dev/null\"\n",
		    "go together" },
		{ DIRS KEYS, "reader_url" },
		{ DIRS URL, "allowed_key_servers" },
		{ DIRS KEYS "reader_url = \"http://reader.test\"\n",
		    ":4: reader_url: http:// is for loopback" },
		{ DIRS URL KEYS "tls_key = \"/etc/passwd\"\n",
		    ":5: tls_key:" },
		{ DIRS URL KEYS "thread = 4\n", "nearest one is \"threads\"" },
		{ DIRS URL KEYS "threads = \"x\"\n", ":5:" },
		{ URL KEYS "page_directory = \"/tmp\"\n"
		    "store_directory = \"/nonexistent\"\n",
		    ":4: store_directory" },
	};
	struct cf_reader_conf conf;
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (load(cases[i].text, &conf, &why) != CF_E_CONFIG)
			fail_msg("taken:\n%s", cases[i].text);
		if (strstr(why.text, cases[i].says) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", why.text,
			    cases[i].says);
	}
}

static void
t_listen_knows_loopback(void **state)
{
	bool loopback = false;

	(void)state;
	assert_int_equal(cf_listen_is_loopback("127.0.0.1:1", &loopback,
	    NULL), CF_OK);
	assert_true(loopback);
	assert_int_equal(cf_listen_is_loopback("128.0.0.1:1", &loopback,
	    NULL), CF_OK);
	assert_false(loopback);
	assert_int_equal(cf_listen_is_loopback("[::1]:1", &loopback, NULL),
	    CF_OK);
	assert_true(loopback);
	assert_int_equal(cf_listen_is_loopback("[::2]:1", &loopback, NULL),
	    CF_OK);
	assert_false(loopback);
	assert_int_equal(cf_listen_is_loopback("127.0.0.1", &loopback, NULL),
	    CF_E_CONFIG);
	assert_int_equal(cf_listen_is_loopback("example.test:1", &loopback,
	    NULL), CF_E_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_decide_knows_its_paths),
		cmocka_unit_test(t_decide_knows_what_becomes_of_the_page),
		cmocka_unit_test(t_decide_refuses_other_paths),
		cmocka_unit_test(
		    t_decide_refuses_other_methods_bodies_and_lengths),
		cmocka_unit_test(t_a_name_has_the_hash_of_the_content),
		cmocka_unit_test(t_an_encoding_is_chosen),
		cmocka_unit_test(t_kinds_are_complete),
		cmocka_unit_test(t_policy_names_the_key_servers),
		cmocka_unit_test(t_conf_takes_loopback_without_tls),
		cmocka_unit_test(t_conf_refuses_what_is_unsafe),
		cmocka_unit_test(t_listen_knows_loopback),
	};

	return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
