/* SPDX-License-Identifier: Apache-2.0 */
/* cf_http - see http.h. */
#include "keysrv/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/httpd.h"
#include "common/httpd_gate.h"
#include "common/httpd_tls.h"
#include "common/json.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/mem.h"
#include "keysrv/health.h"
#include "keysrv/http_reply.h"
#include "keysrv/queue.h"

#define HEADER_MEMORY 16384	/* request line and header fields, bytes */
#define BACKLOG 1024
#define REPLY_MAX (4u << 20)
#define STRANGER_MAX 16384	/* of a body before its token is known */
#define VALUES_STRANGER 64	/* in the JSON of a recipient */
#define VALUES_GATEWAY 2048	/* in 64 keys and 100 recipients: 850 */

static const struct cf_endpoint *const routes[] = {
	&cf_ep_issue,
	&cf_ep_challenge,
	&cf_ep_describe,
	&cf_ep_retrieve,
	&cf_ep_open,
	&cf_ep_mismatch,
	&cf_ep_messages,
	&cf_ep_healthz,
	&cf_ep_readyz,
	&cf_ep_key_page,
	&cf_ep_front_page,
};
#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

/* A connection, so that one over its time can be broken off. */
struct peer {
	struct peer *next, *prev;
	int fd;
	struct cf_httpd_place place;
	atomic_llong since_ms;	/* waiting for the peer since, or NOT_WAITING */
};
#define NOT_WAITING INT64_MAX	/* the peer waits for us */

struct cf_http {
	const struct cf_ks *ks;
	struct MHD_Daemon *daemon;
	int listen_fd;
	struct cf_httpd_gate *gate;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	size_t under_way;		/* requests */
	struct peer *peers;
};

enum phase {
	PHASE_BODY,	/* reading */
	PHASE_TOKEN,	/* suspended, a worker looks for the API token */
	PHASE_WAITING,	/* suspended, a worker has it */
	PHASE_REPLY
};

/* One request as this file sees it; `req` is what the others see. */
struct exchange {
	struct cf_req req;
	struct cf_http *http;
	struct MHD_Connection *conn;
	enum phase phase;
	struct cf_buf body;
	bool asked;		/* for the token; then `rc` says what it is */
};

static bool
is_tls(const struct cf_http *http)
{
	return http->ks->settings->tls_key != NULL;
}

/* ---- connections ---- */

static void
peer_add(struct cf_http *http, struct MHD_Connection *conn, void **context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn,
	    MHD_CONNECTION_INFO_CONNECTION_FD);
	struct peer *peer = cf_calloc(1, sizeof *peer);

	peer->fd = info == NULL ? -1 : info->connect_fd;
	atomic_init(&peer->since_ms, (long long)cf_clock_mono_ms());
	cf_httpd_gate_enter(http->gate, conn, &peer->place);
	pthread_mutex_lock(&http->lock);
	peer->next = http->peers;
	if (peer->next != NULL)
		peer->next->prev = peer;
	http->peers = peer;
	pthread_mutex_unlock(&http->lock);
	*context = peer;
}

static void
peer_remove(struct cf_http *http, struct peer *peer)
{
	pthread_mutex_lock(&http->lock);
	if (peer->prev != NULL)
		peer->prev->next = peer->next;
	else
		http->peers = peer->next;
	if (peer->next != NULL)
		peer->next->prev = peer->prev;
	pthread_mutex_unlock(&http->lock);
	cf_httpd_gate_leave(http->gate, &peer->place);
	free(peer);
}

static void
on_connection(void *cls, struct MHD_Connection *conn, void **context,
    enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		peer_add(cls, conn, context);
	else if (*context != NULL)
		peer_remove(cls, *context);
}

static struct peer *
peer_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/* Something came or went whole: the peer's time starts anew, or stops. */
static void
set_since(struct MHD_Connection *conn, int64_t since_ms)
{
	struct peer *peer = peer_of(conn);

	if (peer != NULL)
		atomic_store(&peer->since_ms, (long long)since_ms);
}

/*
 * libmicrohttpd's time limit starts anew with each byte, so a client that
 * sends or takes one now and then would stay for ever.  The descriptor is
 * still open here: the library closes it after peer_remove().
 */
