/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_reply - the only writer of HTTP replies: problem details, CORS and the
 * headers that every answer carries.  Included by http*.c only.
 */
#ifndef CF_KEYSRV_HTTP_REPLY_H
#define CF_KEYSRV_HTTP_REPLY_H

#include <microhttpd.h>

#include "keysrv/request.h"

/* Send what req->rc, req->reply and req->why say; takes the reply's bytes. */
enum MHD_Result cf_reply_send(struct MHD_Connection *conn,
    struct cf_req *req);
/* The answer to a preflight request of the recipient API. */
enum MHD_Result cf_reply_preflight(struct MHD_Connection *conn,
    const struct cf_ks *ks);
/* 405, with the method that the path takes. */
enum MHD_Result cf_reply_method(struct MHD_Connection *conn,
    const struct cf_ks *ks, const struct cf_endpoint *ep);
/* A problem before there is a request.  `why` and `ep` may be NULL. */
enum MHD_Result cf_reply_problem(struct MHD_Connection *conn,
    const struct cf_ks *ks, enum cf_err rc, const struct cf_why *why,
    const struct cf_endpoint *ep);

#endif
