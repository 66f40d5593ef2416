/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_outbox - see db_outbox.h. */
#include "keysrv/db_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* 9999-12-31; the column can hold more, and `infinity'. */
#define TIME_MOST_MS INT64_C(253402300799999)

void
cf_db_outbox_row_clear(struct cf_db_outbox_row *row)
{
	free(row->kind);
	free(row->assurance);
	free(row->sender);
	free(row->recipient);
	free(row->principal);
	free(row->original_message_id);
	memset(row, 0, sizeof *row);
}

/* ---- lease ---- */

/* The columns of the lease statement, in its order. */
enum column {
	COL_ID, COL_ATTEMPTS, COL_KIND, COL_EVENT, COL_KEY, COL_ASSURANCE,
	COL_SENDER, COL_RECIPIENT, COL_PRINCIPAL, COL_MESSAGE_ID,
	COL_RELEASED, COL_OPENED, COL_SECOND
};

/*
 * FOR UPDATE SKIP LOCKED: several key servers share the table without
 * waiting for each other.  `attempts` grows with each lease and so tells a
 * late holder's answer from the present one's.  Materialized: the choice is
 * made once; a plan that made it anew for each row would lease all of them.
 */
static const struct cf_db_stmt lease_stmt = { "outbox_lease",
    "WITH due AS MATERIALIZED (SELECT w.outbox_id"
    "  FROM counterfoil.outbox w"
    "  WHERE w.state = 'waiting' AND w.not_before <= now()"
    "   AND w.next_try <= now()"
    "   AND (w.lease_until IS NULL OR w.lease_until <= now())"
    "   AND NOT (w.kind = 'opened' AND EXISTS (SELECT"
    "    FROM counterfoil.outbox f WHERE f.key_id = w.key_id"
    "    AND f.principal = w.principal AND f.kind = 'released'"
    "    AND f.state = 'waiting'))"
    "  ORDER BY w.not_before LIMIT $1 FOR UPDATE SKIP LOCKED)"
    " UPDATE counterfoil.outbox o"
    " SET lease_until = clock_timestamp() + $2 * interval '1 ms',"
    "  attempts = o.attempts + 1"
    " FROM due WHERE o.outbox_id = due.outbox_id"
    " RETURNING o.outbox_id, o.attempts::bigint, o.kind, o.event_id,"
    "  o.key_id, o.assurance, o.sender, o.recipient, o.principal,"
    "  o.original_message_id, o.released_at, o.opened_at,"
    "  EXISTS (SELECT FROM counterfoil.outbox f"
    "   WHERE f.key_id = o.key_id AND f.principal = o.principal"
    "   AND f.kind = 'released' AND f.state = 'sent')" };

struct lease {
	size_t max;
	long lease_ms;
	struct cf_db_outbox_row *rows;
	size_t count;
};

static bool
read_id(const struct cf_db *db, size_t i, enum column col,
    unsigned char id[16])
{
	size_t len;
	const void *bytes = cf_db_get_bytes(db, 0, i, col, &len);

	if (len != 16)
		return false;
	memcpy(id, bytes, len);
	return true;
}

static bool
read_time(const struct cf_db *db, size_t i, enum column col, int64_t *ret)
{
	*ret = cf_db_get_time(db, 0, i, col);
	return *ret >= 0 && *ret <= TIME_MOST_MS;
}

static char *
read_text(const struct cf_db *db, size_t i, enum column col)
{
	return cf_strdup(cf_db_get_text(db, 0, i, col));
}

/* What the table's constraints forbid is told from what they allow. */
static void
read_row(const struct cf_db *db, size_t i, struct cf_db_outbox_row *row)
{
	row->id = cf_db_get_int(db, 0, i, COL_ID);
	row->attempt = cf_db_get_int(db, 0, i, COL_ATTEMPTS);
	row->kind = read_text(db, i, COL_KIND);
	row->assurance = read_text(db, i, COL_ASSURANCE);
	row->sender = read_text(db, i, COL_SENDER);
	row->recipient = read_text(db, i, COL_RECIPIENT);
	row->principal = read_text(db, i, COL_PRINCIPAL);
	row->original_message_id = read_text(db, i, COL_MESSAGE_ID);
	row->second = cf_db_get_bool(db, 0, i, COL_SECOND);
	if (!read_id(db, i, COL_EVENT, row->event_id))
		row->unreadable = "event_id";
	else if (!read_id(db, i, COL_KEY, row->key_id))
		row->unreadable = "key_id";
	else if (!read_time(db, i, COL_RELEASED, &row->released_ms))
		row->unreadable = "released_at";
	else if (!read_time(db, i, COL_OPENED, &row->opened_ms) &&
	    !cf_db_is_null(db, 0, i, COL_OPENED))
		row->unreadable = "opened_at";
}

static void
forget(struct lease *lease)
{
	while (lease->count > 0)
		cf_db_outbox_row_clear(&lease->rows[--lease->count]);
}

static enum cf_err
lease_rows(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct lease *lease = arg;
	struct cf_db_args args;
	enum cf_err rc;
	size_t i;

	forget(lease);
	cf_db_args_init(&args, "II");
	cf_db_int(&args, 0, (int64_t)lease->max);
	cf_db_int(&args, 1, lease->lease_ms);
	(void)cf_db_send(db, &lease_stmt, &args);
	cf_db_args_free(&args);
	rc = cf_db_flush(db, why);
	if (rc != CF_OK)
		return rc;
	if (cf_db_rows(db, 0) > lease->max)
		cf_bug("more rows leased than asked for");
	for (i = 0; i < cf_db_rows(db, 0); i++)
		read_row(db, i, &lease->rows[lease->count++]);
	return CF_OK;
}

