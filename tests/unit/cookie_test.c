/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies, and the tokens of forms that hang on them. */
#include "keysrv/web/csrf.h"

#include "common/digest.h"
#include "common/json.h"
#include "tests/unit/fixture.h"

#define NAME "__Host-test"

static void
finds(const char *header, const char *want)
{
	const char *value = NULL;
	size_t len = 0;

	assert_true(cf_cookie_find(header, NAME, &value, &len));
	assert_int_equal(len, strlen(want));
	assert_memory_equal(value, want, len);
}

static void
t_a_cookie_is_found_among_others(void **state)
{
	(void)state;
	finds(NAME "=abc", "abc");
	finds(NAME "=", "");
	finds(NAME "=a=b", "a=b");
	finds("x=1; " NAME "=abc", "abc");
	finds(NAME "=abc; x=1", "abc");
	finds(NAME "=abc;x=1", "abc");
	finds("x=1;" NAME "=abc;", "abc");
	/* Names have no case, parts or neighbours in common. */
	finds("__host-test=1; " NAME "2=2; 3" NAME "=3; " NAME "=abc", "abc");
	finds("x=" NAME "=1; " NAME "=abc", "abc");
	/* Whatever others have set. */
	finds("x=\"a; y; =z; ;; caf\xc3\xa9=1,2 3\\; " NAME "=abc; ;", "abc");
}

static void
t_what_is_no_cookie_of_ours_is_not_found(void **state)
{
	static const char *const headers[] = { "", ";", "=", NAME, "x=1",
	    NAME " =abc", NAME ";=abc", "x=1, " NAME "=abc",
	    /* twice */
	    NAME "=abc; " NAME "=abc", NAME "=abc; x=1; " NAME "=",
	    /* not of its characters */
	    NAME "=\"abc\"", NAME "=a b", NAME "=a,b", NAME "=a\\b",
	    NAME "=caf\xc3\xa9", NAME "=a\x7f", NAME "=a\tb" };
	const char *value = "none";
	size_t i, len = 42;

	(void)state;
	assert_false(cf_cookie_find(NULL, NAME, &value, &len));
	for (i = 0; i < sizeof headers / sizeof headers[0]; i++)
		if (cf_cookie_find(headers[i], NAME, &value, &len))
			fail_msg("found in %s", headers[i]);
	assert_string_equal(value, "none");
	assert_int_equal(len, 42);
}

static void
t_a_cookie_is_for_this_host_alone(void **state)
{
	struct cf_buf out = CF_BUF_INIT(1000);

	(void)state;
	cf_cookie_write(&out, NAME, "Ab-_9", 3600);
	assert_string_equal(cf_buf_str(&out), NAME "=Ab-_9; Path=/; "
	    "Max-Age=3600; Secure; HttpOnly; SameSite=Lax");
	cf_buf_reset(&out);
	cf_cookie_write(&out, NAME, "", 0);
	assert_string_equal(cf_buf_str(&out), NAME "=; Path=/; "
	    "Max-Age=0; Secure; HttpOnly; SameSite=Lax");
	cf_buf_free(&out);
}

/* ---- tokens of forms ---- */

#define START_MS 1800000000000	/* in 2027 */
#define COOKIE "BAUGBAUGBAUGBAUGBAUGBAUGBAUGBAUGBAUGBAUGBAU"
#define NO_HOST_COOKIE "counterfoil=" COOKIE

static char service_url[] = "https://keys.example";
static struct cf_settings settings = { .service_url = service_url };
static const struct cf_secret secret = { { 1, 2, 3 }, 32 };
static const struct cf_ks ks = { .settings = &settings,
    .form_secret = &secret };
static struct {
	const char *cookie, *origin, *site;
} header;

static const char *
field(const struct cf_req *req, const char *name)
{
	(void)req;
	if (strcmp(name, "Cookie") == 0)
		return header.cookie;
	if (strcmp(name, "Origin") == 0)
		return header.origin;
	assert_string_equal(name, "Sec-Fetch-Site");
	return header.site;
}

static struct cf_req
request(void)
{
	return (struct cf_req){ .ks = &ks, .field = field,
	    .reply = CF_BUF_INIT(10000) };
}

