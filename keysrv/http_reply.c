/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reply - see http_reply.h. */
#include "keysrv/http_reply.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/httpd.h"
#include "common/link.h"
#include "keysrv/json_out.h"

#define JSON "application/json"
#define PROBLEM "application/problem+json"

/* Our own pages have no script, no style and no picture. */
#define PAGE_CSP "default-src 'none'; base-uri 'none'; form-action 'none'; " \
	"frame-ancestors 'none'"

static void
free_wiped(void *cls)
{
	struct cf_buf *buf = cls;

	cf_buf_free(buf);
	free(buf);
}

static void
header(struct MHD_Response *r, const char *name, const char *value)
{
	/* Fails only without memory, and then the response fails too. */
	(void)MHD_add_response_header(r, name, value);
}

/* By the URL that clients use: TLS may be the work of a proxy. */
static void
hsts_header(struct MHD_Response *r, const struct cf_ks *ks)
{
	if (!cf_link_is_plain(ks->settings->service_url))
		header(r, "Strict-Transport-Security", CF_HTTPD_HSTS);
}

static void
common_headers(struct MHD_Response *r, const struct cf_ks *ks,
    const char *type, bool any_origin)
{
	header(r, "Content-Type", type);
	header(r, "Cache-Control", "no-store");
	header(r, "X-Content-Type-Options", "nosniff");
	header(r, "Referrer-Policy", "no-referrer");
	header(r, "Content-Security-Policy", PAGE_CSP);
	hsts_header(r, ks);
	if (!any_origin)
		return;
	header(r, "Access-Control-Allow-Origin", "*");
	header(r, "Access-Control-Expose-Headers", "Retry-After");
}

/*
 * Takes the bytes of `body`, which are wiped when they have been sent.
 * retry_after_s: 0 = it does not say.
 */
static enum MHD_Result
send_body(struct MHD_Connection *conn, const struct cf_ks *ks,
    unsigned status, const char *type, struct cf_buf *body, bool any_origin,
    unsigned retry_after_s)
{
	struct cf_buf *own = malloc(sizeof *own);
	struct MHD_Response *r;
	enum MHD_Result ret;
	char seconds[12];

	if (own == NULL)
		return MHD_NO;
	*own = *body;
	*body = (struct cf_buf)CF_BUF_INIT_SECRET(own->max);
	r = MHD_create_response_from_buffer_with_free_callback_cls(own->len,
	    own->data == NULL ? "" : own->data, free_wiped, own);
	if (r == NULL) {
		free_wiped(own);
		return MHD_NO;
	}
	common_headers(r, ks, type, any_origin);
	(void)snprintf(seconds, sizeof seconds, "%u", retry_after_s);
	if (retry_after_s > 0)
		header(r, "Retry-After", seconds);
	if (status == 401)
		header(r, "WWW-Authenticate", "Bearer");
	ret = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return ret;
}

static void
write_problem(struct cf_buf *body, enum cf_err rc, const struct cf_why *why)
{
	struct cf_jout out;
	char type[100];

	(void)snprintf(type, sizeof type, "urn:counterfoil:problem:%s",
	    cf_err_slug(rc));
	cf_jout_begin(&out, body);
	cf_jout_str(&out, "type", type);
	cf_jout_str(&out, "title", cf_err_text(rc));
	cf_jout_int(&out, "status", cf_err_http(rc));
	cf_jout_str(&out, "detail", why == NULL || why->text[0] == '\0'
	    ? cf_err_text(rc) : why->text);
	cf_jout_end(&out);
}

static enum MHD_Result
send_problem(struct MHD_Connection *conn, const struct cf_ks *ks,
    enum cf_err rc, const struct cf_why *why, const struct cf_endpoint *ep,
    unsigned retry_after_s)
{
	struct cf_buf body = CF_BUF_INIT_SECRET(2000);

	/* Spread those who come back: 1 to 5 seconds. */
	if (cf_err_http(rc) == 503)
		retry_after_s = 1 + (unsigned)(cf_clock_mono_ms() % 5);
	write_problem(&body, rc, why);
	return send_body(conn, ks, (unsigned)cf_err_http(rc), PROBLEM, &body,
	    ep != NULL && ep->any_origin, retry_after_s);
}

enum MHD_Result
cf_reply_problem(struct MHD_Connection *conn, const struct cf_ks *ks,
    enum cf_err rc, const struct cf_why *why, const struct cf_endpoint *ep)
{
	return send_problem(conn, ks, rc, why, ep, 0);
}

enum MHD_Result
cf_reply_send(struct MHD_Connection *conn, struct cf_req *req)
{
	if (req->rc != CF_OK)
		return send_problem(conn, req->ks, req->rc, &req->why,
		    req->ep, req->retry_after_s);
	if (cf_buf_check(&req->reply, NULL) != CF_OK)
		cf_bug("reply over its ceiling");
	return send_body(conn, req->ks, (unsigned)req->status,
	    req->type == NULL ? JSON : req->type, &req->reply,
	    req->ep->any_origin, 0);
}

enum MHD_Result
cf_reply_preflight(struct MHD_Connection *conn, const struct cf_ks *ks)
{
	struct MHD_Response *r;
	enum MHD_Result ret;

	r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (r == NULL)
		return MHD_NO;
	hsts_header(r, ks);
	header(r, "Allow", "POST, OPTIONS");
	header(r, "Access-Control-Allow-Origin", "*");
	header(r, "Access-Control-Allow-Methods", "POST");
	header(r, "Access-Control-Allow-Headers", "Content-Type");
	header(r, "Access-Control-Max-Age", "86400");
	ret = MHD_queue_response(conn, 204, r);
	MHD_destroy_response(r);
	return ret;
}

enum MHD_Result
cf_reply_method(struct MHD_Connection *conn, const struct cf_ks *ks,
    const struct cf_endpoint *ep)
{
	struct cf_buf body = CF_BUF_INIT(2000);
	struct MHD_Response *r;
	enum MHD_Result ret;

	write_problem(&body, CF_E_METHOD, NULL);
	r = MHD_create_response_from_buffer(body.len, body.data,
	    MHD_RESPMEM_MUST_COPY);
	cf_buf_free(&body);
	if (r == NULL)
		return MHD_NO;
	common_headers(r, ks, PROBLEM, ep->any_origin);
	header(r, "Allow", strcmp(ep->method, "GET") == 0 ? "GET, HEAD"
	    : ep->any_origin ? "POST, OPTIONS" : "POST");
	ret = MHD_queue_response(conn, 405, r);
	MHD_destroy_response(r);
	return ret;
}
