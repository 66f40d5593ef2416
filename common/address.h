/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_address - mail addresses that every mail server takes as they stand.
 *
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_ADDRESS_H
#define CF_COMMON_ADDRESS_H

#include <stdbool.h>

#define CF_ADDRESS_MAX 254	/* RFC 5321 4.5.3.1.3, without < > */

/*
 * An address that may stand in an envelope and in a header field as it is:
 * dot-atom local part, host name or address literal, ASCII, no more than
 * CF_ADDRESS_MAX characters.
 */
bool cf_address_ok(const char *address);
/*
 * What a key server registers as sender or recipient: 1 to
 * CF_WIRE_ADDRESS_MAX bytes of UTF-8, without control characters.
 */
bool cf_address_registrable(const char *address);
/* Words of letters, digits and hyphens with single dots between them. */
bool cf_address_host_ok(const char *name);

#endif
