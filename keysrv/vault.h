/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_vault - the wall around decryption keys.
 *
 * The only file that sees a decryption key Kd in clear; outside it appears
 * once, as text in the wiped body of the answer that carries it.  Stored it
 * is wrapped twice: inside by AES-256-KWP under HKDF(token of the link),
 * outside by AES-256-GCM under HKDF(master key, salt of the row) with key id,
 * account and master key version as associated data.
 *
 * Knows: the master key file, OpenSSL.   Does not know: SQL, HTTP, criteria
 * (release.c asks only after they hold).
 * Threads: a loaded vault is const.   Logging: never.
 */
#ifndef CF_KEYSRV_VAULT_H
#define CF_KEYSRV_VAULT_H

#include <stdint.h>

#include "common/err.h"
#include "common/link.h"
#include "common/proofs.h"
#include "common/secret.h"

#define CF_VAULT_KEY_LEN CF_KEK_LEN	/* Kd */
#define CF_VAULT_SALT_LEN 16
#define CF_VAULT_WRAPPED_LEN (12 + (CF_VAULT_KEY_LEN + 8) + 16)

struct cf_vault;

/* What the database keeps of one key. */
struct cf_vault_row {
	int64_t version;	/* of the master key */
	unsigned char salt[CF_VAULT_SALT_LEN];
	unsigned char wrapped[CF_VAULT_WRAPPED_LEN];
};

/*
 * Read a master key file: lines "version base64url", version from 1 up, the
 * highest one seals.  Gives; free with cf_vault_free().
 * CF_E_CONFIG  readable by others, not a regular file, or not of that form
 */
CF_MUST_USE enum cf_err cf_vault_load(const char *path,
    struct cf_vault **ret, struct cf_why *why);
void cf_vault_free(struct cf_vault **vault);
/* A new file with one random key, version 1.  CF_E_IO if it exists. */
CF_MUST_USE enum cf_err cf_vault_new_file(const char *path,
    struct cf_why *why);

/* A fresh Kd: the row to store, its commitment, and Kd itself. */
CF_MUST_USE enum cf_err cf_vault_make(const struct cf_vault *vault,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t account_id,
    const struct cf_secret *token, struct cf_vault_row *ret_row,
    unsigned char ret_commitment[CF_COMMITMENT_LEN],
    struct cf_secret *ret_kd, struct cf_why *why);
/*
 * Kd out of a stored row.  CF_E_INTERNAL: not sealed by this vault with
 * these ids, or another token; `why` says which layer failed.
 */
CF_MUST_USE enum cf_err cf_vault_open(const struct cf_vault *vault,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t account_id,
    const struct cf_secret *token, const struct cf_vault_row *row,
    struct cf_secret *ret_kd, struct cf_why *why);
/* SHA-256 of any bytes: here, because only this file knows OpenSSL. */
void cf_vault_sha256(const void *bytes, size_t len,
    unsigned char ret[CF_DIGEST_LEN]);
/* Another secret of this server, by purpose; the same at every start. */
void cf_vault_derive(const struct cf_vault *vault, const char *purpose,
    struct cf_secret *ret);

#endif
