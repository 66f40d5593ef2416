/* SPDX-License-Identifier: Apache-2.0 */
/* cf_metrics_http - see metrics_http.h. */
#include "common/metrics_http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/httpd.h"
#include "common/listen.h"
#include "common/listen_unix.h"
#include "common/log.h"
#include "common/mem.h"

#define ANSWER_MAX (256 * 1024)	/* bytes */
#define CONNECTIONS 8
#define TIMEOUT_S 10
#define HEADER_MEMORY 16384	/* bytes */
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct cf_metrics_http {
	enum cf_err (*write)(void *arg, struct cf_buf *out);
	void *arg;
	char *path;		/* of a unix socket, or NULL */
	struct cf_httpd_options options;
	struct cf_httpd *httpd;
};

/* ---- requests ---- */

/* Takes the bytes of `text`. */
static void
metrics_reply(struct cf_httpd_req *req, unsigned status, struct cf_buf *text)
{
	struct cf_httpd_response *response = cf_httpd_response_new(status,
	    text);

	cf_httpd_response_add(response, "Content-Type", TEXT_TYPE);
	if (status == 405)
		cf_httpd_response_add(response, "Allow", "GET, HEAD");
	cf_httpd_answer(req, &response);
}

static void
reply_text(struct cf_httpd_req *req, unsigned status, const char *text)
{
	struct cf_buf out = CF_BUF_INIT(strlen(text));

	cf_buf_adds(&out, text);
	metrics_reply(req, status, &out);
}

static void
metrics_begin(struct cf_httpd_req *req)
{
	if (strcmp(req->method, "GET") != 0 &&
	    strcmp(req->method, "HEAD") != 0)
		reply_text(req, 405, "Only GET is taken here.\n");
}

static void
metrics_unsound(struct cf_httpd_req *req)
{
	reply_text(req, 400, "The request's header is not well formed.\n");
}

static void
metrics_whole(struct cf_httpd_req *req)
{
	const struct cf_metrics_http *http = req->server;
	struct cf_buf out = CF_BUF_INIT(ANSWER_MAX);

	if (strcmp(req->path, "/metrics") != 0) {
		reply_text(req, 404, "There is only /metrics.\n");
	} else if (http->write(http->arg, &out) == CF_OK) {
		metrics_reply(req, 200, &out);
	} else {
		cf_buf_free(&out);
		reply_text(req, 500, "Too many numbers.\n");
	}
}

static const struct cf_httpd_handler handler = {
	.begin = metrics_begin, .unsound = metrics_unsound,
	.whole = metrics_whole,
};

/* ---- start ---- */

/* The path of "unix:/path", NULL for an address. */
static const char *
unix_path(const char *listen)
{
	return strncmp(listen, "unix:", 5) == 0 ? listen + 5 : NULL;
}

static enum cf_err
check_place(const struct cf_metrics_place *place, const char *user,
    struct cf_why *why)
{
	bool loopback = false;
	enum cf_err rc;

	if (place->listen == NULL)
		return CF_OK;
	if (unix_path(place->listen) != NULL)
		return cf_listen_unix_check(unix_path(place->listen), user,
		    why);
	rc = cf_listen_is_loopback(place->listen, &loopback, why);
	if (rc == CF_OK && !loopback && !place->public)
		return cf_fail(CF_E_CONFIG, why, "%s can be reached from other "
		    "machines; metrics_public = true allows it",
		    place->listen);
	return rc == CF_OK ? cf_listen_check(place->listen, why) : rc;
}

static enum cf_err
metrics_fail_at(const struct cf_metrics_place *place,
    const struct cf_why *inner, struct cf_why *why)
{
	return cf_conf_fail_at(place->path, place->table, place->count,
	    "metrics_listen", why, "%s", inner->text);
}

void
cf_metrics_check(const struct cf_metrics_place *place, const char *user,
    struct cf_findings *findings)
{
	struct cf_why inner = { "" }, why = { "" };
	enum cf_err rc = check_place(place, user, &inner);

	if (rc == CF_OK || rc == CF_E_BUSY)
		return;
	(void)metrics_fail_at(place, &inner, &why);
	cf_findings_say(findings, CF_FINDING_ERROR, "%s", why.text);
}

static enum cf_err
listen_at(const struct cf_metrics_place *place, int *ret_fd,
    struct cf_why *why)
{
	const char *path = unix_path(place->listen);
	enum cf_err rc;

	if (path == NULL)
		return cf_listen_tcp(place->listen, ret_fd, why);
	rc = cf_listen_unix(path, ret_fd, why);
	return rc != CF_OK ? rc : cf_listen_unix_grant(path, "0660",
	    place->user, NULL, why);
}

enum cf_err
cf_metrics_listen(const struct cf_metrics_place *place, int *ret_fd,
    struct cf_why *why)
{
	struct cf_why inner = { "" };
	enum cf_err rc;

	*ret_fd = -1;
	if (place->listen == NULL)
		return CF_OK;
	rc = check_place(place, place->user, &inner);
	if (rc == CF_OK)
		rc = listen_at(place, ret_fd, &inner);
	return rc == CF_OK ? CF_OK : metrics_fail_at(place, &inner, why);
}

enum cf_err
cf_metrics_serve(const struct cf_metrics_place *place, int fd,
    enum cf_err (*write)(void *arg, struct cf_buf *out), void *arg,
    struct cf_metrics_http **ret, struct cf_why *why)
{
	struct cf_metrics_http *http;
	enum cf_err rc;

	*ret = NULL;
	if (fd < 0)
		return CF_OK;
	http = cf_calloc(1, sizeof *http);
	http->write = write;
	http->arg = arg;
	if (unix_path(place->listen) != NULL)
		http->path = cf_strdup(unix_path(place->listen));
	http->options = (struct cf_httpd_options){
		.handler = &handler,
		.arg = http,
		.connections = CONNECTIONS,
		.threads = 1,
		.request_timeout_s = TIMEOUT_S,
		.answer_timeout_s = TIMEOUT_S,
		.header_memory = HEADER_MEMORY,
	};
	rc = cf_httpd_new(&http->options, &http->httpd, why);
	if (rc == CF_OK)
		rc = cf_httpd_start(http->httpd, fd, why);
	else
		close(fd);
	if (rc != CF_OK) {
		cf_metrics_http_free(&http);
		return rc;
	}
	cf_log(CF_LOG_INFO, "counters are at %s, path /metrics",
	    place->listen);
	*ret = http;
	return CF_OK;
}

void
cf_metrics_http_sweep(struct cf_metrics_http *http)
{
	if (http != NULL)
		cf_httpd_sweep(http->httpd);
}

void
cf_metrics_http_free(struct cf_metrics_http **ref)
{
	struct cf_metrics_http *http = *ref;

	if (http == NULL)
		return;
	cf_httpd_free(&http->httpd);
	if (http->path != NULL)
		(void)unlink(http->path);
	free(http->path);
	free(http);
	*ref = NULL;
}
