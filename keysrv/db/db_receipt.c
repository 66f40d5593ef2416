/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_receipt - see db_receipt.h. */
#include "keysrv/db/db_receipt.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* ---- events ---- */

struct event {
	const unsigned char *event_id, *key_id, *release_id;
	const char *type, *record;
};

void
cf_db_event_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct event, member)
	static const struct cf_db_column columns[] = {
		{ "event_id", CF_DB_BYTES_AT, AT(event_id), CF_EVENT_ID_LEN },
		{ "type", CF_DB_TEXT, AT(type), 0 },
		{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
		{ "release_id", CF_DB_BYTES_AT, AT(release_id),
		    CF_RELEASE_ID_LEN },
		{ "record", CF_DB_TEXT, AT(record), 0 },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_event_add(struct cf_db_args *args,
    const unsigned char event_id[CF_EVENT_ID_LEN], const char *type,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char *release_id, const struct cf_buf *record)
{
	const struct event event = { event_id, key_id, release_id, type,
	    cf_buf_str(record) };

	if (record->full)
		cf_bug("event record too long");
	cf_db_args_add(args, &event);
}

void
cf_db_event_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "event_insert",
	    "INSERT INTO counterfoil.event ($columns) "
	    "SELECT * FROM unnest($values)" };

	(void)cf_db_send(db, &stmt, args);
}

/* ---- once ---- */

struct once {
	const unsigned char *key_id;
	const char *kind;
	struct cf_db_span value;
	int64_t at_ms;
};

void
cf_db_once_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct once, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
		{ "kind", CF_DB_TEXT, AT(kind), 0 },
		{ "value", CF_DB_SPAN, AT(value), 0 },
		{ "at", CF_DB_TIME, AT(at_ms), 0 },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_once_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], const char *kind,
    const void *value, size_t len, int64_t at_ms)
{
	const struct once once = { key_id, kind, { value, len }, at_ms };

	cf_db_args_add(args, &once);
}

size_t
cf_db_once_find(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "once_find",
	    "SELECT q.n, o.at "
	    "FROM unnest($values) WITH ORDINALITY AS q ($columns, n) "
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
	    "INSERT INTO counterfoil.key_once ($columns) "
	    "SELECT * FROM unnest($values)" };

	(void)cf_db_send(db, &stmt, args);
}

/* ---- releases ---- */

/* Of key_release, and of the challenge that it used. */
struct release {
	struct cf_new_release row;
	int64_t slot;
	const unsigned char *random;
};

void
cf_db_release_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct release, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES_AT, AT(row.key_id), CF_KEY_ID_LEN },
		{ "release_id", CF_DB_BYTES_AT, AT(row.release_id),
		    CF_RELEASE_ID_LEN },
		{ "secret_sha256", CF_DB_BYTES_AT, AT(row.secret_sha256),
		    CF_DIGEST_LEN },
		{ "principal", CF_DB_TEXT, AT(row.principal), 0 },
		{ "assurance", CF_DB_ASSURANCE, AT(row.assurance), 0 },
		{ "origin", CF_DB_TEXT, AT(row.origin), 0 },
		{ "released_at", CF_DB_TIME, AT(row.at_ms), 0 },
		{ "slot", CF_DB_INT, AT(slot), 0 },
		{ "random", CF_DB_BYTES_AT, AT(random),
		    CF_CHALLENGE_RANDOM_LEN },
		{ "network", CF_DB_SPAN, AT(row.network), 0 },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_release_add(struct cf_db_args *args, const struct cf_new_release *r)
{
	const struct release release = { *r,
	    cf_db_challenge_slot(r->challenge), r->challenge->random };

	cf_db_args_add(args, &release);
}

void
cf_db_release_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "release_insert",
	    "WITH used AS (INSERT INTO counterfoil.challenge_used "
	    "(key_id, random, slot, network, at) "
	    "SELECT key_id, random, slot::smallint, network, released_at "
	    "FROM unnest($values) AS q ($columns)) "
	    "INSERT INTO counterfoil.key_release (key_id, release_id, "
	    "secret_sha256, principal, assurance, origin, released_at) "
	    "SELECT key_id, release_id, secret_sha256, principal, assurance, "
	    "origin, released_at FROM unnest($values) AS q ($columns)" };

	(void)cf_db_send(db, &stmt, args);
}

