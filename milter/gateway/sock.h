/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_sock - the milter's socket: is its place safe, who may use it.
 *
 * Threads: before they start.   Logging: never.
 */
#ifndef CF_MILTER_SOCK_H
#define CF_MILTER_SOCK_H

#include "common/err.h"

/*
 * Check the place of a unix socket: its directory, and those above, must not
 * be writable by others than root, ourselves and `user` (who we shall be, or
 * NULL); nobody may be listening there.  Of inet: is the address ours?
 * CF_E_CONFIG  the place is not safe or not ours, or something else is there
 * CF_E_BUSY    somebody listens there
 */
CF_MUST_USE enum cf_err cf_sock_check(const char *socket, const char *user,
    struct cf_why *why);
/*
 * Set mode (octal text), owner (a user's name, or NULL) and group (or NULL)
 * of a unix socket.
 */
CF_MUST_USE enum cf_err cf_sock_grant(const char *socket, const char *mode,
    const char *user, const char *group, struct cf_why *why);

/*
 * Connect to our own socket and hang up: libmilter's listener and workers
 * look around (mf_callbacks.c says why).  Never waits.   Threads: safe.
 */
void cf_sock_nudge(void);
/* Where cf_sock_nudge() goes; once, before threads start. */
CF_MUST_USE enum cf_err cf_sock_set_nudge(const char *socket,
    struct cf_why *why);
/* Move a unix socket to another name, so that no new peer finds it. */
void cf_sock_hide(void);
/*
 * Read nothing more from our peers: each of their connections ends as if the
 * peer had closed it.  What is written to them still goes out.
 */
void cf_sock_hang_up(void);
/* Remove what cf_sock_hide() moved. */
void cf_sock_remove(void);

#endif
