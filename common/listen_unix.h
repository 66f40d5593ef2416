/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_listen_unix - unix sockets: is the place safe, who may use it.
 *
 * Threads: before they start.   Logging: never.
 */
#ifndef CF_COMMON_LISTEN_UNIX_H
#define CF_COMMON_LISTEN_UNIX_H

#include <stdbool.h>

#include "common/err.h"

struct sockaddr_un;

/*
 * Check the place: the directory of `path`, and those above, must not be
 * writable by others than root, ourselves and `user` (who we shall be, or
 * NULL); nobody may be listening there.
 * CF_E_CONFIG  the place is not safe, or something else is there
 * CF_E_BUSY    somebody listens there
 */
CF_MUST_USE enum cf_err cf_listen_unix_check(const char *path,
    const char *user, struct cf_why *why);
/*
 * Bind and listen, in place of a socket that is there; check first.  Nobody
 * but us may connect before cf_listen_unix_grant() says who.  *ret_fd is
 * close-on-exec and non-blocking.   CF_E_CONFIG
 */
CF_MUST_USE enum cf_err cf_listen_unix(const char *path, int *ret_fd,
    struct cf_why *why);
/* Set mode (octal text), owner (a user's name, or NULL) and group (or NULL). */
CF_MUST_USE enum cf_err cf_listen_unix_grant(const char *path,
    const char *mode, const char *user, const char *group,
    struct cf_why *why);
/* False if the path is too long for one. */
bool cf_listen_unix_address(const char *path, struct sockaddr_un *ret);

#endif
