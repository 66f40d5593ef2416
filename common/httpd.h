/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpd - what our HTTP servers have in common: their TLS and what they
 * take from a client.
 *
 * Knows: libmicrohttpd, and what it lets pass.   Does not know: routes.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_HTTPD_H
#define CF_COMMON_HTTPD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

/* RFC 6797; for every answer of a service that links name with https. */
#define CF_HTTPD_HSTS "max-age=31536000"

/* Certificate chain and key, PEM, as long as the daemon runs. */
struct cf_httpd_tls {
	struct cf_buf certificate, key;
};
#define CF_HTTPD_TLS_ITEMS 3	/* options that it makes */

/*
 * Read both files.  Gives *ret; free with cf_httpd_tls_free().
 * CF_E_IO  one cannot be read
 */
CF_MUST_USE enum cf_err cf_httpd_tls_load(const char *certificate,
    const char *key, struct cf_httpd_tls *ret, struct cf_why *why);
/* NULL in both is none; wipes the key. */
void cf_httpd_tls_free(struct cf_httpd_tls *tls);
/*
 * Write the CF_HTTPD_TLS_ITEMS options of a daemon with MHD_USE_TLS: TLS 1.2
 * and 1.3, forward secrecy and AEAD only.  They lend the bytes of `tls`.
 */
void cf_httpd_tls_items(const struct cf_httpd_tls *tls,
    struct MHD_OptionItem *items);

/*
 * For MHD_OPTION_UNESCAPE_CALLBACK: paths and query values stay as they
 * came, so that %00 cannot end one.
 */
size_t cf_httpd_no_unescape(void *cls, struct MHD_Connection *conn, char *s);
/*
 * What the library lets pass and others in front may have read otherwise:
 * false for a second Host field, or a control character in a field.
 */
bool cf_httpd_is_sound(struct MHD_Connection *conn);

#endif
