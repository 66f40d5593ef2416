/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server's side of a request: who is called when, and the end. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/httpd.h"
#include "common/listen.h"
#include "common/mem.h"
#include "tests/unit/fixture.h"

#define HEAD "POST /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

/* What the paths ask for: the moments at which to suspend, and to answer. */
struct server {
	struct cf_httpd_options options;
	struct cf_httpd *httpd;
	struct sockaddr_in address;
	char calls[40];		/* b, p(art), w(hole), k: woken, u, e, x */
	bool part_again;	/* the part was left once */
	pthread_t other;
	atomic_bool held;	/* do not resume yet */
};

static void
note(struct cf_httpd_req *req, char call)
{
	struct server *s = req->server;
	size_t n = strlen(s->calls);

	/* Parts may come in any number. */
	if (n + 1 < sizeof s->calls && (n == 0 || call != 'p' ||
	    s->calls[n - 1] != 'p'))
		s->calls[n] = call;
}

static void
say(struct cf_httpd_req *req, const char *text)
{
	struct cf_buf body = CF_BUF_INIT(100);
	struct cf_httpd_response *r;

	cf_buf_adds(&body, text);
	r = cf_httpd_response_new(200, &body);
	cf_httpd_response_add(r, "X-Test", "yes");
	cf_httpd_answer(req, &r);
}

static void *
resume(void *arg)
{
	struct cf_httpd_req *req = arg;
	struct server *s = req->server;

	while (atomic_load(&s->held))
		usleep(1000);
	cf_httpd_resume(req);
	return NULL;
}

static void
suspend(struct cf_httpd_req *req)
{
	struct server *s = req->server;

	cf_httpd_suspend(req);
	assert_int_equal(pthread_create(&s->other, NULL, resume, req), 0);
	pthread_detach(s->other);
}

/* Is this what the path asks for? */
static bool
asks(const struct cf_httpd_req *req, const char *what)
{
	return strstr(req->path, what) != NULL;
}

static void
begin(struct cf_httpd_req *req)
{
	note(req, 'b');
	if (asks(req, "answer-begin"))
		say(req, "begin");
	else if (asks(req, "suspend-begin"))
		suspend(req);
}

static void
unsound(struct cf_httpd_req *req)
{
	note(req, 'u');
	say(req, "unsound");
}

static void
body(struct cf_httpd_req *req, const void *part, size_t len)
{
	struct server *s = req->server;

	(void)part;
	assert_true(len > 0);
	note(req, 'p');
	if (asks(req, "answer-body")) {
		say(req, "body");
	} else if (asks(req, "suspend-body") && !s->part_again) {
		s->part_again = true;
		suspend(req);
	}
}

static void
whole(struct cf_httpd_req *req)
{
	char value[8];

	note(req, 'w');
	if (asks(req, "suspend-whole"))
		suspend(req);
	else if (cf_httpd_query(req, "q", value, sizeof value))
		say(req, value);
	else
		say(req, "whole");
}

static void
woken(struct cf_httpd_req *req)
{
	note(req, 'k');
	if (asks(req, "suspend-whole") || asks(req, "answer-woken"))
		say(req, "woken");
}

static void
end(struct cf_httpd_req *req, bool sent)
{
	note(req, sent ? 'e' : 'x');
}

static const struct cf_httpd_handler handler = {
	begin, unsound, body, whole, woken, end
};

static void
start(struct server *s)
{
	socklen_t len = sizeof s->address;
	struct cf_why why;
	int fd;

	memset(s, 0, sizeof *s);
	s->options = (struct cf_httpd_options){ .handler = &handler, .arg = s,
	    .connections = 20, .threads = 1, .request_timeout_s = 30,
	    .answer_timeout_s = 30, .header_memory = 16384 };
	assert_int_equal(cf_httpd_new(&s->options, &s->httpd, &why), CF_OK);
	assert_int_equal(cf_listen_tcp("127.0.0.1:0", &fd, &why), CF_OK);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&s->address,
	    &len), 0);
	assert_int_equal(cf_httpd_start(s->httpd, fd, &why), CF_OK);
}

