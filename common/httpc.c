/* SPDX-License-Identifier: Apache-2.0 */
/* cf_httpc - see httpc.h. */
#include "common/httpc.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/clock.h"
#include "common/httpc_fail.h"
#include "common/link.h"
#include "common/mem.h"
#include "common/wire.h"

#define POOL_MAX 32	/* idle handles kept, each with its connection */
/* Bytes of an answer's header, with the proxy's before it. */
#define HEADER_MAX 65536
/* From one tick() to the next: the first, and what it grows to. */
#define TICK_FIRST_MS 20
#define TICK_MAX_MS 1000

/* The one transfer of a multi handle, which keeps the connection. */
struct handle {
	CURL *easy;
	CURLM *multi;
};

struct cf_httpc {
	pthread_mutex_t lock;
	struct handle idle[POOL_MAX];
	size_t idle_count;
	char *ca_file, *user_agent;
	const struct cf_proxy *proxy;
	long connect_timeout_ms;
};

struct transfer {
	CURL *curl;
	struct cf_buf *body;
	const struct cf_httpc_request *request;
	struct curl_slist *headers, *proxy_headers;
	size_t header_len;
	struct cf_httpc_end end;
	char text[CURL_ERROR_SIZE];	/* curl's about the last error */
};

enum cf_err
cf_httpc_new(const struct cf_httpc_options *options, struct cf_httpc **ret,
    struct cf_why *why)
{
	struct cf_httpc *client;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return cf_fail(CF_E_INTERNAL, why, "libcurl does not start");
	client = cf_calloc(1, sizeof *client);
	pthread_mutex_init(&client->lock, NULL);
	client->connect_timeout_ms = options->connect_timeout_ms > 0 ?
	    options->connect_timeout_ms : 10000;
	if (options->ca_file != NULL)
		client->ca_file = cf_strdup(options->ca_file);
	client->proxy = options->proxy;
	client->user_agent = cf_strdup(options->user_agent != NULL ?
	    options->user_agent : "counterfoil");
	*ret = client;
	return CF_OK;
}

static void
handle_free(struct handle *h)
{
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
}

void
cf_httpc_free(struct cf_httpc **client)
{
	struct cf_httpc *c = *client;

	if (c == NULL)
		return;
	while (c->idle_count > 0)
		handle_free(&c->idle[--c->idle_count]);
	pthread_mutex_destroy(&c->lock);
	free(c->ca_file);
	free(c->user_agent);
	free(c);
	*client = NULL;
}

static bool
take_handle(struct cf_httpc *client, struct handle *ret)
{
	bool have;

	pthread_mutex_lock(&client->lock);
	have = client->idle_count > 0;
	if (have)
		*ret = client->idle[--client->idle_count];
	pthread_mutex_unlock(&client->lock);
	if (have)
		return true;
	ret->easy = curl_easy_init();
	ret->multi = curl_multi_init();
	if (ret->easy != NULL && ret->multi != NULL)
		return true;
	handle_free(ret);
	return false;
}

static void
return_handle(struct cf_httpc *client, struct handle *h)
{
	bool kept;

	/* The request's pointers must not be found by the next one. */
	curl_easy_reset(h->easy);
	pthread_mutex_lock(&client->lock);
	kept = client->idle_count < POOL_MAX;
	if (kept)
		client->idle[client->idle_count++] = *h;
	pthread_mutex_unlock(&client->lock);
	if (!kept)
		handle_free(h);
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	cf_buf_add(t->body, data, size * n);
	return t->body->full ? 0 : size * n;
}

/* The way is open: through the proxy, if any, and its TLS is good. */
static int
on_ready(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct transfer *t = arg;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	t->end.ready = true;
	return CURL_PREREQFUNC_OK;
}

/*
 * A line of the answer's header; before the way is open, of the proxy's to
 * CONNECT.  What is behind a refusal of its is not read: curl would do so to
 * the end, and look at no clock meanwhile.
 */
