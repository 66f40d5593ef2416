/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key server's HTTP from socket to endpoint and back, with endpoints of
 * the test's own: what none of ours asks for yet.
 */
#include "keysrv/http/http.h"

#include <arpa/inet.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listen.h"
#include "keysrv/http/fields.h"
#include "keysrv/web/csrf.h"
#include "tests/unit/fixture.h"

#define COOKIE "__Host-test"
#define CSP(form) "default-src 'none'; base-uri 'none'; form-action " form \
	"; frame-ancestors 'none'"

static size_t forms_taken;

/* ---- endpoints ---- */

/* Go on where the query says. */
static enum cf_err
redirect(struct cf_req *req, struct cf_why *why)
{
	char to[100];

	assert_true(req->query(req, "to", to, sizeof to));
	return cf_req_redirect(req, to, why);
}

/* Say which cookie came, and set another. */
static enum cf_err
cookie(struct cf_req *req, struct cf_why *why)
{
	struct cf_buf set = CF_BUF_INIT(200);
	const char *value;
	size_t len = 0;

	if (!cf_cookie_find(req->field(req, "Cookie"), COOKIE, &value, &len))
		len = 0;
	cf_buf_add(cf_req_ok(req, 200), len == 0 ? "-" : value,
	    len == 0 ? 1 : len);
	cf_cookie_write(&set, COOKIE, "new", 60);
	assert_int_equal(cf_req_add_field(req, "Set-Cookie",
	    cf_buf_str(&set), why), CF_OK);
	cf_buf_free(&set);
	return CF_OK;
}

/* Begin three replies; the last one counts. */
static enum cf_err
again(struct cf_req *req, struct cf_why *why)
{
	assert_int_equal(cf_req_redirect(req, "/x", why), CF_OK);
	cf_page_end(cf_req_page(req, 200, "x"));
	assert_int_equal(cf_req_add_field(req, "X-First", "1", why), CF_OK);
	assert_int_equal(cf_req_add_field(req, "X-Bad", "a\nb", why),
	    CF_E_SYNTAX);
	assert_int_equal(cf_req_add_field(req, "X-Bad", "caf\xc3\xa9", why),
	    CF_E_SYNTAX);
	cf_req_fail(req, CF_E_REFUSED, NULL);
	assert_int_equal(cf_req_add_field(req, "X-Last", "1", why), CF_OK);
	return CF_OK;
}

static enum cf_err
page(struct cf_req *req, struct cf_why *why)
{
	struct cf_page *p = cf_req_page(req, 200, "x");

	(void)why;
	if (req->query_count > 0) {
		cf_page_form_open(p, "/form", "token");
		cf_page_form_close(p);
	}
	cf_page_end(p);
	return CF_OK;
}

static enum cf_err
raw(struct cf_req *req, struct cf_why *why)
{
	(void)why;
	assert_null(req->json);
	cf_buf_addf(cf_req_ok(req, 200), "%zu bytes", req->raw_len);
	return CF_OK;
}

/* A page with a form, and what is done with it: go on. */
static enum cf_err
show_form(struct cf_req *req, struct cf_why *why)
{
	struct cf_page *p = cf_req_page(req, 200, "x");

	(void)why;
	cf_csrf_form_open(req, "/form");
	cf_page_field(p, &(struct cf_page_field){ .name = "to",
	    .label = "To" });
	cf_page_button(p, "Go");
	cf_page_form_close(p);
	cf_page_end(p);
	return CF_OK;
}

static enum cf_err
take_form(struct cf_req *req, struct cf_why *why)
{
	struct {
		char to[20];
	} form;
	static const struct cf_member table[] = {
		{ "to", CF_MEMBER_TEXT, .len = sizeof form.to - 1 },
	};
	enum cf_err rc;

	forms_taken++;
	rc = cf_fields_read_form(req->json, table, 1, &form, why);
	return rc == CF_OK ? cf_req_redirect(req, form.to, why) : rc;
}

#define ACTION(fn) (&(const struct cf_action){ .parse = (fn), \
	.raw_type = "text/x-test" })

