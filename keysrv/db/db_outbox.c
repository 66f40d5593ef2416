/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_outbox - see db_outbox.h. */
#include "keysrv/db/db_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "keysrv/db/db_private.h"

void
cf_db_outbox_row_clear(struct cf_db_outbox_row *row)
{
	free(row->kind);
	free(row->assurance);
	free(row->sender);
	free(row->recipient);
	free(row->principal);
	free(row->original_message_id);
	free(row->details);
	memset(row, 0, sizeof *row);
}

/*
 * Of rows that are found by their number.  As "state = 'waiting'" it would let
 * a plan look for them in outbox_due, among all that wait.
 */
#define WAITING "state NOT IN ('sent', 'undeliverable')"

/* ---- lease ---- */

/*
 * FOR UPDATE SKIP LOCKED: several key servers share the table without
 * waiting for each other.  `attempts` grows with each lease and so tells a
 * late holder's answer from the present one's.  Materialized: the choice is
 * made once; a plan that made it anew for each row would lease all of them.
 * What was opened before its time stands in outbox_early until it is leased.
 */
#define FREE "w.next_try <= now()" \
	" AND (w.lease_until IS NULL OR w.lease_until <= now())"
static const struct cf_db_stmt lease_stmt = { "outbox_lease",
    "WITH due AS MATERIALIZED (SELECT w.outbox_id"
    "  FROM counterfoil.outbox w"
    "  WHERE w.state = 'waiting' AND w.not_before <= now() AND " FREE
    "   AND NOT (w.kind = 'opened' AND EXISTS (SELECT"
    "    FROM counterfoil.outbox f WHERE f.key_id = w.key_id"
    "    AND f.principal = w.principal AND f.kind = 'released'"
    "    AND f." WAITING "))"
    "  ORDER BY w.not_before LIMIT $1 FOR UPDATE SKIP LOCKED),"
    " opened AS MATERIALIZED (SELECT e.ctid AS place, e.outbox_id"
    "  FROM counterfoil.outbox_early e"
    "  LIMIT $1 - (SELECT count(*) FROM due) FOR UPDATE SKIP LOCKED),"
    " taken AS (DELETE FROM counterfoil.outbox_early"
    "  WHERE ctid = ANY (ARRAY (SELECT place FROM opened))),"
    " early AS MATERIALIZED (SELECT w.outbox_id"
    "  FROM counterfoil.outbox w"
    "  WHERE w.outbox_id = ANY (ARRAY (SELECT outbox_id FROM opened))"
    "   AND w." WAITING " AND " FREE " FOR UPDATE SKIP LOCKED)"
    " UPDATE counterfoil.outbox o"
    " SET lease_until = clock_timestamp() + $2 * interval '1 ms',"
    "  attempts = o.attempts + 1"
    " FROM (SELECT * FROM due UNION ALL SELECT * FROM early) q"
    " WHERE o.outbox_id = q.outbox_id"
    " RETURNING o.outbox_id, o.attempts::bigint, o.kind, o.event_id,"
    "  o.key_id, o.assurance, o.sender, o.recipient, o.principal,"
    "  o.original_message_id, o.details, o.released_at, o.opened_at,"
    "  EXISTS (SELECT FROM counterfoil.outbox f"
    "   WHERE f.key_id = o.key_id AND f.principal = o.principal"
    "   AND f.kind = 'released' AND f.state = 'sent') AS second" };

struct lease {
	size_t max;
	long lease_ms;
	struct cf_db_outbox_row *rows;
	size_t count;
};

#define AT(member) offsetof(struct cf_db_outbox_row, member)
static const struct cf_db_column columns[] = {
	{ "outbox_id", CF_DB_INT, AT(id), 0 },
	{ "attempts", CF_DB_INT, AT(attempt), 0 },
	{ "kind", CF_DB_COPY, AT(kind), 0 },
	{ "event_id", CF_DB_BYTES, AT(event_id), CF_EVENT_ID_LEN },
	{ "key_id", CF_DB_IS_THERE, AT(has_key), 0 },
	{ "key_id", CF_DB_BYTES_OR_NULL, AT(key_id), CF_KEY_ID_LEN },
	{ "assurance", CF_DB_COPY_OR_NULL, AT(assurance), 0 },
	{ "sender", CF_DB_COPY_OR_NULL, AT(sender), 0 },
	{ "recipient", CF_DB_COPY_OR_NULL, AT(recipient), 0 },
	{ "principal", CF_DB_COPY_OR_NULL, AT(principal), 0 },
	{ "original_message_id", CF_DB_COPY_OR_NULL, AT(original_message_id),
	    0 },
	{ "details", CF_DB_COPY_OR_NULL, AT(details), 0 },
	{ "released_at", CF_DB_TIME, AT(released_ms), 0 },
	{ "opened_at", CF_DB_TIME, AT(opened_ms), 0 },
	{ "second", CF_DB_BOOL, AT(second), 0 },
};
#undef AT

/* What the table's constraints forbid is told from what they allow. */
static void
read_row(const struct cf_db *db, size_t i, struct cf_db_outbox_row *row)
{
	row->unreadable = cf_db_row_try(db, 0, i, columns,
	    sizeof columns / sizeof columns[0], row);
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
	" AND kind = $3 AND " WAITING " RETURNING state"
/* What was opened early has left outbox_early: it is due now. */
#define DUE "not_before = least(not_before, clock_timestamp())"
#define BY_AGE "CASE WHEN clock_timestamp() >=" \
	" not_before + $4 * interval '1 ms'" \
	" THEN 'undeliverable' ELSE 'waiting' END"

struct ending {
	const struct cf_db_stmt *stmt;
	struct cf_db_args args;
	size_t result;
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

/*
 * A mark need not be on disk when the next mail goes: whoever kills this
 * process leaves it in the database's memory.  If the database's machine loses
 * its power, the mails of its last half second go out once more.
 */
static const struct cf_db_stmt not_synchronous = { "outbox_mark_begin",
    "SELECT set_config('synchronous_commit', 'off', true)" };

static enum cf_err
end_one(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct ending *e = arg;

	cf_db_send_silent(db, &not_synchronous, NULL);
	/* COMMIT goes with it, and its result is there after that. */
	(void)why;
	e->result = cf_db_send(db, e->stmt, &e->args);
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
	*ret_ours = cf_db_rows(db, e->result) == 1;
	if (ret_gave_up != NULL)
		*ret_gave_up = *ret_ours && strcmp(cf_db_get_text(db,
		    e->result, 0), "undeliverable") == 0;
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
	    "UPDATE counterfoil.outbox SET state = " BY_AGE ", " DUE ","
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
	    "UPDATE counterfoil.outbox SET lease_until = NULL, " DUE ","
	    " attempts = attempts - 1" FENCE };
	static const struct cf_db_stmt stmt_error = { "outbox_away",
	    "UPDATE counterfoil.outbox SET state = " BY_AGE ", " DUE ","
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
