/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_tls - why a connection could not be made secure, in words.
 *
 * Knows: OpenSSL's verdicts and error codes.   Does not know: sockets.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_CRYPTO_TLS_H
#define CF_COMMON_CRYPTO_TLS_H

#include <stdbool.h>

/*
 * What is wrong with the certificate by OpenSSL's `verdict` on its chain, and
 * what to do; without a bad one it was for another name.  Lends: static.
 */
const char *cf_tls_certificate_trouble(long verdict);
/* Is the trouble who signed it? */
bool cf_tls_is_stranger(long verdict);
/*
 * The same for a handshake that failed before that, by a text that has
 * OpenSSL's "error:0A00010B:" in it.  NULL if it has none: then the
 * connection itself was lost.
 */
const char *cf_tls_handshake_trouble(const char *text);

#endif
