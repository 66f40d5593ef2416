/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db - see db.h. */
#include "keysrv/db.h"

#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/mem.h"
#include "keysrv/schema.h"

#define RESULTS_MAX 24
#define COMMANDS_MAX (2 * RESULTS_MAX + 2)
#define PREPARED_MAX 64
#define TRIES_MAX 4
#define CONNECT_TIMEOUT "5"
#define STATEMENT_TIMEOUT "30s"
#define FLUSH_TIMEOUT_MS 40000	/* longer than the server's own limit */
#define RECONNECT_MIN_MS 200	/* between two attempts */

#define OID_BYTEA 17
#define OID_INT8 20
#define OID_TEXT 25
#define OID_TIMESTAMPTZ 1184
#define OID_BYTEA_ARRAY 1001
#define OID_TEXT_ARRAY 1009
#define OID_INT8_ARRAY 1016
#define OID_TIMESTAMPTZ_ARRAY 1185
/* 2000-01-01, where PostgreSQL's time begins, in Unix milliseconds. */
#define EPOCH_MS INT64_C(946684800000)

/* What a failed flush means for the transaction. */
#define NOT_ALLOWED "42501"	/* the SQLSTATE insufficient_privilege */

enum failure {
	FAIL_NONE,
	FAIL_LOST,	/* the connection is gone */
	FAIL_AGAIN,	/* rolled back by a conflict; may be run again */
	FAIL_TEMP,	/* the server cannot at present */
	FAIL_HARD	/* the statement is wrong for this data */
};

/* One queued command; each brings one result, but not all are kept. */
struct command {
	const struct cf_db_stmt *prepares;	/* or NULL */
	bool keep;
};

struct cf_db {
	struct cf_db_options options;
	PGconn *conn;			/* NULL: not connected */
	const struct cf_db_stmt *prepared[PREPARED_MAX];
	size_t prepared_count;
	PGresult *result[RESULTS_MAX];
	size_t result_count;		/* queued, or there after a flush */
	struct command command[COMMANDS_MAX];
	size_t command_count;
	enum failure failure;
	bool warned;			/* a WARNING arrived */
	bool was_connected;		/* to log the way back */
	int64_t last_attempt_ms;
	int wake_fd;
	int64_t limit_ms;		/* for the results of a flush */
	bool gave_up;			/* limit_ms over, or woken */
};

/* ---- parameters ---- */

static void
put32(struct cf_buf *buf, uint32_t v)
{
	v = htobe32(v);
	cf_buf_add(buf, &v, sizeof v);
}

static bool
is_array(char type)
{
	return type >= 'a';
}

static uint32_t
element_oid(char type)
{
	switch (type | 0x20) {
	case 'b':
		return OID_BYTEA;
	case 't':
		return OID_TEXT;
	case 'i':
		return OID_INT8;
	case 'z':
		return OID_TIMESTAMPTZ;
	default:
		cf_bug("parameter type");
	}
}

static uint32_t
param_oid(char type)
{
	switch (type) {
	case 'b':
		return OID_BYTEA_ARRAY;
	case 't':
		return OID_TEXT_ARRAY;
	case 'i':
		return OID_INT8_ARRAY;
	case 'z':
		return OID_TIMESTAMPTZ_ARRAY;
	default:
		return element_oid(type);
	}
}

void
cf_db_args_init(struct cf_db_args *args, const char *types)
{
	size_t i;

	memset(args, 0, sizeof *args);
	args->types = types;
	args->count = strlen(types);
	if (args->count > CF_DB_ARGS_MAX)
		cf_bug("too many parameters");
	for (i = 0; i < args->count; i++) {
		args->col[i].max = CF_DB_BATCH_BYTES;
		if (!is_array(types[i]))
			continue;
		/* Array header; the number of elements is set at the end. */
		put32(&args->col[i], 1);		/* dimensions */
		put32(&args->col[i], 1);		/* may have nulls */
		put32(&args->col[i], element_oid(types[i]));
		put32(&args->col[i], 0);
		put32(&args->col[i], 1);		/* lower bound */
	}
}

void
cf_db_args_free(struct cf_db_args *args)
{
	size_t i;

	for (i = 0; i < args->count; i++)
		cf_buf_free(&args->col[i]);
}

