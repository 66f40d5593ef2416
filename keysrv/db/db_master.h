/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_master - statements on what stands outside of the database and must
 * fit it: master keys, what they wrap but keys, URL and signer.
 */
#ifndef CF_KEYSRV_DB_MASTER_H
#define CF_KEYSRV_DB_MASTER_H

#include "keysrv/db/db.h"
#include "keysrv/db/db_row.h"
#include "keysrv/key/vault.h"

/* All master keys, oldest first.  Rows for cf_db_master_get(). */
size_t cf_db_masters_send(struct cf_db *db);

struct cf_master_row {
	struct cf_master master;
	bool active;
	bool used;		/* it is or was active */
	int64_t created_at_ms;
};
void cf_db_master_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_master_row *ret);

/* The active one, if any; *ret_there says so. */
size_t cf_db_active_send(struct cf_db *db);
void cf_db_active_get(const struct cf_db *db, size_t result,
    struct cf_master *ret, bool *ret_there);

/*
 * Each of these is a flush or transaction of its own.
 */

/* Make it the first and active one, unless there is one. */
CF_MUST_USE enum cf_err cf_db_master_first(struct cf_db *db,
    const struct cf_master *master, struct cf_why *why);
/* Make it known.  As owner. */
CF_MUST_USE enum cf_err cf_db_master_add(struct cf_db *db,
    const struct cf_master *master, struct cf_why *why);
/* Make it the one that seals.  As owner.  CF_E_CONFIG: it is not known. */
CF_MUST_USE enum cf_err cf_db_master_activate(struct cf_db *db,
    const struct cf_master *master, struct cf_why *why);
/* How many keys are sealed with it.  Looks at all keys.  As owner. */
CF_MUST_USE enum cf_err cf_db_master_count(struct cf_db *db,
    const struct cf_master *master, int64_t *ret, struct cf_why *why);

/* A secret that all servers share; *ret_there is false if it is not made. */
CF_MUST_USE enum cf_err cf_db_secret_find(struct cf_db *db, const char *name,
    struct cf_vault_secret *ret, bool *ret_there, struct cf_why *why);
/* Store it, unless another server was faster. */
CF_MUST_USE enum cf_err cf_db_secret_add(struct cf_db *db, const char *name,
    const struct cf_vault_secret *secret, struct cf_why *why);

/*
 * What is registered under a name (see 0005-masterkey.sql); `value` if
 * nothing was before.  Gives *ret; free it.
 */
CF_MUST_USE enum cf_err cf_db_registered(struct cf_db *db, const char *what,
    const char *value, char **ret, struct cf_why *why);
/* As it is and no more: NULL if nothing is registered. */
CF_MUST_USE enum cf_err cf_db_registered_find(struct cf_db *db,
    const char *what, char **ret, struct cf_why *why);
/* From now on it is `value`.  As owner. */
CF_MUST_USE enum cf_err cf_db_registered_set(struct cf_db *db,
    const char *what, const char *value, struct cf_why *why);

#endif