enum cf_err
cf_db_outbox_lease(struct cf_db *db, size_t max, long lease_ms,
    struct cf_db_outbox_row *rows, size_t *ret_count, struct cf_why *why)
{
	struct lease lease = { max, lease_ms, rows, 0 };
	enum cf_err rc;

	if (lease.max > CF_DB_OUTBOX_LEASE_MAX)
		lease.max = CF_DB_OUTBOX_LEASE_MAX;
	rc = cf_db_run(db, CF_DB_WRITE, NULL, lease_rows, &lease, why);
	if (rc != CF_OK)
		forget(&lease);
	else
		*ret_count = lease.count;
	return rc;
}

/* ---- the end of a lease ---- */

/* $1 id, $2 attempts, $3 kind; the statements' own values come after. */
#define FENCE " WHERE outbox_id = $1 AND attempts = $2" \
	" AND kind = $3 AND state = 'waiting' RETURNING state"
#define BY_AGE "CASE WHEN clock_timestamp() >=" \
	" not_before + $4 * interval '1 ms'" \
	" THEN 'undeliverable' ELSE 'waiting' END"

struct ending {
	const struct cf_db_stmt *stmt;
	struct cf_db_args args;
	bool ours, undeliverable;
};

static void
ending_init(struct ending *e, const struct cf_db_stmt *stmt,
    const char *types, const struct cf_db_outbox_row *row)
{
	e->stmt = stmt;
	cf_db_args_init(&e->args, types);
	cf_db_int(&e->args, 0, row->id);
	cf_db_int(&e->args, 1, row->attempt);
	cf_db_text(&e->args, 2, row->kind);
}

static enum cf_err
end_one(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct ending *e = arg;
	enum cf_err rc;

	(void)cf_db_send(db, e->stmt, &e->args);
	rc = cf_db_flush(db, why);
	if (rc != CF_OK)
		return rc;
	e->ours = cf_db_rows(db, 0) == 1;
	e->undeliverable = e->ours &&
	    strcmp(cf_db_get_text(db, 0, 0, 0), "undeliverable") == 0;
	return CF_OK;
}

static enum cf_err
end_lease(struct cf_db *db, struct ending *e, bool *ret_ours,
    bool *ret_gave_up, struct cf_why *why)
{
	enum cf_err rc = cf_db_run(db, CF_DB_WRITE, NULL, end_one, e, why);

	cf_db_args_free(&e->args);
	if (rc != CF_OK)
		return rc;
	*ret_ours = e->ours;
	if (ret_gave_up != NULL)
		*ret_gave_up = e->undeliverable;
	return CF_OK;
}

enum cf_err
cf_db_outbox_sent(struct cf_db *db, const struct cf_db_outbox_row *row,
    bool *ret_ours, struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "outbox_sent",
	    "UPDATE counterfoil.outbox SET state = 'sent',"
	    " sent_at = clock_timestamp(), lease_until = NULL,"
	    " last_error = NULL" FENCE };
	struct ending e;

	ending_init(&e, &stmt, "IIT", row);
	return end_lease(db, &e, ret_ours, NULL, why);
}

enum cf_err
cf_db_outbox_undeliverable(struct cf_db *db,
    const struct cf_db_outbox_row *row, const char *error, bool *ret_ours,
    struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "outbox_undeliverable",
	    "UPDATE counterfoil.outbox SET state = 'undeliverable',"
	    " lease_until = NULL, last_error = $4" FENCE };
	struct ending e;

	ending_init(&e, &stmt, "IITT", row);
	cf_db_text(&e.args, 3, error);
	return end_lease(db, &e, ret_ours, NULL, why);
}

enum cf_err
cf_db_outbox_retry(struct cf_db *db, const struct cf_db_outbox_row *row,
    long delay_ms, long max_age_ms, const char *error, bool *ret_ours,
    bool *ret_gave_up, struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "outbox_retry",
	    "UPDATE counterfoil.outbox SET state = " BY_AGE ","
	    " next_try = clock_timestamp() + $5 * interval '1 ms',"
	    " lease_until = NULL, last_error = $6" FENCE };
	struct ending e;

	ending_init(&e, &stmt, "IITIIT", row);
	cf_db_int(&e.args, 3, max_age_ms);
	cf_db_int(&e.args, 4, delay_ms);
	cf_db_text(&e.args, 5, error);
	return end_lease(db, &e, ret_ours, ret_gave_up, why);
}

enum cf_err
cf_db_outbox_give_back(struct cf_db *db, const struct cf_db_outbox_row *row,
    long max_age_ms, const char *error, bool *ret_ours, bool *ret_gave_up,
    struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "outbox_give_back",
	    "UPDATE counterfoil.outbox SET lease_until = NULL,"
	    " attempts = attempts - 1" FENCE };
	static const struct cf_db_stmt stmt_error = { "outbox_away",
	    "UPDATE counterfoil.outbox SET state = " BY_AGE ","
	    " lease_until = NULL, attempts = attempts - 1,"
	    " last_error = $5" FENCE };
	struct ending e;

	if (error == NULL) {
		ending_init(&e, &stmt, "IIT", row);
	} else {
		ending_init(&e, &stmt_error, "IITIT", row);
		cf_db_int(&e.args, 3, max_age_ms);
		cf_db_text(&e.args, 4, error);
	}
	return end_lease(db, &e, ret_ours, ret_gave_up, why);
}
