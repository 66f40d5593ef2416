/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_vault - the wall around decryption keys.
 *
 * vault.c alone sees a decryption key Kd in clear; outside it appears once, as
 * text in the wiped body of the answer that carries it.  Stored it is wrapped
 * twice: inside by AES-256-KWP under HKDF(token of the link), outside by
 * AES-256-GCM under HKDF(master key, salt of the row) with key id, account and
 * master key as associated data.
 * A master key is known by a random name and a check value, both in the
 * database, so that no other key is ever taken for it; vault_file.c keeps
 * them.
 *
 * Knows: the master key file, OpenSSL.   Does not know: SQL, HTTP, criteria
 * (release.c asks only after they hold).
 * Threads: a loaded vault may be used by many; a key that it lacks is looked
 * for in the file again.   Logging: never.
 */
#ifndef CF_KEYSRV_VAULT_H
#define CF_KEYSRV_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/link.h"
#include "common/proofs.h"
#include "common/secret.h"

#define CF_VAULT_KEY_LEN CF_KEK_LEN	/* Kd */
#define CF_VAULT_SALT_LEN 16
#define CF_VAULT_WRAPPED_LEN (12 + (CF_VAULT_KEY_LEN + 8) + 16)
#define CF_VAULT_SECRET_LEN 32
#define CF_VAULT_NAME_MAX 40
#define CF_MASTER_ID_LEN 8
#define CF_MASTER_CHECK_LEN 32
#define CF_MASTER_TEXT_LEN (2 * CF_MASTER_ID_LEN)	/* hex */

struct cf_vault;

/* A master key as the database knows it. */
struct cf_master {
	unsigned char id[CF_MASTER_ID_LEN];
	unsigned char check[CF_MASTER_CHECK_LEN];
};

/* The name in hex, as in the file and for people. */
void cf_master_text(const struct cf_master *master,
    char out[CF_MASTER_TEXT_LEN + 1]);
/* Strictly that form. */
bool cf_master_parse(const char *text, size_t len,
    unsigned char ret_id[CF_MASTER_ID_LEN]);

/* What the database keeps of one key. */
struct cf_vault_row {
	struct cf_master master;	/* it is sealed with */
	unsigned char salt[CF_VAULT_SALT_LEN];
	unsigned char wrapped[CF_VAULT_WRAPPED_LEN];
};

/* And of a secret that all servers share. */
struct cf_vault_secret {
	struct cf_master master;
	unsigned char salt[CF_VAULT_SALT_LEN];
	unsigned char wrapped[12 + CF_VAULT_SECRET_LEN + 16];
};

/*
 * Read a master key file: lines "name key", in any order; name is 16 hex
 * digits, key base64url of 32 bytes.  Gives; free with cf_vault_free().
 * CF_E_CONFIG  readable by others, not a regular file, or not of that form
 */
CF_MUST_USE enum cf_err cf_vault_load(const char *path,
    struct cf_vault **ret, struct cf_why *why);
void cf_vault_free(struct cf_vault **vault);
/* As cf_secret_keep_in_memory(): the master keys, and those to come. */
CF_MUST_USE enum cf_err cf_vault_keep_in_memory(const struct cf_vault *vault,
    struct cf_why *why);
/* A new file with one random key.  CF_E_IO if it exists. */
CF_MUST_USE enum cf_err cf_vault_new_file(const char *path,
    struct cf_why *why);
/* One more random key, the last, for the vault and at the end of its file. */
CF_MUST_USE enum cf_err cf_vault_add(struct cf_vault *vault,
    struct cf_why *why);

/* The keys of the file; i below the count.  Lends. */
size_t cf_vault_count(const struct cf_vault *vault);
const struct cf_master *cf_vault_master(const struct cf_vault *vault,
    size_t i);
/* CF_E_MASTER_KEY  the file lacks it, or has another key by that name */
CF_MUST_USE enum cf_err cf_vault_has(struct cf_vault *vault,
    const struct cf_master *master, struct cf_why *why);

/*
 * A fresh Kd: the row to store, its commitment, and Kd itself.
 * CF_E_MASTER_KEY  as cf_vault_has() says of `under`
 */
CF_MUST_USE enum cf_err cf_vault_make(struct cf_vault *vault,
    const struct cf_master *under,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t account_id,
    const struct cf_secret *token, struct cf_vault_row *ret_row,
    unsigned char ret_commitment[CF_COMMITMENT_LEN],
    struct cf_secret *ret_kd, struct cf_why *why);
/*
 * Kd out of a stored row.
 * CF_E_MASTER_KEY  as cf_vault_has() says of the row's
 * CF_E_INTERNAL    not sealed with these ids, or another token; `why` says
 *                  which layer failed
 */
CF_MUST_USE enum cf_err cf_vault_open(struct cf_vault *vault,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t account_id,
    const struct cf_secret *token, const struct cf_vault_row *row,
    struct cf_secret *ret_kd, struct cf_why *why);
/* A fresh secret of that name (at most CF_VAULT_NAME_MAX bytes), to store. */
CF_MUST_USE enum cf_err cf_vault_make_secret(struct cf_vault *vault,
    const struct cf_master *under, const char *name,
    struct cf_vault_secret *ret_row, struct cf_why *why);
/* The secret out of its row; errors as cf_vault_open(). */
CF_MUST_USE enum cf_err cf_vault_open_secret(struct cf_vault *vault,
    const char *name, const struct cf_vault_secret *row,
    struct cf_secret *ret, struct cf_why *why);

#endif
