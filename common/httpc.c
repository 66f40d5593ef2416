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
#include "common/crypto_tls.h"
#include "common/link.h"
#include "common/mem.h"

#define POOL_MAX 32	/* idle handles kept, each with its connection */
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
	long connect_timeout_ms;
};

struct transfer {
	struct cf_buf *body;
	const struct cf_httpc_request *request;
	long verdict;			/* on the certificate, OpenSSL's */
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

/* The Authorization line; the caller cleanses it through free_headers(). */
static struct curl_slist *
make_headers(const struct cf_httpc_request *request)
{
	struct curl_slist *list = NULL;
	char token[CF_B64URL_LEN(CF_SECRET_MAX) + 1], line[400];

	if (request->json != NULL)
		list = curl_slist_append(list,
		    "Content-Type: application/json");
	list = curl_slist_append(list, "Accept: application/json");
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

static void
free_headers(struct curl_slist *list)
{
	struct curl_slist *p;

	for (p = list; p != NULL; p = p->next)
		OPENSSL_cleanse(p->data, strlen(p->data));
	curl_slist_free_all(list);
}

static void
set_options(struct cf_httpc *client, CURL *curl, struct transfer *t,
    const char *url, struct curl_slist *headers)
{
	const struct cf_httpc_request *r = t->request;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
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
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->text);
	if (r->json != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)r->json_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->json);
	}
}

/* A handshake that ended without a word of TLS is a lost connection. */
static enum cf_err
handshake_error(const struct transfer *t, const char *service,
    struct cf_why *why)
{
	const char *trouble = cf_tls_handshake_trouble(t->text);

	if (trouble == NULL)
		return cf_fail(CF_E_NETWORK, why,
		    "%s: the connection ended before it was secure", service);
	return cf_fail(CF_E_TLS, why, "%s: %s", service, trouble);
}

static enum cf_err
map_error(CURLcode code, const struct transfer *t, const char *service,
    struct cf_why *why)
{
	const char *text = curl_easy_strerror(code);

	switch (code) {
	case CURLE_OK:
		return CF_OK;
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_ABORTED_BY_CALLBACK:
		return cf_fail(CF_E_TIMEOUT, why, "%s: %s", service, text);
	case CURLE_PEER_FAILED_VERIFICATION:
		return cf_fail(CF_E_TLS, why, "%s: %s", service,
		    cf_tls_certificate_trouble(t->verdict));
	case CURLE_SSL_CONNECT_ERROR:
		return handshake_error(t, service, why);
	case CURLE_SSL_CACERT_BADFILE:
		return cf_fail(CF_E_TLS, why, "%s: %s; see ca_file", service,
		    text);
	case CURLE_WRITE_ERROR:
		if (t->body->full)
			return cf_fail(CF_E_PROTOCOL, why,
			    "%s: answer too large", service);
		return cf_fail(CF_E_PROTOCOL, why, "%s: %s", service, text);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return cf_fail(CF_E_PROTOCOL, why, "%s: %s", service, text);
	default:
		return cf_fail(CF_E_NETWORK, why, "%s: %s", service, text);
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

enum cf_err
cf_httpc_send(struct cf_httpc *client, const struct cf_httpc_request *request,
    long *ret_status, struct cf_buf *body, struct cf_why *why)
{
	struct transfer t = { .body = body, .request = request };
	CF_AUTO(cf_free) char *url = NULL;
	struct curl_slist *headers;
	struct handle h;
	CURLcode code;
	long status = 0;

	if (cf_link_check_service(request->service, why) != CF_OK)
		return CF_E_CONFIG;
	if (!take_handle(client, &h))
		return cf_fail(CF_E_INTERNAL, why, "libcurl gives no handle");
	url = cf_asprintf("%s%s", request->service, request->path);
	headers = make_headers(request);
	set_options(client, h.easy, &t, url, headers);
	code = perform(&h, request);
	curl_easy_getinfo(h.easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(h.easy, CURLINFO_SSL_VERIFYRESULT, &t.verdict);
	return_handle(client, &h);
	free_headers(headers);
	if (code == CURLE_OK)
		*ret_status = status;
	return map_error(code, &t, request->service, why);
}
