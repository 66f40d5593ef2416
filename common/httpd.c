/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpd - see httpd.h.
 *
 * libmicrohttpd calls on_request() once for the header block, then for each
 * part of the body, then for the end; after a suspend it begins with the call
 * that was left.  It takes an answer at the first and at the last of them,
 * not in between: one that is given there waits in `response`.
 */
#include "common/httpd.h"

#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hex.h"
#include "common/httpd_gate.h"
#include "common/httpd_peers.h"
#include "common/httpd_tls.h"
#include "common/log.h"
#include "common/mem.h"

#define REPORT_MS 60000		/* between two lines in the log */
#define PEER_MAX 64		/* an address as text, with its scope */

struct cf_httpd {
	const struct cf_httpd_options *options;
	struct MHD_Daemon *daemon;
	struct cf_httpd_gate *gate;
	struct cf_httpd_peers *peers;
	pthread_mutex_t lock;		/* guards what follows */
	pthread_cond_t idle;
	size_t under_way;		/* requests */
	unsigned unsound;		/* since reported_ms */
	char unsound_peer[PEER_MAX];	/* of the last */
	int64_t reported_ms;
};

/* `req` is what the handler sees. */
struct request {
	struct cf_httpd_req req;
	struct cf_httpd *httpd;
	struct MHD_Connection *conn;
	bool in_header;			/* nothing of the body was looked at */
	bool suspended;
	const struct cf_httpd_response *response;	/* NULL: not yet */
	struct cf_httpd_response *own;	/* the same, to be freed, or NULL */
};

static const struct request *
request_of(const struct cf_httpd_req *req)
{
	return (const struct request *)req;
}

/* ---- what a request says ---- */

struct seen {
	unsigned hosts;
	bool control;
};

static enum MHD_Result
request_look_at(void *cls, enum MHD_ValueKind kind, const char *name,
    size_t name_len, const char *value, size_t len)
{
	struct seen *seen = cls;
	size_t i;

	(void)kind;
	seen->hosts += name_len == 4 && strncasecmp(name, "Host", 4) == 0;
	for (i = 0; i < len; i++)
		seen->control |= ((unsigned char)value[i] < ' ' &&
		    value[i] != '\t') || value[i] == 0x7f;
	return MHD_YES;
}

/* The library lets more pass than is safe behind others. */
static bool
is_sound(struct MHD_Connection *conn)
{
	struct seen seen = { 0, false };

	(void)MHD_get_connection_values_n(conn, MHD_HEADER_KIND,
	    request_look_at, &seen);
	return seen.hosts <= 1 && !seen.control;
}

const char *
cf_httpd_field(const struct cf_httpd_req *req, const char *name)
{
	return MHD_lookup_connection_value(request_of(req)->conn,
	    MHD_HEADER_KIND, name);
}

