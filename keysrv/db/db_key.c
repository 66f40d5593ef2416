/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_key - see db_key.h. */
#include "keysrv/db/db_key.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

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
	{ "assurance", CF_DB_COPY, AT(assurance), 0 },
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
	free(k->assurance);
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

void
cf_db_asked_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "bb");
}

void
cf_db_asked_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char token_sha256[CF_DIGEST_LEN])
{
	cf_db_bytes(args, 0, key_id, CF_KEY_ID_LEN);
	cf_db_bytes(args, 1, token_sha256, CF_DIGEST_LEN);
}

size_t
cf_db_asked_lock(struct cf_db *db, const struct cf_db_args *asked)
{
	static const struct cf_db_stmt stmt = { "asked_lock",
	    "SELECT q.n, " KEY_COLUMNS ", s.hour_at, "
	    "s.hour_refused::bigint, s.hour_held::bigint, s.hour_more, "
	    "s.hour_released::bigint "
	    "FROM unnest($1, $2) WITH ORDINALITY "
	    "AS q (key_id, token_sha256, n) "
	    "JOIN counterfoil.key_issue i USING (key_id, token_sha256) "
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
		{ "hour_at", CF_DB_TIME, AT(quota.hour_at_ms), 0 },
		{ "hour_refused", CF_DB_INT, AT(quota.refused), 0 },
		{ "hour_held", CF_DB_INT, AT(quota.held), 0 },
		{ "hour_more", CF_DB_INT, AT(quota.more), 0 },
		{ "hour_released", CF_DB_INT, AT(quota.released), 0 },
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

void
cf_db_sender_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "bt");
}

void
cf_db_sender_add(struct cf_db_args *args,
    const unsigned char token_sha256[CF_DIGEST_LEN], const char *domain)
{
	cf_db_bytes(args, 0, token_sha256, CF_DIGEST_LEN);
	cf_db_text(args, 1, domain);
}

size_t
cf_db_sender_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "sender_check",
	    "SELECT q.n, t.account_id, a.name AS account, "
	    "d.domain IS NOT NULL AS allowed, r.check_value AS reference "
	    "FROM unnest($1, $2) WITH ORDINALITY AS q (token, domain, n) "
	    "JOIN counterfoil.api_token t ON t.token_sha256 = q.token "
	    "JOIN counterfoil.account a ON a.account_id = t.account_id "
	    "LEFT JOIN counterfoil.account_reference r "
	    "ON r.account_id = t.account_id "
	    "LEFT JOIN counterfoil.account_domain d "
	    "ON d.account_id = t.account_id AND d.domain = q.domain "
	    "WHERE t.revoked_at IS NULL" };

	return cf_db_send(db, &stmt, args);
}

void
cf_db_sender_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_sender_row *ret)
{
#define AT(member) offsetof(struct cf_sender_row, member)
	static const struct cf_db_column columns[] = {
		{ "n", CF_DB_NUMBER, AT(number), 0 },
		{ "account_id", CF_DB_INT, AT(account_id), 0 },
		{ "account", CF_DB_TEXT, AT(account), 0 },
		{ "allowed", CF_DB_BOOL, AT(allowed), 0 },
		{ "reference", CF_DB_IS_THERE, AT(has_reference), 0 },
		{ "reference", CF_DB_BYTES_OR_NULL, AT(reference),
		    CF_REF_CHECK_LEN },
	};
#undef AT

	CF_DB_ROW(db, result, row, columns, ret);
}

void
cf_db_reference_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "ib");
}

void
cf_db_reference_add(struct cf_db_args *args, int64_t account_id,
    const unsigned char check[CF_REF_CHECK_LEN])
{
	cf_db_int(args, 0, account_id);
	cf_db_bytes(args, 1, check, CF_REF_CHECK_LEN);
}

void
cf_db_reference_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "reference_insert",
	    "INSERT INTO counterfoil.account_reference "
	    "(account_id, check_value) SELECT a, b "
	    "FROM unnest($1, $2) AS q (a, b) "
	    "ORDER BY a" };

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

void
cf_db_issue_args(struct cf_issue_args *args)
{
	cf_db_args_init(&args->issue, "bbibbbttttttbbbz");
	cf_db_args_init(&args->material, "bbbb");
	cf_db_args_init(&args->state, "bz");
}

void
cf_db_issue_args_free(struct cf_issue_args *args)
{
	cf_db_args_free(&args->issue);
	cf_db_args_free(&args->material);
	cf_db_args_free(&args->state);
}

