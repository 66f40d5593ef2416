/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_digest - SHA-256 (FIPS 180-4) and HMAC-SHA256 (RFC 2104).
 *
 * They cannot fail but for want of memory, which ends the program like any
 * other want of memory.
 * Threads: no shared state; a running digest belongs to one at a time.
 * Logging: never.
 */
#ifndef CF_COMMON_DIGEST_H
#define CF_COMMON_DIGEST_H

#include <stddef.h>

#include "common/err.h"
#include "common/secret.h"

#define CF_DIGEST_LEN 32

/* A SHA-256 that is fed piece by piece. */
struct cf_digest;

/* Gives; free with cf_digest_free(), also before its end. */
struct cf_digest *cf_digest_new(void);
void cf_digest_free(struct cf_digest **digest);
void cf_digest_add(struct cf_digest *digest, const void *data, size_t len);
/* Once, after the last piece; another piece then is our bug. */
void cf_digest_end(struct cf_digest *digest,
    unsigned char ret[CF_DIGEST_LEN]);

/* Of `len` bytes at once. */
void cf_digest_of(const void *data, size_t len,
    unsigned char ret[CF_DIGEST_LEN]);
/* HMAC-SHA256. */
void cf_hmac(const struct cf_secret *key, const void *data, size_t len,
    unsigned char ret[CF_DIGEST_LEN]);

#endif