static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	bool first = t->header_len == 0;
	long status = 0;

	n *= size;
	t->header_len += n;
	t->end.too_large |= t->header_len > HEADER_MAX;
	if (t->end.too_large)
		return 0;
	if (t->end.ready)
		return n;
	t->end.proxy_nonsense |= first && (n < 7 ||
	    memcmp(data, "HTTP/1.", 7) != 0);
	if (data[0] == '\r' || data[0] == '\n') {
		curl_easy_getinfo(t->curl, CURLINFO_HTTP_CONNECTCODE, &status);
		t->end.proxy_through = status / 100 == 2;
		return t->end.proxy_through ? n : 0;
	}
	return t->end.proxy_nonsense ? 0 : n;
}

/* The Authorization line; the caller cleanses it through free_headers(). */
static struct curl_slist *
make_headers(const struct cf_httpc_request *request)
{
	struct curl_slist *list = NULL;
	char token[CF_B64URL_LEN(CF_SECRET_MAX) + 1], line[400];

	if (request->json != NULL)
		list = curl_slist_append(list,
		    "Content-Type: " CF_MEDIA_JSON);
	list = curl_slist_append(list, "Accept: " CF_MEDIA_JSON);
	list = curl_slist_append(list, "Expect:");
	if (request->origin != NULL) {
		(void)snprintf(line, sizeof line, "Origin: %s",
		    request->origin);
		list = curl_slist_append(list, line);
	}
	if (request->bearer != NULL) {
		cf_secret_to_b64url(request->bearer, token);
		(void)snprintf(line, sizeof line, "Authorization: Bearer %s",
		    token);
		list = curl_slist_append(list, line);
		OPENSSL_cleanse(token, sizeof token);
		OPENSSL_cleanse(line, sizeof line);
	}
	return list;
}

/*
 * For the proxy alone.  By curl's own options for it the login would lose its
 * percent signs, and stay with the connection.
 */
static struct curl_slist *
make_proxy_headers(const char *login)
{
	char text[CF_B64URL_LEN(CF_PROXY_LOGIN_MAX) + 4], line[400], *p;
	size_t len = strlen(login);
	struct curl_slist *list;

	if (len == 0)
		return NULL;
	/* RFC 7617 2: base64 as in RFC 4648 4. */
	cf_b64url_encode((const unsigned char *)login, len, text);
	for (p = text; *p != '\0'; p++)
		*p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
	for (; len % 3 != 0; len++)
		*p++ = '=';
	*p = '\0';
	(void)snprintf(line, sizeof line, "Proxy-Authorization: Basic %s",
	    text);
	list = curl_slist_append(NULL, line);
	OPENSSL_cleanse(text, sizeof text);
	OPENSSL_cleanse(line, sizeof line);
	return list;
}

static void
free_headers(struct curl_slist *list)
{
	struct curl_slist *p;

	for (p = list; p != NULL; p = p->next)
		OPENSSL_cleanse(p->data, strlen(p->data));
	curl_slist_free_all(list);
}

/* Nothing of the environment's, neither its proxies nor its exceptions. */
static void
set_proxy(const struct cf_httpc *client, CURL *curl, struct transfer *t)
{
	const struct cf_proxy *proxy = t->end.proxy;

	curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
	curl_easy_setopt(curl, CURLOPT_PROXY, proxy == NULL ? "" :
	    proxy->url);
	if (proxy == NULL)
		return;
	curl_easy_setopt(curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
	/* The token is not for the proxy, nor its login for the service. */
	curl_easy_setopt(curl, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	curl_easy_setopt(curl, CURLOPT_PROXYHEADER, t->proxy_headers);
	curl_easy_setopt(curl, CURLOPT_PROXY_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_2);
	if (client->ca_file != NULL) {
		curl_easy_setopt(curl, CURLOPT_PROXY_CAINFO, client->ca_file);
		curl_easy_setopt(curl, CURLOPT_PROXY_CAPATH, NULL);
	}
}

static void
set_options(const struct cf_httpc *client, CURL *curl, struct transfer *t,
    const char *url)
{
	const struct cf_httpc_request *r = t->request;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	set_proxy(client, curl, t);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, client->user_agent);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, r->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
	    client->connect_timeout_ms);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	if (client->ca_file != NULL) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_ready);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->text);
	if (r->json != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)r->json_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->json);
	}
}

