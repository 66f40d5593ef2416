/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_key - see db_key.h. */
#include "keysrv/db/db_key.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "keysrv/db/db_quota.h"

/* ---- keys by id ---- */

void
cf_db_key_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "b");
}

void
cf_db_key_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN])
{
	cf_db_bytes(args, 0, key_id, CF_KEY_ID_LEN);
}

#define KEY_COLUMNS "i.token_sha256, i.account_id, a.name AS account, " \
	"i.message_ref, i.message_id, i.sender, " \
	"i.recipients[1] AS recipient, i.reader_url, i.algorithm, " \
	"i.assurance, i.opening_key, i.possession_key, i.key_commitment, " \
	"i.issued_at, s.expires_at, s.revoked_at, s.first_released_at, " \
	"s.first_opened_at"

#define AT(member) offsetof(struct cf_key_row, member)
static const struct cf_db_column key_columns[] = {
	{ "token_sha256", CF_DB_BYTES, AT(token_sha256), CF_DIGEST_LEN },
	{ "account_id", CF_DB_INT, AT(account_id), 0 },
	{ "account", CF_DB_COPY, AT(account), 0 },
	{ "message_ref", CF_DB_BYTES, AT(message_ref), CF_REF_LEN },
	{ "message_id", CF_DB_COPY, AT(message_id), 0 },
	{ "sender", CF_DB_COPY, AT(sender), 0 },
	{ "recipient", CF_DB_COPY, AT(recipient), 0 },
	{ "reader_url", CF_DB_COPY, AT(reader_url), 0 },
	{ "algorithm", CF_DB_COPY, AT(algorithm), 0 },
	{ "assurance", CF_DB_ASSURANCE, AT(assurance), 0 },
	{ "opening_key", CF_DB_BYTES, AT(opening_key), CF_PUBLIC_KEY_LEN },
	{ "possession_key", CF_DB_BYTES, AT(possession_key),
	    CF_PUBLIC_KEY_LEN },
	{ "key_commitment", CF_DB_BYTES, AT(key_commitment),
	    CF_COMMITMENT_LEN },
	{ "issued_at", CF_DB_TIME, AT(issued_at_ms), 0 },
	{ "expires_at", CF_DB_TIME, AT(expires_at_ms), 0 },
	{ "revoked_at", CF_DB_TIME, AT(revoked_at_ms), 0 },
	{ "first_released_at", CF_DB_TIME, AT(first_released_at_ms), 0 },
	{ "first_opened_at", CF_DB_TIME, AT(first_opened_at_ms), 0 },
};
#undef AT

size_t
cf_db_key_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "key_find",
	    "SELECT q.n, " KEY_COLUMNS " "
	    "FROM unnest($1) WITH ORDINALITY AS q (key_id, n) "
	    "JOIN counterfoil.key_issue i USING (key_id) "
	    "JOIN counterfoil.key_state s USING (key_id) "
	    "JOIN counterfoil.account a USING (account_id)" };

	return cf_db_send(db, &stmt, args);
}

void
cf_db_key_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_key_row *ret)
{
	CF_DB_ROW(db, result, row, key_columns, ret);
}

size_t
cf_db_token_of_key_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "key_token",
	    "SELECT q.n, i.token_sha256 "
	    "FROM unnest($1) WITH ORDINALITY AS q (key_id, n) "
	    "JOIN counterfoil.key_issue i USING (key_id)" };

	return cf_db_send(db, &stmt, args);
}

void
cf_db_token_of_key_get(const struct cf_db *db, size_t result, size_t row,
    unsigned char ret[CF_DIGEST_LEN])
{
	static const struct cf_db_column columns[] = {
		{ "token_sha256", CF_DB_BYTES, 0, CF_DIGEST_LEN },
	};

	CF_DB_ROW(db, result, row, columns, ret);
}

void
cf_key_row_free(struct cf_key_row *k)
{
	free(k->account);
	free(k->message_id);
	free(k->sender);
	free(k->recipient);
	free(k->algorithm);
	free(k->reader_url);
	memset(k, 0, sizeof *k);
}

size_t
cf_db_lock_send(struct cf_db *db, const struct cf_db_args *keys)
{
	static const struct cf_db_stmt stmt = { "key_lock",
	    "SELECT q.n FROM unnest($1) WITH ORDINALITY AS q (key_id, n) "
	    "JOIN counterfoil.key_state s USING (key_id) "
	    "ORDER BY s.key_id FOR UPDATE OF s" };

	return cf_db_send(db, &stmt, keys);
}

struct asked {
	const unsigned char *key_id, *token_sha256;
};

