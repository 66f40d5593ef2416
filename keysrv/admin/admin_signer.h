/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_admin_signer - `counterfoil-admin signer new`: a key and a certificate
 * for the address that receipts come from.
 *
 * Threads: no shared state.   Logging: never; one line on `out`.
 */
#ifndef CF_KEYSRV_ADMIN_SIGNER_H
#define CF_KEYSRV_ADMIN_SIGNER_H

#include <stdio.h>

#include "common/err.h"

/*
 * Make both files, which must not exist, and say on `out` what to put into
 * the configuration.  `algorithm` is "p256", "rsa3072" or NULL for the
 * first.  Needs no configuration and no database.
 * CF_E_CONFIG   unknown algorithm;  else as cf_signer_create()
 */
CF_MUST_USE enum cf_err cf_admin_signer_new(const char *address,
    const char *certificate_file, const char *key_file,
    const char *algorithm, FILE *out, struct cf_why *why);

#endif
