/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_outbox - see db_outbox.h. */
#include "keysrv/db_outbox.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"

#define CALL_LIMIT_MS 15000	/* connecting, or one statement */

struct cf_db_outbox {
	PGconn *conn;		/* NULL between connections */
	char *conninfo;
	int wake_fd;		/* -1: not watched any more */
	int64_t limit_ms;
};

static void
free_result(PGresult **result)
{
	PQclear(*result);
}

struct cf_db_outbox *
cf_db_outbox_new(const char *conninfo, int wake_fd)
{
	struct cf_db_outbox *db = cf_calloc(1, sizeof *db);

	db->conninfo = cf_strdup(conninfo);
	db->wake_fd = wake_fd;
	db->limit_ms = CALL_LIMIT_MS;
	return db;
}

static void
disconnect(struct cf_db_outbox *db)
{
	PQfinish(db->conn);
	db->conn = NULL;
}

void
cf_db_outbox_free(struct cf_db_outbox **db)
{
	if (*db == NULL)
		return;
	disconnect(*db);
	free((*db)->conninfo);
	free(*db);
	*db = NULL;
}

void
cf_db_outbox_last_calls(struct cf_db_outbox *db, int64_t limit_ms)
{
	db->wake_fd = -1;
	db->limit_ms = limit_ms;
}

void
cf_db_outbox_row_clear(struct cf_db_outbox_row *row)
{
	free(row->id);
	free(row->attempts);
	free(row->kind);
	free(row->assurance);
	free(row->sender);
	free(row->recipient);
	free(row->principal);
	free(row->original_message_id);
	memset(row, 0, sizeof *row);
}

static enum cf_err
db_fail(struct cf_db_outbox *db, struct cf_why *why, const char *what)
{
	(void)cf_fail(CF_E_DATABASE, why, "outbox: %s: %s", what,
	    db->conn != NULL ? PQerrorMessage(db->conn) : "no connection");
	disconnect(db);
	return CF_E_DATABASE;
}

/* Until the server has something for us; false when it is not worth it. */
static bool
wait_for_server(struct cf_db_outbox *db, short events, int64_t until)
{
	struct pollfd fds[2] = {
		{ PQsocket(db->conn), events, 0 },
		{ db->wake_fd, POLLIN, 0 },	/* poll() skips -1 */
	};
	int64_t left = until - cf_clock_mono_ms();

	if (left <= 0 || fds[0].fd < 0 || poll(fds, 2, (int)left) <= 0)
		return false;
	return fds[0].revents != 0 || fds[1].revents == 0;
}

static enum cf_err
connect_now(struct cf_db_outbox *db, int64_t until, struct cf_why *why)
{
	/* The first "dbname" is the whole string; it may override the name. */
	static const char *const keys[] = {
		"fallback_application_name", "dbname", NULL
	};
	const char *values[] = { "counterfoil-outbox", db->conninfo, NULL };
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	db->conn = PQconnectStartParams(keys, values, 1);
	if (db->conn == NULL)
		return cf_fail(CF_E_DATABASE, why, "outbox: no memory");
	if (PQstatus(db->conn) == CONNECTION_BAD)
		return db_fail(db, why, "connect");
	do {
		if (!wait_for_server(db, status == PGRES_POLLING_READING ?
		    POLLIN : POLLOUT, until))
			return db_fail(db, why, "connect: gave up waiting");
		status = PQconnectPoll(db->conn);
		if (status == PGRES_POLLING_FAILED)
			return db_fail(db, why, "connect");
	} while (status != PGRES_POLLING_OK);
	return CF_OK;
}

/* Gives *ret, which is a success.  One statement, parameters as text. */
static enum cf_err
call(struct cf_db_outbox *db, int64_t until, const char *sql, int count,
    const char *const *values, PGresult **ret, struct cf_why *why)
{
	CF_AUTO(free_result) PGresult *result = NULL;
	PGresult *more;
	ExecStatusType status;

	if (PQsendQueryParams(db->conn, sql, count, NULL, values, NULL, NULL,
	    0) != 1)
		return db_fail(db, why, "send");
	while (PQisBusy(db->conn)) {
		if (!wait_for_server(db, POLLIN, until))
			return db_fail(db, why, "gave up waiting");
		if (PQconsumeInput(db->conn) != 1)
			return db_fail(db, why, "read");
	}
	result = PQgetResult(db->conn);
	status = PQresultStatus(result);
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		return db_fail(db, why, "statement");
	while ((more = PQgetResult(db->conn)) != NULL)
		PQclear(more);
	*ret = result;
	result = NULL;
	return CF_OK;
}