/* Percent-decode; false for a stray %, %00 or a value too long. */
static bool
decode(const char *value, char *out, size_t cap)
{
	size_t n = 0;
	int c;

	for (; *value != '\0'; value++) {
		c = (unsigned char)*value;
		if (c == '%') {
			c = cf_hex_byte(value + 1);
			value += 2;
		}
		if (c <= 0 || n + 1 >= cap)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

bool
cf_httpd_query(const struct cf_httpd_req *req, const char *name, char *ret,
    size_t cap)
{
	const char *value = MHD_lookup_connection_value(
	    request_of(req)->conn, MHD_GET_ARGUMENT_KIND, name);

	if (value == NULL)
		return false;
	if (!decode(value, ret, cap))
		ret[0] = '\0';
	return true;
}

bool
cf_httpd_client(const struct cf_httpd_req *req, struct cf_network *ret)
{
	const struct request *r = request_of(req);

	return cf_httpd_gate_client(r->httpd->gate, r->conn, ret);
}

void
cf_httpd_peer(const struct cf_httpd_req *req, char *ret, size_t cap)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    request_of(req)->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info == NULL ? NULL :
	    info->client_addr;
	socklen_t len = 0;

	if (address != NULL && address->sa_family == AF_INET6)
		len = sizeof(struct sockaddr_in6);
	else if (address != NULL && address->sa_family == AF_INET)
		len = sizeof(struct sockaddr_in);
	if (len == 0 || getnameinfo(address, len, ret, (socklen_t)cap, NULL,
	    0, NI_NUMERICHOST) != 0)
		(void)snprintf(ret, cap, "?");
}

/* ---- what the handler does with it ---- */

void
cf_httpd_trust(const struct cf_httpd_req *req)
{
	const struct request *r = request_of(req);

	cf_httpd_peers_trust(r->httpd->peers, r->conn);
}

void
cf_httpd_suspend(struct cf_httpd_req *req)
{
	struct request *r = (struct request *)req;

	r->suspended = true;
	cf_httpd_peers_wait(r->httpd->peers, r->conn, CF_HTTPD_WAIT_US);
	MHD_suspend_connection(r->conn);
}

void
cf_httpd_resume(struct cf_httpd_req *req)
{
	const struct request *r = request_of(req);

	cf_httpd_peers_wait(r->httpd->peers, r->conn, CF_HTTPD_WAIT_REQUEST);
	MHD_resume_connection(r->conn);
}

void
cf_httpd_answer_fixed(struct cf_httpd_req *req,
    const struct cf_httpd_response *response)
{
	struct request *r = (struct request *)req;

	if (r->response != NULL)
		cf_bug("a request was answered twice");
	r->response = response;
}

void
cf_httpd_answer(struct cf_httpd_req *req, struct cf_httpd_response **response)
{
	struct request *r = (struct request *)req;

	cf_httpd_answer_fixed(req, *response);
	r->own = *response;
	*response = NULL;
}

/* ---- life of a request ---- */

static struct request *
request_new(struct cf_httpd *httpd, struct MHD_Connection *conn,
    const char *path, const char *method)
{
	struct request *r = cf_calloc(1, sizeof *r);

	r->httpd = httpd;
	r->conn = conn;
	r->in_header = true;
	r->req.server = httpd->options->arg;
	r->req.method = method;
	r->req.path = path;
	r->req.query_count = MHD_get_connection_values(conn,
	    MHD_GET_ARGUMENT_KIND, NULL, NULL);
	pthread_mutex_lock(&httpd->lock);
	httpd->under_way++;
	pthread_mutex_unlock(&httpd->lock);
	cf_httpd_peers_wait(httpd->peers, conn, CF_HTTPD_WAIT_REQUEST);
	return r;
}

static void
on_completed(void *cls, struct MHD_Connection *conn, void **state,
    enum MHD_RequestTerminationCode code)
{
	struct cf_httpd *httpd = cls;
	struct request *r = *state;

	*state = NULL;
	cf_httpd_peers_wait(httpd->peers, conn, CF_HTTPD_WAIT_REQUEST);
	if (r == NULL)
		return;
	if (httpd->options->handler->end != NULL)
		httpd->options->handler->end(&r->req,
		    code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	cf_httpd_response_free(&r->own);
	free(r);
	pthread_mutex_lock(&httpd->lock);
	if (--httpd->under_way == 0)
		pthread_cond_broadcast(&httpd->idle);
	pthread_mutex_unlock(&httpd->lock);
}

static void
request_begin(struct request *r)
{
	struct cf_httpd *httpd = r->httpd;
	char peer[PEER_MAX];

	if (is_sound(r->conn)) {
		httpd->options->handler->begin(&r->req);
		return;
	}
	cf_httpd_peer(&r->req, peer, sizeof peer);
	pthread_mutex_lock(&httpd->lock);
	httpd->unsound++;
	memcpy(httpd->unsound_peer, peer, sizeof peer);
	pthread_mutex_unlock(&httpd->lock);
	httpd->options->handler->unsound(&r->req);
}

/* What the program says to what came; `len` 0: nothing more comes. */
static void
tell_handler(struct request *r, const char *part, size_t len)
{
	const struct cf_httpd_handler *handler = r->httpd->options->handler;

	if (r->suspended) {
		r->suspended = false;
		handler->woken(&r->req);
		/* A header's end is no end of the request. */
		if (r->in_header)
			return;
	}
	if (r->response != NULL || r->suspended)
		return;
	if (len == 0)
		handler->whole(&r->req);
	else if (handler->body != NULL)
		handler->body(&r->req, part, len);
	if (len == 0 && r->response == NULL && !r->suspended)
		cf_bug("a request has no answer");
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *conn, const char *path,
    const char *method, const char *version, const char *upload,
    size_t *upload_len, void **state)
{
	struct request *r = *state;
	size_t len = *upload_len;

	(void)version;
	if (r == NULL) {
		r = request_new(cls, conn, path, method);
		*state = r;
		request_begin(r);
	} else {
		tell_handler(r, upload, len);
	}
	if (r->suspended)
		return MHD_YES;
	r->in_header = false;
	*upload_len = 0;
	if (r->response == NULL || len > 0)
		return MHD_YES;
	cf_httpd_peers_wait(r->httpd->peers, conn, CF_HTTPD_WAIT_ANSWER);
	return cf_httpd_response_send(r->response, conn) ? MHD_YES : MHD_NO;
}

static void
on_log(void *cls, const char *fmt, va_list ap)
{
	char text[500];

	(void)cls;
	(void)vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	cf_log(CF_LOG_DEBUG, "http: %s", text);
}

/* Paths and query values stay as they came, so that %00 cannot end one. */
static size_t
no_unescape(void *cls, struct MHD_Connection *conn, char *s)
{
	(void)cls; (void)conn;
	return strlen(s);
}

/* ---- life of the server ---- */

static void
init_locks(struct cf_httpd *httpd)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&httpd->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&httpd->idle, &attr);
	pthread_condattr_destroy(&attr);
}

