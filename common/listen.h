/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_listen - a listening TCP socket from "address:port".
 *
 * Knows: numeric addresses, `localhost`, loopback.   Does not know: HTTP.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_LISTEN_H
#define CF_COMMON_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/err.h"

/*
 * Is the address one that only this machine reaches (127.0.0.0/8, [::1],
 * localhost)?  CF_E_CONFIG when it is no numeric address.
 */
CF_MUST_USE enum cf_err cf_listen_is_loopback(const char *address,
    bool *ret_loopback, struct cf_why *why);
/*
 * Bind and listen; *ret_fd is close-on-exec and non-blocking.
 * CF_E_CONFIG  not an address, or it cannot be had
 */
CF_MUST_USE enum cf_err cf_listen_tcp(const char *address, int *ret_fd,
    struct cf_why *why);
/* Does this machine have the address? */
bool cf_listen_has(const struct sockaddr_storage *address, socklen_t len);
/*
 * Could we listen there, as far as the address goes?  Whether its port is in
 * use or ours to have is not looked at: that a daemon runs is no mistake.
 * CF_E_CONFIG  not an address, or one of another machine
 */
CF_MUST_USE enum cf_err cf_listen_check(const char *address,
    struct cf_why *why);

#endif
