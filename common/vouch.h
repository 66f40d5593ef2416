/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_vouch - does the issuer's domain cover the sender whom a message names?
 *
 * The page asks the same; tests/vectors/vouched.json holds both.
 *
 * Knows: From fields.   Does not know: whether the key server is believed.
 * Threads: no shared state; cf_composite_init() first.   Logging: never.
 */
#ifndef CF_COMMON_VOUCH_H
#define CF_COMMON_VOUCH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

/*
 * True if the opened message (any bytes) has one From field and every address
 * in it lies in `domain` itself; a domain below it is another one.  The
 * addresses are appended to `from` in visible form, with commas; nothing is
 * if there are none, or several fields between which programs could choose.
 */
bool cf_vouch(const char *message, size_t len, const char *domain,
    struct cf_buf *from);

#endif