static enum cf_err
prepare_session(struct cf_db_outbox *db, int64_t until, struct cf_why *why)
{
	/* The server gives up before we do; a mark must be on disk. */
	static const char sql[] =
	    "SELECT set_config('role', 'counterfoil_keysrv', false),"
	    " set_config('statement_timeout', '10s', false),"
	    " set_config('search_path', 'pg_catalog', false),"
	    " set_config('synchronous_commit', 'on', false)";
	CF_AUTO(free_result) PGresult *result = NULL;

	return call(db, until, sql, 0, NULL, &result, why);
}

static enum cf_err
run(struct cf_db_outbox *db, const char *sql, int count,
    const char *const *values, PGresult **ret, struct cf_why *why)
{
	int64_t until = cf_clock_mono_ms() + db->limit_ms;
	enum cf_err rc;

	if (db->conn == NULL) {
		rc = connect_now(db, until, why);
		if (rc == CF_OK)
			rc = prepare_session(db, until, why);
		if (rc != CF_OK)
			return rc;
	}
	return call(db, until, sql, count, values, ret, why);
}

/* `\x` and hexadecimal digits, as PostgreSQL writes bytea. */
static bool
parse_id(const char *text, unsigned char id[16])
{
	static const char digits[] = "0123456789abcdef";
	const char *high, *low;
	size_t i;

	if (strlen(text) != 34 || text[0] != '\\' || text[1] != 'x')
		return false;
	for (i = 0; i < 16; i++) {
		high = strchr(digits, text[2 + 2 * i]);
		low = strchr(digits, text[3 + 2 * i]);
		if (high == NULL || low == NULL)
			return false;
		id[i] = (unsigned char)((high - digits) << 4 | (low - digits));
	}
	return true;
}

/* The columns of the lease statement, in its order. */
enum column {
	COL_ID, COL_ATTEMPTS, COL_EVENT, COL_KEY, COL_KIND, COL_ASSURANCE,
	COL_SENDER, COL_RECIPIENT, COL_PRINCIPAL, COL_MESSAGE_ID,
	COL_RELEASED, COL_OPENED, COL_SECOND, COL__COUNT
};

static bool
read_row(const PGresult *result, int i, struct cf_db_outbox_row *row)
{
	if (!parse_id(PQgetvalue(result, i, COL_EVENT), row->event_id) ||
	    !parse_id(PQgetvalue(result, i, COL_KEY), row->key_id))
		return false;
	row->id = cf_strdup(PQgetvalue(result, i, COL_ID));
	row->attempts = cf_strdup(PQgetvalue(result, i, COL_ATTEMPTS));
	row->attempt = (int)strtol(row->attempts, NULL, 10);
	row->kind = cf_strdup(PQgetvalue(result, i, COL_KIND));
	row->assurance = cf_strdup(PQgetvalue(result, i, COL_ASSURANCE));
	row->sender = cf_strdup(PQgetvalue(result, i, COL_SENDER));
	row->recipient = cf_strdup(PQgetvalue(result, i, COL_RECIPIENT));
	row->principal = cf_strdup(PQgetvalue(result, i, COL_PRINCIPAL));
	row->original_message_id = cf_strdup(PQgetvalue(result, i,
	    COL_MESSAGE_ID));
	row->released_ms = strtoll(PQgetvalue(result, i, COL_RELEASED), NULL,
	    10);
	row->opened_ms = strtoll(PQgetvalue(result, i, COL_OPENED), NULL, 10);
	row->second = strcmp(PQgetvalue(result, i, COL_SECOND), "t") == 0;
	return true;
}

/*
 * FOR UPDATE SKIP LOCKED: several key servers share the table without
 * waiting for each other.  `attempts` grows with each lease and so tells a
 * late holder's answer from the present one's.  Materialized: the choice is
 * made once; a plan that made it anew for each row would lease all of them.
 */
static const char lease_sql[] =
    "WITH due AS MATERIALIZED (SELECT w.outbox_id"
    "  FROM counterfoil.outbox w"
    "  WHERE w.state = 'waiting' AND w.not_before <= now()"
    "   AND w.next_try <= now()"
    "   AND (w.lease_until IS NULL OR w.lease_until <= now())"
    "   AND NOT (w.kind = 'opened' AND EXISTS (SELECT"
    "    FROM counterfoil.outbox f WHERE f.key_id = w.key_id"
    "    AND f.principal = w.principal AND f.kind = 'released'"
    "    AND f.state = 'waiting'))"
    "  ORDER BY w.not_before LIMIT $1::bigint FOR UPDATE SKIP LOCKED)"
    " UPDATE counterfoil.outbox o"
    " SET lease_until = clock_timestamp() + $2::bigint * interval '1 ms',"
    "  attempts = o.attempts + 1"
    " FROM due WHERE o.outbox_id = due.outbox_id"
    " RETURNING o.outbox_id, o.attempts, o.event_id, o.key_id, o.kind,"
    "  o.assurance, o.sender, o.recipient, o.principal,"
    "  o.original_message_id,"
    "  (extract(epoch FROM o.released_at) * 1000)::bigint,"
    "  (extract(epoch FROM coalesce(o.opened_at, 'epoch')) * 1000)::bigint,"
    "  EXISTS (SELECT FROM counterfoil.outbox f"
    "   WHERE f.key_id = o.key_id AND f.principal = o.principal"
    "   AND f.kind = 'released' AND f.state = 'sent')";

