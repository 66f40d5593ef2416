/* SPDX-License-Identifier: Apache-2.0 */
/* cf_metrics_http - see metrics_http.h. */
#include "milter/metrics_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/httpd.h"
#include "common/listen.h"
#include "common/mem.h"
#include "milter/metrics.h"
#include "milter/sock.h"

#define CONNECTIONS 8
#define TIMEOUT_S 10
#define HEADER_MEMORY 16384	/* bytes */
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct cf_metrics_http {
	struct cf_httpd_options options;
	struct cf_httpd *httpd;
};

/* ---- requests ---- */

/* Takes the bytes of `text`. */
static void
reply(struct cf_httpd_req *req, unsigned status, struct cf_buf *text)
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
	reply(req, status, &out);
}

static void
begin(struct cf_httpd_req *req)
{
	if (strcmp(req->method, "GET") != 0 &&
	    strcmp(req->method, "HEAD") != 0)
		reply_text(req, 405, "Only GET is taken here.\n");
}

static void
unsound(struct cf_httpd_req *req)
{
	reply_text(req, 400, "The request's header is not well formed.\n");
}

static void
whole(struct cf_httpd_req *req)
{
	struct cf_buf out = CF_BUF_INIT(CF_METRICS_MAX);

	if (strcmp(req->path, "/metrics") != 0) {
		reply_text(req, 404, "There is only /metrics.\n");
	} else if (cf_metrics_write(&out, NULL) == CF_OK) {
		reply(req, 200, &out);
	} else {
		cf_buf_free(&out);
		reply_text(req, 500, "Too many numbers.\n");
	}
}

static const struct cf_httpd_handler handler = {
	.begin = begin, .unsound = unsound, .whole = whole,
};

/* ---- start ---- */

static enum cf_err
listen_unix(const struct cf_mconf *conf, int *ret_fd, struct cf_why *why)
{
	const char *path = conf->metrics_listen + strlen("unix:");
	struct sockaddr_un address = { 0 };
	enum cf_err rc;
	mode_t before;
	int fd, bound;

	address.sun_family = AF_UNIX;
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return cf_fail(CF_E_CONFIG, why, "socket: %s",
		    strerrordesc_np(errno));
	/* Of a process that was killed: nobody listens there. */
	(void)unlink(path);
	before = umask(0177);
	bound = bind(fd, (const struct sockaddr *)(const void *)&address,
	    sizeof address);
	umask(before);
	if (bound != 0 || listen(fd, 16) != 0) {
		rc = cf_fail(CF_E_CONFIG, why, "%s: %s", path,
		    strerrordesc_np(errno));
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return cf_sock_grant(conf->metrics_listen, "0660", conf->user, NULL,
	    why);
}

enum cf_err
cf_metrics_check(const struct cf_mconf *conf, const char *user,
    struct cf_why *why)
{
	bool loopback = false;
	enum cf_err rc;

	if (conf->metrics_listen == NULL)
		return CF_OK;
	if (strncmp(conf->metrics_listen, "unix:", 5) == 0)
		return cf_sock_check(conf->metrics_listen, user, why);
	rc = cf_listen_is_loopback(conf->metrics_listen, &loopback, why);
	if (rc == CF_OK && !loopback && !conf->metrics_public)
		return cf_fail(CF_E_CONFIG, why, "%s can be reached from other "
		    "machines; metrics_public = true allows it",
		    conf->metrics_listen);
	return rc == CF_OK ? cf_listen_check(conf->metrics_listen, why) : rc;
}

enum cf_err
cf_metrics_listen(const struct cf_mconf *conf, int *ret_fd,
    struct cf_why *why)
{
	enum cf_err rc = cf_metrics_check(conf, conf->user, why);

	*ret_fd = -1;
	if (rc != CF_OK || conf->metrics_listen == NULL)
		return rc;
	if (strncmp(conf->metrics_listen, "unix:", 5) == 0)
		return listen_unix(conf, ret_fd, why);
	return cf_listen_tcp(conf->metrics_listen, ret_fd, why);
}

enum cf_err
cf_metrics_serve(int fd, struct cf_metrics_http **ret, struct cf_why *why)
{
	struct cf_metrics_http *http;
	enum cf_err rc;

	*ret = NULL;
	if (fd < 0)
		return CF_OK;
	http = cf_calloc(1, sizeof *http);
	http->options = (struct cf_httpd_options){
		.handler = &handler,
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
cf_metrics_http_free(struct cf_metrics_http **http)
{
	if (*http == NULL)
		return;
	cf_httpd_free(&(*http)->httpd);
	free(*http);
	*http = NULL;
}
