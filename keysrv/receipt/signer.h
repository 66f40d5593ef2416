/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_signer - S/MIME signatures in the receipt sender's name.
 *
 * Knows: CMS detached signatures, certificates for mail, PEM files.
 * Does not know: what is signed.
 * Threads: a loaded signer may be used by many.   Logging: never.
 */
#ifndef CF_KEYSRV_SIGNER_H
#define CF_KEYSRV_SIGNER_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct cf_signer;

enum cf_signer_algorithm {
	CF_SIGNER_P256,
	CF_SIGNER_RSA3072
};

/*
 * Read certificate and key, which must belong together and to `address`.
 * The key file must be its owner's alone.  Gives *ret.
 * CF_E_CONFIG  `why` says which file and what is wrong with it
 */
CF_MUST_USE enum cf_err cf_signer_load(const char *certificate_file,
    const char *key_file, const char *address, struct cf_signer **ret,
    struct cf_why *why);
void cf_signer_free(struct cf_signer **signer);

/* The SHA-256 of its public key; a renewed certificate keeps it. */
#define CF_SIGNER_NAME_LEN 43	/* base64url */
void cf_signer_name(const struct cf_signer *signer,
    char out[CF_SIGNER_NAME_LEN + 1]);
/* When the certificate ends, in clock.h's milliseconds. */
int64_t cf_signer_not_after_ms(const struct cf_signer *signer);

/*
 * Sign the exact bytes of a MIME entity (CRLF lines) and append the whole
 * multipart/signed entity to `out`: its Content-Type, the signed part, the
 * signature, the last boundary.  The signed bytes stand in it unchanged.
 * CF_E_INTERNAL  OpenSSL does not sign;  CF_E_TOO_LARGE  `out` is full
 */
CF_MUST_USE enum cf_err cf_signer_wrap(const struct cf_signer *signer,
    const char *entity, size_t len, struct cf_buf *out, struct cf_why *why);

/*
 * Make a new key (0600) and a certificate for `address` that it signed
 * itself, good for ten years, at paths where nothing is yet.
 * CF_E_ADDRESS  not usable in mail;  CF_E_IO  a file could not be made
 */
CF_MUST_USE enum cf_err cf_signer_create(enum cf_signer_algorithm algorithm,
    const char *address, const char *certificate_file, const char *key_file,
    struct cf_why *why);

#endif
