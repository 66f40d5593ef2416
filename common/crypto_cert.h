/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_cert - does a certificate file serve its purpose, and how long?
 *
 * For the programs that serve HTTPS or sign.  Knows: PEM files, dates,
 * names, keys.   Does not know: who trusts the issuer (the clients do).
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_CRYPTO_CERT_H
#define CF_COMMON_CRYPTO_CERT_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/finding.h"

/*
 * Read the first certificate of the PEM file `path`: append its DER to `ret`,
 * and its end in clock.h's milliseconds to *ret_not_after_ms (both may be
 * NULL).
 * CF_E_CONFIG  there is none
 */
CF_MUST_USE enum cf_err cf_cert_read(const char *path, struct cf_buf *ret,
    int64_t *ret_not_after_ms, struct cf_why *why);
/*
 * Look at the PEM file `certificate`, at the time `now_ms` (clock.h): the
 * dates of every certificate in it; the first one's names against the host
 * of `service` (an URL as cf_link_check_service() takes it; NULL or not
 * https: not looked at); whether the PEM file `key` (NULL: not looked at)
 * has its key.  Says one or more findings about `certificate`; an end that
 * is near is a warning, a certificate that clients refuse is an error.
 */
void cf_cert_check(struct cf_findings *findings, const char *certificate,
    const char *key, const char *service, int64_t now_ms);

#endif