enum cf_err
cf_db_outbox_lease(struct cf_db_outbox *db, size_t max, long lease_ms,
    struct cf_db_outbox_row *rows, size_t *ret_count, struct cf_why *why)
{
	CF_AUTO(free_result) PGresult *result = NULL;
	char max_text[24], lease_text[24];
	const char *values[] = { max_text, lease_text };
	size_t count = 0;
	enum cf_err rc;
	int i;

	if (max > CF_DB_OUTBOX_LEASE_MAX)
		max = CF_DB_OUTBOX_LEASE_MAX;
	(void)snprintf(max_text, sizeof max_text, "%zu", max);
	(void)snprintf(lease_text, sizeof lease_text, "%ld", lease_ms);
	rc = run(db, lease_sql, 2, values, &result, why);
	if (rc != CF_OK)
		return rc;
	for (i = 0; i < PQntuples(result) && count < max; i++)
		if (read_row(result, i, &rows[count]))
			count++;
	*ret_count = count;
	return CF_OK;
}

/*
 * An UPDATE with the fence ($1 id, $2 attempts, $3 kind) and up to two more
 * values; says whether it met the row.  `state` is what it returned.
 */
static enum cf_err
end_lease(struct cf_db_outbox *db, const char *sql,
    const struct cf_db_outbox_row *row, int extra, const char *const more[3],
    bool *ret_ours, bool *ret_undeliverable, struct cf_why *why)
{
	const char *values[6] = { row->id, row->attempts, row->kind };
	CF_AUTO(free_result) PGresult *result = NULL;
	enum cf_err rc;
	int i;

	for (i = 0; i < extra; i++)
		values[3 + i] = more[i];
	rc = run(db, sql, 3 + extra, values, &result, why);
	if (rc != CF_OK)
		return rc;
	*ret_ours = PQntuples(result) == 1;
	if (ret_undeliverable != NULL)
		*ret_undeliverable = *ret_ours &&
		    strcmp(PQgetvalue(result, 0, 0), "undeliverable") == 0;
	return CF_OK;
}

#define FENCE " WHERE outbox_id = $1::bigint AND attempts = $2::integer" \
	" AND kind = $3 AND state = 'waiting' RETURNING state"

enum cf_err
cf_db_outbox_sent(struct cf_db_outbox *db, const struct cf_db_outbox_row *row,
    bool *ret_ours, struct cf_why *why)
{
	return end_lease(db, "UPDATE counterfoil.outbox SET state = 'sent',"
	    " sent_at = clock_timestamp(), lease_until = NULL,"
	    " last_error = NULL" FENCE, row, 0, NULL, ret_ours, NULL, why);
}

enum cf_err
cf_db_outbox_undeliverable(struct cf_db_outbox *db,
    const struct cf_db_outbox_row *row, const char *error, bool *ret_ours,
    struct cf_why *why)
{
	const char *more[3] = { error };

	return end_lease(db, "UPDATE counterfoil.outbox"
	    " SET state = 'undeliverable', lease_until = NULL,"
	    " last_error = $4" FENCE, row, 1, more, ret_ours, NULL, why);
}

enum cf_err
cf_db_outbox_retry(struct cf_db_outbox *db, const struct cf_db_outbox_row *row,
    long delay_ms, long max_age_ms, const char *error, bool *ret_ours,
    bool *ret_gave_up, struct cf_why *why)
{
	char delay_text[24], age_text[24];
	const char *more[3] = { error, delay_text, age_text };

	(void)snprintf(delay_text, sizeof delay_text, "%ld", delay_ms);
	(void)snprintf(age_text, sizeof age_text, "%ld", max_age_ms);
	return end_lease(db, "UPDATE counterfoil.outbox"
	    " SET state = CASE WHEN clock_timestamp() >="
	    "  not_before + $6::bigint * interval '1 ms'"
	    "  THEN 'undeliverable' ELSE 'waiting' END,"
	    " next_try = clock_timestamp() + $5::bigint * interval '1 ms',"
	    " lease_until = NULL, last_error = $4" FENCE, row, 3, more,
	    ret_ours, ret_gave_up, why);
}

enum cf_err
cf_db_outbox_give_back(struct cf_db_outbox *db,
    const struct cf_db_outbox_row *row, bool *ret_ours, struct cf_why *why)
{
	return end_lease(db, "UPDATE counterfoil.outbox"
	    " SET lease_until = NULL, attempts = attempts - 1" FENCE, row, 0,
	    NULL, ret_ours, NULL, why);
}
