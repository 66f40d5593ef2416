/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpd_peers - the connections of a server, and how long each may keep
 * it waiting.
 *
 * libmicrohttpd's own time limit starts anew with each byte, so a client that
 * sends or takes one now and then would stay for ever.
 * Threads: safe.   Logging: never.
 */
#ifndef CF_COMMON_HTTPD_PEERS_H
#define CF_COMMON_HTTPD_PEERS_H

#include <microhttpd.h>
#include <stdint.h>

#include "common/httpd_gate.h"

struct cf_httpd_peers;

/* What a connection is waited for with. */
enum cf_httpd_wait {
	CF_HTTPD_WAIT_REQUEST,	/* its next request, or the rest of one */
	CF_HTTPD_WAIT_US,	/* nothing: it waits for us */
	CF_HTTPD_WAIT_ANSWER,	/* to take its answer */
	CF_HTTPD_WAIT__COUNT
};

/*
 * `limit_ms` for each wait; CF_HTTPD_WAIT_US has none.  `gate` is lent.
 * Gives; free when the daemon has ended.
 */
struct cf_httpd_peers *cf_httpd_peers_new(struct cf_httpd_gate *gate,
    const int64_t limit_ms[CF_HTTPD_WAIT__COUNT]);
void cf_httpd_peers_free(struct cf_httpd_peers **peers);
/* MHD_NotifyConnectionCallback; `cls` are the peers. */
void cf_httpd_peers_on_connection(void *cls, struct MHD_Connection *conn,
    void **context, enum MHD_ConnectionNotificationCode code);
/* From now on its time for this runs. */
void cf_httpd_peers_wait(const struct cf_httpd_peers *peers,
    struct MHD_Connection *conn, enum cf_httpd_wait wait);
/* The gate counts it no longer. */
void cf_httpd_peers_trust(const struct cf_httpd_peers *peers,
    struct MHD_Connection *conn);
/* Break off those over their time. */
void cf_httpd_peers_sweep(struct cf_httpd_peers *peers);

#endif