static const struct cf_endpoint *const endpoints[] = {
	&(const struct cf_endpoint){ "redirect", "GET", "/redirect",
	    CF_WHO_ANYONE, CF_BODY_NONE, 0, ACTION(redirect) },
	&(const struct cf_endpoint){ "cookie", "GET", "/cookie",
	    CF_WHO_ANYONE, CF_BODY_NONE, 0, ACTION(cookie) },
	&(const struct cf_endpoint){ "again", "GET", "/again",
	    CF_WHO_ANYONE, CF_BODY_NONE, 0, ACTION(again) },
	&(const struct cf_endpoint){ "page", "GET", "/page",
	    CF_WHO_ANYONE, CF_BODY_NONE, 0, ACTION(page) },
	&(const struct cf_endpoint){ "raw", "POST", "/raw",
	    CF_WHO_ANYONE, CF_BODY_RAW, 100, ACTION(raw) },
	&(const struct cf_endpoint){ "show_form", "GET", "/show",
	    CF_WHO_ANYONE, CF_BODY_NONE, 0, ACTION(show_form) },
	&(const struct cf_endpoint){ "form", "POST", "/form",
	    CF_WHO_ANYONE, CF_BODY_FORM, 1000, ACTION(take_form) },
};

const struct cf_endpoint *__wrap_cf_endpoint_find(const char *path,
    const char **ret_tail);

const struct cf_endpoint *
__wrap_cf_endpoint_find(const char *path, const char **ret_tail)
{
	size_t i;

	*ret_tail = "";
	for (i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++)
		if (strcmp(endpoints[i]->path, path) == 0)
			return endpoints[i];
	return NULL;
}

/* ---- the server, and a client ---- */

static struct sockaddr_in address;
static struct cf_http *http;
static char answer[20000];

enum cf_err __real_cf_listen_tcp(const char *text, int *ret_fd,
    struct cf_why *why);
enum cf_err __wrap_cf_listen_tcp(const char *text, int *ret_fd,
    struct cf_why *why);

/* Any port; which one it became, the test must know. */
enum cf_err
__wrap_cf_listen_tcp(const char *text, int *ret_fd, struct cf_why *why)
{
	enum cf_err rc = __real_cf_listen_tcp(text, ret_fd, why);
	socklen_t len = sizeof address;

	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address,
	    &len), 0);
	return rc;
}

static int
start(void **state)
{
	static char listen[] = "127.0.0.1:0", url[] = "https://keys.example";
	static struct cf_settings settings = { .listen = listen,
	    .service_url = url, .threads = 1, .connection_limit = 10,
	    .request_timeout_s = 30 };
	static const struct cf_secret secret = { { 1 }, 32 };
	static const struct cf_ks ks = { .settings = &settings,
	    .form_secret = &secret };
	struct cf_why why = { "" };

	(void)state;
	return cf_http_start(&ks, &http, &why) != CF_OK;
}

static int
stop(void **state)
{
	(void)state;
	cf_http_drain(http, 10000);
	cf_http_stop(&http);
	return 0;
}

/* One request, its answer in `answer`.  The status. */
static int
ask(const char *method, const char *path, const char *fields,
    const char *body)
{
	struct cf_buf out = CF_BUF_INIT(100000);
	size_t len = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t n;

	cf_buf_addf(&out, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	    "%sContent-Length: %zu\r\n\r\n%s", method, path, fields,
	    strlen(body), body);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
	    sizeof address), 0);
	assert_int_equal(send(fd, out.data, out.len, MSG_NOSIGNAL),
	    out.len);
	while ((n = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0)
		len += (size_t)n;
	assert_true(len < sizeof answer - 1);
	answer[len] = '\0';
	close(fd);
	cf_buf_free(&out);
	assert_int_equal(strncmp(answer, "HTTP/1.1 ", 9), 0);
	return (int)strtol(answer + 9, NULL, 10);
}

/* A field of the answer, the first of its name, or NULL.  Lends. */
static const char *
field(const char *name)
{
	static char value[1000];
	const char *p = answer, *end = strstr(answer, "\r\n\r\n");
	size_t name_len = strlen(name);

	for (p = strstr(p, "\r\n"); p < end; p = strstr(p + 2, "\r\n")) {
		if (strncasecmp(p + 2, name, name_len) != 0 ||
		    strncmp(p + 2 + name_len, ": ", 2) != 0)
			continue;
		p += 4 + name_len;
		(void)snprintf(value, sizeof value, "%.*s",
		    (int)strcspn(p, "\r"), p);
		return value;
	}
	return NULL;
}

