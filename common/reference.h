/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_ref - the message reference: the same for every attempt at one mail.
 *
 * An HMAC under a secret of the gateway over sender, recipient, Message-ID
 * and a digest of the message, so that only the gateway can make it and the
 * key server learns nothing of the message.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_REFERENCE_H
#define CF_COMMON_REFERENCE_H

#include "common/digest.h"
#include "common/secret.h"
#include "common/wire.h"

/*
 * `message`: a running digest of what is to be known again, which is ended.
 */
void cf_ref_make(struct cf_digest *message, const struct cf_secret *secret,
    const char *sender, const char *recipient, const char *message_id,
    unsigned char ret[CF_REF_LEN]);

/*
 * By what a key server knows the secret: gateways of one account that do not
 * share it would make two messages of one mail.  It tells nothing of it.
 */
void cf_ref_check(const struct cf_secret *secret,
    unsigned char ret[CF_REF_CHECK_LEN]);

#endif
