/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_key - statements on keys: issue, look-up, lock.
 *
 * Each cf_db_*_send() queues one statement and gives the number of its
 * result; the readers below it take that number after the flush.
 */
#ifndef CF_KEYSRV_DB_KEY_H
#define CF_KEYSRV_DB_KEY_H

#include "common/assurance.h"
#include "common/wire.h"
#include "keysrv/db/db.h"
#include "keysrv/db/db_row.h"
#include "keysrv/key/quota.h"
#include "keysrv/key/vault.h"
#include "keysrv/receipt/record.h"

/* ---- what was registered at issue ---- */

/* One key with its state.  Times in ms, -1 = null. */
struct cf_key_row {
	unsigned char token_sha256[CF_DIGEST_LEN];
	int64_t account_id;
	char *account;			/* its name */
	unsigned char message_ref[CF_REF_LEN];
	char *message_id;
	char *sender;
	char *recipient;		/* the first */
	char *reader_url;		/* of the sender's reader */
	char *algorithm;
	enum cf_assurance assurance;	/* asked for */
	unsigned char opening_key[CF_PUBLIC_KEY_LEN];
	unsigned char possession_key[CF_PUBLIC_KEY_LEN];
	unsigned char key_commitment[CF_COMMITMENT_LEN];
	int64_t issued_at_ms;
	int64_t expires_at_ms;
	int64_t revoked_at_ms;
	int64_t first_released_at_ms;
	int64_t first_opened_at_ms;
};

void cf_key_row_free(struct cf_key_row *row);	/* its strings */

/* Keys by id.  Add ids, send; cf_db_number() of a row says which it is of. */
void cf_db_key_args(struct cf_db_args *args);
void cf_db_key_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN]);
size_t cf_db_key_send(struct cf_db *db, const struct cf_db_args *args);
/* Gives copies; free with cf_key_row_free(). */
void cf_db_key_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_key_row *ret);

/* Only the hashes of their tokens, for who needs no more; rows likewise. */
size_t cf_db_token_of_key_send(struct cf_db *db,
    const struct cf_db_args *args);
void cf_db_token_of_key_get(const struct cf_db *db, size_t result, size_t row,
    unsigned char ret[CF_DIGEST_LEN]);

/*
 * Lock the state rows of these keys, in key id order, until the end of the
 * transaction; what later statements read is how the key stands.
 */
size_t cf_db_lock_send(struct cf_db *db, const struct cf_db_args *keys);
/*
 * Find and lock keys for whoever has their tokens: a row is one for
 * cf_db_key_get(), and for this.
 */
struct cf_key_lock {
	int64_t revoked_at_ms;
	int64_t expires_at_ms;
	int64_t first_released_at_ms;
	struct cf_quota quota;
};
void cf_db_asked_args(struct cf_db_args *args);
void cf_db_asked_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char token_sha256[CF_DIGEST_LEN]);
size_t cf_db_asked_lock(struct cf_db *db, const struct cf_db_args *asked);
void cf_db_lock_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_key_lock *ret);
/* The wrapped keys; rows likewise. */
size_t cf_db_material_send(struct cf_db *db, const struct cf_db_args *keys);
void cf_db_material_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_vault_row *ret);

/* ---- issue ---- */

/*
 * Reference checks of accounts that have none, each account once; one that has
 * one by now fails the transaction.
 */
void cf_db_reference_args(struct cf_db_args *args);
void cf_db_reference_add(struct cf_db_args *args, int64_t account_id,
    const unsigned char check[CF_REF_CHECK_LEN]);
void cf_db_reference_send(struct cf_db *db, const struct cf_db_args *args);

/* Keys that are there already. */
struct cf_issued {
	int64_t account_id;
	unsigned char values_sha256[CF_DIGEST_LEN];
	unsigned char key_commitment[CF_COMMITMENT_LEN];
	bool has_material;		/* false: shredded */
	struct cf_vault_row material;
};
size_t cf_db_issued_send(struct cf_db *db, const struct cf_db_args *keys);
void cf_db_issued_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_issued *ret);

/* A new key, as it is stored. */
struct cf_new_key {
	const unsigned char *key_id, *token_sha256, *request_id,
	    *values_sha256, *message_ref, *opening_key, *possession_key,
	    *key_commitment;
	int64_t account_id, issued_at_ms, expires_at_ms;	/* -1: never */
	const char *message_id, *sender, *reader_url, *algorithm;
	enum cf_assurance assurance;
	struct cf_db_texts recipients;
	const struct cf_vault_row *material;
};
struct cf_issue_args {
	struct cf_db_args issue, material, state;
};
void cf_db_issue_args(struct cf_issue_args *args);
void cf_db_issue_args_free(struct cf_issue_args *args);
void cf_db_issue_add(struct cf_issue_args *args, const struct cf_new_key *key);
/* Three statements; a key that is there fails the transaction. */
void cf_db_issue_send(struct cf_db *db, const struct cf_issue_args *args);

#endif