static const char *
content(void)
{
	return strstr(answer, "\r\n\r\n") + 4;
}

/* ---- tests ---- */

static void
t_a_redirect_stays_with_us(void **state)
{
	(void)state;
	assert_int_equal(ask("GET", "/redirect?to=/a/b%3fc%3dd%26e", "", ""),
	    303);
	assert_string_equal(field("Location"), "/a/b?c=d&e");
	assert_string_equal(field("Cache-Control"), "no-store");
	assert_string_equal(field("Content-Type"),
	    "text/html; charset=utf-8");
	assert_non_null(strstr(content(), "href=\"/a/b?c=d&amp;e\""));
	assert_int_equal(ask("GET", "/redirect?to=//evil.example/", "", ""),
	    400);
	assert_null(field("Location"));
	assert_int_equal(ask("GET", "/redirect?to=https://evil.example", "",
	    ""), 400);
	assert_int_equal(ask("GET", "/redirect?to=/%5cevil.example", "", ""),
	    400);
	assert_int_equal(ask("GET", "/redirect?to=/a%0d%0aX-Evil:+1", "",
	    ""), 400);
	assert_null(field("X-Evil"));
}

static void
t_a_cookie_comes_and_goes(void **state)
{
	(void)state;
	assert_int_equal(ask("GET", "/cookie", "", ""), 200);
	assert_string_equal(content(), "-");
	assert_string_equal(field("Set-Cookie"), COOKIE "=new; Path=/; "
	    "Max-Age=60; Secure; HttpOnly; SameSite=Lax");
	assert_int_equal(ask("GET", "/cookie", "Cookie: a=b; " COOKIE
	    "=old\r\n", ""), 200);
	assert_string_equal(content(), "old");
}

static void
t_only_the_last_reply_is_sent(void **state)
{
	(void)state;
	assert_int_equal(ask("GET", "/again", "", ""), 403);
	assert_string_equal(field("Content-Type"),
	    "application/problem+json");
	assert_null(field("Location"));
	assert_null(field("X-First"));
	assert_null(field("X-Bad"));
	assert_string_equal(field("X-Last"), "1");
	assert_null(field("Cross-Origin-Opener-Policy"));
}

static void
t_only_a_page_with_a_form_may_send_one(void **state)
{
	(void)state;
	assert_int_equal(ask("GET", "/page", "", ""), 200);
	assert_string_equal(field("Content-Security-Policy"), CSP("'none'"));
	assert_string_equal(field("Referrer-Policy"), "no-referrer");
	assert_string_equal(field("Cross-Origin-Opener-Policy"),
	    "same-origin");
	assert_int_equal(ask("GET", "/page?form", "", ""), 200);
	assert_string_equal(field("Content-Security-Policy"), CSP("'self'"));
	assert_string_equal(field("Referrer-Policy"), "same-origin");
	assert_string_equal(field("Cross-Origin-Resource-Policy"),
	    "same-origin");
}

static void
t_a_raw_body_is_taken_as_it_is(void **state)
{
	char large[102];

	(void)state;
	assert_int_equal(ask("POST", "/raw", "Content-Type: text/x-test\r\n",
	    "{\"x"), 200);
	assert_string_equal(content(), "3 bytes");
	assert_int_equal(ask("POST", "/raw",
	    "Content-Type: application/json\r\n", "{}"), 415);
	assert_non_null(strstr(content(), "Only text/x-test is taken here."));
	memset(large, 'x', 101);
	large[101] = '\0';
	assert_int_equal(ask("POST", "/raw", "Content-Type: text/x-test\r\n",
	    large), 413);
}

#define FORM_TYPE "Content-Type: application/x-www-form-urlencoded\r\n"
#define OURS "Origin: https://keys.example\r\n"