static void
add_value(struct cf_db_args *args, size_t col, char type, const void *bytes,
    size_t len)
{
	struct cf_buf *buf = &args->col[col];

	if (col >= args->count || (args->types[col] | 0x20) != type ||
	    len > INT32_MAX)
		cf_bug("parameter of another type");
	if (is_array(args->types[col]))
		put32(buf, (uint32_t)len);
	else if (args->rows[col] != 0)
		cf_bug("two values for one parameter");
	cf_buf_add(buf, bytes, len);
	args->rows[col]++;
}

void
cf_db_bytes(struct cf_db_args *args, size_t col, const void *bytes, size_t len)
{
	add_value(args, col, 'b', bytes, len);
}

void
cf_db_text(struct cf_db_args *args, size_t col, const char *text)
{
	add_value(args, col, 't', text, strlen(text));
}

void
cf_db_int(struct cf_db_args *args, size_t col, int64_t value)
{
	uint64_t v = htobe64((uint64_t)value);

	add_value(args, col, 'i', &v, sizeof v);
}

void
cf_db_time(struct cf_db_args *args, size_t col, int64_t ms)
{
	uint64_t v = htobe64((uint64_t)((ms - EPOCH_MS) * 1000));

	add_value(args, col, 'z', &v, sizeof v);
}

void
cf_db_null(struct cf_db_args *args, size_t col)
{
	if (col >= args->count || !is_array(args->types[col]))
		cf_bug("null outside an array");
	put32(&args->col[col], UINT32_MAX);
	args->rows[col]++;
}

static void
finish_array(struct cf_buf *buf, uint32_t rows)
{
	uint32_t n = htobe32(rows);

	if (buf->full)
		cf_bug("batch too large");
	memcpy(buf->data + 12, &n, sizeof n);
}

/* ---- connection ---- */

static void
clear_results(struct cf_db *db)
{
	size_t i;

	for (i = 0; i < RESULTS_MAX; i++) {
		PQclear(db->result[i]);
		db->result[i] = NULL;
	}
	db->result_count = 0;
	db->command_count = 0;
}

static void
disconnect(struct cf_db *db)
{
	clear_results(db);
	PQfinish(db->conn);
	db->conn = NULL;
	db->prepared_count = 0;
}

/* libpq's messages end in a newline and may have several lines. */
static const char *
message_of(const PGconn *conn, char *out, size_t cap)
{
	size_t i, n = 0;
	const char *text = PQerrorMessage(conn);

	for (i = 0; text[i] != '\0' && n + 1 < cap; i++)
		out[n++] = text[i] == '\n' || text[i] == '\t' ? ' ' : text[i];
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
	return out;
}

