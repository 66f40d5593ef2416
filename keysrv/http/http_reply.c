/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reply - see http_reply.h. */
#include "keysrv/http/http_reply.h"

#include <string.h>

#include "common/clock.h"
#include "common/link.h"
#include "common/wire.h"
#include "keysrv/counts.h"
#include "keysrv/http/json_out.h"

#define PROBLEM "application/problem+json"
#define PROBLEM_MAX 8000	/* bytes */

/* Our own pages have no script, no style and no picture. */
#define PAGE_CSP(form) "default-src 'none'; base-uri 'none'; form-action " \
	form "; frame-ancestors 'none'"

/* By the URL that clients use: TLS may be the work of a proxy. */
static void
hsts_header(struct cf_httpd_response *r, const struct cf_ks *ks)
{
	if (!cf_link_is_plain(ks->settings->service_url))
		cf_httpd_response_add(r, "Strict-Transport-Security",
		    CF_HTTPD_HSTS);
}

/* What is said of a body in front of it. */
struct head {
	unsigned status;
	const char *type;
	const struct cf_endpoint *ep;	/* NULL: there is none */
	struct cf_page page;		/* if it is one */
	const struct cf_req *req;	/* its fields go along; may be NULL */
	unsigned retry_after_s;		/* 0: it does not say */
};

static bool
is_for_any_origin(const struct cf_endpoint *ep)
{
	return ep != NULL && (ep->who & CF_WHO_PAGE) != 0;
}

static void
page_headers(struct cf_httpd_response *r, const struct cf_page *page)
{
	/* With "no-referrer" browsers send forms with "Origin: null". */
	cf_httpd_response_add(r, "Referrer-Policy", page->has_form ?
	    "same-origin" : "no-referrer");
	cf_httpd_response_add(r, "Content-Security-Policy", page->has_form ?
	    PAGE_CSP("'self'") : PAGE_CSP("'none'"));
	if (page->out == NULL)
		return;
	cf_httpd_response_add(r, "Cross-Origin-Opener-Policy", "same-origin");
	cf_httpd_response_add(r, "Cross-Origin-Resource-Policy",
	    "same-origin");
}

static void
common_headers(struct cf_httpd_response *r, const struct cf_ks *ks,
    const struct head *head)
{
	cf_httpd_response_add(r, "Content-Type", head->type);
	cf_httpd_response_add(r, "Cache-Control", "no-store");
	cf_httpd_response_add(r, "X-Content-Type-Options", "nosniff");
	page_headers(r, &head->page);
	hsts_header(r, ks);
	if (!is_for_any_origin(head->ep))
		return;
	cf_httpd_response_add(r, "Access-Control-Allow-Origin", "*");
	cf_httpd_response_add(r, "Access-Control-Expose-Headers",
	    "Retry-After");
}

/* Takes the bytes of `body`, which are wiped when they have been sent. */
static void
send_body(struct cf_httpd_req *httpd, const struct cf_ks *ks,
    const struct head *head, struct cf_buf *body)
{
	struct cf_httpd_response *r = cf_httpd_response_new(head->status,
	    body);
	char seconds[12];
	size_t i;

	common_headers(r, ks, head);
	for (i = 0; head->req != NULL && i < head->req->field_count; i++)
		cf_httpd_response_add(r, head->req->fields[i].name,
		    head->req->fields[i].value);
	(void)snprintf(seconds, sizeof seconds, "%u", head->retry_after_s);
	if (head->retry_after_s > 0)
		cf_httpd_response_add(r, "Retry-After", seconds);
	if (head->status == 401)
		cf_httpd_response_add(r, "WWW-Authenticate", "Bearer");
	cf_httpd_answer(httpd, &r);
}

static void
write_json(struct head *head, struct cf_buf *body, enum cf_err rc,
    const struct cf_why *why)
{
	struct cf_jout out;
	char type[100];

	(void)snprintf(type, sizeof type, CF_PROBLEM "%s",
	    cf_err_slug(rc));
	cf_jout_begin(&out, body);
	cf_jout_str(&out, "type", type);
	cf_jout_str(&out, "title", cf_err_text(rc));
	cf_jout_int(&out, "status", cf_err_http(rc));
	cf_jout_str(&out, "detail", why == NULL || why->text[0] == '\0'
	    ? cf_err_text(rc) : why->text);
	cf_jout_end(&out);
	head->type = PROBLEM;
}

/* Who sends a form looks at what comes back. */
static void
write_page(struct head *head, struct cf_buf *body, enum cf_err rc,
    const struct cf_why *why)
{
	cf_page_begin(&head->page, body, "en", cf_err_text(rc));
	if (why != NULL && why->text[0] != '\0')
		cf_page_para(&head->page, why->text);
	cf_page_end(&head->page);
	head->type = CF_PAGE_TYPE;
}

static void
write_problem(struct head *head, struct cf_buf *body, enum cf_err rc,
    const struct cf_why *why)
{
	if (head->ep != NULL && head->ep->body == CF_BODY_FORM)
		write_page(head, body, rc, why);
	else
		write_json(head, body, rc, why);
}

static void
send_problem(struct cf_httpd_req *httpd, const struct cf_ks *ks,
    struct head *head, enum cf_err rc, const struct cf_why *why)
{
	struct cf_buf body = CF_BUF_INIT_SECRET(PROBLEM_MAX);

	head->status = (unsigned)cf_err_http(rc);
	/* Spread those who come back: 1 to 5 seconds. */
	if (head->status == 503)
		head->retry_after_s = 1 + (unsigned)(cf_clock_mono_ms() % 5);
	write_problem(head, &body, rc, why);
	cf_counts_request(ks->counts, head->ep, rc);
	send_body(httpd, ks, head, &body);
}

void
cf_reply_problem(struct cf_httpd_req *httpd, const struct cf_ks *ks,
    enum cf_err rc, const struct cf_why *why, const struct cf_endpoint *ep)
{
	struct head head = { .ep = ep };

	send_problem(httpd, ks, &head, rc, why);
}

void
cf_reply_send(struct cf_httpd_req *httpd, struct cf_req *req)
{
	struct head head = { .status = (unsigned)req->status,
	    .type = req->type == NULL ? CF_MEDIA_JSON : req->type,
	    .ep = req->ep, .page = req->page, .req = req };

	if (req->rc != CF_OK) {
		head.retry_after_s = req->retry_after_s;
		send_problem(httpd, req->ks, &head, req->rc, &req->why);
		return;
	}
	if (cf_buf_check(&req->reply, NULL) != CF_OK)
		cf_bug("reply over its ceiling");
	if (req->page.place != CF_PAGE_CLOSED)
		cf_bug("a page without its end");
	cf_counts_request(req->ks->counts, req->ep, CF_OK);
	send_body(httpd, req->ks, &head, &req->reply);
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
	struct head head = { .status = 405, .ep = ep };
	struct cf_buf body = CF_BUF_INIT(PROBLEM_MAX);
	struct cf_httpd_response *r;

	write_problem(&head, &body, CF_E_METHOD, NULL);
	cf_counts_request(ks->counts, ep, CF_E_METHOD);
	r = cf_httpd_response_new(head.status, &body);
	common_headers(r, ks, &head);
	cf_httpd_response_add(r, "Allow", strcmp(ep->method, "GET") == 0
	    ? "GET, HEAD" : is_for_any_origin(ep) ? "POST, OPTIONS" : "POST");
	cf_httpd_answer(httpd, &r);
}