/* Write a page with a form; its token and, if there is one, its cookie. */
static void
write_form(char token[CF_CHALLENGE_TEXT_LEN + 1], char cookie[200])
{
	static const char before[] = "name=\"csrf\" value=\"";
	struct cf_req req = request();
	const char *at;

	(void)cf_req_page(&req, 200, "x");
	cf_csrf_form_open(&req, "/x");
	cf_page_form_close(&req.page);
	/* One visitor, one cookie. */
	cf_csrf_form_open(&req, "/y");
	cf_page_form_close(&req.page);
	cf_page_end(&req.page);
	assert_true(req.page.has_form);
	at = strstr(cf_buf_str(&req.reply), before);
	assert_non_null(at);
	(void)snprintf(token, CF_CHALLENGE_TEXT_LEN + 1, "%s",
	    at + strlen(before));
	assert_int_equal(at[strlen(before) + CF_CHALLENGE_TEXT_LEN], '"');
	assert_true(req.field_count <= 1);
	if (req.field_count == 1) {
		assert_string_equal(req.fields[0].name, "Set-Cookie");
		(void)snprintf(cookie, 200, "%.*s",
		    (int)strcspn(req.fields[0].value, ";"),
		    req.fields[0].value);
	} else {
		cookie[0] = '\0';
	}
	cf_req_drop_fields(&req);
	cf_buf_free(&req.reply);
	cf_secret_wipe(&req.visitor);
}

/* Send the form with this token (NULL: none) and the header's cookie. */
static enum cf_err
send_form(const char *token)
{
	const struct cf_req req = request();
	struct cf_why why = { "" };
	json_t *form = cf_json_new();
	enum cf_err rc;

	json_object_set_new(form, "a", json_string("1"));
	if (token != NULL)
		json_object_set_new(form, "csrf", json_string(token));
	rc = cf_csrf_check_token(&req, form, &why);
	assert_true(rc == CF_OK || (rc == CF_E_FORM && why.text[0] != '\0'));
	/* The endpoint's table knows nothing of it. */
	if (rc == CF_OK)
		assert_int_equal(json_object_size(form), 1);
	cf_json_free(&form);
	return rc;
}

static void
t_a_token_is_its_visitors(void **state)
{
	char token[CF_CHALLENGE_TEXT_LEN + 1], cookie[200];
	char other[CF_CHALLENGE_TEXT_LEN + 1], others_cookie[200];
	char second[CF_CHALLENGE_TEXT_LEN + 1], none[200];

	(void)state;
	cf_clock_set_ms(START_MS);
	header.cookie = NULL;
	write_form(token, cookie);
	write_form(other, others_cookie);
	assert_int_equal(strlen(cookie), strlen(CF_CSRF_COOKIE) + 1 + 43);
	assert_string_not_equal(cookie, others_cookie);
	header.cookie = cookie;
	assert_int_equal(send_form(token), CF_OK);
	assert_int_equal(send_form(token), CF_OK);
	assert_int_equal(send_form(other), CF_E_FORM);
	assert_int_equal(send_form(NULL), CF_E_FORM);
	assert_int_equal(send_form(""), CF_E_FORM);
	header.cookie = others_cookie;
	assert_int_equal(send_form(token), CF_E_FORM);
	assert_int_equal(send_form(other), CF_OK);
	header.cookie = NULL;
	assert_int_equal(send_form(token), CF_E_FORM);
	/* Who has a cookie keeps it, and no two tokens are alike. */
	header.cookie = cookie;
	write_form(second, none);
	assert_string_equal(none, "");
	assert_string_not_equal(token, second);
	assert_int_equal(send_form(second), CF_OK);
	cf_clock_set_ms(-1);
}

static void
t_a_cookie_not_of_our_form_is_none(void **state)
{
	static const char *const cookies[] = { CF_CSRF_COOKIE "=",
	    CF_CSRF_COOKIE "=x", CF_CSRF_COOKIE "=" COOKIE "A",
	    CF_CSRF_COOKIE "=" COOKIE "; " CF_CSRF_COOKIE "=" COOKIE,
	    NO_HOST_COOKIE };
	char token[CF_CHALLENGE_TEXT_LEN + 1], cookie[200];
	struct cf_secret visitor = CF_SECRET_EMPTY;
	const struct cf_req req = request();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cookies / sizeof cookies[0]; i++) {
		header.cookie = cookies[i];
		assert_false(cf_csrf_visitor(&req, &visitor));
		write_form(token, cookie);
		assert_string_not_equal(cookie, "");
		assert_int_equal(send_form(token), CF_E_FORM);
	}
	header.cookie = "x=1; " CF_CSRF_COOKIE "=" COOKIE;
	assert_true(cf_csrf_visitor(&req, &visitor));
	assert_int_equal(visitor.len, 32);
	cf_secret_wipe(&visitor);
}

