/* SPDX-License-Identifier: Apache-2.0 */
/* cf_httpc - see httpc.h. */
#include "common/httpc.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/link.h"
#include "common/mem.h"

#define POOL_MAX 32	/* idle handles kept, each with its connection */

struct cf_httpc {
	pthread_mutex_t lock;
	CURL *idle[POOL_MAX];
	size_t idle_count;
	char *ca_file, *user_agent;
	long connect_timeout_ms;
};

struct transfer {
	struct cf_buf *body;
	const struct cf_httpc_request *request;
	bool gave_up;
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

void
cf_httpc_free(struct cf_httpc **client)
{
	struct cf_httpc *c = *client;

	if (c == NULL)
		return;
	while (c->idle_count > 0)
		curl_easy_cleanup(c->idle[--c->idle_count]);
	pthread_mutex_destroy(&c->lock);
	free(c->ca_file);
	free(c->user_agent);
	free(c);
	*client = NULL;
}

static CURL *
take_handle(struct cf_httpc *client)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&client->lock);
	if (client->idle_count > 0)
		curl = client->idle[--client->idle_count];
	pthread_mutex_unlock(&client->lock);
	if (curl != NULL)
		curl_easy_reset(curl);	/* options go, connections stay */
	else
		curl = curl_easy_init();
	return curl;
}

static void
return_handle(struct cf_httpc *client, CURL *curl)
{
	/* The request's pointers must not be found by the next one. */
	curl_easy_reset(curl);
	pthread_mutex_lock(&client->lock);
	if (client->idle_count < POOL_MAX) {
		client->idle[client->idle_count++] = curl;
		curl = NULL;
	}
	pthread_mutex_unlock(&client->lock);
	curl_easy_cleanup(curl);
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	cf_buf_add(t->body, data, size * n);
	return t->body->full ? 0 : size * n;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct transfer *t = arg;

	(void)a; (void)b; (void)c; (void)d;
	if (t->request->tick != NULL && t->request->tick(t->request->tick_arg))
		t->gave_up = true;
	return t->gave_up;
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
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	if (r->json != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)r->json_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->json);
	}
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
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return cf_fail(CF_E_TLS, why, "%s: %s", service, text);
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

enum cf_err
cf_httpc_send(struct cf_httpc *client, const struct cf_httpc_request *request,
    long *ret_status, struct cf_buf *body, struct cf_why *why)
{
	struct transfer t = { body, request, false };
	CF_AUTO(cf_free) char *url = NULL;
	struct curl_slist *headers;
	CURL *curl;
	CURLcode code;
	long status = 0;

	if (cf_link_check_service(request->service, why) != CF_OK)
		return CF_E_CONFIG;
	curl = take_handle(client);
	if (curl == NULL)
		return cf_fail(CF_E_INTERNAL, why, "libcurl gives no handle");
	url = cf_asprintf("%s%s", request->service, request->path);
	headers = make_headers(request);
	set_options(client, curl, &t, url, headers);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return_handle(client, curl);
	free_headers(headers);
	if (code == CURLE_OK)
		*ret_status = status;
	return map_error(code, &t, request->service, why);
}
