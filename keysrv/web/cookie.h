/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_cookie - cookies (RFC 6265): one out of a Cookie field, one into a
 * Set-Cookie field.
 *
 * All of ours are named __Host-...: browsers take such only from this very
 * host over TLS, for all of its paths, so that no neighbour can plant one
 * (RFC 6265bis 4.1.3.2).
 * Knows: the grammar.   Does not know: what a cookie is for.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_COOKIE_H
#define CF_KEYSRV_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define CF_COOKIE_PREFIX "__Host-"

/*
 * The value of the cookie `name` in the Cookie field `header` (untrusted; NULL:
 * there is none).  Lends from it.  False: it is not there, or twice, or not of
 * cookie's characters.  Others, which somebody else on this host may have
 * set, are passed over whatever they look like.
 */
bool cf_cookie_find(const char *header, const char *name, const char **ret,
    size_t *ret_len);
/*
 * Append a Set-Cookie field's value for a cookie that only we see again:
 * Secure, HttpOnly, SameSite=Lax.  It lives for `max_age_s`; 0 takes it away.
 * Another name than CF_COOKIE_PREFIX..., or a value with other characters
 * than those of b64url, is our bug.
 */
void cf_cookie_write(struct cf_buf *out, const char *name, const char *value,
    int64_t max_age_s);

#endif
