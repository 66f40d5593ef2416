/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_http - the HTTP server: requests, bodies, replies.
 *
 * Knows: endpoints, header fields, limits.
 * Does not know: connections (httpd.h), keys, SQL.
 * A request that needs the database is suspended here and resumed by
 * cf_http_done(); no HTTP thread waits for anything but its sockets.
 * Threads: those of httpd.h.   Logging: never.
 */
#ifndef CF_KEYSRV_HTTP_H
#define CF_KEYSRV_HTTP_H

#include "common/err.h"
#include "keysrv/http/request.h"

struct cf_http;

/* Listen and serve.  Gives; end with cf_http_stop(). */
CF_MUST_USE enum cf_err cf_http_start(const struct cf_ks *ks,
    struct cf_http **ret, struct cf_why *why);
/*
 * Take no new connections, let requests under way come to their end (at most
 * `limit_ms`).
 */
void cf_http_drain(struct cf_http *http, long limit_ms);
void cf_http_stop(struct cf_http **http);
/*
 * Break off connections that have kept us waiting for longer than
 * request_timeout_s; to be called every second or so.
 */
void cf_http_sweep(struct cf_http *http);
/* The worker is done with a request: its reply can go out. */
void cf_http_done(struct cf_req *req);

#endif