enum cf_err
cf_httpd_new(const struct cf_httpd_options *options, struct cf_httpd **ret,
    struct cf_why *why)
{
	static const struct cf_conf_list none = { NULL, 0 };
	const int64_t limit_ms[CF_HTTPD_WAIT__COUNT] = {
		[CF_HTTPD_WAIT_REQUEST] = 1000 * options->request_timeout_s,
		[CF_HTTPD_WAIT_ANSWER] = 1000 * options->answer_timeout_s,
	};
	struct cf_httpd *httpd;
	enum cf_err rc;

	if (options->tls_key != NULL) {
		rc = cf_httpd_tls_change(options->tls_certificate,
		    options->tls_key, why);
		if (rc != CF_OK)
			return rc;
	}
	httpd = cf_calloc(1, sizeof *httpd);
	httpd->options = options;
	httpd->reported_ms = -REPORT_MS;
	httpd->gate = cf_httpd_gate_new(options->proxies == NULL ? &none :
	    options->proxies, options->per_address);
	httpd->peers = cf_httpd_peers_new(httpd->gate, limit_ms);
	init_locks(httpd);
	*ret = httpd;
	return CF_OK;
}

enum cf_err
cf_httpd_start(struct cf_httpd *httpd, int fd, struct cf_why *why)
{
	const struct cf_httpd_options *o = httpd->options;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD |
	    MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem items[CF_HTTPD_TLS_ITEMS + 2];
	size_t n = 0;

	if (o->tls_key != NULL) {
		flags |= MHD_USE_TLS;
		cf_httpd_tls_items(items);
		n = CF_HTTPD_TLS_ITEMS;
	}
	if (o->threads > 1)
		items[n++] = (struct MHD_OptionItem){
		    MHD_OPTION_THREAD_POOL_SIZE, o->threads, NULL };
	items[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	httpd->daemon = MHD_start_daemon(flags, 0, cf_httpd_gate_ask,
	    httpd->gate, on_request, httpd,
	    MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, httpd,
	    MHD_OPTION_NOTIFY_CONNECTION, cf_httpd_peers_on_connection,
	    httpd->peers,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->connections,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)o->request_timeout_s,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, o->header_memory,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL,
	    MHD_OPTION_ARRAY, items, MHD_OPTION_END);
	if (httpd->daemon == NULL) {
		close(fd);
		return cf_fail(CF_E_CONFIG, why,
		    "the HTTP server does not start");
	}
	return CF_OK;
}

static void
report_unsound(struct cf_httpd *httpd)
{
	int64_t now = cf_clock_mono_ms();
	char peer[PEER_MAX];
	unsigned count = 0;

	pthread_mutex_lock(&httpd->lock);
	if (httpd->unsound > 0 && now - httpd->reported_ms >= REPORT_MS) {
		count = httpd->unsound;
		memcpy(peer, httpd->unsound_peer, sizeof peer);
		httpd->unsound = 0;
		httpd->reported_ms = now;
	}
	pthread_mutex_unlock(&httpd->lock);
	if (count > 0)
		cf_log(CF_LOG_WARN, "%u requests refused, as from %s: their "
		    "header has a second Host field or control characters",
		    count, peer);
}

void
cf_httpd_sweep(struct cf_httpd *httpd)
{
	char address[INET6_ADDRSTRLEN];
	unsigned refused;

	cf_httpd_peers_sweep(httpd->peers);
	if (cf_httpd_gate_refused(httpd->gate, &refused, address))
		cf_log(CF_LOG_WARN, "%u connections refused, as from %s: "
		    "connections_per_address are open; a proxy of ours "
		    "belongs into proxies", refused, address);
	report_unsound(httpd);
}

void
cf_httpd_drain(struct cf_httpd *httpd, int64_t limit_ms)
{
	int64_t end = cf_clock_mono_ms() + limit_ms;
	const struct timespec until = { end / 1000, end % 1000 * 1000000 };
	MHD_socket fd;

	if (httpd->daemon == NULL)
		return;
	fd = MHD_quiesce_daemon(httpd->daemon);
	if (fd != MHD_INVALID_SOCKET)
		close(fd);
	pthread_mutex_lock(&httpd->lock);
	while (httpd->under_way > 0 && pthread_cond_timedwait(&httpd->idle,
	    &httpd->lock, &until) == 0)
		;
	pthread_mutex_unlock(&httpd->lock);
}

void
cf_httpd_free(struct cf_httpd **ref)
{
	struct cf_httpd *httpd = *ref;

	if (httpd == NULL)
		return;
	if (httpd->daemon != NULL)
		MHD_stop_daemon(httpd->daemon);
	if (httpd->options->tls_key != NULL)
		cf_httpd_tls_end();
	cf_httpd_peers_free(&httpd->peers);
	cf_httpd_gate_free(&httpd->gate);
	pthread_cond_destroy(&httpd->idle);
	pthread_mutex_destroy(&httpd->lock);
	free(httpd);
	*ref = NULL;
}

const char *
cf_httpd_version(void)
{
	return MHD_get_version();
}
