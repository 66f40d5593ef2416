/* SPDX-License-Identifier: Apache-2.0 */
/* cf_http - see http.h. */
#include "keysrv/http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/httpd.h"
#include "common/json.h"
#include "common/listen.h"
#include "common/mem.h"
#include "keysrv/http/body.h"
#include "keysrv/http/http_reply.h"
#include "keysrv/http/kind.h"
#include "keysrv/http/queue.h"
#include "keysrv/who/who.h"

#define HEADER_MEMORY 16384	/* request line and header fields, bytes */
#define REPLY_MAX (4u << 20)
#define STRANGER_MAX 16384	/* of a body before its caller is known */

struct cf_http {
	const struct cf_ks *ks;
	struct cf_httpd_options options;
	struct cf_httpd *httpd;
};

enum phase {
	PHASE_BODY,	/* reading */
	PHASE_WHO,	/* suspended, a worker looks who is calling */
	PHASE_WAITING	/* suspended, a worker has it */
};

/* One request as this file sees it; `req` is what the others see. */
struct exchange {
	struct cf_req req;
	struct cf_httpd_req *httpd;
	enum phase phase;
	struct cf_buf body;
	bool asked;		/* who is calling; `rc` says if it is known */
};

static bool
is_for_known(const struct cf_endpoint *ep)
{
	return (ep->who & CF_WHO_KNOWN) != 0;
}

/* ---- life of an exchange ---- */

static bool
query(const struct cf_req *req, const char *name, char *ret, size_t cap)
{
	const struct exchange *x = (const struct exchange *)req;

	return cf_httpd_query(x->httpd, name, ret, cap);
}

static const char *
field(const struct cf_req *req, const char *name)
{
	const struct exchange *x = (const struct exchange *)req;

	return cf_httpd_field(x->httpd, name);
}

/* No closer than what a household or an office has to itself. */
static void
take_network(struct exchange *x)
{
	struct cf_network client;

	if (!cf_httpd_client(x->httpd, &client))
		return;
	cf_network_cut(&client, client.family == AF_INET ? 24 : 64);
	x->req.network_len = client.prefix / 8;
	memcpy(x->req.network, client.bits, x->req.network_len);
}

static struct exchange *
exchange_new(const struct cf_http *http, struct cf_httpd_req *httpd,
    const struct cf_endpoint *ep, const char *tail)
{
	struct exchange *x = cf_calloc(1, sizeof *x);

	x->httpd = httpd;
	x->body = (struct cf_buf)CF_BUF_INIT_SECRET(ep->body_max);
	x->req.ks = http->ks;
	x->req.ep = ep;
	x->req.kind = ep->action->kind;
	x->req.tail = tail;
	x->req.query = query;
	x->req.query_count = httpd->query_count;
	x->req.field = field;
	x->req.rc = CF_ERR__COUNT;
	x->req.reply = (struct cf_buf)CF_BUF_INIT_SECRET(REPLY_MAX);
	take_network(x);
	return x;
}

static void
end(struct cf_httpd_req *httpd, bool sent)
{
	struct exchange *x = httpd->own;

	(void)sent;
	if (x == NULL)
		return;
	if (x->req.item != NULL)
		x->req.ep->action->free_item(x->req.item);
	cf_json_free(&x->req.json);
	cf_buf_free(&x->body);
	cf_buf_free(&x->req.reply);
	cf_req_drop_fields(&x->req);
	cf_secret_wipe(&x->req.visitor);
	free(x);
}

/* ---- header ---- */

/* Bytes that the header announces; chunks say nothing. */
static unsigned long long
body_announced(const struct cf_httpd_req *httpd)
{
	const char *length = cf_httpd_field(httpd, "Content-Length");

	return length == NULL ? 0 : strtoull(length, NULL, 10);
}

/* What can be refused by the header alone. */
static enum cf_err
check_header(struct exchange *x, struct cf_why *why)
{
	const char *origin = cf_httpd_field(x->httpd, "Origin");
	const struct cf_endpoint *ep = x->req.ep;
	enum cf_err rc;

	if (origin != NULL && strlen(origin) > CF_ORIGIN_MAX)
		return cf_fail(CF_E_SYNTAX, why, "The Origin is too long.");
	(void)snprintf(x->req.origin, sizeof x->req.origin, "%s",
	    origin == NULL ? "-" : origin);
	rc = cf_body_check_header(&x->req, why);
	if (rc != CF_OK)
		return rc;
	if (body_announced(x->httpd) > ep->body_max)
		return cf_fail(CF_E_TOO_LARGE, why,
		    "The body may have at most %zu bytes.", ep->body_max);
	return cf_who_read(&x->req, why);
}

/* ---- body ---- */

/*
 * Suspended first: a worker may be done before push returns.  A place was
 * reserved, if a worker is to do it.
 */
static void
hand_over(struct exchange *x, enum phase phase, const struct cf_kind *kind)
{
	x->phase = phase;
	x->req.kind = kind;
	cf_httpd_suspend(x->httpd);
	if (kind == NULL)
		x->req.ep->action->ask(&x->req);
	else
		cf_queue_push(x->req.ks->queue, &x->req);
}

/*
 * More is to come than strangers may send: is the caller known?  The body
 * waits meanwhile; if he is not, nothing of it is kept.
 */
static void
ask_who(struct exchange *x)
{
	x->asked = true;
	if (cf_queue_reserve(x->req.ks->queue)) {
		hand_over(x, PHASE_WHO, &cf_kind_who);
		return;
	}
	cf_req_fail(&x->req, CF_E_BUSY, NULL);
	cf_reply_send(x->httpd, &x->req);
}