static void
t_a_token_has_its_time(void **state)
{
	char token[CF_CHALLENGE_TEXT_LEN + 1], cookie[200];
	size_t i;
	char was;

	(void)state;
	cf_clock_set_ms(START_MS);
	header.cookie = NULL;
	write_form(token, cookie);
	header.cookie = cookie;
	cf_clock_set_ms(START_MS + CF_CSRF_LIFETIME_S * 1000LL);
	assert_int_equal(send_form(token), CF_OK);
	cf_clock_set_ms(START_MS + (CF_CSRF_LIFETIME_S + 1) * 1000LL);
	assert_int_equal(send_form(token), CF_E_FORM);
	/* Made by a clock that is far ahead of ours. */
	cf_clock_set_ms(START_MS - 60000);
	assert_int_equal(send_form(token), CF_E_FORM);
	cf_clock_set_ms(START_MS);
	for (i = 0; i < CF_CHALLENGE_TEXT_LEN; i++) {
		was = token[i];
		token[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(send_form(token), CF_E_FORM);
		token[i] = was;
	}
	assert_int_equal(send_form(token), CF_OK);
	cf_clock_set_ms(-1);
}

/* A challenge is public; it is no token, whoever's key it is for. */
static void
t_a_challenge_is_no_token(void **state)
{
	static const struct cf_secret other = { { 1, 2, 4 }, 32 };
	static const unsigned char random[CF_CHALLENGE_RANDOM_LEN] = { 1 };
	struct cf_secret visitor = CF_SECRET_EMPTY;
	unsigned char digest[CF_DIGEST_LEN];
	char text[CF_CHALLENGE_TEXT_LEN + 1];
	const struct cf_req req = request();

	(void)state;
	header.cookie = CF_CSRF_COOKIE "=" COOKIE;
	assert_true(cf_csrf_visitor(&req, &visitor));
	cf_digest_of(visitor.bytes, visitor.len, digest);
	cf_challenge_make(&other, digest, cf_clock_ms() / 1000, random, text);
	assert_int_equal(send_form(text), CF_E_FORM);
	cf_challenge_make(&secret, digest, cf_clock_ms() / 1000, random,
	    text);
	assert_int_equal(send_form(text), CF_OK);
	cf_secret_wipe(&visitor);
}

static void
t_a_form_comes_from_our_pages(void **state)
{
	static const struct {
		const char *url, *origin, *site;
		enum cf_err rc;
	} rows[] = {
		{ "https://keys.example", "https://keys.example", NULL,
		    CF_OK },
		{ "https://keys.example", "https://keys.example",
		    "same-origin", CF_OK },
		{ "https://keys.example", NULL, "same-origin", CF_OK },
		{ "https://keys.example:443", "https://keys.example", NULL,
		    CF_OK },
		{ "http://localhost:80", "http://localhost", NULL, CF_OK },
		{ "http://127.0.0.1:8080", "http://127.0.0.1:8080", NULL,
		    CF_OK },
		{ "https://keys.example", NULL, NULL, CF_E_FORM },
		{ "https://keys.example", "null", NULL, CF_E_FORM },
		{ "https://keys.example", "null", "same-origin", CF_E_FORM },
		{ "https://keys.example", "", NULL, CF_E_FORM },
		{ "https://keys.example", "https://keys.example",
		    "same-site", CF_E_FORM },
		{ "https://keys.example", "https://keys.example",
		    "cross-site", CF_E_FORM },
		{ "https://keys.example", "https://keys.example", "none",
		    CF_E_FORM },
		{ "https://keys.example", NULL, "", CF_E_FORM },
		{ "https://keys.example", "https://evil.example",
		    "same-origin", CF_E_FORM },
		{ "https://keys.example", "http://keys.example", NULL,
		    CF_E_FORM },
		{ "https://keys.example", "https://keys.example.evil", NULL,
		    CF_E_FORM },
		{ "https://keys.example", "https://keys.exampl", NULL,
		    CF_E_FORM },
		{ "https://keys.example", "https://keys.example:8443", NULL,
		    CF_E_FORM },
		{ "https://keys.example:8443", "https://keys.example", NULL,
		    CF_E_FORM },
		{ "https://keys.example:80", "https://keys.example", NULL,
		    CF_E_FORM },
		{ "https://keys.example", "https://keys.example/", NULL,
		    CF_E_FORM },
	};
	const struct cf_req req = request();
	struct cf_why why;
	char url[100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		(void)snprintf(url, sizeof url, "%s", rows[i].url);
		settings.service_url = url;
		header.origin = rows[i].origin;
		header.site = rows[i].site;
		why.text[0] = '\0';
		if (cf_csrf_check_header(&req, &why) != rows[i].rc)
			fail_msg("row %zu", i);
		assert_int_equal(why.text[0] == '\0', rows[i].rc == CF_OK);
	}
	settings.service_url = service_url;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_a_cookie_is_found_among_others),
		cmocka_unit_test(t_what_is_no_cookie_of_ours_is_not_found),
		cmocka_unit_test(t_a_cookie_is_for_this_host_alone),
		cmocka_unit_test(t_a_token_is_its_visitors),
		cmocka_unit_test(t_a_cookie_not_of_our_form_is_none),
		cmocka_unit_test(t_a_token_has_its_time),
		cmocka_unit_test(t_a_challenge_is_no_token),
		cmocka_unit_test(t_a_form_comes_from_our_pages),
	};

	return cmocka_run_group_tests_name("cookie", tests, NULL, NULL);
}
