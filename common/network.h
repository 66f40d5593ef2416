/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_network - addresses and networks of IPv4 and IPv6.
 *
 * An IPv4 address in IPv6 clothes (::ffff:192.0.2.1) counts as IPv4.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_NETWORK_H
#define CF_COMMON_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/err.h"

struct cf_network {
	int family;		/* AF_INET or AF_INET6 */
	unsigned char bits[16];
	unsigned prefix;	/* leading bits that must agree */
};

/* ADDRESS or ADDRESS/PREFIX; false for anything else. */
bool cf_network_parse(const char *text, struct cf_network *ret);
/* For option tables: one of these, without bits behind the prefix. */
enum cf_err cf_network_check(const char *value, struct cf_why *why);
/* The address alone; false for families other than IP. */
bool cf_network_of(const struct sockaddr *address, struct cf_network *ret);
/*
 * Who is behind the proxies that we know: if `address` is in one of them, the
 * last address in `forwarded` (X-Forwarded-For, untrusted, may be NULL) that
 * is not.  What was written before that one, the client may have made up.
 */
void cf_network_behind(const struct cf_network *proxies, size_t count,
    const char *forwarded, struct cf_network *address);
/* The network of so many bits that it is in; it has no fewer. */
void cf_network_cut(struct cf_network *network, unsigned prefix);
/* Is the one (an address or a smaller network) inside the other? */
bool cf_network_has(const struct cf_network *network,
    const struct cf_network *inside);
/* Is it inside any of these? */
bool cf_network_in(const struct cf_network *networks, size_t count,
    const struct cf_network *inside);

#endif
