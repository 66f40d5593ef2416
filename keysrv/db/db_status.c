/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_status - see db_status.h. */
#include "keysrv/db/db_status.h"

#include "common/container.h"

/*
 * An attempt whose sibling was released first is not shown.  $3 is empty for
 * all messages.
 */
size_t
cf_db_status_send(struct cf_db *db, const struct cf_status_query *q)
{
	static const struct cf_db_stmt stmt = { "status_list",
	    "SELECT i.key_id, i.message_ref, i.message_id, i.sender, "
	    "i.recipients[1] AS recipient, i.issued_at, "
	    "CASE WHEN s.first_opened_at IS NOT NULL THEN 'opened' "
	    "WHEN s.first_released_at IS NOT NULL THEN 'released' "
	    "WHEN s.revoked_at IS NOT NULL THEN 'revoked' "
	    "WHEN s.expires_at <= now() THEN 'expired' "
	    "ELSE 'issued' END AS status, "
	    "i.assurance, s.first_released_at AS released_at, "
	    "s.first_opened_at AS opened_at, "
	    "CASE (SELECT max(CASE o.state WHEN 'undeliverable' THEN 3 "
	    "WHEN 'waiting' THEN 2 ELSE 1 END) FROM counterfoil.outbox o "
	    "WHERE o.key_id = i.key_id) WHEN 3 THEN 'undeliverable' "
	    "WHEN 2 THEN 'queued' WHEN 1 THEN 'sent' ELSE 'none' END "
	    "AS receipt "
	    "FROM counterfoil.key_issue i "
	    "JOIN counterfoil.key_state s ON s.key_id = i.key_id "
	    "WHERE i.account_id = $1 AND i.issued_at < $2 "
	    "AND (i.message_ref = $3 OR $3 = ''::bytea) "
	    "AND NOT EXISTS (SELECT FROM counterfoil.message_once m "
	    "WHERE m.message_ref = i.message_ref "
	    "AND m.account_id = i.account_id "
	    "AND m.recipient = i.recipients[1] AND m.key_id <> i.key_id) "
	    "ORDER BY i.issued_at DESC, i.key_id DESC LIMIT $4" };
	struct cf_db_args args;
	size_t result;

	cf_db_args_init(&args, "IZBI");
	cf_db_int(&args, 0, q->account_id);
	cf_db_time(&args, 1, q->before_ms);
	cf_db_bytes(&args, 2, q->message_ref,
	    q->message_ref == NULL ? 0 : CF_REF_LEN);
	cf_db_int(&args, 3, q->limit);
	result = cf_db_send(db, &stmt, &args);
	cf_db_args_free(&args);
	return result;
}

void
cf_db_status_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_status_row *ret)
{
#define AT(member) offsetof(struct cf_status_row, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES, AT(key_id), CF_KEY_ID_LEN },
		{ "message_ref", CF_DB_BYTES, AT(message_ref), CF_REF_LEN },
		{ "message_id", CF_DB_TEXT, AT(message_id), 0 },
		{ "sender", CF_DB_TEXT, AT(sender), 0 },
		{ "recipient", CF_DB_TEXT, AT(recipient), 0 },
		{ "issued_at", CF_DB_TIME, AT(issued_at_ms), 0 },
		{ "status", CF_DB_TEXT, AT(status), 0 },
		{ "assurance", CF_DB_ASSURANCE, AT(assurance), 0 },
		{ "released_at", CF_DB_TIME, AT(released_at_ms), 0 },
		{ "opened_at", CF_DB_TIME, AT(opened_at_ms), 0 },
		{ "receipt", CF_DB_TEXT, AT(receipt), 0 },
	};
#undef AT

	CF_DB_ROW(db, result, row, columns, ret);
}
