/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_standing - what the configuration makes of a client and of an address:
 * may it use the flag, is it ours, is it a list?
 *
 * Knows: the lists of the configuration.   Does not know: messages.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_STANDING_H
#define CF_MILTER_STANDING_H

#include <stdbool.h>
#include <sys/socket.h>

#include "milter/gateway/snapshot.h"

/* May this client use the flag?  `user` and `daemon` may be NULL. */
bool cf_standing_entitled(const struct cf_snapshot *snapshot,
    const struct sockaddr *client, const char *user, const char *daemon);
/*
 * May who authenticated as `login` send as `sender`, a bare address?  It is
 * the login, or the login at one of local_domains.
 */
bool cf_standing_is_login_of(const struct cf_snapshot *snapshot,
    const char *login, const char *sender);
/* Is the address's domain in local_domains?  One without @ is local. */
bool cf_standing_is_local(const struct cf_snapshot *snapshot,
    const char *address);
/* Is the address in list_addresses, itself or by its domain? */
bool cf_standing_is_list(const struct cf_snapshot *snapshot,
    const char *address);

#endif
