/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reader_http - see reader_http.h. */
#include "milter/reader_http.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/httpd.h"
#include "common/httpd_gate.h"
#include "common/httpd_tls.h"
#include "common/log.h"
#include "common/mem.h"
#include "milter/reader.h"
#include "milter/store.h"

#define FILE_MAX (16 * 1024 * 1024)	/* a page */
#define CONNECTION_MEMORY (24 * 1024)	/* header blocks in and out */
#define DRAIN_POLL_MS 20

/* A connection, so that one over its time can be broken off. */
struct conn {
	struct conn *next, *prev;
	int fd;
	struct cf_httpd_place place;
	int64_t since_ms;	/* connected, or the last answer's end */
	bool answering;		/* a request is in, its answer goes out */
};

/* A request, from its header block to the end of its answer. */
struct request {
	int64_t began_ms;
	const char *method;	/* static text */
	unsigned status;
	uint64_t len;
	struct cf_reader_answer answer;
};

struct cf_reader_http {
	const struct cf_reader_conf *conf;
	struct MHD_Daemon *daemon;
	struct cf_httpd_gate *gate;
	struct MHD_Response *fixed[CF_READER__COUNT];
	size_t fixed_len[CF_READER__COUNT];
	struct cf_buf policy;
	pthread_mutex_t lock;	/* guards what follows */
	struct conn *conns;
	unsigned answering;
};

/* ---- answers ---- */

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (MHD_add_response_header(response, name, value) != MHD_YES)
		cf_bug("a header was refused");
}

static void
add_headers(const struct cf_reader_http *http, struct MHD_Response *response,
    enum cf_reader_body body)
{
	const struct cf_reader_kind *kind = cf_reader_kind(body);
	const struct cf_reader_header *h;
	CF_AUTO(cf_free) char *save = NULL;

	add_header(response, "Content-Type", kind->type);
	add_header(response, "Content-Security-Policy",
	    cf_buf_str(&http->policy));
	for (h = cf_reader_headers(); h->name != NULL; h++)
		add_header(response, h->name, h->value);
	if (http->conf->hsts)
		add_header(response, "Strict-Transport-Security",
		    CF_HTTPD_HSTS);
	if (kind->save_as != NULL) {
		save = cf_asprintf("attachment; filename=\"%s\"",
		    kind->save_as);
		add_header(response, "Content-Disposition", save);
	}
	if (body == CF_READER_METHOD)
		add_header(response, "Allow", "GET, HEAD");
}

/* E as it lies in the store; NULL when it is not there. */
static struct MHD_Response *
sealed_response(const struct cf_reader_http *http, const char *blob,
    uint64_t *ret_len)
{
	CF_AUTO(cf_free) char *path =
	    cf_store_path(http->conf->store_directory, blob);
	struct MHD_Response *response;
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		if (errno != ENOENT)
			cf_log(CF_LOG_ERROR, "sealed message %.6s...: %s",
			    blob, strerrordesc_np(errno));
		return NULL;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return NULL;
	}
	response = MHD_create_response_from_fd64((uint64_t)st.st_size, fd);
	if (response == NULL) {
		close(fd);
		return NULL;
	}
	add_headers(http, response, CF_READER_SEALED);
	*ret_len = (uint64_t)st.st_size;
	return response;
}

static enum MHD_Result
answer(const struct cf_reader_http *http, struct MHD_Connection *connection,
    struct request *r)
{
	struct MHD_Response *response = NULL;
	enum MHD_Result rc;

	if (r->answer.body == CF_READER_SEALED) {
		response = sealed_response(http, r->answer.blob, &r->len);
		if (response == NULL)
			r->answer.body = CF_READER_NOT_FOUND;
	}
	r->status = cf_reader_kind(r->answer.body)->status;
	if (response != NULL) {
		rc = MHD_queue_response(connection, r->status, response);
		MHD_destroy_response(response);
		return rc;
	}
	r->len = http->fixed_len[r->answer.body];
	return MHD_queue_response(connection, r->status,
	    http->fixed[r->answer.body]);
}

/* ---- requests ---- */

static bool
announces_body(struct MHD_Connection *connection)
{
	const char *len = MHD_lookup_connection_value(connection,
	    MHD_HEADER_KIND, "Content-Length");

	return (len != NULL && strcmp(len, "0") != 0) ||
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
	    "Transfer-Encoding") != NULL;
}

static struct conn *
conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