void
cf_http_sweep(struct cf_http *http)
{
	long long limit_ms = 1000 * http->ks->settings->request_timeout_s;
	long long now = (long long)cf_clock_mono_ms();
	char address[INET6_ADDRSTRLEN];
	struct peer *peer;
	unsigned refused;

	pthread_mutex_lock(&http->lock);
	for (peer = http->peers; peer != NULL; peer = peer->next)
		if (peer->fd >= 0 &&
		    now - atomic_load(&peer->since_ms) > limit_ms)
			(void)shutdown(peer->fd, SHUT_RDWR);
	pthread_mutex_unlock(&http->lock);
	if (cf_httpd_gate_refused(http->gate, &refused, address))
		cf_log(CF_LOG_WARN, "%u connections refused, as from %s: "
		    "connections_per_address are open; a proxy of ours "
		    "belongs into proxies", refused, address);
}

/* ---- life of an exchange ---- */

static int
hex(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)((at - digits) % 16);
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
			if (hex(value[1]) < 0 || hex(value[2]) < 0)
				return false;
			c = hex(value[1]) * 16 + hex(value[2]);
			value += 2;
		}
		if (c == 0 || n + 1 >= cap)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

static bool
query(const struct cf_req *req, const char *name, char *ret, size_t cap)
{
	const struct exchange *x = (const struct exchange *)req;
	const char *value = MHD_lookup_connection_value(x->conn,
	    MHD_GET_ARGUMENT_KIND, name);

	if (value == NULL)
		return false;
	if (!decode(value, ret, cap))
		ret[0] = '\0';
	return true;
}

/* No closer than what a household or an office has to itself. */
static void
take_network(const struct cf_http *http, struct MHD_Connection *conn,
    struct cf_req *req)
{
	struct cf_network client;

	if (!cf_httpd_gate_client(http->gate, conn, &client))
		return;
	cf_network_cut(&client, client.family == AF_INET ? 24 : 64);
	req->network_len = client.prefix / 8;
	memcpy(req->network, client.bits, req->network_len);
}

static struct exchange *
exchange_new(struct cf_http *http, struct MHD_Connection *conn,
    const struct cf_endpoint *ep, const char *tail)
{
	struct exchange *x = cf_calloc(1, sizeof *x);

	x->http = http;
	x->conn = conn;
	x->body = (struct cf_buf)CF_BUF_INIT_SECRET(ep->body_max);
	x->req.ks = http->ks;
	x->req.ep = ep;
	x->req.kind = ep->kind;
	x->req.tail = tail;
	x->req.query = query;
	x->req.query_count = MHD_get_connection_values(conn,
	    MHD_GET_ARGUMENT_KIND, NULL, NULL);
	x->req.rc = CF_ERR__COUNT;
	x->req.reply = (struct cf_buf)CF_BUF_INIT_SECRET(REPLY_MAX);
	pthread_mutex_lock(&http->lock);
	http->under_way++;
	pthread_mutex_unlock(&http->lock);
	take_network(http, conn, &x->req);
	return x;
}

static void
exchange_free(struct exchange *x)
{
	struct cf_http *http = x->http;

	if (x->req.item != NULL)
		x->req.ep->free_item(x->req.item);
	cf_json_free(&x->req.json);
	cf_buf_free(&x->body);
	cf_buf_free(&x->req.reply);
	cf_secret_wipe(&x->req.bearer);
	free(x);
	pthread_mutex_lock(&http->lock);
	if (--http->under_way == 0)
		pthread_cond_broadcast(&http->idle);
	pthread_mutex_unlock(&http->lock);
}

static void
on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
    enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)code;
	set_since(conn, cf_clock_mono_ms());
	if (*con_cls != NULL)
		exchange_free(*con_cls);
	*con_cls = NULL;
}

/* ---- routing ---- */

/* The endpoint whose path this is; *ret_tail is what follows a final '/'. */
static const struct cf_endpoint *
find_route(const char *url, const char **ret_tail)
{
	size_t i, len;

	for (i = 0; i < ROUTE_COUNT; i++) {
		len = strlen(routes[i]->path);
		*ret_tail = url + len;
		if (strcmp(routes[i]->path, url) == 0 &&
		    (len == 1 || url[len - 1] != '/'))
			return routes[i];
		if (len > 1 && routes[i]->path[len - 1] == '/' &&
		    strncmp(routes[i]->path, url, len) == 0 &&
		    url[len] != '\0' && strchr(url + len, '/') == NULL)
			return routes[i];
	}
	return NULL;
}