static void
on_notice(void *arg, const PGresult *res)
{
	struct cf_db *db = arg;
	const char *severity = PQresultErrorField(res,
	    PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (severity == NULL || strcmp(severity, "WARNING") != 0)
		return;
	db->warned = true;
	cf_log(CF_LOG_WARN, "database: %s", text == NULL ? "" : text);
}

static enum cf_err
lost(struct cf_db *db, struct cf_why *why, const char *what)
{
	char text[CF_WHY_MAX];
	enum cf_err rc;

	rc = cf_fail(CF_E_DATABASE, why, "%s: %s", what,
	    db->conn == NULL ? "no memory"
	    : db->gave_up ? "gave up waiting for it"
	    : message_of(db->conn, text, sizeof text));
	disconnect(db);
	/* Who has waited in vain does not wait once more. */
	db->failure = db->gave_up ? FAIL_TEMP : FAIL_LOST;
	db->gave_up = false;
	return rc;
}

/*
 * The limits of a database session and the role that has no more rights than it
 * needs.  Keys are found by key id through indexes; a plan that was made
 * while the tables were empty must not stay a scan.  With that said, each
 * statement is planned once: planning a join of partitioned tables takes
 * longer than doing it.
 */
static const struct cf_db_stmt SESSION = { "", "SELECT "
    "set_config('statement_timeout', '" STATEMENT_TIMEOUT "', false), "
    "set_config('idle_in_transaction_session_timeout', '60s', false), "
    "set_config('search_path', 'pg_catalog', false), "
    "set_config('enable_seqscan', 'off', false), "
    "set_config('enable_hashjoin', 'off', false), "
    "set_config('enable_mergejoin', 'off', false), "
    "set_config('plan_cache_mode', 'force_generic_plan', false), "
    "set_config('jit', 'off', false), "
    "set_config('role', $1, false)" };
static const struct cf_db_stmt SAFETY = { "", "SELECT "
    "current_setting('fsync') = 'on', "
    "current_setting('full_page_writes') = 'on', "
    "current_setting('synchronous_commit') <> 'off', "
    "current_setting('synchronous_standby_names') = '' OR "
    "current_setting('synchronous_commit') IN ('on', 'remote_apply'), "
    "NOT pg_is_in_recovery(), "
    "current_setting('transaction_read_only') = 'off'" };
static const struct cf_db_stmt SCHEMA = { "",
    "SELECT count(*) FROM counterfoil.schema_version "
    "WHERE version = ANY ($1)" };

static enum cf_err
check_safety(const struct cf_db *db, size_t result, struct cf_why *why)
{
	/* A site that names synchronous standbys counts on them. */
	static const char *const settings[] = { "fsync off",
	    "full_page_writes off", "synchronous_commit off",
	    "synchronous standbys that synchronous_commit does not wait for" };
	size_t i;

	for (i = 0; i < 4 && !db->options.unsafe_database; i++)
		if (!cf_db_get_bool(db, result, 0, i))
			return cf_fail(CF_E_CONFIG, why, "the database runs "
			    "with %s and may lose receipts that it has "
			    "committed", settings[i]);
	if (!cf_db_get_bool(db, result, 0, 4))
		return cf_fail(CF_E_DATABASE, why,
		    "the database is a standby");
	if (!cf_db_get_bool(db, result, 0, 5))
		return cf_fail(CF_E_DATABASE, why,
		    "the database is read-only");
	return CF_OK;
}

static enum cf_err
not_migrated(const char *detail, struct cf_why *why)
{
	return cf_fail(CF_E_CONFIG, why, "the database is not set up for this "
	    "version and login; run: counterfoil-admin migrate%s%s",
	    detail[0] == '\0' ? "" : "; ", detail);
}

/* Take the role, then look around: all in one round trip. */
static enum cf_err
set_up(struct cf_db *db, struct cf_why *why)
{
	struct cf_db_args role, versions;
	struct cf_why own = { "" };
	size_t i, safety, schema = 0;
	enum cf_err rc;

	cf_db_args_init(&role, "T");
	cf_db_text(&role, 0, db->options.role == NULL ? "none"
	    : db->options.role);
	cf_db_args_init(&versions, "i");
	for (i = 0; i < cf_schema_count; i++)
		cf_db_int(&versions, 0, cf_schema[i].version);
	(void)cf_db_send(db, &SESSION, &role);
	safety = cf_db_send(db, &SAFETY, NULL);
	if (!db->options.any_schema)
		schema = cf_db_send(db, &SCHEMA, &versions);
	rc = cf_db_flush(db, &own);
	cf_db_args_free(&role);
	cf_db_args_free(&versions);
	/* It failed before that, at the role. */
	if (rc == CF_E_INTERNAL &&
	    PQresultStatus(db->result[safety]) == PGRES_PIPELINE_ABORTED &&
	    strstr(own.text, "(" NOT_ALLOWED ")") != NULL)
		return cf_fail(CF_E_CONFIG, why, "this login may not act as "
		    "%s: run it as the user that the key server runs as "
		    "(counterfoil-admin: as who ran migrate first), or grant "
		    "the role; %s", db->options.role, own.text);
	/* Role, schema or table are not there, or not for this login. */
	if (rc == CF_E_INTERNAL)
		return db->options.any_schema
		    ? cf_fail(CF_E_CONFIG, why, "%s", own.text)
		    : not_migrated(own.text, why);
	if (rc != CF_OK)
		return cf_fail(rc, why, "%s", own.text);
	rc = check_safety(db, safety, why);
	if (rc == CF_OK && !db->options.any_schema &&
	    cf_db_get_int(db, schema, 0, 0) != (int64_t)cf_schema_count)
		rc = not_migrated("", why);
	return rc;
}

static enum cf_err
open_connection(struct cf_db *db, struct cf_why *why)
{
	const char *const keys[] = { "connect_timeout", "tcp_user_timeout",
	    "keepalives_idle", "keepalives_interval", "keepalives_count",
	    "fallback_application_name", "dbname", "client_encoding", NULL };
	const char *const values[] = { CONNECT_TIMEOUT, "30000",
	    "10", "5", "3", db->options.application != NULL
	    ? db->options.application : "counterfoil-keysrv",
	    db->options.conninfo, "UTF8", NULL };
	enum cf_err rc;

	db->conn = PQconnectdbParams(keys, values, 1);
	if (PQstatus(db->conn) != CONNECTION_OK)
		return lost(db, why, "connecting to the database");
	PQsetNoticeReceiver(db->conn, on_notice, db);
	if (PQsetnonblocking(db->conn, 1) != 0 ||
	    PQenterPipelineMode(db->conn) != 1)
		return lost(db, why, "setting up the connection");
	rc = set_up(db, why);
	if (rc != CF_OK && db->conn != NULL)
		disconnect(db);
	return rc;
}

enum cf_err
cf_db_connect(struct cf_db *db, struct cf_why *why)
{
	int64_t now = cf_clock_mono_ms();
	enum cf_err rc;

	if (db->conn != NULL && PQstatus(db->conn) == CONNECTION_OK)
		return CF_OK;
	disconnect(db);
	if (db->last_attempt_ms != 0 &&
	    now - db->last_attempt_ms < RECONNECT_MIN_MS)
		return cf_fail(CF_E_DATABASE, why, "the database is away");
	rc = open_connection(db, why);
	db->last_attempt_ms = rc == CF_OK ? 0 : cf_clock_mono_ms();
	if (rc == CF_OK && db->was_connected)
		cf_log(CF_LOG_INFO, "database: connected again");
	if (rc == CF_OK)
		db->was_connected = true;
	return rc;
}

void
cf_db_drop(struct cf_db *db)
{
	disconnect(db);
}

bool
cf_db_connected(const struct cf_db *db)
{
	return db->conn != NULL;
}

struct cf_db *
cf_db_new(const struct cf_db_options *options)
{
	struct cf_db *db = cf_calloc(1, sizeof *db);

	db->options = *options;
	cf_db_set_waiting(db, -1, FLUSH_TIMEOUT_MS);
	return db;
}

void
cf_db_set_waiting(struct cf_db *db, int wake_fd, int64_t limit_ms)
{
	db->wake_fd = wake_fd;
	db->limit_ms = limit_ms;
}

void
cf_db_free(struct cf_db **db)
{
	if (*db == NULL)
		return;
	disconnect(*db);
	free(*db);
	*db = NULL;
}

/* ---- sending ---- */

static void
queued(struct cf_db *db, const struct cf_db_stmt *prepares, bool keep)
{
	if (db->command_count == COMMANDS_MAX ||
	    db->result_count == RESULTS_MAX)
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

/* Statements without a name are used once a connection. */
static bool
prepare(struct cf_db *db, const struct cf_db_stmt *stmt, const Oid *oids,
    int count)
{
	if (stmt->name[0] == '\0' || is_prepared(db, stmt))
		return true;
	if (db->prepared_count == PREPARED_MAX)
		cf_bug("too many statements");
	if (PQsendPrepare(db->conn, stmt->name, stmt->sql, count, oids) != 1)
		return false;
	db->prepared[db->prepared_count++] = stmt;
	queued(db, stmt, false);
	return true;
}

size_t
cf_db_send(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args)
{
	static const struct cf_db_args none = { .types = "" };
	const char *values[CF_DB_ARGS_MAX];
	int lengths[CF_DB_ARGS_MAX], formats[CF_DB_ARGS_MAX];
	Oid oids[CF_DB_ARGS_MAX];
	int i, count, sent;

	/* The first statement after a flush lets go of its results. */
	if (db->command_count == 0)
		clear_results(db);
	if (args == NULL)
		args = &none;
	count = (int)args->count;
	for (i = 0; i < count; i++) {
		struct cf_buf buf = args->col[i];

		if (is_array(args->types[i]))
			finish_array(&buf, args->rows[i]);
		values[i] = cf_buf_str(&buf);
		lengths[i] = (int)buf.len;
		formats[i] = 1;
		oids[i] = param_oid(args->types[i]);
	}
	/* A connection that is gone is found out by the flush. */
	if (db->conn != NULL && prepare(db, stmt, oids, count)) {
		if (stmt->name[0] == '\0')
			sent = PQsendQueryParams(db->conn, stmt->sql, count,
			    oids, values, lengths, formats, 1);
		else
			sent = PQsendQueryPrepared(db->conn, stmt->name,
			    count, values, lengths, formats, 1);
		if (sent != 1)
			disconnect(db);
	} else if (db->conn != NULL) {
		disconnect(db);
	}
	queued(db, NULL, true);
	return db->result_count++;
}

/* ---- receiving ---- */

static enum failure
classify(const char *state)
{
	if (state == NULL)
		return FAIL_HARD;
	if (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0)
		return FAIL_AGAIN;
	/*
	 * 57P0x: the server is stopping; 08: the connection broke; 25006: it
	 * takes no writes any more, as one that was demoted.
	 */
	if (strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0 ||
	    strcmp(state, "25006") == 0)
		return FAIL_LOST;
	/* Resources, cancelled by a time limit, I/O, locks. */
	if (strncmp(state, "53", 2) == 0 || strncmp(state, "57", 2) == 0 ||
	    strncmp(state, "58", 2) == 0 || strncmp(state, "55", 2) == 0 ||
	    strcmp(state, "25P03") == 0)
		return FAIL_TEMP;
	return FAIL_HARD;
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
refused(struct cf_db *db, const PGresult *res, struct cf_why *why)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (db->failure != FAIL_NONE)
		return;
	db->failure = classify(state);
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
	const struct command *cmd;

	if (status == PGRES_PIPELINE_SYNC) {
		PQclear(res);
		return true;
	}
	cmd = &db->command[*command];
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
		if (status != PGRES_PIPELINE_ABORTED)
			refused(db, res, why);
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
			return lost(db, why, "database");
		res = PQgetResult(db->conn);
		if (res == NULL) {
			/* The end of one statement, or of everything. */
			if (PQstatus(db->conn) != CONNECTION_OK ||
			    command++ > db->command_count)
				return lost(db, why, "database");
			continue;
		}
		/*
		 * All commands are answered and something else than the end
		 * of the flush comes: the server's last words.
		 */
		if (command >= db->command_count &&
		    PQresultStatus(res) != PGRES_PIPELINE_SYNC) {
			PQclear(res);
			return lost(db, why, "database");
		}
		if (take_result(db, res, &command, &next, why))
			return CF_OK;
		if (PQstatus(db->conn) != CONNECTION_OK)
			return lost(db, why, "database");
	}
}

enum cf_err
cf_db_flush(struct cf_db *db, struct cf_why *why)
{
	enum cf_err rc;

	db->failure = FAIL_NONE;
	if (db->conn == NULL || PQpipelineSync(db->conn) != 1) {
		db->command_count = 0;
		return lost(db, why, "database");
	}
	rc = receive(db, why);
	if (rc == CF_OK && db->failure != FAIL_NONE) {
		rc = db->failure == FAIL_HARD ? CF_E_INTERNAL : CF_E_DATABASE;
		if (db->failure == FAIL_LOST)
			disconnect(db);
	}
	db->command_count = 0;
	return rc;
}

/* ---- results ---- */

static const PGresult *
result_of(const struct cf_db *db, size_t result)
{
	if (result >= db->result_count || db->result[result] == NULL)
		cf_bug("result that is not there");
	return db->result[result];
}

size_t
cf_db_rows(const struct cf_db *db, size_t result)
{
	return (size_t)PQntuples(result_of(db, result));
}

bool
cf_db_is_null(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	return PQgetisnull(result_of(db, result), (int)row, (int)col) == 1;
}

const void *
cf_db_get_bytes(const struct cf_db *db, size_t result, size_t row, size_t col,
    size_t *ret_len)
{
	const PGresult *res = result_of(db, result);

	*ret_len = (size_t)PQgetlength(res, (int)row, (int)col);
	return PQgetvalue(res, (int)row, (int)col);
}

void
cf_db_get_fixed(const struct cf_db *db, size_t result, size_t row, size_t col,
    void *out, size_t len)
{
	size_t have;
	const void *bytes = cf_db_get_bytes(db, result, row, col, &have);

	if (have != len)
		cf_bug("column of another length");
	memcpy(out, bytes, len);
}

const char *
cf_db_get_text(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	return PQgetvalue(result_of(db, result), (int)row, (int)col);
}

int64_t
cf_db_get_int(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	uint64_t v;

	cf_db_get_fixed(db, result, row, col, &v, sizeof v);
	return (int64_t)be64toh(v);
}

bool
cf_db_get_bool(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	unsigned char v;

	cf_db_get_fixed(db, result, row, col, &v, sizeof v);
	return v != 0;
}

int64_t
cf_db_get_time(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	if (cf_db_is_null(db, result, row, col))
		return -1;
	return cf_db_get_int(db, result, row, col) / 1000 + EPOCH_MS;
}

/* ---- transactions ---- */

static const struct cf_db_stmt BEGIN = { "begin",
    "BEGIN ISOLATION LEVEL READ COMMITTED" };
static const struct cf_db_stmt COMMIT = { "commit", "COMMIT" };
static const struct cf_db_stmt ROLLBACK = { "rollback", "ROLLBACK" };

static void
rollback(struct cf_db *db)
{
	struct cf_why why;

	if (db->conn == NULL)
		return;
	/* Statements that were queued but never flushed go with it. */
	if (db->command_count > 0 && cf_db_flush(db, &why) == CF_E_DATABASE &&
	    db->conn == NULL)
		return;
	(void)cf_db_send(db, &ROLLBACK, NULL);
	if (cf_db_flush(db, &why) != CF_OK)
		disconnect(db);
}

/*
 * COMMIT goes alone, so that nothing but its own outcome can fail here.
 * Anything else than a plain COMMIT without a warning is "not known".
 */
static enum cf_err
commit(struct cf_db *db, struct cf_why *why)
{
	enum cf_err rc;

	db->warned = false;
	(void)cf_db_send(db, &COMMIT, NULL);
	rc = cf_db_flush(db, why);
	if (rc != CF_OK) {
		disconnect(db);
		return CF_E_DATABASE;
	}
	if (strcmp(PQcmdStatus(db->result[0]), "COMMIT") != 0)
		return cf_fail(CF_E_DATABASE, why,
		    "the database rolled the transaction back");
	if (db->warned)
		return cf_fail(CF_E_DATABASE, why,
		    "the database committed with a warning");
	return CF_OK;
}

static enum cf_err
run_once(struct cf_db *db, enum cf_db_mode mode, enum cf_err (*fn)(
    struct cf_db *, void *, struct cf_why *), void *arg, bool *ret_again,
    struct cf_why *why)
{
	enum cf_err rc;

	*ret_again = false;
	rc = cf_db_connect(db, why);
	if (rc != CF_OK)
		return CF_E_DATABASE;
	db->failure = FAIL_NONE;
	/* BEGIN travels with the first statements of `fn`. */
	if (mode == CF_DB_WRITE) {
		(void)cf_db_send(db, &BEGIN, NULL);
		db->command[db->command_count - 1].keep = false;
		db->result_count = 0;
	}
	rc = fn(db, arg, why);
	if (mode == CF_DB_READ) {
		*ret_again = db->failure == FAIL_AGAIN ||
		    db->failure == FAIL_LOST;
		return rc;
	}
	if (rc == CF_OK)
		return commit(db, why);
	*ret_again = rc == CF_E_BUSY || db->failure == FAIL_AGAIN ||
	    db->failure == FAIL_LOST;
	rollback(db);
	return rc == CF_E_BUSY ? CF_E_DATABASE : rc;
}

enum cf_err
cf_db_run(struct cf_db *db, enum cf_db_mode mode, const char *name,
    enum cf_err (*fn)(struct cf_db *, void *, struct cf_why *), void *arg,
    struct cf_why *why)
{
	struct cf_why own = { "" };
	enum cf_err rc;
	bool again;
	int tries;

	if (why == NULL)
		why = &own;
	for (tries = 1; ; tries++) {
		rc = run_once(db, mode, fn, arg, &again, why);
		if (!again || tries == TRIES_MAX)
			break;
	}
	if (name != NULL && (rc == CF_E_DATABASE || rc == CF_E_INTERNAL))
		cf_log(rc == CF_E_INTERNAL ? CF_LOG_ERROR : CF_LOG_WARN,
		    "%s: %s", name, why->text);
	return rc;
}

enum cf_err
cf_db_script(struct cf_db *db, const char *script, struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	PGresult *res;

	/* Several statements in one string: only the simple protocol. */
	clear_results(db);
	if (PQexitPipelineMode(db->conn) != 1 ||
	    PQsetnonblocking(db->conn, 0) != 0)
		return lost(db, why, "database");
	res = PQexec(db->conn, script);
	if (PQresultStatus(res) != PGRES_COMMAND_OK &&
	    PQresultStatus(res) != PGRES_TUPLES_OK)
		rc = cf_fail(CF_E_DATABASE, why, "%s (%s)",
		    PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY),
		    PQresultErrorField(res, PG_DIAG_SQLSTATE));
	PQclear(res);
	if (PQsetnonblocking(db->conn, 1) != 0 ||
	    PQenterPipelineMode(db->conn) != 1)
		return lost(db, why, "database");
	return rc;
}