/* All is here: read it, and either answer or hand it to the workers. */
static void
whole(struct cf_httpd_req *httpd)
{
	struct exchange *x = httpd->own;
	struct cf_req *req = &x->req;
	const struct cf_action *action = req->ep->action;
	struct cf_why why = { "" };
	enum cf_err rc;

	rc = cf_body_read(req, &x->body, &why);
	if (rc == CF_OK && action->parse != NULL)
		rc = action->parse(req, &why);
	/* They held secrets; the item has what is needed. */
	cf_json_free(&req->json);
	cf_buf_free(&x->body);
	req->raw = NULL;
	if (rc == CF_OK && action->kind != NULL &&
	    !cf_queue_reserve(req->ks->queue))
		rc = CF_E_BUSY;
	if (rc != CF_OK)
		cf_req_fail(req, rc, &why);
	if (rc != CF_OK || (action->kind == NULL && action->ask == NULL))
		cf_reply_send(httpd, req);
	else
		hand_over(x, PHASE_WAITING, action->kind);
}

void
cf_http_done(struct cf_req *req)
{
	struct exchange *x = (struct exchange *)req;

	cf_httpd_resume(x->httpd);
}

/* ---- what the server calls ---- */

static void
unsound(struct cf_httpd_req *httpd)
{
	const struct cf_http *http = httpd->server;
	struct cf_why why = { "" };

	(void)cf_fail(CF_E_SYNTAX, &why,
	    "The request's header is not well formed.");
	cf_reply_problem(httpd, http->ks, CF_E_SYNTAX, &why, NULL);
}

static void
begin(struct cf_httpd_req *httpd)
{
	const struct cf_http *http = httpd->server;
	const char *method = httpd->method, *tail;
	const struct cf_endpoint *ep = cf_endpoint_find(httpd->path,
	    &tail);
	struct cf_why why = { "" };
	struct exchange *x;
	enum cf_err rc;

	if (ep == NULL) {
		cf_reply_problem(httpd, http->ks, CF_E_NOT_FOUND, NULL, NULL);
		return;
	}
	if ((ep->who & CF_WHO_PAGE) != 0 && strcmp(method, "OPTIONS") == 0) {
		cf_reply_preflight(httpd, http->ks);
		return;
	}
	if (strcmp(method, ep->method) != 0 &&
	    (strcmp(method, "HEAD") != 0 || strcmp(ep->method, "GET") != 0)) {
		cf_reply_method(httpd, http->ks, ep);
		return;
	}
	x = exchange_new(http, httpd, ep, tail);
	httpd->own = x;
	rc = check_header(x, &why);
	if (rc != CF_OK)
		cf_reply_problem(httpd, http->ks, rc, &why, ep);
	else if (is_for_known(ep) && body_announced(httpd) > STRANGER_MAX)
		ask_who(x);
}

static void
body(struct cf_httpd_req *httpd, const void *part, size_t len)
{
	struct exchange *x = httpd->own;

	if (is_for_known(x->req.ep) && !x->asked &&
	    x->body.len + len > STRANGER_MAX) {
		ask_who(x);
		return;
	}
	/* Over the ceiling nothing is kept; the rest is read and dropped. */
	if (!x->body.full)
		cf_buf_add(&x->body, part, len);
}

static void
woken(struct cf_httpd_req *httpd)
{
	struct exchange *x = httpd->own;

	if (x->phase == PHASE_WHO && x->req.rc == CF_OK) {
		x->phase = PHASE_BODY;
		x->req.rc = CF_ERR__COUNT;
		return;
	}
	if (x->req.rc == CF_ERR__COUNT)
		cf_bug("woken without a reply");
	/* Who is known has as many connections as he likes. */
	if (is_for_known(x->req.ep) && x->req.rc == CF_OK)
		cf_httpd_trust(httpd);
	cf_buf_free(&x->body);
	cf_reply_send(httpd, &x->req);
}

static const struct cf_httpd_handler handler = {
	.begin = begin, .unsound = unsound, .body = body, .whole = whole,
	.woken = woken, .end = end,
};

/* ---- start and stop ---- */

enum cf_err
cf_http_start(const struct cf_ks *ks, struct cf_http **ret, struct cf_why *why)
{
	const struct cf_settings *s = ks->settings;
	CF_AUTO(cf_http_stop) struct cf_http *http =
	    cf_calloc(1, sizeof *http);
	enum cf_err rc;
	int fd = -1;

	http->ks = ks;
	http->options = (struct cf_httpd_options){
		.handler = &handler,
		.arg = http,
		.tls_certificate = s->tls_certificate,
		.tls_key = s->tls_key,
		.proxies = &s->proxies,
		.connections = s->connection_limit,
		.per_address = s->connections_per_address,
		.threads = s->threads,
		.request_timeout_s = s->request_timeout_s,
		.answer_timeout_s = s->request_timeout_s,
		.header_memory = HEADER_MEMORY,
	};
	rc = cf_httpd_new(&http->options, &http->httpd, why);
	if (rc == CF_OK)
		rc = cf_listen_tcp(s->listen, &fd, why);
	if (rc == CF_OK)
		rc = cf_httpd_start(http->httpd, fd, why);
	if (rc != CF_OK)
		return rc;
	*ret = http;
	http = NULL;
	return CF_OK;
}

void
cf_http_sweep(struct cf_http *http)
{
	cf_httpd_sweep(http->httpd);
}

void
cf_http_drain(struct cf_http *http, long limit_ms)
{
	cf_httpd_drain(http->httpd, limit_ms);
}

void
cf_http_stop(struct cf_http **ref)
{
	struct cf_http *http = *ref;

	if (http == NULL)
		return;
	cf_httpd_free(&http->httpd);
	free(http);
	*ref = NULL;
}