static const char *
header_of(struct MHD_Connection *conn, const char *name)
{
	return MHD_lookup_connection_value(conn, MHD_HEADER_KIND, name);
}

/* "application/json", parameters allowed. */
static bool
is_json(const char *type)
{
	static const char want[] = "application/json";
	size_t len = sizeof want - 1;

	return type != NULL && strncasecmp(type, want, len) == 0 &&
	    (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

/* Read "Bearer <43 characters>".  Never echoes it. */
static enum cf_err
take_bearer(struct MHD_Connection *conn, struct cf_secret *ret,
    struct cf_why *why)
{
	const char *value = header_of(conn, "Authorization");

	if (value == NULL || strncasecmp(value, "Bearer ", 7) != 0)
		return cf_fail(CF_E_UNAUTHORIZED, why,
		    "An API token is needed (Authorization: Bearer).");
	if (cf_secret_from_b64url(value + 7, strlen(value + 7), CF_TOKEN_LEN,
	    ret, NULL) != CF_OK)
		return cf_fail(CF_E_UNAUTHORIZED, why,
		    "The API token is not of the right form.");
	return CF_OK;
}

/* Bytes that the header announces; chunks say nothing. */
static unsigned long long
body_announced(struct MHD_Connection *conn)
{
	const char *length = header_of(conn, "Content-Length");

	return length == NULL ? 0 : strtoull(length, NULL, 10);
}

/* What can be refused by the header alone. */
static enum cf_err
check_header(struct exchange *x, struct cf_why *why)
{
	const char *origin = header_of(x->conn, "Origin");
	const struct cf_endpoint *ep = x->req.ep;

	if (origin != NULL && strlen(origin) > CF_ORIGIN_MAX)
		return cf_fail(CF_E_SYNTAX, why, "The Origin is too long.");
	(void)snprintf(x->req.origin, sizeof x->req.origin, "%s",
	    origin == NULL ? "-" : origin);
	if (ep->body_max > 0 && !is_json(header_of(x->conn, "Content-Type")))
		return CF_E_MEDIA_TYPE;
	if (body_announced(x->conn) > ep->body_max)
		return cf_fail(CF_E_TOO_LARGE, why,
		    "The body may have at most %zu bytes.", ep->body_max);
	if (ep->bearer)
		return take_bearer(x->conn, &x->req.bearer, why);
	return CF_OK;
}

/* ---- body ---- */

static enum cf_err
parse_body(struct exchange *x, struct cf_why *why)
{
	enum cf_err rc;

	if (x->body.full)
		return cf_fail(CF_E_TOO_LARGE, why,
		    "The body may have at most %zu bytes.",
		    x->req.ep->body_max);
	rc = cf_json_parse_few(cf_buf_str(&x->body), x->body.len,
	    x->req.ep->bearer ? VALUES_GATEWAY : VALUES_STRANGER,
	    &x->req.json, why);
	cf_buf_free(&x->body);
	return rc;
}

/*
 * Suspended first: a worker may be done before push returns.  A place was
 * reserved, if a worker is to do it.
 */
static void
hand_over(struct exchange *x, enum phase phase, enum cf_kind kind)
{
	x->phase = phase;
	x->req.kind = kind;
	set_since(x->conn, NOT_WAITING);
	MHD_suspend_connection(x->conn);
	if (kind == CF_KIND_READY)
		cf_health_ask(x->req.ks->health, &x->req);
	else
		cf_queue_push(x->req.ks->queue, &x->req);
}

/*
 * More is to come than strangers may send: is the API token good?  The body
 * waits meanwhile; if it is not, nothing of it is kept.  False: no place.
 */
static bool
ask_token(struct exchange *x)
{
	x->asked = true;
	if (!cf_queue_reserve(x->req.ks->queue)) {
		cf_req_fail(&x->req, CF_E_BUSY, NULL);
		return false;
	}
	hand_over(x, PHASE_TOKEN, CF_KIND_TOKEN);
	return true;
}

/* The body is not waited for. */
static enum MHD_Result
refuse_unread(struct exchange *x)
{
	x->phase = PHASE_REPLY;
	return cf_reply_send(x->conn, &x->req);
}

/*
 * The answer to that is there.  Asked by the header alone, the library takes
 * an answer now; within a body, only at its end.
 */
static enum MHD_Result
take_token(struct exchange *x, bool in_body)
{
	x->phase = PHASE_BODY;
	if (x->req.rc == CF_OK) {
		x->req.rc = CF_ERR__COUNT;
		return MHD_YES;
	}
	cf_buf_free(&x->body);
	return in_body ? MHD_YES : refuse_unread(x);
}

/* All is here: read it, and either answer or hand it to the workers. */
static enum MHD_Result
whole(struct exchange *x)
{
	struct cf_req *req = &x->req;
	struct cf_why why = { "" };
	enum cf_err rc = CF_OK;

	if (req->rc != CF_ERR__COUNT)
		return refuse_unread(x);
	if (req->ep->body_max > 0)
		rc = parse_body(x, &why);
	if (rc == CF_OK)
		rc = req->ep->parse(req, &why);
	/* The tree held the token and more; the item has what is needed. */
	cf_json_free(&req->json);
	if (rc == CF_OK && req->ep->kind != CF_KIND_NONE &&
	    req->ep->kind != CF_KIND_READY &&
	    !cf_queue_reserve(req->ks->queue))
		rc = CF_E_BUSY;
	if (rc != CF_OK)
		cf_req_fail(req, rc, &why);
	if (rc != CF_OK || req->ep->kind == CF_KIND_NONE) {
		x->phase = PHASE_REPLY;
		return cf_reply_send(x->conn, req);
	}
	hand_over(x, PHASE_WAITING, req->ep->kind);
	return MHD_YES;
}

void
cf_http_done(struct cf_req *req)
{
	struct exchange *x = (struct exchange *)req;

	if (x->phase == PHASE_WAITING)
		x->phase = PHASE_REPLY;
	set_since(x->conn, cf_clock_mono_ms());
	MHD_resume_connection(x->conn);
}

/* ---- what the library calls ---- */

static enum MHD_Result
begin(struct cf_http *http, struct MHD_Connection *conn, const char *url,
    const char *method, void **con_cls)
{
	const struct cf_endpoint *ep;
	struct cf_why why = { "" };
	struct exchange *x;
	const char *tail;
	enum cf_err rc;

	set_since(conn, cf_clock_mono_ms());
	if (!cf_httpd_is_sound(conn)) {
		(void)cf_fail(CF_E_SYNTAX, &why, "The request's header is "
		    "not well formed.");
		return cf_reply_problem(conn, http->ks, CF_E_SYNTAX, &why,
		    NULL);
	}
	ep = find_route(url, &tail);
	if (ep == NULL)
		return cf_reply_problem(conn, http->ks, CF_E_NOT_FOUND, NULL,
		    NULL);
	if (ep->any_origin && strcmp(method, "OPTIONS") == 0)
		return cf_reply_preflight(conn, http->ks);
	if (strcmp(method, ep->method) != 0 &&
	    (strcmp(method, "HEAD") != 0 || strcmp(ep->method, "GET") != 0))
		return cf_reply_method(conn, http->ks, ep);
	x = exchange_new(http, conn, ep, tail);
	*con_cls = x;
	rc = check_header(x, &why);
	if (rc != CF_OK) {
		x->phase = PHASE_REPLY;
		return cf_reply_problem(conn, http->ks, rc, &why, ep);
	}
	if (ep->bearer && body_announced(conn) > STRANGER_MAX &&
	    !ask_token(x))
		return refuse_unread(x);
	return MHD_YES;
}

/* Who has shown a good API token has as many connections as he likes. */
static void
trust(struct exchange *x)
{
	struct peer *peer = peer_of(x->conn);

	if (peer != NULL && x->req.ep->bearer && x->req.rc == CF_OK)
		cf_httpd_gate_leave(x->http->gate, &peer->place);
}

static enum MHD_Result
take_body(struct exchange *x, const char *upload, size_t *upload_len)
{
	if (x->req.ep->bearer && !x->asked &&
	    x->body.len + *upload_len > STRANGER_MAX && ask_token(x))
		return MHD_YES;
	/* Over the ceiling nothing is kept; the rest is read and dropped. */
	if (!x->body.full && x->req.rc == CF_ERR__COUNT)
		cf_buf_add(&x->body, upload, *upload_len);
	*upload_len = 0;
	return MHD_YES;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *conn, const char *url,
    const char *method, const char *version, const char *upload,
    size_t *upload_len, void **con_cls)
{
	struct cf_http *http = cls;
	struct exchange *x = *con_cls;

	(void)version;
	if (x == NULL)
		return begin(http, conn, url, method, con_cls);
	if (x->phase == PHASE_REPLY) {
		trust(x);
		return cf_reply_send(conn, &x->req);
	}
	if (x->phase == PHASE_WAITING)
		cf_bug("woken without a reply");
	if (x->phase == PHASE_TOKEN)
		return take_token(x, *upload_len > 0);
	if (*upload_len == 0)
		return whole(x);
	return take_body(x, upload, upload_len);
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

/* ---- start and stop ---- */

static enum cf_err
start_daemon(struct cf_http *http, struct cf_why *why)
{
	const struct cf_settings *s = http->ks->settings;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD |
	    MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem items[8];
	size_t n = 0;

#define ITEM(opt, number, pointer) \
	items[n++] = (struct MHD_OptionItem){ (opt), (number), (pointer) }
	if (is_tls(http)) {
		flags |= MHD_USE_TLS;
		cf_httpd_tls_items(items);
		n = CF_HTTPD_TLS_ITEMS;
	}
	if (s->threads > 1)
		ITEM(MHD_OPTION_THREAD_POOL_SIZE, s->threads, NULL);
	ITEM(MHD_OPTION_END, 0, NULL);
#undef ITEM
	http->daemon = MHD_start_daemon(flags, 0, cf_httpd_gate_ask, http->gate,
	    on_request, http,
	    MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, http->listen_fd,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->connection_limit,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)s->request_timeout_s,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MEMORY,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_UNESCAPE_CALLBACK, cf_httpd_no_unescape, NULL,
	    MHD_OPTION_ARRAY, items, MHD_OPTION_END);
	if (http->daemon == NULL)
		return cf_fail(CF_E_CONFIG, why,
		    "the HTTP server does not start");
	/* Closed by the library from here on. */
	http->listen_fd = -1;
	return CF_OK;
}

enum cf_err
cf_http_start(const struct cf_ks *ks, struct cf_http **ret, struct cf_why *why)
{
	struct cf_http *http = cf_calloc(1, sizeof *http);
	pthread_condattr_t attr;
	enum cf_err rc = CF_OK;

	http->ks = ks;
	http->listen_fd = -1;
	http->gate = cf_httpd_gate_new(&ks->settings->proxies,
	    ks->settings->connections_per_address);
	pthread_mutex_init(&http->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&http->idle, &attr);
	pthread_condattr_destroy(&attr);
	if (is_tls(http))
		rc = cf_httpd_tls_change(ks->settings->tls_certificate,
		    ks->settings->tls_key, why);
	if (rc == CF_OK)
		rc = cf_listen_tcp(ks->settings->listen,
		    &http->listen_fd, why);
	if (rc == CF_OK)
		rc = start_daemon(http, why);
	if (rc != CF_OK) {
		cf_http_stop(&http);
		return rc;
	}
	*ret = http;
	return CF_OK;
}

void
cf_http_drain(struct cf_http *http, long limit_ms)
{
	MHD_socket fd = MHD_quiesce_daemon(http->daemon);
	struct timespec until;

	if (fd != MHD_INVALID_SOCKET)
		close(fd);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += limit_ms / 1000;
	pthread_mutex_lock(&http->lock);
	while (http->under_way > 0 && pthread_cond_timedwait(&http->idle,
	    &http->lock, &until) == 0)
		;
	pthread_mutex_unlock(&http->lock);
}

void
cf_http_stop(struct cf_http **ref)
{
	struct cf_http *http = *ref;

	if (http == NULL)
		return;
	if (http->daemon != NULL)
		MHD_stop_daemon(http->daemon);
	if (http->listen_fd >= 0)
		close(http->listen_fd);
	cf_httpd_tls_end();
	cf_httpd_gate_free(&http->gate);
	pthread_cond_destroy(&http->idle);
	pthread_mutex_destroy(&http->lock);
	free(http);
	*ref = NULL;
}
