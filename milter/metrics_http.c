/* SPDX-License-Identifier: Apache-2.0 */
/* cf_metrics_http - see metrics_http.h. */
#include "milter/metrics_http.h"

#include <errno.h>
#include <microhttpd.h>
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

#define CONNECTIONS 8u
#define TIMEOUT_S 10u
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct cf_metrics_http {
	struct MHD_Daemon *daemon;
};

/* ---- requests ---- */

static enum MHD_Result
reply(struct MHD_Connection *connection, unsigned status, const char *text,
    size_t len)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len,
	    (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result rc = MHD_NO;

	if (response == NULL)
		return MHD_NO;
	if (MHD_add_response_header(response, "Content-Type", TEXT_TYPE) ==
	    MHD_YES && (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
	    MHD_add_response_header(response, "Allow", "GET, HEAD") ==
	    MHD_YES))
		rc = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return rc;
}

static enum MHD_Result
reply_text(struct MHD_Connection *connection, unsigned status,
    const char *text)
{
	return reply(connection, status, text, strlen(text));
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload,
    size_t *upload_len, void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf out = CF_BUF_INIT(CF_METRICS_MAX);
	static int seen;

	(void)cls; (void)version; (void)upload; (void)upload_len;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return reply_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
		    "Only GET is taken here.\n");
	/* The library wants one call for the header block alone. */
	if (*state == NULL) {
		*state = &seen;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") != 0)
		return reply_text(connection, MHD_HTTP_NOT_FOUND,
		    "There is only /metrics.\n");
	if (cf_metrics_write(&out, NULL) != CF_OK)
		return reply_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
		    "Too many numbers.\n");
	return reply(connection, MHD_HTTP_OK, cf_buf_str(&out), out.len);
}

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

	*ret = NULL;
	if (fd < 0)
		return CF_OK;
	http = cf_calloc(1, sizeof *http);
	http->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD |
	    MHD_USE_EPOLL | MHD_USE_ITC, 0, NULL, NULL, on_request, NULL,
	    MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
	    MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384,
	    MHD_OPTION_UNESCAPE_CALLBACK, cf_httpd_no_unescape, NULL,
	    MHD_OPTION_END);
	if (http->daemon == NULL) {
		free(http);
		close(fd);
		return cf_fail(CF_E_CONFIG, why,
		    "the HTTP server does not start");
	}
	*ret = http;
	return CF_OK;
}

const char *
cf_metrics_http_version(void)
{
	return MHD_get_version();
}

void
cf_metrics_http_free(struct cf_metrics_http **http)
{
	if (*http == NULL)
		return;
	MHD_stop_daemon((*http)->daemon);
	free(*http);
	*http = NULL;
}