static void
set_answering(struct cf_reader_http *http, struct MHD_Connection *connection,
    bool answering)
{
	struct conn *conn = conn_of(connection);

	if (conn == NULL)
		return;
	pthread_mutex_lock(&http->lock);
	if (conn->answering != answering)
		http->answering += answering ? 1u : -1u;
	conn->answering = answering;
	conn->since_ms = cf_clock_mono_ms();
	pthread_mutex_unlock(&http->lock);
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload,
    size_t *upload_len, void **state)
{
	struct cf_reader_http *http = cls;
	struct request *r = *state;

	(void)version; (void)upload;
	if (r == NULL) {
		r = cf_calloc(1, sizeof *r);
		*state = r;
		r->began_ms = cf_clock_mono_ms();
		r->method = strcmp(method, "GET") == 0 ? "GET" :
		    strcmp(method, "HEAD") == 0 ? "HEAD" : "other";
		set_answering(http, connection, true);
		cf_reader_decide(method, url, announces_body(connection),
		    &r->answer);
		if (!cf_httpd_is_sound(connection))
			r->answer = (struct cf_reader_answer){
			    CF_READER_UNSOUND, "" };
		/* A body is not waited for: the refusal goes out at once. */
		if (r->answer.body == CF_READER_METHOD ||
		    r->answer.body == CF_READER_LARGE ||
		    r->answer.body == CF_READER_UNSOUND)
			return answer(http, connection, r);
		return MHD_YES;
	}
	if (*upload_len != 0) {
		*upload_len = 0;
		return MHD_YES;
	}
	return answer(http, connection, r);
}

static void
peer_text(struct MHD_Connection *connection, char *out, size_t cap)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	socklen_t len;

	(void)snprintf(out, cap, "?");
	if (info == NULL || info->client_addr == NULL)
		return;
	len = info->client_addr->sa_family == AF_INET6 ?
	    sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	(void)getnameinfo(info->client_addr, len, out, (socklen_t)cap, NULL,
	    0, NI_NUMERICHOST);
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **state,
    enum MHD_RequestTerminationCode how)
{
	struct request *r = *state;
	char peer[INET6_ADDRSTRLEN + 20];
	const char *path, *dots = "";

	if (r == NULL)
		return;
	*state = NULL;
	path = cf_reader_kind(r->answer.body)->log_as;
	if (r->answer.blob[0] != '\0') {
		path = r->answer.body == CF_READER_PAGE ? "/m/" : "/e/";
		dots = "...";
	}
	peer_text(connection, peer, sizeof peer);
	cf_log(CF_LOG_INFO, "%s %s %s%.6s%s %u %llu bytes %lld ms%s", peer,
	    r->method, path, r->answer.blob, dots, r->status,
	    (unsigned long long)r->len,
	    (long long)(cf_clock_mono_ms() - r->began_ms),
	    how == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" :
	    ", broken off");
	free(r);
	set_answering(cls, connection, false);
}

/* ---- connections ---- */

static void
conn_add(struct cf_reader_http *http, struct MHD_Connection *connection,
    void **socket_context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct conn *conn = cf_calloc(1, sizeof *conn);

	conn->fd = info == NULL ? -1 : info->connect_fd;
	conn->since_ms = cf_clock_mono_ms();
	cf_httpd_gate_enter(http->gate, connection, &conn->place);
	pthread_mutex_lock(&http->lock);
	conn->next = http->conns;
	if (conn->next != NULL)
		conn->next->prev = conn;
	http->conns = conn;
	pthread_mutex_unlock(&http->lock);
	*socket_context = conn;
}

static void
conn_remove(struct cf_reader_http *http, struct conn *conn)
{
	pthread_mutex_lock(&http->lock);
	if (conn->answering)
		http->answering--;
	if (conn->prev != NULL)
		conn->prev->next = conn->next;
	else
		http->conns = conn->next;
	if (conn->next != NULL)
		conn->next->prev = conn->prev;
	pthread_mutex_unlock(&http->lock);
	cf_httpd_gate_leave(http->gate, &conn->place);
	free(conn);
}

static void
on_connection(void *cls, struct MHD_Connection *connection,
    void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		conn_add(cls, connection, socket_context);
	else if (*socket_context != NULL)
		conn_remove(cls, *socket_context);
}

/*
 * libmicrohttpd's time limit starts anew with each byte, so a client that
 * sends one now and then would stay for ever.  The descriptor is still open
 * here: the library closes it after conn_remove().
 */
