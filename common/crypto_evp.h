/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files that encrypt with OpenSSL's EVP share.
 *
 * Threads: OpenSSL's queue of errors is each thread's own.   Logging: never.
 */
#ifndef CF_COMMON_CRYPTO_EVP_H
#define CF_COMMON_CRYPTO_EVP_H

#include <openssl/evp.h>

#include "common/err.h"

/* EVP counts in int; larger runs are cut here. */
#define CF_EVP_PIECE ((size_t)1 << 30)

/* Wipes the key schedule.  For CF_AUTO; NULL inside is fine. */
void cf_cipher_free(EVP_CIPHER_CTX **ctx);

/*
 * OpenSSL refused.  `rc` with "what: reason": the oldest entry of its queue,
 * which is the cause; the queue is emptied.
 */
enum cf_err cf_evp_fail(enum cf_err rc, struct cf_why *why, const char *what);

#endif