/* Send a form of `to`, with these fields and, if not NULL, this token. */
static int
post(const char *fields, const char *cookie, const char *token,
    const char *to)
{
	char header[1000], text[1000];

	(void)snprintf(header, sizeof header, "%s%s%s%s", fields,
	    cookie == NULL ? "" : "Cookie: ", cookie == NULL ? "" : cookie,
	    cookie == NULL ? "" : "\r\n");
	(void)snprintf(text, sizeof text, "%s%s%sto=%s",
	    token == NULL ? "" : "csrf=", token == NULL ? "" : token,
	    token == NULL ? "" : "&", to);
	return ask("POST", "/form", header, text);
}

/* What a browser does. */
static void
t_a_form_goes_there_and_back(void **state)
{
	static const char before[] = "name=\"csrf\" value=\"";
	char cookie[200], token[200];
	const char *at;

	(void)state;
	assert_int_equal(ask("GET", "/show", "", ""), 200);
	assert_string_equal(field("Content-Security-Policy"), CSP("'self'"));
	assert_string_equal(field("Referrer-Policy"), "same-origin");
	(void)snprintf(cookie, sizeof cookie, "%.*s",
	    (int)strcspn(field("Set-Cookie"), ";"), field("Set-Cookie"));
	at = strstr(content(), before) + strlen(before);
	(void)snprintf(token, sizeof token, "%.*s", (int)strcspn(at, "\""),
	    at);
	forms_taken = 0;
	assert_int_equal(post(FORM_TYPE OURS, cookie, token, "%2Fnext"),
	    303);
	assert_string_equal(field("Location"), "/next");
	assert_int_equal(post(FORM_TYPE OURS
	    "Sec-Fetch-Site: same-origin\r\n", cookie, token, "%2Fnext"),
	    303);
	assert_int_equal(forms_taken, 2);
	/* It is the endpoint's now; what it says is a page, too. */
	assert_int_equal(post(FORM_TYPE OURS, cookie, token, "%2F%2Fevil"),
	    400);
	assert_int_equal(forms_taken, 3);
	assert_string_equal(field("Content-Type"),
	    "text/html; charset=utf-8");
	assert_non_null(strstr(content(), "<p>That is not an address of this "
	    "server.</p>"));
	assert_null(field("Location"));
	assert_int_equal(post(FORM_TYPE OURS, cookie, token, ""), 400);
	assert_non_null(strstr(content(), "&quot;to&quot; is empty."));

	/* No other form reaches it. */
	assert_int_equal(post(FORM_TYPE OURS, cookie, NULL, "%2Fnext"), 403);
	assert_non_null(strstr(content(), "open its page again"));
	assert_string_equal(field("Content-Security-Policy"), CSP("'none'"));
	assert_int_equal(post(FORM_TYPE OURS, NULL, token, "%2Fnext"), 403);
	assert_non_null(strstr(content(), "allow cookies"));
	assert_int_equal(post(FORM_TYPE OURS, cookie, "x", "%2Fnext"), 403);
	assert_int_equal(post(FORM_TYPE, cookie, token, "%2Fnext"), 403);
	assert_int_equal(post(FORM_TYPE "Origin: https://evil.example\r\n",
	    cookie, token, "%2Fnext"), 403);
	assert_non_null(strstr(content(), "https://keys.example alone"));
	assert_int_equal(post(FORM_TYPE OURS "Sec-Fetch-Site: cross-site\r\n",
	    cookie, token, "%2Fnext"), 403);
	assert_int_equal(post(OURS "Content-Type: application/json\r\n",
	    cookie, token, "%2Fnext"), 415);
	assert_int_equal(post(OURS, cookie, token, "%2Fnext"), 415);
	assert_int_equal(post(FORM_TYPE OURS, cookie, token, "%ff"), 400);
	assert_int_equal(ask("GET", "/form", "", ""), 405);
	assert_string_equal(field("Content-Type"),
	    "text/html; charset=utf-8");
	assert_int_equal(forms_taken, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_a_redirect_stays_with_us),
		cmocka_unit_test(t_a_cookie_comes_and_goes),
		cmocka_unit_test(t_only_the_last_reply_is_sent),
		cmocka_unit_test(t_only_a_page_with_a_form_may_send_one),
		cmocka_unit_test(t_a_raw_body_is_taken_as_it_is),
		cmocka_unit_test(t_a_form_goes_there_and_back),
	};

	return cmocka_run_group_tests_name("http", tests, start, stop);
}
