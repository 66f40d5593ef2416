/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_master - see db_master.h. */
#include "keysrv/db/db_master.h"

#include "common/mem.h"

/* `at`: where in the struct the master key is. */
#define MASTER(at) \
	{ "master_id", CF_DB_BYTES, (at) + offsetof(struct cf_master, id), \
	    CF_MASTER_ID_LEN }, \
	{ "check_value", CF_DB_BYTES, (at) + offsetof(struct cf_master, \
	    check), CF_MASTER_CHECK_LEN }

size_t
cf_db_masters_send(struct cf_db *db)
{
	static const struct cf_db_stmt stmt = { "masters",
	    "SELECT master_id, check_value, state = 'active' AS active, "
	    "activated_at IS NOT NULL AS used, created_at "
	    "FROM counterfoil.master_key ORDER BY created_at, master_id" };

	return cf_db_send(db, &stmt, NULL);
}

void
cf_db_master_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_master_row *ret)
{
#define AT(member) offsetof(struct cf_master_row, member)
	static const struct cf_db_column columns[] = {
		MASTER(AT(master)),
		{ "active", CF_DB_BOOL, AT(active), 0 },
		{ "used", CF_DB_BOOL, AT(used), 0 },
		{ "created_at", CF_DB_TIME, AT(created_at_ms), 0 },
	};
#undef AT

	CF_DB_ROW(db, result, row, columns, ret);
}

size_t
cf_db_active_send(struct cf_db *db)
{
	static const struct cf_db_stmt stmt = { "master_active",
	    "SELECT master_id, check_value FROM counterfoil.master_key "
	    "WHERE state = 'active'" };

	return cf_db_send(db, &stmt, NULL);
}

void
cf_db_active_get(const struct cf_db *db, size_t result,
    struct cf_master *ret, bool *ret_there)
{
	static const struct cf_db_column columns[] = { MASTER(0) };

	*ret_there = cf_db_rows(db, result) == 1;
	if (*ret_there)
		CF_DB_ROW(db, result, 0, columns, ret);
}

static size_t
send_with_master(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_master *master, bool check)
{
	struct cf_db_args args;
	size_t result;

	cf_db_args_init(&args, check ? "BB" : "B");
	cf_db_bytes(&args, 0, master->id, sizeof master->id);
	if (check)
		cf_db_bytes(&args, 1, master->check, sizeof master->check);
	result = cf_db_send(db, stmt, &args);
	cf_db_args_free(&args);
	return result;
}

enum cf_err
cf_db_master_first(struct cf_db *db, const struct cf_master *master,
    struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "master_first",
	    "SELECT counterfoil.first_master_key($1, $2)" };

	(void)send_with_master(db, &stmt, master, true);
	return cf_db_flush(db, why);
}

enum cf_err
cf_db_master_add(struct cf_db *db, const struct cf_master *master,
    struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "master_add",
	    "INSERT INTO counterfoil.master_key (master_id, check_value) "
	    "VALUES ($1, $2)" };

	(void)send_with_master(db, &stmt, master, true);
	return cf_db_flush(db, why);
}

/* One after the other: the index allows one active key at any moment. */
static enum cf_err
activate(struct cf_db *db, void *arg, struct cf_why *why)
{
	static const struct cf_db_stmt lock = { "master_lock",
	    "LOCK TABLE counterfoil.master_key IN SHARE ROW EXCLUSIVE MODE" };
	static const struct cf_db_stmt before = { "master_before",
	    "UPDATE counterfoil.master_key SET state = 'known' "
	    "WHERE state = 'active' AND master_id <> $1" };
	static const struct cf_db_stmt now = { "master_activate",
	    "UPDATE counterfoil.master_key SET state = 'active', "
	    "activated_at = now() WHERE master_id = $1 RETURNING true" };
	const struct cf_master *master = arg;
	size_t result;
	enum cf_err rc;

	(void)cf_db_send(db, &lock, NULL);
	(void)send_with_master(db, &before, master, false);
	result = send_with_master(db, &now, master, false);
	rc = cf_db_flush(db, why);
	if (rc == CF_OK && cf_db_rows(db, result) != 1)
		rc = cf_fail(CF_E_CONFIG, why, "this database knows no such "
		    "master key; see counterfoil-admin masterkey status");
	return rc;
}

enum cf_err
cf_db_master_activate(struct cf_db *db, const struct cf_master *master,
    struct cf_why *why)
{
	struct cf_master copy = *master;

	return cf_db_run(db, CF_DB_WRITE, "masterkey activate", activate,
	    &copy, why);
}