struct wanted {
	const unsigned char *key_id, *release_id;
};

void
cf_db_release_find_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct wanted, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
		{ "release_id", CF_DB_BYTES_AT, AT(release_id),
		    CF_RELEASE_ID_LEN },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_release_find_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char release_id[CF_RELEASE_ID_LEN])
{
	const struct wanted wanted = { key_id, release_id };

	cf_db_args_add(args, &wanted);
}

size_t
cf_db_release_find(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "release_find",
	    "SELECT q.n, i.account_id, i.message_ref, i.message_id, "
	    "i.sender, i.recipients[1] AS recipient, r.assurance, "
	    "i.opening_key, i.possession_key, r.secret_sha256, r.principal, "
	    "r.released_at "
	    "FROM unnest($values) WITH ORDINALITY AS q ($columns, n) "
	    "JOIN counterfoil.key_release r USING ($columns) "
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
		{ "assurance", CF_DB_ASSURANCE, AT(assurance), 0 },
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
	free(row->principal);
	memset(row, 0, sizeof *row);
}

struct opened {
	const unsigned char *key_id;
	int64_t at_ms;
};

void
cf_db_opened_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct opened, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
		{ "at", CF_DB_TIME, AT(at_ms), 0 },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_opened_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t at_ms)
{
	const struct opened opened = { key_id, at_ms };

	cf_db_args_add(args, &opened);
}

void
cf_db_opened_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "opened_update",
	    "UPDATE counterfoil.key_state s SET first_opened_at = q.at "
	    "FROM (SELECT u.key_id, min(u.at) AS at "
	    "FROM unnest($values) AS u ($columns) GROUP BY u.key_id) q "
	    "WHERE s.key_id = q.key_id AND s.first_opened_at IS NULL" };

	(void)cf_db_send(db, &stmt, args);
}

/* ---- telling the sender ---- */

void
cf_db_notice_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct cf_notice_row, member)
#define TEXT(name) { #name, CF_DB_TEXT, AT(name), 0 }
	static const struct cf_db_column columns[] = {
		{ "event_id", CF_DB_BYTES_AT, AT(event_id), CF_EVENT_ID_LEN },
		{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
		{ "message_ref", CF_DB_BYTES_AT, AT(message_ref), CF_REF_LEN },
		{ "account_id", CF_DB_INT, AT(account_id), 0 },
		TEXT(sender),
		TEXT(recipient),
		TEXT(message_id),
		{ "assurance", CF_DB_ASSURANCE, AT(assurance), 0 },
		{ "released_at", CF_DB_TIME, AT(released_at_ms), 0 },
		{ "opened_at", CF_DB_TIME, AT(opened_at_ms), 0 },
		TEXT(principal),
		{ "not_before", CF_DB_TIME, AT(not_before_ms), 0 },
	};
#undef AT
#undef TEXT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_notice_add(struct cf_db_args *args, const struct cf_notice_row *n)
{
	cf_db_args_add(args, n);
}

#define NOTICES "unnest($values) AS q ($columns)"
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

/*
 * No column that an index has changes, not_before neither: the row stays where
 * it is, and outbox_early has it sent at once.
 */
static void
outbox_upgrade(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "outbox_upgrade",
	    "WITH opened AS (UPDATE counterfoil.outbox o SET kind = 'opened', "
	    "event_id = q.event_id, opened_at = q.opened_at "
	    "FROM " NOTICES " "
	    "WHERE o.key_id = q.key_id AND o.principal = q.principal "
	    "AND o.kind = 'released' "
	    "AND o.state NOT IN ('sent', 'undeliverable') "
	    "AND (o.lease_until IS NULL OR o.lease_until < now()) "
	    "RETURNING o.outbox_id, o.not_before) "
	    "INSERT INTO counterfoil.outbox_early (outbox_id) "
	    "SELECT outbox_id FROM opened WHERE not_before > now()" };

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