static int
ask(const struct server *s, const char *request)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	size_t len = strlen(request);

	assert_int_equal(connect(fd, (const struct sockaddr *)&s->address,
	    sizeof s->address), 0);
	assert_int_equal(write(fd, request, len), (ssize_t)len);
	return fd;
}

/* The whole answer; its body is behind the empty line. */
static void
answer_of(int fd, char *ret, size_t cap)
{
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, ret + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	ret[n] = '\0';
	close(fd);
}

/* A request with a body of two parts: the calls it makes, its answer. */
static void
check(const char *path, const char *calls, const char *text)
{
	char request[500], answer[1000];
	struct server s;
	int fd;

	start(&s);
	(void)snprintf(request, sizeof request, HEAD
	    "Content-Length: 10\r\n\r\n12345", path);
	fd = ask(&s, request);
	if (strstr(path, "begin") == NULL || strstr(path, "answer") == NULL)
		assert_int_equal(write(fd, "67890", 5), 5);
	answer_of(fd, answer, sizeof answer);
	cf_httpd_drain(s.httpd, 10000);
	cf_httpd_free(&s.httpd);
	assert_string_equal(s.calls, calls);
	assert_non_null(strstr(answer, "HTTP/1.1 200"));
	assert_non_null(strstr(answer, "X-Test: yes\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n") + 4, text);
}

static void
t_request_is_answered_at_each_moment(void **state)
{
	(void)state;
	check("x", "bpwe", "whole");
	check("answer-begin", "be", "begin");
	check("answer-body", "bpe", "body");
	check("x?q=%41b", "bpwe", "Ab");
	check("x?q=%00", "bpwe", "");
	check("x?q=longerthan7", "bpwe", "");
}

static void
t_request_is_suspended_at_each_moment(void **state)
{
	(void)state;
	check("suspend-begin", "bkpwe", "whole");
	check("suspend-begin/answer-woken", "bke", "woken");
	check("suspend-body", "bpkpwe", "whole");
	check("suspend-body/answer-woken", "bpke", "woken");
	check("suspend-whole", "bpwke", "woken");
}

static void
t_request_with_a_bad_header_is_unsound(void **state)
{
	static const char *const more[] = { "Host: x", "hOST: y", "A: b\001" };
	char request[500], answer[1000];
	struct server s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof more / sizeof more[0]; i++) {
		start(&s);
		(void)snprintf(request, sizeof request, HEAD "%s\r\n\r\n",
		    "x", more[i]);
		answer_of(ask(&s, request), answer, sizeof answer);
		cf_httpd_drain(s.httpd, 10000);
		cf_httpd_free(&s.httpd);
		assert_string_equal(s.calls, "ue");
		assert_string_equal(strstr(answer, "\r\n\r\n") + 4, "unsound");
	}
}

static void *
drain(void *arg)
{
	struct server *s = arg;

	cf_httpd_drain(s->httpd, 60000);
	/* Whoever was under way has come to its end. */
	assert_int_equal(s->calls[strlen(s->calls) - 1], 'e');
	return NULL;
}

static void
t_drain_waits_for_requests_under_way(void **state)
{
	char request[500], answer[1000];
	pthread_t thread;
	struct server s;
	int64_t before;
	int fd;

	(void)state;
	start(&s);
	atomic_store(&s.held, true);
	(void)snprintf(request, sizeof request, HEAD "\r\n", "suspend-whole");
	fd = ask(&s, request);
	while (strchr(s.calls, 'w') == NULL)
		usleep(1000);
	before = cf_clock_mono_ms();
	cf_httpd_drain(s.httpd, 50);
	assert_true(cf_clock_mono_ms() - before >= 50);
	assert_int_equal(pthread_create(&thread, NULL, drain, &s), 0);
	atomic_store(&s.held, false);
	answer_of(fd, answer, sizeof answer);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(strstr(answer, "\r\n\r\n") + 4, "woken");
	/* Nobody new is heard. */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&s.address,
	    sizeof s.address), -1);
	close(fd);
	cf_httpd_free(&s.httpd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_request_is_answered_at_each_moment),
		cmocka_unit_test(t_request_is_suspended_at_each_moment),
		cmocka_unit_test(t_request_with_a_bad_header_is_unsound),
		cmocka_unit_test(t_drain_waits_for_requests_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
