/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reply - see http_reply.h. */
#include "keysrv/http/http_reply.h"

#include <string.h>

#include "common/clock.h"
#include "common/link.h"
#include "keysrv/counts.h"
#include "keysrv/http/json_out.h"

#define JSON "application/json"
#define PROBLEM "application/problem+json"
#define PROBLEM_MAX 2000	/* bytes */

/* Our own pages have no script, no style and no picture. */
#define PAGE_CSP "default-src 'none'; base-uri 'none'; form-action 'none'; " \
	"frame-ancestors 'none'"

/* By the URL that clients use: TLS may be the work of a proxy. */
static void
hsts_header(struct cf_httpd_response *r, const struct cf_ks *ks)
{
	if (!cf_link_is_plain(ks->settings->service_url))
		cf_httpd_response_add(r, "Strict-Transport-Security",
		    CF_HTTPD_HSTS);
}

static void
common_headers(struct cf_httpd_response *r, const struct cf_ks *ks,
    const char *type, bool any_origin)
{
	cf_httpd_response_add(r, "Content-Type", type);
	cf_httpd_response_add(r, "Cache-Control", "no-store");
	cf_httpd_response_add(r, "X-Content-Type-Options", "nosniff");
	cf_httpd_response_add(r, "Referrer-Policy", "no-referrer");
	cf_httpd_response_add(r, "Content-Security-Policy", PAGE_CSP);
	hsts_header(r, ks);
	if (!any_origin)
		return;
	cf_httpd_response_add(r, "Access-Control-Allow-Origin", "*");
	cf_httpd_response_add(r, "Access-Control-Expose-Headers",
	    "Retry-After");
}

/*
 * Takes the bytes of `body`, which are wiped when they have been sent.
 * retry_after_s: 0 = it does not say.
 */
static void
send_body(struct cf_httpd_req *httpd, const struct cf_ks *ks,
    unsigned status, const char *type, struct cf_buf *body, bool any_origin,
    unsigned retry_after_s)
{
	struct cf_httpd_response *r = cf_httpd_response_new(status, body);
	char seconds[12];

	common_headers(r, ks, type, any_origin);
	(void)snprintf(seconds, sizeof seconds, "%u", retry_after_s);
	if (retry_after_s > 0)
		cf_httpd_response_add(r, "Retry-After", seconds);
	if (status == 401)
		cf_httpd_response_add(r, "WWW-Authenticate", "Bearer");
	cf_httpd_answer(httpd, &r);
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

static void
send_problem(struct cf_httpd_req *httpd, const struct cf_ks *ks,
    enum cf_err rc, const struct cf_why *why, const struct cf_endpoint *ep,
    unsigned retry_after_s)
{
	struct cf_buf body = CF_BUF_INIT_SECRET(PROBLEM_MAX);

	/* Spread those who come back: 1 to 5 seconds. */
	if (cf_err_http(rc) == 503)
		retry_after_s = 1 + (unsigned)(cf_clock_mono_ms() % 5);
	write_problem(&body, rc, why);
	cf_counts_request(ks->counts, ep, rc);
	send_body(httpd, ks, (unsigned)cf_err_http(rc), PROBLEM, &body,
	    ep != NULL && (ep->who & CF_WHO_PAGE) != 0, retry_after_s);
}

void
cf_reply_problem(struct cf_httpd_req *httpd, const struct cf_ks *ks,
    enum cf_err rc, const struct cf_why *why, const struct cf_endpoint *ep)
{
	send_problem(httpd, ks, rc, why, ep, 0);
}

void
cf_reply_send(struct cf_httpd_req *httpd, struct cf_req *req)
{
	if (req->rc != CF_OK) {
		send_problem(httpd, req->ks, req->rc, &req->why, req->ep,
		    req->retry_after_s);
		return;
	}
	if (cf_buf_check(&req->reply, NULL) != CF_OK)
		cf_bug("reply over its ceiling");
	cf_counts_request(req->ks->counts, req->ep, CF_OK);
	send_body(httpd, req->ks, (unsigned)req->status,
	    req->type == NULL ? JSON : req->type, &req->reply,
	    (req->ep->who & CF_WHO_PAGE) != 0, 0);
}

void
cf_reply_preflight(struct cf_httpd_req *httpd, const struct cf_ks *ks)
{
	struct cf_buf nothing = CF_BUF_INIT(0);
	struct cf_httpd_response *r = cf_httpd_response_new(204, &nothing);

	hsts_header(r, ks);
	cf_httpd_response_add(r, "Allow", "POST, OPTIONS");
	cf_httpd_response_add(r, "Access-Control-Allow-Origin", "*");
	cf_httpd_response_add(r, "Access-Control-Allow-Methods", "POST");
	cf_httpd_response_add(r, "Access-Control-Allow-Headers",
	    "Content-Type");
	cf_httpd_response_add(r, "Access-Control-Max-Age", "86400");
	cf_httpd_answer(httpd, &r);
}

void
cf_reply_method(struct cf_httpd_req *httpd, const struct cf_ks *ks,
    const struct cf_endpoint *ep)
{
	struct cf_buf body = CF_BUF_INIT(PROBLEM_MAX);
	struct cf_httpd_response *r;

	write_problem(&body, CF_E_METHOD, NULL);
	cf_counts_request(ks->counts, ep, CF_E_METHOD);
	r = cf_httpd_response_new(405, &body);
	common_headers(r, ks, PROBLEM, (ep->who & CF_WHO_PAGE) != 0);
	cf_httpd_response_add(r, "Allow", strcmp(ep->method, "GET") == 0
	    ? "GET, HEAD" : (ep->who & CF_WHO_PAGE) != 0 ? "POST, OPTIONS"
	    : "POST");
	cf_httpd_answer(httpd, &r);
}
