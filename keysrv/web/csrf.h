/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_csrf - does a form come from a page of ours that its sender was shown?
 *
 * Another site's page can make a browser send us a form, with our cookies.
 * Three things tell it from ours: the header fields in which browsers say
 * where a form comes from, and a token in the form that only our page to the
 * same visitor has.  The token is time || random || HMAC-SHA256(secret,
 * visitor || time || random), the secret being one that all servers share.
 * body.c asks for every form, before its endpoint sees it.
 *
 * A visitor is who has the cookie CF_CSRF_COOKIE, 32 random bytes, which the
 * first page with a form gives him.  Whoever logs him in gives him a new one:
 * one that somebody else may know, or whose tokens do, is no session.
 *
 * Knows: header fields, cookies.   Does not know: accounts, the database.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_CSRF_H
#define CF_KEYSRV_CSRF_H

#include "keysrv/http/request.h"
#include "keysrv/web/cookie.h"

#define CF_CSRF_COOKIE CF_COOKIE_PREFIX "counterfoil"
#define CF_CSRF_COOKIE_LEN 32		/* bytes; 43 characters */
#define CF_CSRF_COOKIE_AGE_S 86400	/* of a visitor's, unless renewed */
#define CF_CSRF_LIFETIME_S 43200	/* of a token */

/* The cookie that came with `req`; false: none, or none of that form. */
bool cf_csrf_visitor(const struct cf_req *req, struct cf_secret *ret);
/*
 * Open a form on the page that is req's reply (cf_req_page()): with its
 * token, and with a cookie for a visitor who has none.
 */
void cf_csrf_form_open(struct cf_req *req, const char *path);
/*
 * By the header of `req`: Origin must be ours and Sec-Fetch-Site
 * `same-origin`, where they are there, and one of them must be.
 * CF_E_FORM  no; `why` says where to look
 */
CF_MUST_USE enum cf_err cf_csrf_check_header(const struct cf_req *req,
    struct cf_why *why);
/*
 * Take the token out of `form` and check it in constant time.
 * CF_E_FORM  none, another visitor's, or too old
 */
CF_MUST_USE enum cf_err cf_csrf_check_token(const struct cf_req *req,
    json_t *form, struct cf_why *why);

#endif