static CURLcode
outcome(CURLM *multi)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(multi, &left)) != NULL)
		if (msg->msg == CURLMSG_DONE)
			return msg->data.result;
	return CURLE_FAILED_INIT;
}

/* What curl_easy_perform() does, with a tick() while there is no answer. */
static CURLcode
perform(struct handle *h, const struct cf_httpc_request *request)
{
	int64_t next = cf_clock_mono_ms() + TICK_FIRST_MS, left;
	int64_t pause = TICK_FIRST_MS;
	CURLcode code = CURLE_OK;
	int running = 1;

	if (curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
		return CURLE_FAILED_INIT;
	for (;;) {
		if (curl_multi_perform(h->multi, &running) != CURLM_OK)
			code = CURLE_FAILED_INIT;
		if (running == 0 || code != CURLE_OK)
			break;
		left = next - cf_clock_mono_ms();
		if (left <= 0) {
			if (request->tick != NULL &&
			    request->tick(request->tick_arg) != 0) {
				code = CURLE_ABORTED_BY_CALLBACK;
				break;
			}
			pause = pause * 2 < TICK_MAX_MS ? pause * 2 :
			    TICK_MAX_MS;
			next = cf_clock_mono_ms() + pause;
			left = pause;
		}
		(void)curl_multi_poll(h->multi, NULL, 0, (int)left, NULL);
	}
	if (code == CURLE_OK)
		code = outcome(h->multi);
	/* One that is not done takes its connection with it. */
	(void)curl_multi_remove_handle(h->multi, h->easy);
	return code;
}

static void
look_back(struct transfer *t, CURLcode code)
{
	struct cf_httpc_end *end = &t->end;
	long offers = 0;

	end->code = code;
	end->text = t->text;
	end->too_large |= t->body->full;
	curl_easy_getinfo(t->curl, CURLINFO_SSL_VERIFYRESULT, &end->verdict);
	curl_easy_getinfo(t->curl, CURLINFO_PROXY_SSL_VERIFYRESULT,
	    &end->proxy_verdict);
	curl_easy_getinfo(t->curl, CURLINFO_HTTP_CONNECTCODE,
	    &end->proxy_status);
	curl_easy_getinfo(t->curl, CURLINFO_PROXYAUTH_AVAIL, &offers);
	end->proxy_takes_login = ((unsigned long)offers & CURLAUTH_BASIC) != 0;
}

enum cf_err
cf_httpc_send(struct cf_httpc *client, const struct cf_httpc_request *request,
    long *ret_status, struct cf_buf *body, struct cf_why *why)
{
	struct transfer t = { .body = body, .request = request,
	    .end = { .service = request->service } };
	CF_AUTO(cf_free) char *url = NULL;
	struct handle h;
	CURLcode code;
	long status = 0;

	if (cf_link_check_service(request->service, why) != CF_OK)
		return CF_E_CONFIG;
	if (!take_handle(client, &h))
		return cf_fail(CF_E_INTERNAL, why, "libcurl gives no handle");
	t.curl = h.easy;
	if (client->proxy != NULL &&
	    cf_proxy_carries(client->proxy, request->service)) {
		t.end.proxy = client->proxy;
		t.proxy_headers = make_proxy_headers(client->proxy->login);
	}
	url = cf_asprintf("%s%s", request->service, request->path);
	t.headers = make_headers(request);
	set_options(client, h.easy, &t, url);
	code = perform(&h, request);
	curl_easy_getinfo(h.easy, CURLINFO_RESPONSE_CODE, &status);
	look_back(&t, code);
	return_handle(client, &h);
	free_headers(t.headers);
	free_headers(t.proxy_headers);
	if (code == CURLE_OK)
		*ret_status = status;
	return cf_httpc_fail(&t.end, why);
}
