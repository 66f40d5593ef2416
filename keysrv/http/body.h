/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_body - what comes with a request, as its endpoint wants it.
 *
 * Knows: media types, what each enum cf_body is read into, that forms must be
 * ours.
 * Does not know: the HTTP library, what bodies mean.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_BODY_H
#define CF_KEYSRV_BODY_H

#include "keysrv/http/request.h"

/*
 * May the body come, by the header of `req`?  Parameters of the Content-Type
 * are not looked at.
 * CF_E_MEDIA_TYPE  not with this Content-Type; `why` says with which
 * CF_E_FORM        as cf_csrf_check_header()
 */
CF_MUST_USE enum cf_err cf_body_check_header(const struct cf_req *req,
    struct cf_why *why);
/*
 * Read the whole body into req->json, which the caller frees, or req->raw,
 * which lends from `body`.
 * CF_E_TOO_LARGE  it was over its ceiling
 * CF_E_SYNTAX     not of its form
 * CF_E_FORM       as cf_csrf_check_token()
 */
CF_MUST_USE enum cf_err cf_body_read(struct cf_req *req,
    const struct cf_buf *body, struct cf_why *why);

#endif
