/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_reply - the only writer of HTTP replies: problem details, CORS and the
 * headers that every answer carries.  It counts them, but for preflights.
 * Included by http*.c only.
 */
#ifndef CF_KEYSRV_HTTP_REPLY_H
#define CF_KEYSRV_HTTP_REPLY_H

#include "common/httpd.h"
#include "keysrv/http/request.h"

/* Send what req->rc, req->reply and req->why say; takes the reply's bytes. */
void cf_reply_send(struct cf_httpd_req *httpd,
    struct cf_req *req);
/* The answer to a preflight request of the recipient API. */
void cf_reply_preflight(struct cf_httpd_req *httpd,
    const struct cf_ks *ks);
/* 405, with the method that the path takes. */
void cf_reply_method(struct cf_httpd_req *httpd,
    const struct cf_ks *ks, const struct cf_endpoint *ep);
/* A problem before there is a request.  `why` and `ep` may be NULL. */
void cf_reply_problem(struct cf_httpd_req *httpd,
    const struct cf_ks *ks, enum cf_err rc, const struct cf_why *why,
    const struct cf_endpoint *ep);

#endif
