/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_key - see db_key.h. */
#include "keysrv/db_key.h"

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

size_t
cf_db_key_number(const struct cf_db *db, size_t result, size_t row)
{
	return (size_t)cf_db_get_int(db, result, row, 0) - 1;
}

size_t
cf_db_key_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "key_find",
	    "SELECT q.n, i.token_sha256, i.account_id, a.name, "
	    "i.message_ref, i.message_id, i.sender, i.recipients[1], "
	    "i.algorithm, i.assurance, i.opening_key, i.possession_key, "
	    "i.key_commitment, i.issued_at, s.first_released_at, "
	    "s.first_opened_at, i.reader_url, s.expires_at, s.revoked_at "
	    "FROM unnest($1) WITH ORDINALITY AS q (key_id, n) "
	    "JOIN counterfoil.key_issue i USING (key_id) "
	    "JOIN counterfoil.key_state s USING (key_id) "
	    "JOIN counterfoil.account a USING (account_id)" };

	return cf_db_send(db, &stmt, args);
}

void
cf_db_key_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_key_row *k)
{
	cf_db_get_fixed(db, result, row, 1, k->token_sha256,
	    sizeof k->token_sha256);
	k->account_id = cf_db_get_int(db, result, row, 2);
	k->account = cf_strdup(cf_db_get_text(db, result, row, 3));
	cf_db_get_fixed(db, result, row, 4, k->message_ref,
	    sizeof k->message_ref);
	k->message_id = cf_strdup(cf_db_get_text(db, result, row, 5));
	k->sender = cf_strdup(cf_db_get_text(db, result, row, 6));
	k->recipient = cf_strdup(cf_db_get_text(db, result, row, 7));
	k->algorithm = cf_strdup(cf_db_get_text(db, result, row, 8));
	k->assurance = cf_strdup(cf_db_get_text(db, result, row, 9));
	cf_db_get_fixed(db, result, row, 10, k->opening_key,
	    sizeof k->opening_key);
	cf_db_get_fixed(db, result, row, 11, k->possession_key,
	    sizeof k->possession_key);
	cf_db_get_fixed(db, result, row, 12, k->key_commitment,
	    sizeof k->key_commitment);
	k->issued_at_ms = cf_db_get_time(db, result, row, 13);
	k->first_released_at_ms = cf_db_get_time(db, result, row, 14);
	k->first_opened_at_ms = cf_db_get_time(db, result, row, 15);
	k->reader_url = cf_strdup(cf_db_get_text(db, result, row, 16));
	k->expires_at_ms = cf_db_get_time(db, result, row, 17);
	k->revoked_at_ms = cf_db_get_time(db, result, row, 18);
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
	    "SELECT q.n, s.revoked_at, s.expires_at, s.first_released_at, "
	    "s.hour_at, s.hour_refused::bigint, s.hour_held::bigint, "
	    "s.hour_more, s.hour_released::bigint "
	    "FROM unnest($1) WITH ORDINALITY AS q (key_id, n) "
	    "JOIN counterfoil.key_state s USING (key_id) "
	    "ORDER BY s.key_id FOR UPDATE OF s" };

	return cf_db_send(db, &stmt, keys);
}

void
cf_db_lock_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_key_lock *ret)
{
	ret->revoked_at_ms = cf_db_get_time(db, result, row, 1);
	ret->expires_at_ms = cf_db_get_time(db, result, row, 2);
	ret->first_released_at_ms = cf_db_get_time(db, result, row, 3);
	ret->quota.hour_at_ms = cf_db_get_time(db, result, row, 4);
	ret->quota.refused = cf_db_get_int(db, result, row, 5);
	ret->quota.held = cf_db_get_int(db, result, row, 6);
	ret->quota.more = cf_db_get_int(db, result, row, 7);
	ret->quota.released = cf_db_get_int(db, result, row, 8);
}

static void
get_material(const struct cf_db *db, size_t result, size_t row, size_t col,
    struct cf_vault_row *ret)
{
	cf_db_get_fixed(db, result, row, col, ret->master.id,
	    sizeof ret->master.id);
	cf_db_get_fixed(db, result, row, col + 1, ret->master.check,
	    sizeof ret->master.check);
	cf_db_get_fixed(db, result, row, col + 2, ret->salt,
	    sizeof ret->salt);
	cf_db_get_fixed(db, result, row, col + 3, ret->wrapped,
	    sizeof ret->wrapped);
}

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
	get_material(db, result, row, 1, ret);
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
	    "SELECT q.n, t.account_id, a.name, d.domain IS NOT NULL, "
	    "r.check_value "
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
	ret->number = (size_t)cf_db_get_int(db, result, row, 0) - 1;
	ret->account_id = cf_db_get_int(db, result, row, 1);
	ret->account = cf_db_get_text(db, result, row, 2);
	ret->allowed = cf_db_get_bool(db, result, row, 3);
	ret->has_reference = !cf_db_is_null(db, result, row, 4);
	if (ret->has_reference)
		cf_db_get_fixed(db, result, row, 4, ret->reference,
		    sizeof ret->reference);
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

size_t
cf_db_reference_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "reference_insert",
	    "INSERT INTO counterfoil.account_reference "
	    "(account_id, check_value) SELECT a, b "
	    "FROM unnest($1, $2) AS q (a, b) "
	    "ORDER BY a ON CONFLICT DO NOTHING RETURNING true" };

	return cf_db_send(db, &stmt, args);
}

size_t
cf_db_issued_send(struct cf_db *db, const struct cf_db_args *keys)
{
	static const struct cf_db_stmt stmt = { "issued_find",
	    "SELECT q.n, i.account_id, i.values_sha256, i.key_commitment, "
	    "m.key_id IS NOT NULL, m.master_id, mk.check_value, m.salt, "
	    "m.wrapped "
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
	ret->account_id = cf_db_get_int(db, result, row, 1);
	cf_db_get_fixed(db, result, row, 2, ret->values_sha256,
	    sizeof ret->values_sha256);
	cf_db_get_fixed(db, result, row, 3, ret->key_commitment,
	    sizeof ret->key_commitment);
	ret->has_material = cf_db_get_bool(db, result, row, 4);
	if (ret->has_material)
		get_material(db, result, row, 5, &ret->material);
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
static size_t
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
	    "ORDER BY a ON CONFLICT DO NOTHING RETURNING true" };

	return cf_db_send(db, &stmt, args);
}

static void
material_insert(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "material_insert",
	    "INSERT INTO counterfoil.key_material (key_id, master_id, "
	    "salt, wrapped) SELECT a, b, c, d "
	    "FROM unnest($1, $2, $3, $4) AS q (a, b, c, d) "
	    "ORDER BY a ON CONFLICT DO NOTHING" };

	(void)cf_db_send(db, &stmt, args);
}

static void
state_insert(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "state_insert",
	    "INSERT INTO counterfoil.key_state (key_id, expires_at) "
	    "SELECT a, b FROM unnest($1, $2) AS q (a, b) "
	    "ORDER BY a ON CONFLICT DO NOTHING" };

	(void)cf_db_send(db, &stmt, args);
}

size_t
cf_db_issue_send(struct cf_db *db, const struct cf_issue_args *args)
{
	size_t result = issue_insert(db, &args->issue);

	material_insert(db, &args->material);
	state_insert(db, &args->state);
	return result;
}
