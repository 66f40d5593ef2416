/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_receipt - see db_receipt.h. */
#include "keysrv/db/db_receipt.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* ---- events ---- */

void
cf_db_event_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "btbbt");
}

void
cf_db_event_add(struct cf_db_args *args,
    const unsigned char event_id[CF_EVENT_ID_LEN], const char *type,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char *release_id, const struct cf_buf *record)
{
	if (record->full)
		cf_bug("event record too long");
	cf_db_bytes(args, 0, event_id, CF_EVENT_ID_LEN);
	cf_db_text(args, 1, type);
	cf_db_bytes(args, 2, key_id, CF_KEY_ID_LEN);
	if (release_id == NULL)
		cf_db_null(args, 3);
	else
		cf_db_bytes(args, 3, release_id, CF_RELEASE_ID_LEN);
	cf_db_text(args, 4, cf_buf_str(record));
}

void
cf_db_event_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "event_insert",
	    "INSERT INTO counterfoil.event (event_id, type, key_id, "
	    "release_id, record) "
	    "SELECT * FROM unnest($1, $2, $3, $4, $5)" };

	(void)cf_db_send(db, &stmt, args);
}

/* ---- once ---- */

void
cf_db_once_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "btbz");
}

void
cf_db_once_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], const char *kind,
    const void *value, size_t len, int64_t at_ms)
{
	cf_db_bytes(args, 0, key_id, CF_KEY_ID_LEN);
	cf_db_text(args, 1, kind);
	cf_db_bytes(args, 2, value, len);
	cf_db_time(args, 3, at_ms);
}

size_t
cf_db_once_find(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "once_find",
	    "SELECT q.n, o.at "
	    "FROM unnest($1, $2, $3, $4) WITH ORDINALITY "
	    "AS q (key_id, kind, value, at, n) "
	    "JOIN counterfoil.key_once o USING (key_id, kind, value)" };

	return cf_db_send(db, &stmt, args);
}

void
cf_db_once_get(const struct cf_db *db, size_t result, size_t row,
    size_t *ret_number, int64_t *ret_at_ms)
{
	static const struct cf_db_column at[] = { { "at", CF_DB_TIME, 0, 0 } };

	*ret_number = cf_db_number(db, result, row);
	CF_DB_ROW(db, result, row, at, ret_at_ms);
}

void
cf_db_once_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "once_insert",
	    "INSERT INTO counterfoil.key_once (key_id, kind, value, at) "
	    "SELECT * FROM unnest($1, $2, $3, $4)" };

	(void)cf_db_send(db, &stmt, args);
}

/* ---- releases ---- */

void
cf_db_release_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "bbbtttzibb");
}

void
cf_db_release_add(struct cf_db_args *args, const struct cf_new_release *r)
{
	cf_db_bytes(args, 0, r->key_id, CF_KEY_ID_LEN);
	cf_db_bytes(args, 1, r->release_id, CF_RELEASE_ID_LEN);
	cf_db_bytes(args, 2, r->secret_sha256, CF_DIGEST_LEN);
	cf_db_text(args, 3, r->principal);
	cf_db_text(args, 4, r->assurance);
	cf_db_text(args, 5, r->origin);
	cf_db_time(args, 6, r->at_ms);
	cf_db_int(args, 7, cf_db_challenge_slot(r->challenge));
	cf_db_bytes(args, 8, r->challenge->random,
	    sizeof r->challenge->random);
	cf_db_bytes(args, 9, r->network, r->network_len);
}

void
cf_db_release_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "release_insert",
	    "WITH used AS (INSERT INTO counterfoil.challenge_used "
	    "(key_id, random, slot, network, at) "
	    "SELECT a, i, h::smallint, j, g "
	    "FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
	    "AS q (a, b, c, d, e, f, g, h, i, j)) "
	    "INSERT INTO counterfoil.key_release (key_id, release_id, "
	    "secret_sha256, principal, assurance, origin, released_at) "
	    "SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)" };

	(void)cf_db_send(db, &stmt, args);
}

void
cf_db_release_find_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "bb");
}

void
cf_db_release_find_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char release_id[CF_RELEASE_ID_LEN])
{
	cf_db_bytes(args, 0, key_id, CF_KEY_ID_LEN);
	cf_db_bytes(args, 1, release_id, CF_RELEASE_ID_LEN);
}

size_t
cf_db_release_find(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "release_find",
	    "SELECT q.n, i.account_id, i.message_ref, i.message_id, "
	    "i.sender, i.recipients[1] AS recipient, i.assurance, "
	    "i.opening_key, i.possession_key, r.secret_sha256, r.principal, "
	    "r.released_at "
	    "FROM unnest($1, $2) WITH ORDINALITY AS q (key_id, release_id, n) "
	    "JOIN counterfoil.key_release r USING (key_id, release_id) "
	    "JOIN counterfoil.key_issue i USING (key_id)" };

	return cf_db_send(db, &stmt, args);
}

void
cf_db_release_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_release_row *ret)
{
#define AT(member) offsetof(struct cf_release_row, member)
	static const struct cf_db_column columns[] = {
		{ "account_id", CF_DB_INT, AT(account_id), 0 },
		{ "message_ref", CF_DB_BYTES, AT(message_ref), CF_REF_LEN },
		{ "message_id", CF_DB_COPY, AT(message_id), 0 },
		{ "sender", CF_DB_COPY, AT(sender), 0 },
		{ "recipient", CF_DB_COPY, AT(recipient), 0 },
		{ "assurance", CF_DB_COPY, AT(assurance), 0 },
		{ "opening_key", CF_DB_BYTES, AT(opening_key),
		    CF_PUBLIC_KEY_LEN },
		{ "possession_key", CF_DB_BYTES, AT(possession_key),
		    CF_PUBLIC_KEY_LEN },
		{ "secret_sha256", CF_DB_BYTES, AT(secret_sha256),
		    CF_DIGEST_LEN },
		{ "principal", CF_DB_COPY, AT(principal), 0 },
		{ "released_at", CF_DB_TIME, AT(released_at_ms), 0 },
	};
#undef AT

	CF_DB_ROW(db, result, row, columns, ret);
}