void
cf_db_asked_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct asked, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
		{ "token_sha256", CF_DB_BYTES_AT, AT(token_sha256),
		    CF_DIGEST_LEN },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_asked_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char token_sha256[CF_DIGEST_LEN])
{
	const struct asked asked = { key_id, token_sha256 };

	cf_db_args_add(args, &asked);
}

size_t
cf_db_asked_lock(struct cf_db *db, const struct cf_db_args *asked)
{
	static const struct cf_db_stmt stmt = { "asked_lock",
	    "SELECT q.n, " KEY_COLUMNS ", s.hour_at, "
	    "s.hour_refused::bigint, s.hour_held::bigint, s.hour_more, "
	    "s.hour_released::bigint "
	    "FROM unnest($values) WITH ORDINALITY AS q ($columns, n) "
	    "JOIN counterfoil.key_issue i USING ($columns) "
	    "JOIN counterfoil.key_state s USING (key_id) "
	    "JOIN counterfoil.account a USING (account_id) "
	    "ORDER BY s.key_id FOR UPDATE OF s" };

	return cf_db_send(db, &stmt, asked);
}

void
cf_db_lock_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_key_lock *ret)
{
#define AT(member) offsetof(struct cf_key_lock, member)
	static const struct cf_db_column columns[] = {
		{ "revoked_at", CF_DB_TIME, AT(revoked_at_ms), 0 },
		{ "expires_at", CF_DB_TIME, AT(expires_at_ms), 0 },
		{ "first_released_at", CF_DB_TIME, AT(first_released_at_ms),
		    0 },
		CF_DB_QUOTA_COLUMNS,
	};
#undef AT

	CF_DB_ROW(db, result, row, columns, ret);
}

/* A wrapped key; `at` is where in the struct, with its dot. */
#define MATERIAL(type, of, at) \
	{ "master_id", type, offsetof(of, at master.id), CF_MASTER_ID_LEN }, \
	{ "check_value", type, offsetof(of, at master.check), \
	    CF_MASTER_CHECK_LEN }, \
	{ "salt", type, offsetof(of, at salt), CF_VAULT_SALT_LEN }, \
	{ "wrapped", type, offsetof(of, at wrapped), CF_VAULT_WRAPPED_LEN },

size_t
cf_db_material_send(struct cf_db *db, const struct cf_db_args *keys)
{
	static const struct cf_db_stmt stmt = { "key_material",
	    "SELECT q.n, m.master_id, mk.check_value, m.salt, m.wrapped "
	    "FROM unnest($1) WITH ORDINALITY AS q (key_id, n) "
	    "JOIN counterfoil.key_material m USING (key_id) "
	    "JOIN counterfoil.master_key mk USING (master_id)" };

	return cf_db_send(db, &stmt, keys);
}

void
cf_db_material_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_vault_row *ret)
{
	static const struct cf_db_column columns[] = {
		MATERIAL(CF_DB_BYTES, struct cf_vault_row, )
	};

	CF_DB_ROW(db, result, row, columns, ret);
}

/* ---- issue ---- */

struct reference {
	int64_t account_id;
	const unsigned char *check;
};

void
cf_db_reference_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct reference, member)
	static const struct cf_db_column columns[] = {
		{ "account_id", CF_DB_INT, AT(account_id), 0 },
		{ "check_value", CF_DB_BYTES_AT, AT(check), CF_REF_CHECK_LEN },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_reference_add(struct cf_db_args *args, int64_t account_id,
    const unsigned char check[CF_REF_CHECK_LEN])
{
	const struct reference reference = { account_id, check };

	cf_db_args_add(args, &reference);
}

void
cf_db_reference_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "reference_insert",
	    "INSERT INTO counterfoil.account_reference ($columns) "
	    "SELECT $select FROM unnest($values) AS q ($columns) "
	    "ORDER BY account_id" };

	(void)cf_db_send(db, &stmt, args);
}

size_t
cf_db_issued_send(struct cf_db *db, const struct cf_db_args *keys)
{
	static const struct cf_db_stmt stmt = { "issued_find",
	    "SELECT q.n, i.account_id, i.values_sha256, i.key_commitment, "
	    "m.master_id, mk.check_value, m.salt, m.wrapped "
	    "FROM unnest($1) WITH ORDINALITY AS q (key_id, n) "
	    "JOIN counterfoil.key_issue i USING (key_id) "
	    "LEFT JOIN counterfoil.key_material m USING (key_id) "
	    "LEFT JOIN counterfoil.master_key mk USING (master_id)" };

	return cf_db_send(db, &stmt, keys);
}

