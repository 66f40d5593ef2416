/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reply - see http_reply.h. */
#include "keysrv/http_reply.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
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

static void
common_headers(struct MHD_Response *r, const char *type, bool any_origin,
    bool tls)
{
	header(r, "Content-Type", type);
	header(r, "Cache-Control", "no-store");
	header(r, "X-Content-Type-Options", "nosniff");
	header(r, "Referrer-Policy", "no-referrer");
	header(r, "Content-Security-Policy", PAGE_CSP);
	if (tls)
		header(r, "Strict-Transport-Security", "max-age=31536000");
	if (!any_origin)
		return;
	header(r, "Access-Control-Allow-Origin", "*");
	header(r, "Access-Control-Expose-Headers", "Retry-After");
}

/* Takes the bytes of `body`, which are wiped when they have been sent. */
static enum MHD_Result
send_body(struct MHD_Connection *conn, unsigned status, const char *type,
    struct cf_buf *body, bool any_origin, bool tls)
{
	struct cf_buf *own = malloc(sizeof *own);
	struct MHD_Response *r;
	enum MHD_Result ret;
	char seconds[2] = "1";

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
	common_headers(r, type, any_origin, tls);
	if (status == 503) {
		/* Spread those who come back: 1 to 5 seconds. */
		seconds[0] = (char)('1' + cf_clock_mono_ms() % 5);
		header(r, "Retry-After", seconds);
	}
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

enum MHD_Result
cf_reply_problem(struct MHD_Connection *conn, enum cf_err rc,
    const struct cf_why *why, const struct cf_endpoint *ep, bool tls)
{
	struct cf_buf body = CF_BUF_INIT_SECRET(2000);

	write_problem(&body, rc, why);
	return send_body(conn, (unsigned)cf_err_http(rc), PROBLEM, &body,
	    ep != NULL && ep->any_origin, tls);
}

enum MHD_Result
cf_reply_send(struct MHD_Connection *conn, struct cf_req *req)
{
	bool tls = req->ks->settings->tls_key != NULL;

	if (req->rc != CF_OK)
		return cf_reply_problem(conn, req->rc, &req->why, req->ep, tls);
	if (cf_buf_check(&req->reply, NULL) != CF_OK)
		cf_bug("reply over its ceiling");
	return send_body(conn, (unsigned)req->status,
	    req->type == NULL ? JSON : req->type, &req->reply,
	    req->ep->any_origin, tls);
}

static enum MHD_Result
send_empty(struct MHD_Connection *conn, unsigned status, const char *name,
    const char *value, bool cors)
{
	struct MHD_Response *r;
	enum MHD_Result ret;

	r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (r == NULL)
		return MHD_NO;
	header(r, name, value);
	if (cors) {
		header(r, "Access-Control-Allow-Origin", "*");
		header(r, "Access-Control-Allow-Methods", "POST");
		header(r, "Access-Control-Allow-Headers", "Content-Type");
		header(r, "Access-Control-Max-Age", "86400");
	}
	ret = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return ret;
}

enum MHD_Result
cf_reply_preflight(struct MHD_Connection *conn)
{
	return send_empty(conn, 204, "Allow", "POST, OPTIONS", true);
}

enum MHD_Result
cf_reply_method(struct MHD_Connection *conn, const struct cf_endpoint *ep)
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
	common_headers(r, PROBLEM, ep->any_origin, false);
	header(r, "Allow", strcmp(ep->method, "GET") == 0 ? "GET, HEAD"
	    : ep->any_origin ? "POST, OPTIONS" : "POST");
	ret = MHD_queue_response(conn, 405, r);
	MHD_destroy_response(r);
	return ret;
}
