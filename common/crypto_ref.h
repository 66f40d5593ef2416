/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_ref - the message reference: the same for every attempt at one mail.
 *
 * An HMAC under a secret of the gateway over sender, recipient, Message-ID
 * and a digest of the message, so that only the gateway can make it and the
 * key server learns nothing of the message.
 * Threads: no shared state; one digest belongs to one thread at a time.
 */
#ifndef CF_COMMON_CRYPTO_REF_H
#define CF_COMMON_CRYPTO_REF_H

#include <stddef.h>

#include "common/err.h"
#include "common/secret.h"
#include "common/wire.h"


struct cf_ref;		/* a running SHA-256 */

/* Gives; free with cf_ref_free(). */
struct cf_ref *cf_ref_new(void);
void cf_ref_free(struct cf_ref **ref);
void cf_ref_update(struct cf_ref *ref, const void *data, size_t len);
/* Once, after the last update. */
void cf_ref_final(struct cf_ref *ref, const struct cf_secret *secret,
    const char *sender, const char *recipient, const char *message_id,
    unsigned char ret[CF_REF_LEN]);

/*
 * By what a key server knows the secret: gateways of one account that do not
 * share it would make two messages of one mail.  It tells nothing of it.
 */
void cf_ref_check(const struct cf_secret *secret,
    unsigned char ret[CF_REF_CHECK_LEN]);

#endif
