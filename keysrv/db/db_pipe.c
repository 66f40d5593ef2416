/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db's pipeline: statements are queued and prepared as they come, and go
 * to the server and back in one round trip.  See db.h.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/clock.h"
#include "keysrv/db/db_private.h"

#define SQL_MAX 65536	/* bytes of a statement */

/* ---- sending ---- */

static void
queued(struct cf_db *db, const struct cf_db_stmt *prepares, bool keep)
{
	if (db->command_count == CF_DB_COMMANDS_MAX ||
	    db->result_count == CF_DB_RESULTS_MAX)
		cf_bug("too many statements in one flush");
	db->command[db->command_count].prepares = prepares;
	db->command[db->command_count++].keep = keep;
}

static bool
is_prepared(const struct cf_db *db, const struct cf_db_stmt *stmt)
{
	size_t i;

	for (i = 0; i < db->prepared_count; i++)
		if (db->prepared[i] == stmt)
			return true;
	return false;
}

static bool
pipe_prepare(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args, const Oid *oids)
{
	CF_AUTO(cf_buf_free) struct cf_buf sql = CF_BUF_INIT(SQL_MAX);

	if (is_prepared(db, stmt))
		return true;
	if (db->prepared_count == CF_DB_PREPARED_MAX)
		cf_bug("too many statements");
	cf_db_args_sql(args, stmt->sql, &sql);
	if (PQsendPrepare(db->conn, stmt->name, cf_buf_str(&sql),
	    (int)args->count, oids) != 1)
		return false;
	db->prepared[db->prepared_count++] = stmt;
	queued(db, stmt, false);
	return true;
}

/* The statement and its parameters; false when the connection has gone. */
static bool
send_one(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args)
{
	const char *values[CF_DB_ARGS_MAX];
	int lengths[CF_DB_ARGS_MAX], formats[CF_DB_ARGS_MAX];
	CF_AUTO(cf_buf_free) struct cf_buf sql = CF_BUF_INIT(SQL_MAX);
	Oid oids[CF_DB_ARGS_MAX];
	int i, count = (int)args->count;

	for (i = 0; i < count; i++) {
		struct cf_db_value v = cf_db_args_value(args, (size_t)i);

		values[i] = v.bytes;
		lengths[i] = v.len;
		formats[i] = 1;
		oids[i] = v.oid;
	}
	if (stmt->name[0] == '\0' || db->pooled) {
		cf_db_args_sql(args, stmt->sql, &sql);
		return PQsendQueryParams(db->conn, cf_buf_str(&sql), count,
		    oids, values, lengths, formats, 1) == 1;
	}
	return pipe_prepare(db, stmt, args, oids) &&
	    PQsendQueryPrepared(db->conn, stmt->name, count, values, lengths,
	    formats, 1) == 1;
}

static void
push(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args, bool keep)
{
	static const struct cf_db_args none = { .types = "" };

	/* A connection that is gone is found out by the flush. */
	if (db->conn != NULL && !send_one(db, stmt, args == NULL ? &none
	    : args))
		cf_db_drop(db);
	queued(db, NULL, keep);
}

/* The first statement after a flush lets go of its results. */
static void
begin_flush(struct cf_db *db)
{
	if (db->command_count > 0)
		return;
	cf_db_clear(db);
	/* What is no BEGIN is a transaction by itself, until the flush. */
	if (db->pooled && !db->in_block)
		cf_db_send_session(db);
}

size_t
cf_db_send(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args)
{
	begin_flush(db);
	push(db, stmt, args, true);
	return db->result_count++;
}

void
cf_db_send_silent(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args)
{
	push(db, stmt, args, false);
}

/* ---- receiving ---- */

static enum cf_db_failure
classify(const char *state)
{
	if (state == NULL)
		return CF_DB_FAIL_HARD;
	if (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0)
		return CF_DB_FAIL_AGAIN;
	if (strcmp(state, "23505") == 0)
		return CF_DB_FAIL_THERE;
	if (strcmp(state, "42501") == 0)
		return CF_DB_FAIL_DENIED;
	/* As one that was demoted. */
	if (strcmp(state, "25006") == 0)
		return CF_DB_FAIL_MOVED;
	/* 57P0x: the server is stopping; 08: the connection broke. */
	if (strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0)
		return CF_DB_FAIL_LOST;
	/* Resources, cancelled by a time limit, I/O, locks. */
	if (strncmp(state, "53", 2) == 0 || strncmp(state, "57", 2) == 0 ||
	    strncmp(state, "58", 2) == 0 || strncmp(state, "55", 2) == 0 ||
	    strcmp(state, "25P03") == 0)
		return CF_DB_FAIL_TEMP;
	return CF_DB_FAIL_HARD;
}

