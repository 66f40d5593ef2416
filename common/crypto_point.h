/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_point - is it an Ed25519 public key that can mean something?
 *
 * libcrypto takes any 32 bytes for one, and finds out when a signature does
 * not hold, or holds for everything.  So whoever accepts a key asks first.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_CRYPTO_POINT_H
#define CF_COMMON_CRYPTO_POINT_H

#include <stdbool.h>

#define CF_POINT_LEN 32

/*
 * One of the encodings, canonical or not, of a point of small order: under
 * such a "key" signatures can be made that hold for any text.
 */
bool cf_point_is_weak(const unsigned char point[CF_POINT_LEN]);
/*
 * The one encoding (y < p) of a point on the curve (RFC 8032 5.1.3) that is
 * not of small order.
 */
bool cf_point_is_key(const unsigned char point[CF_POINT_LEN]);

#endif