void
cf_release_row_free(struct cf_release_row *row)
{
	free(row->message_id);
	free(row->sender);
	free(row->recipient);
	free(row->assurance);
	free(row->principal);
	memset(row, 0, sizeof *row);
}

void
cf_db_opened_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "bz");
}

void
cf_db_opened_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t at_ms)
{
	cf_db_bytes(args, 0, key_id, CF_KEY_ID_LEN);
	cf_db_time(args, 1, at_ms);
}

void
cf_db_opened_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "opened_update",
	    "UPDATE counterfoil.key_state s SET first_opened_at = q.at "
	    "FROM (SELECT a AS key_id, min(b) AS at "
	    "FROM unnest($1, $2) AS u (a, b) GROUP BY a) q "
	    "WHERE s.key_id = q.key_id AND s.first_opened_at IS NULL" };

	(void)cf_db_send(db, &stmt, args);
}

/* ---- telling the sender ---- */

void
cf_db_notice_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "bbbittttzztz");
}

void
cf_db_notice_add(struct cf_db_args *args, const struct cf_notice_row *n)
{
	cf_db_bytes(args, 0, n->event_id, CF_EVENT_ID_LEN);
	cf_db_bytes(args, 1, n->key_id, CF_KEY_ID_LEN);
	cf_db_bytes(args, 2, n->message_ref, CF_REF_LEN);
	cf_db_int(args, 3, n->account_id);
	cf_db_text(args, 4, n->sender);
	cf_db_text(args, 5, n->recipient);
	cf_db_text(args, 6, n->message_id);
	cf_db_text(args, 7, n->assurance);
	cf_db_time(args, 8, n->released_at_ms);
	cf_db_time(args, 9, n->opened_at_ms);
	cf_db_text(args, 10, n->principal);
	cf_db_time(args, 11, n->not_before_ms);
}

#define NOTICES "unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) " \
	"AS q (event_id, key_id, message_ref, account_id, sender, " \
	"recipient, message_id, assurance, released_at, opened_at, " \
	"principal, not_before)"
#define IS_FIRST_ATTEMPT "counterfoil.message_once m " \
	"ON m.message_ref = q.message_ref AND m.account_id = q.account_id " \
	"AND m.recipient = q.recipient AND m.key_id = q.key_id"

/* In the order of the primary key: no deadlock between two batches. */
static void
message_once_insert(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "message_once_insert",
	    "INSERT INTO counterfoil.message_once (message_ref, account_id, "
	    "recipient, key_id, at) "
	    "SELECT q.message_ref, q.account_id, q.recipient, q.key_id, "
	    "q.released_at FROM " NOTICES " ORDER BY 1, 2, 3 "
	    "ON CONFLICT DO NOTHING" };

	(void)cf_db_send(db, &stmt, args);
}

static void
outbox_released(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "outbox_released",
	    "INSERT INTO counterfoil.outbox (event_id, key_id, message_ref, "
	    "kind, sender, recipient, original_message_id, released_at, "
	    "assurance, principal, not_before) "
	    "SELECT q.event_id, q.key_id, q.message_ref, 'released', "
	    "q.sender, q.recipient, q.message_id, q.released_at, "
	    "q.assurance, q.principal, q.not_before "
	    "FROM " NOTICES " JOIN " IS_FIRST_ATTEMPT };

	(void)cf_db_send(db, &stmt, args);
}

void
cf_db_notice_released(struct cf_db *db, const struct cf_db_args *args)
{
	message_once_insert(db, args);
	outbox_released(db, args);
}

static void
outbox_upgrade(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "outbox_upgrade",
	    "UPDATE counterfoil.outbox o SET kind = 'opened', "
	    "event_id = q.event_id, opened_at = q.opened_at, "
	    "not_before = q.not_before "
	    "FROM " NOTICES " "
	    "WHERE o.key_id = q.key_id AND o.principal = q.principal "
	    "AND o.kind = 'released' AND o.state = 'waiting' "
	    "AND (o.lease_until IS NULL OR o.lease_until < now())" };

	(void)cf_db_send(db, &stmt, args);
}

static void
outbox_opened(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "outbox_opened",
	    "INSERT INTO counterfoil.outbox (event_id, key_id, message_ref, "
	    "kind, sender, recipient, original_message_id, released_at, "
	    "opened_at, assurance, principal, not_before) "
	    "SELECT q.event_id, q.key_id, q.message_ref, 'opened', "
	    "q.sender, q.recipient, q.message_id, q.released_at, "
	    "q.opened_at, q.assurance, q.principal, q.not_before "
	    "FROM " NOTICES " JOIN " IS_FIRST_ATTEMPT " "
	    "WHERE NOT EXISTS (SELECT FROM counterfoil.outbox o "
	    "WHERE o.key_id = q.key_id AND o.principal = q.principal "
	    "AND o.kind = 'opened')" };

	(void)cf_db_send(db, &stmt, args);
}

void
cf_db_notice_opened(struct cf_db *db, const struct cf_db_args *args)
{
	outbox_upgrade(db, args);
	outbox_opened(db, args);
}