/* Wait until the socket has something for us, or room. */
static bool
wait_socket(struct cf_db *db, bool want_write, int64_t until_ms)
{
	struct pollfd fds[2] = {
		{ PQsocket(db->conn), POLLIN, 0 },
		{ db->wake_fd, POLLIN, 0 },	/* poll() skips -1 */
	};
	int64_t left;
	int n;

	if (want_write)
		fds[0].events |= POLLOUT;
	for (;;) {
		left = until_ms - cf_clock_mono_ms();
		db->gave_up = left <= 0;
		if (db->gave_up)
			return false;
		n = poll(fds, 2, (int)left);
		if (n > 0 && fds[0].revents != 0)
			return true;
		db->gave_up = n > 0;
		if (n > 0 || (n < 0 && errno != EINTR))
			return false;
	}
}

/* The next result is there: everything written, nothing awaited. */
static bool
wait_result(struct cf_db *db, int64_t until_ms)
{
	int unsent;

	for (;;) {
		unsent = PQflush(db->conn);
		if (unsent < 0)
			return false;
		if (unsent == 0 && PQisBusy(db->conn) == 0)
			return true;
		if (!wait_socket(db, unsent == 1, until_ms) ||
		    PQconsumeInput(db->conn) != 1)
			return false;
	}
}

/* A statement that failed to be prepared must be prepared again. */
static void
forget_prepared(struct cf_db *db, const struct cf_db_stmt *stmt)
{
	size_t i;

	for (i = 0; i < db->prepared_count; i++)
		if (db->prepared[i] == stmt) {
			db->prepared[i] = db->prepared[--db->prepared_count];
			return;
		}
}

static void
refused(struct cf_db *db, size_t command, const PGresult *res,
    struct cf_why *why)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (db->failure != CF_DB_FAIL_NONE)
		return;
	db->failure = classify(state);
	/* What libpq says of a connection has no state, and no place. */
	if (state != NULL)
		db->failed_at = command;
	(void)cf_fail(CF_E_DATABASE, why, "database: %s (%s)",
	    text == NULL ? PQresultErrorMessage(res) : text,
	    state == NULL ? "-" : state);
}

/* Keep the results of statements, in order; true at the end of the flush. */
static bool
take_result(struct cf_db *db, PGresult *res, size_t *command, size_t *next,
    struct cf_why *why)
{
	ExecStatusType status = PQresultStatus(res);
	const struct cf_db_command *cmd;

	if (status == PGRES_PIPELINE_SYNC) {
		PQclear(res);
		return true;
	}
	cmd = &db->command[*command];
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
		if (status != PGRES_PIPELINE_ABORTED)
			refused(db, *command, res, why);
		if (cmd->prepares != NULL)
			forget_prepared(db, cmd->prepares);
	}
	if (cmd->keep)
		db->result[(*next)++] = res;
	else
		PQclear(res);
	return false;
}

static enum cf_err
receive(struct cf_db *db, struct cf_why *why)
{
	int64_t until = cf_clock_mono_ms() + db->limit_ms;
	size_t command = 0, next = 0;
	PGresult *res;

	for (;;) {
		if (!wait_result(db, until))
			return cf_db_lost(db, why, "database");
		res = PQgetResult(db->conn);
		if (res == NULL) {
			/* The end of one statement, or of everything. */
			if (PQstatus(db->conn) != CONNECTION_OK ||
			    command++ > db->command_count)
				return cf_db_lost(db, why, "database");
			continue;
		}
		/*
		 * All commands are answered and something else than the end
		 * of the flush comes: the server's last words.
		 */
		if (command >= db->command_count &&
		    PQresultStatus(res) != PGRES_PIPELINE_SYNC) {
			PQclear(res);
			return cf_db_lost(db, why, "database");
		}
		if (take_result(db, res, &command, &next, why))
			return CF_OK;
		if (PQstatus(db->conn) != CONNECTION_OK)
			return cf_db_lost(db, why, "database");
	}
}

enum cf_err
cf_db_flush(struct cf_db *db, struct cf_why *why)
{
	enum cf_err rc;

	db->failure = CF_DB_FAIL_NONE;
	db->failed_at = SIZE_MAX;
	if (db->conn == NULL || PQpipelineSync(db->conn) != 1) {
		db->command_count = 0;
		return cf_db_lost(db, why, "database");
	}
	rc = receive(db, why);
	if (rc == CF_OK && db->failure != CF_DB_FAIL_NONE) {
		rc = db->failure == CF_DB_FAIL_HARD ||
		    db->failure == CF_DB_FAIL_DENIED ||
		    db->failure == CF_DB_FAIL_THERE ? CF_E_INTERNAL
		    : CF_E_DATABASE;
		if (db->failure == CF_DB_FAIL_LOST ||
		    db->failure == CF_DB_FAIL_MOVED)
			cf_db_drop(db);
	}
	db->command_count = 0;
	return rc;
}