void
cf_db_issued_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_issued *ret)
{
#define AT(member) offsetof(struct cf_issued, member)
	static const struct cf_db_column columns[] = {
		{ "account_id", CF_DB_INT, AT(account_id), 0 },
		{ "values_sha256", CF_DB_BYTES, AT(values_sha256),
		    CF_DIGEST_LEN },
		{ "key_commitment", CF_DB_BYTES, AT(key_commitment),
		    CF_COMMITMENT_LEN },
		{ "master_id", CF_DB_IS_THERE, AT(has_material), 0 },
		MATERIAL(CF_DB_BYTES_OR_NULL, struct cf_issued, material.)
	};
#undef AT

	CF_DB_ROW(db, result, row, columns, ret);
}

#define AT(member) offsetof(struct cf_new_key, member)
#define BYTES(name, len) { #name, CF_DB_BYTES_AT, AT(name), len }
#define TEXT(name) { #name, CF_DB_TEXT, AT(name), 0 }
static const struct cf_db_column issue_columns[] = {
	BYTES(key_id, CF_KEY_ID_LEN),
	BYTES(token_sha256, CF_DIGEST_LEN),
	{ "account_id", CF_DB_INT, AT(account_id), 0 },
	BYTES(request_id, CF_EVENT_ID_LEN),
	BYTES(values_sha256, CF_DIGEST_LEN),
	BYTES(message_ref, CF_REF_LEN),
	TEXT(message_id),
	TEXT(sender),
	{ "recipients", CF_DB_TEXTS, AT(recipients), 0 },
	TEXT(reader_url),
	TEXT(algorithm),
	{ "assurance", CF_DB_ASSURANCE, AT(assurance), 0 },
	BYTES(opening_key, CF_PUBLIC_KEY_LEN),
	BYTES(possession_key, CF_PUBLIC_KEY_LEN),
	BYTES(key_commitment, CF_COMMITMENT_LEN),
	{ "issued_at", CF_DB_TIME, AT(issued_at_ms), 0 },
};
static const struct cf_db_column state_columns[] = {
	BYTES(key_id, CF_KEY_ID_LEN),
	{ "expires_at", CF_DB_TIME, AT(expires_at_ms), 0 },
};
#undef AT
#undef BYTES
#undef TEXT

struct material {
	const unsigned char *key_id, *master_id, *salt, *wrapped;
};

#define AT(member) offsetof(struct material, member)
static const struct cf_db_column material_columns[] = {
	{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
	{ "master_id", CF_DB_BYTES_AT, AT(master_id), CF_MASTER_ID_LEN },
	{ "salt", CF_DB_BYTES_AT, AT(salt), CF_VAULT_SALT_LEN },
	{ "wrapped", CF_DB_BYTES_AT, AT(wrapped), CF_VAULT_WRAPPED_LEN },
};
#undef AT

void
cf_db_issue_args(struct cf_issue_args *args)
{
	CF_DB_ARGS_ROWS(&args->issue, issue_columns);
	CF_DB_ARGS_ROWS(&args->material, material_columns);
	CF_DB_ARGS_ROWS(&args->state, state_columns);
}

void
cf_db_issue_args_free(struct cf_issue_args *args)
{
	cf_db_args_free(&args->issue);
	cf_db_args_free(&args->material);
	cf_db_args_free(&args->state);
}

void
cf_db_issue_add(struct cf_issue_args *args, const struct cf_new_key *k)
{
	const struct material material = { k->key_id, k->material->master.id,
	    k->material->salt, k->material->wrapped };

	cf_db_args_add(&args->issue, k);
	cf_db_args_add(&args->material, &material);
	cf_db_args_add(&args->state, k);
}

/*
 * In key id order, so that two batches with the same keys wait for each
 * other and do not deadlock.
 */
#define INSERT_KEYS(table) "INSERT INTO counterfoil." table " ($columns) " \
	"SELECT $select FROM unnest($values) AS q ($columns) ORDER BY key_id"

void
cf_db_issue_send(struct cf_db *db, const struct cf_issue_args *args)
{
	static const struct cf_db_stmt issue = { "issue_insert",
	    INSERT_KEYS("key_issue") };
	static const struct cf_db_stmt material = { "material_insert",
	    INSERT_KEYS("key_material") };
	static const struct cf_db_stmt state = { "state_insert",
	    INSERT_KEYS("key_state") };

	(void)cf_db_send(db, &issue, &args->issue);
	(void)cf_db_send(db, &material, &args->material);
	(void)cf_db_send(db, &state, &args->state);
}
