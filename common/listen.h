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

#endif