/* A text array as its literal: {"a","b"}. */
static void
add_list(struct cf_db_args *args, size_t col, const char *const *list,
    size_t count)
{
	struct cf_buf buf = CF_BUF_INIT(1u << 20);
	const char *p;
	size_t i;

	for (i = 0; i < count; i++) {
		cf_buf_adds(&buf, i == 0 ? "{\"" : "\",\"");
		for (p = list[i]; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				cf_buf_addc(&buf, '\\');
			cf_buf_addc(&buf, *p);
		}
	}
	cf_buf_adds(&buf, "\"}");
	if (buf.full)
		cf_bug("list too long");
	cf_db_text(args, col, cf_buf_str(&buf));
	cf_buf_free(&buf);
}

void
cf_db_issue_add(struct cf_issue_args *args, const struct cf_new_key *k)
{
	struct cf_db_args *a = &args->issue;

	cf_db_bytes(a, 0, k->key_id, CF_KEY_ID_LEN);
	cf_db_bytes(a, 1, k->token_sha256, CF_DIGEST_LEN);
	cf_db_int(a, 2, k->account_id);
	cf_db_bytes(a, 3, k->request_id, CF_EVENT_ID_LEN);
	cf_db_bytes(a, 4, k->values_sha256, CF_DIGEST_LEN);
	cf_db_bytes(a, 5, k->message_ref, CF_REF_LEN);
	cf_db_text(a, 6, k->message_id);
	cf_db_text(a, 7, k->sender);
	add_list(a, 8, k->recipients, k->recipient_count);
	cf_db_text(a, 9, k->reader_url);
	cf_db_text(a, 10, k->algorithm);
	cf_db_text(a, 11, k->assurance);
	cf_db_bytes(a, 12, k->opening_key, CF_PUBLIC_KEY_LEN);
	cf_db_bytes(a, 13, k->possession_key, CF_PUBLIC_KEY_LEN);
	cf_db_bytes(a, 14, k->key_commitment, CF_COMMITMENT_LEN);
	cf_db_time(a, 15, k->issued_at_ms);
	cf_db_bytes(&args->material, 0, k->key_id, CF_KEY_ID_LEN);
	cf_db_bytes(&args->material, 1, k->material->master.id,
	    sizeof k->material->master.id);
	cf_db_bytes(&args->material, 2, k->material->salt,
	    sizeof k->material->salt);
	cf_db_bytes(&args->material, 3, k->material->wrapped,
	    sizeof k->material->wrapped);
	cf_db_bytes(&args->state, 0, k->key_id, CF_KEY_ID_LEN);
	if (k->expires_at_ms < 0)
		cf_db_null(&args->state, 1);
	else
		cf_db_time(&args->state, 1, k->expires_at_ms);
}

/*
 * In key id order, so that two batches with the same keys wait for each
 * other and do not deadlock.
 */
static void
issue_insert(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "issue_insert",
	    "INSERT INTO counterfoil.key_issue (key_id, token_sha256, "
	    "account_id, request_id, values_sha256, message_ref, message_id, "
	    "sender, recipients, reader_url, algorithm, assurance, "
	    "opening_key, possession_key, key_commitment, issued_at) "
	    "SELECT a, b, c, d, e, f, g, h, i::text[], j, k, l, m, n, o, p "
	    "FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
	    "$13, $14, $15, $16) "
	    "AS q (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) "
	    "ORDER BY a" };

	(void)cf_db_send(db, &stmt, args);
}

static void
material_insert(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "material_insert",
	    "INSERT INTO counterfoil.key_material (key_id, master_id, "
	    "salt, wrapped) SELECT a, b, c, d "
	    "FROM unnest($1, $2, $3, $4) AS q (a, b, c, d) "
	    "ORDER BY a" };

	(void)cf_db_send(db, &stmt, args);
}

static void
state_insert(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "state_insert",
	    "INSERT INTO counterfoil.key_state (key_id, expires_at) "
	    "SELECT a, b FROM unnest($1, $2) AS q (a, b) "
	    "ORDER BY a" };

	(void)cf_db_send(db, &stmt, args);
}

void
cf_db_issue_send(struct cf_db *db, const struct cf_issue_args *args)
{
	issue_insert(db, &args->issue);
	material_insert(db, &args->material);
	state_insert(db, &args->state);
}
