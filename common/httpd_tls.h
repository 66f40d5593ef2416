/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpd_tls - the TLS of our HTTP servers: versions, ciphers, and a
 * certificate that can be changed while they serve.
 *
 * libmicrohttpd asks for the certificate at each handshake, without an
 * argument: there is one for the process.
 * Knows: GnuTLS.
 * Threads: cf_httpd_tls_use() and _end() from one thread; handshakes run in
 * the server's.   Logging: never.
 */
#ifndef CF_COMMON_HTTPD_TLS_H
#define CF_COMMON_HTTPD_TLS_H

#include "common/err.h"
#include "common/mem.h"

struct MHD_OptionItem;

/* A certificate chain and its key. */
struct cf_httpd_tls;

/*
 * Read both PEM files.  Gives *ret; free with cf_httpd_tls_free().
 * CF_E_IO      one cannot be read
 * CF_E_CONFIG  one is not PEM, or they do not belong together
 */
CF_MUST_USE enum cf_err cf_httpd_tls_load(const char *certificate,
    const char *key, struct cf_httpd_tls **ret, struct cf_why *why);
void cf_httpd_tls_free(struct cf_httpd_tls **tls);

/* Takes *tls: it is what handshakes get from here on. */
void cf_httpd_tls_use(struct cf_httpd_tls **tls);
/* Both in one. */
CF_MUST_USE enum cf_err cf_httpd_tls_change(const char *certificate,
    const char *key, struct cf_why *why);
/* Frees all that were used; no server runs any more. */
void cf_httpd_tls_end(void);

#define CF_HTTPD_TLS_ITEMS 2	/* options that it makes */
/*
 * Write the CF_HTTPD_TLS_ITEMS options of a daemon with MHD_USE_TLS: TLS 1.2
 * and 1.3, forward secrecy and AEAD only, the certificate in use.
 */
void cf_httpd_tls_items(struct MHD_OptionItem *items);

#endif
