/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpd_gate - how many connections one address has with us, and who is
 * behind a proxy.
 *
 * An IPv6 address counts with its /64, which one machine may have to itself;
 * a proxy that we know brings the connections of many and is not counted.
 * Threads: safe.   Logging: never.
 */
#ifndef CF_COMMON_HTTPD_GATE_H
#define CF_COMMON_HTTPD_GATE_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "common/conf.h"
#include "common/network.h"

struct cf_httpd_gate;

/* One counted connection; zeros: none. */
struct cf_httpd_place {
	bool taken;
	struct cf_network from;
};

/*
 * Gives; free with cf_httpd_gate_free() after the daemon has ended.
 * `proxies`: cf_network_check() was asked; `per_address`: 0 is no limit.
 */
struct cf_httpd_gate *cf_httpd_gate_new(const struct cf_conf_list *proxies,
    long per_address);
void cf_httpd_gate_free(struct cf_httpd_gate **gate);
/* MHD_AcceptPolicyCallback; `cls` is the gate. */
enum MHD_Result cf_httpd_gate_ask(void *cls, const struct sockaddr *address,
    socklen_t len);
/* Count the connection, and let go of it, at its end or when it is trusted. */
void cf_httpd_gate_enter(struct cf_httpd_gate *gate,
    struct MHD_Connection *conn, struct cf_httpd_place *ret);
void cf_httpd_gate_leave(struct cf_httpd_gate *gate,
    struct cf_httpd_place *place);
/*
 * How many were refused since this was last true, and for example whom; for
 * the log, so no more than once a minute.
 */
bool cf_httpd_gate_refused(struct cf_httpd_gate *gate, unsigned *ret_count,
    char ret_address[INET6_ADDRSTRLEN]);
/*
 * Who sent the request: who connected, or who X-Forwarded-For says if that is
 * a proxy that we know.  False if it is not known.
 */
bool cf_httpd_gate_client(const struct cf_httpd_gate *gate,
    struct MHD_Connection *conn, struct cf_network *ret);

#endif