enum cf_err
cf_db_master_count(struct cf_db *db, const struct cf_master *master,
    int64_t *ret, struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "master_count",
	    "SELECT count(*) FROM counterfoil.key_material "
	    "WHERE master_id = $1" };
	size_t result = send_with_master(db, &stmt, master, false);
	enum cf_err rc = cf_db_flush(db, why);

	if (rc == CF_OK)
		*ret = cf_db_get_int(db, result, 0);
	return rc;
}

/* ---- secrets that all servers share ---- */

enum cf_err
cf_db_secret_find(struct cf_db *db, const char *name,
    struct cf_vault_secret *ret, bool *ret_there, struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "secret_find",
	    "SELECT master_id, m.check_value, s.salt, s.wrapped "
	    "FROM counterfoil.service_secret s "
	    "JOIN counterfoil.master_key m USING (master_id) "
	    "WHERE s.name = $1" };
#define AT(member) offsetof(struct cf_vault_secret, member)
	static const struct cf_db_column columns[] = {
		MASTER(AT(master)),
		{ "salt", CF_DB_BYTES, AT(salt), sizeof ret->salt },
		{ "wrapped", CF_DB_BYTES, AT(wrapped), sizeof ret->wrapped },
	};
#undef AT
	struct cf_db_args args;
	enum cf_err rc;
	size_t result;

	cf_db_args_init(&args, "T");
	cf_db_text(&args, 0, name);
	result = cf_db_send(db, &stmt, &args);
	rc = cf_db_flush(db, why);
	cf_db_args_free(&args);
	if (rc != CF_OK)
		return rc;
	*ret_there = cf_db_rows(db, result) == 1;
	if (!*ret_there)
		return CF_OK;
	CF_DB_ROW(db, result, 0, columns, ret);
	return CF_OK;
}

enum cf_err
cf_db_secret_add(struct cf_db *db, const char *name,
    const struct cf_vault_secret *secret, struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "secret_add",
	    "INSERT INTO counterfoil.service_secret (name, master_id, salt, "
	    "wrapped) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING" };
	struct cf_db_args args;
	enum cf_err rc;

	cf_db_args_init(&args, "TBBB");
	cf_db_text(&args, 0, name);
	cf_db_bytes(&args, 1, secret->master.id, sizeof secret->master.id);
	cf_db_bytes(&args, 2, secret->salt, sizeof secret->salt);
	cf_db_bytes(&args, 3, secret->wrapped, sizeof secret->wrapped);
	(void)cf_db_send(db, &stmt, &args);
	rc = cf_db_flush(db, why);
	cf_db_args_free(&args);
	return rc;
}

/* ---- URL and signer ---- */

static size_t
registered_send(struct cf_db *db, const char *what)
{
	static const struct cf_db_stmt stmt = { "registered_find",
	    "SELECT value FROM counterfoil.registered WHERE what = $1" };
	struct cf_db_args args;
	size_t result;

	cf_db_args_init(&args, "T");
	cf_db_text(&args, 0, what);
	result = cf_db_send(db, &stmt, &args);
	cf_db_args_free(&args);
	return result;
}

static void
send_value(struct cf_db *db, const struct cf_db_stmt *stmt, const char *what,
    const char *value)
{
	struct cf_db_args args;

	cf_db_args_init(&args, "TT");
	cf_db_text(&args, 0, what);
	cf_db_text(&args, 1, value);
	(void)cf_db_send(db, stmt, &args);
	cf_db_args_free(&args);
}

enum cf_err
cf_db_registered_find(struct cf_db *db, const char *what, char **ret,
    struct cf_why *why)
{
	size_t result = registered_send(db, what);
	enum cf_err rc = cf_db_flush(db, why);

	if (rc == CF_OK)
		*ret = cf_db_rows(db, result) == 0 ? NULL :
		    cf_strdup(cf_db_get_text(db, result, 0));
	return rc;
}

enum cf_err
cf_db_registered(struct cf_db *db, const char *what, const char *value,
    char **ret, struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "registered_first",
	    "INSERT INTO counterfoil.registered (what, value) "
	    "VALUES ($1, $2) ON CONFLICT DO NOTHING" };

	/* What another server inserts meanwhile is seen by the second. */
	send_value(db, &stmt, what, value);
	return cf_db_registered_find(db, what, ret, why);
}

enum cf_err
cf_db_registered_set(struct cf_db *db, const char *what, const char *value,
    struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "registered_set",
	    "INSERT INTO counterfoil.registered (what, value) "
	    "VALUES ($1, $2) ON CONFLICT (what) DO UPDATE "
	    "SET value = excluded.value, at = now()" };

	send_value(db, &stmt, what, value);
	return cf_db_flush(db, why);
}