void
cf_reader_http_sweep(struct cf_reader_http *http)
{
	const struct cf_reader_conf *c = http->conf;
	int64_t now = cf_clock_mono_ms(), limit;
	char address[INET6_ADDRSTRLEN];
	struct conn *conn;
	unsigned refused;

	pthread_mutex_lock(&http->lock);
	for (conn = http->conns; conn != NULL; conn = conn->next) {
		limit = 1000 * (conn->answering ? c->answer_timeout_s :
		    c->request_timeout_s);
		if (conn->fd >= 0 && now - conn->since_ms > limit)
			shutdown(conn->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&http->lock);
	if (cf_httpd_gate_refused(http->gate, &refused, address))
		cf_log(CF_LOG_WARN, "%u connections refused, as from %s: "
		    "connections_per_address are open; a proxy of ours "
		    "belongs into proxies", refused, address);
}

/* ---- life ---- */

static void
on_library_log(void *cls, const char *fmt, va_list ap)
{
	char text[300];
	size_t n;

	(void)cls;
	(void)vsnprintf(text, sizeof text, fmt, ap);
	n = strlen(text);
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	cf_log(CF_LOG_DEBUG, "http library: %s", text);
}

static enum cf_err
load_file(const char *path, struct cf_buf *buf, struct cf_why *why)
{
	struct cf_why inner = { "" };

	buf->max = FILE_MAX;
	if (cf_file_read(path, buf, &inner) != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "%s", inner.text);
	return CF_OK;
}

static enum cf_err
make_fixed(struct cf_reader_http *http, enum cf_reader_body body,
    struct cf_why *why)
{
	const struct cf_reader_kind *kind = cf_reader_kind(body);
	CF_AUTO(cf_buf_free) struct cf_buf content = CF_BUF_INIT(FILE_MAX);
	CF_AUTO(cf_free) char *path = NULL;
	enum cf_err rc;

	if (kind->file != NULL) {
		path = cf_asprintf("%s/%s", http->conf->page_directory,
		    kind->file);
		rc = load_file(path, &content, why);
		if (rc != CF_OK)
			return rc;
	} else {
		cf_buf_adds(&content, kind->text);
	}
	http->fixed_len[body] = content.len;
	http->fixed[body] = MHD_create_response_from_buffer(content.len,
	    (void *)(uintptr_t)cf_buf_str(&content), MHD_RESPMEM_MUST_COPY);
	if (http->fixed[body] == NULL)
		return cf_fail(CF_E_INTERNAL, why, "no response object");
	add_headers(http, http->fixed[body], body);
	return CF_OK;
}

static enum cf_err
load_all(struct cf_reader_http *http, struct cf_why *why)
{
	enum cf_err rc;
	int body;

	rc = cf_reader_policy(&http->conf->allowed_key_servers, &http->policy,
	    why);
	for (body = 0; body < CF_READER__COUNT && rc == CF_OK; body++)
		if (body != CF_READER_SEALED)
			rc = make_fixed(http, (enum cf_reader_body)body, why);
	if (rc == CF_OK && http->conf->tls)
		rc = cf_httpd_tls_change(http->conf->tls_certificate,
		    http->conf->tls_key, why);
	return rc;
}

enum cf_err
cf_reader_http_new(const struct cf_reader_conf *conf,
    struct cf_reader_http **ret, struct cf_why *why)
{
	CF_AUTO(cf_reader_http_free) struct cf_reader_http *http = NULL;
	enum cf_err rc;

	http = cf_calloc(1, sizeof *http);
	http->conf = conf;
	http->gate = cf_httpd_gate_new(&conf->proxies,
	    conf->connections_per_address);
	http->policy.max = CF_READER_CSP_MAX;
	pthread_mutex_init(&http->lock, NULL);
	rc = load_all(http, why);
	if (rc != CF_OK)
		return rc;
	*ret = http;
	http = NULL;
	return CF_OK;
}

enum cf_err
cf_reader_http_start(struct cf_reader_http *http, int fd, struct cf_why *why)
{
	const struct cf_reader_conf *c = http->conf;
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL |
	    MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem items[CF_HTTPD_TLS_ITEMS + 1];
	size_t n = 0;

	if (c->tls) {
		flags |= MHD_USE_TLS;
		cf_httpd_tls_items(items);
		n = CF_HTTPD_TLS_ITEMS;
	}
	items[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	http->daemon = MHD_start_daemon(flags, 0, cf_httpd_gate_ask, http->gate,
	    on_request, http,
	    MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_THREAD_POOL_SIZE, (unsigned)c->threads,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)c->connection_limit,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)c->request_timeout_s,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_UNESCAPE_CALLBACK, cf_httpd_no_unescape, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
	    MHD_OPTION_ARRAY, items, MHD_OPTION_END);
	if (http->daemon == NULL) {
		close(fd);
		return cf_fail(CF_E_CONFIG, why,
		    "the HTTP server does not start");
	}
	return CF_OK;
}

static unsigned
count_answering(struct cf_reader_http *http)
{
	unsigned n;

	pthread_mutex_lock(&http->lock);
	n = http->answering;
	pthread_mutex_unlock(&http->lock);
	return n;
}

void
cf_reader_http_stop(struct cf_reader_http *http)
{
	int64_t end = cf_clock_mono_ms() + 1000 * http->conf->drain_s;
	int fd;

	if (http->daemon == NULL)
		return;
	fd = MHD_quiesce_daemon(http->daemon);
	if (fd >= 0)
		close(fd);
	while (count_answering(http) > 0 && cf_clock_mono_ms() < end)
		(void)poll(NULL, 0, DRAIN_POLL_MS);
	MHD_stop_daemon(http->daemon);
	http->daemon = NULL;
}

void
cf_reader_http_free(struct cf_reader_http **http)
{
	struct cf_reader_http *h = *http;
	int i;

	if (h == NULL)
		return;
	cf_reader_http_stop(h);
	for (i = 0; i < CF_READER__COUNT; i++)
		if (h->fixed[i] != NULL)
			MHD_destroy_response(h->fixed[i]);
	cf_httpd_gate_free(&h->gate);
	cf_buf_free(&h->policy);
	cf_httpd_tls_end();
	pthread_mutex_destroy(&h->lock);
	free(h);
	*http = NULL;
}
