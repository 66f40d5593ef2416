/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db's connection: how it is made, what is asked of the server before it
 * is used, how it ends.  See db.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "keysrv/db/db_private.h"
#include "keysrv/db/db_row.h"
#include "keysrv/db/schema.h"

#define CONNECT_TIMEOUT "5"
#define STATEMENT_TIMEOUT "30s"
#define FLUSH_TIMEOUT_MS 40000	/* longer than the server's own limit */
#define RECONNECT_MIN_MS 200	/* between two attempts */


void
cf_db_clear(struct cf_db *db)
{
	size_t i;

	for (i = 0; i < CF_DB_RESULTS_MAX; i++) {
		PQclear(db->result[i]);
		db->result[i] = NULL;
	}
	db->result_count = 0;
	db->command_count = 0;
}

void
cf_db_drop(struct cf_db *db)
{
	cf_db_clear(db);
	PQfinish(db->conn);
	db->conn = NULL;
	db->pooled = db->in_block = false;
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

enum cf_err
cf_db_lost(struct cf_db *db, struct cf_why *why, const char *what)
{
	char text[CF_WHY_MAX];
	enum cf_err rc;

	rc = cf_fail(CF_E_DATABASE, why, "%s: %s", what,
	    db->conn == NULL ? "no memory"
	    : db->gave_up ? "gave up waiting for it"
	    : message_of(db->conn, text, sizeof text));
	cf_db_drop(db);
	/* Who has waited in vain does not wait once more. */
	db->failure = db->gave_up ? CF_DB_FAIL_TEMP : CF_DB_FAIL_LOST;
	db->gave_up = false;
	return rc;
}

/*
 * The limits of a database session and the role that has no more rights than it
 * needs.  Keys are found by key id through indexes; a plan that was made
 * while the tables were empty or small must not stay a scan, be it one of a
 * whole index that is kept for a join.  With that said, each statement is
 * planned once: planning a join takes longer than doing it.
 */
#define OR_LOCAL "$2::bigint = 1)"
static const struct cf_db_stmt SESSION = { "", "SELECT "
    "set_config('statement_timeout', '" STATEMENT_TIMEOUT "', " OR_LOCAL ", "
    "set_config('idle_in_transaction_session_timeout', '60s', " OR_LOCAL ", "
    "set_config('search_path', 'pg_catalog', " OR_LOCAL ", "
    "set_config('enable_seqscan', 'off', " OR_LOCAL ", "
    "set_config('enable_hashjoin', 'off', " OR_LOCAL ", "
    "set_config('enable_mergejoin', 'off', " OR_LOCAL ", "
    "set_config('enable_material', 'off', " OR_LOCAL ", "
    "set_config('plan_cache_mode', 'force_generic_plan', " OR_LOCAL ", "
    "set_config('jit', 'off', " OR_LOCAL ", "
    "set_config('role', $1, " OR_LOCAL };
/* Behind a pooler others may have changed it for all who come after them. */
static const struct cf_db_stmt SYNCHRONOUS = { "",
    "SELECT set_config('synchronous_commit', $1, true)" };
static const struct cf_db_stmt PROCESS = { "",
    "SELECT pg_backend_pid()::bigint" };
static const struct cf_db_stmt BEGIN = { "", "BEGIN" };
static const struct cf_db_stmt ROLLBACK = { "", "ROLLBACK" };
static const struct cf_db_stmt SAFETY = { "", "SELECT "
    "current_setting('fsync') = 'on' AS synced, "
    "current_setting('full_page_writes') = 'on' AS whole_pages, "
    "current_setting('synchronous_commit') <> 'off' AS synchronous, "
    "current_setting('synchronous_standby_names') = '' OR "
    "current_setting('synchronous_commit') IN ('on', 'remote_apply') "
    "AS replicated, "
    "current_setting('synchronous_commit') AS synchronous_commit, "
    "pg_is_in_recovery() AS standby, "
    "current_setting('transaction_read_only') = 'on' AS read_only" };
static const struct cf_db_stmt SCHEMA = { "",
    "SELECT count(*) FROM counterfoil.schema_version "
    "WHERE version = ANY ($1)" };

struct safety {
	bool synced, whole_pages, synchronous, replicated;
	bool standby, read_only;
	const char *synchronous_commit;
};

#define AT(member) offsetof(struct safety, member)
static const struct cf_db_column safety_columns[] = {
	{ "synced", CF_DB_BOOL, AT(synced), 0 },
	{ "whole_pages", CF_DB_BOOL, AT(whole_pages), 0 },
	{ "synchronous", CF_DB_BOOL, AT(synchronous), 0 },
	{ "replicated", CF_DB_BOOL, AT(replicated), 0 },
	{ "standby", CF_DB_BOOL, AT(standby), 0 },
	{ "read_only", CF_DB_BOOL, AT(read_only), 0 },
	{ "synchronous_commit", CF_DB_TEXT, AT(synchronous_commit), 0 },
};
#undef AT

static enum cf_err
check_safety(struct cf_db *db, size_t result, struct cf_why *why)
{
	struct safety s;
	const char *off = NULL;

	CF_DB_ROW(db, result, 0, safety_columns, &s);
	(void)snprintf(db->synchronous_commit, sizeof db->synchronous_commit,
	    "%s", s.synchronous_commit);
	if (!s.synced)
		off = "fsync off";
	else if (!s.whole_pages)
		off = "full_page_writes off";
	else if (!s.synchronous)
		off = "synchronous_commit off";
	/* A site that names synchronous standbys counts on them. */
	else if (!s.replicated)
		off = "synchronous standbys that synchronous_commit does not "
		    "wait for";
	if (off != NULL && !db->options.unsafe_database)
		return cf_fail(CF_E_CONFIG, why, "the database runs with %s "
		    "and may lose receipts that it has committed", off);
	if (s.standby)
		return cf_fail(CF_E_DATABASE, why,
		    "the database is a standby");
	if (s.read_only)
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

void
cf_db_send_session(struct cf_db *db)
{
	struct cf_db_args args;

	cf_db_args_init(&args, "TI");
	cf_db_text(&args, 0, db->options.role == NULL ? "none"
	    : db->options.role);
	cf_db_int(&args, 1, db->pooled);
	cf_db_send_silent(db, &SESSION, &args);
	cf_db_args_free(&args);
	if (!db->pooled || db->synchronous_commit[0] == '\0')
		return;
	cf_db_args_init(&args, "T");
	cf_db_text(&args, 0, db->synchronous_commit);
	cf_db_send_silent(db, &SYNCHRONOUS, &args);
	cf_db_args_free(&args);
}

/*
 * Is it a server's process that we talk to, or a pooler?  That tells every
 * client a key of its own for cancelling, not the process's.  A pooler must
 * at least leave the process to us until a transaction ends.
 */
static enum cf_err
look_for_pooler(struct cf_db *db, struct cf_why *why)
{
	size_t result = cf_db_send(db, &PROCESS, NULL);
	struct cf_why own = { "" };
	enum cf_err rc = cf_db_flush(db, why);

	if (rc != CF_OK || cf_db_get_int(db, result, 0) ==
	    PQbackendPID(db->conn))
		return rc;
	cf_db_clear(db);
	cf_db_send_silent(db, &BEGIN, NULL);
	rc = cf_db_flush(db, &own);
	if (rc != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "the database stands behind "
		    "a pooler that does not let a transaction begin, as "
		    "PgBouncer with pool_mode = statement; set it to session "
		    "or transaction; %s", own.text);
	cf_db_clear(db);
	cf_db_send_silent(db, &ROLLBACK, NULL);
	rc = cf_db_flush(db, why);
	db->pooled = rc == CF_OK;
	return rc;
}

/* Take the role, then look around: all in one round trip. */
static enum cf_err
set_up(struct cf_db *db, struct cf_why *why)
{
	struct cf_db_args versions;
	struct cf_why own = { "" };
	size_t i, safety, schema = 0;
	enum cf_err rc;

	rc = look_for_pooler(db, why);
	if (rc != CF_OK)
		return rc;
	cf_db_args_init(&versions, "i");
	for (i = 0; i < cf_schema_count; i++)
		cf_db_int(&versions, 0, cf_schema[i].version);
	cf_db_clear(db);
	if (!db->pooled)
		cf_db_send_session(db);
	safety = cf_db_send(db, &SAFETY, NULL);
	if (!db->options.any_schema)
		schema = cf_db_send(db, &SCHEMA, &versions);
	rc = cf_db_flush(db, &own);
	cf_db_args_free(&versions);
	/* It failed before that, at the role. */
	if (rc == CF_E_INTERNAL &&
	    PQresultStatus(db->result[safety]) == PGRES_PIPELINE_ABORTED &&
	    db->failure == CF_DB_FAIL_DENIED)
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
	    cf_db_get_int(db, schema, 0) != (int64_t)cf_schema_count)
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

	db->synchronous_commit[0] = '\0';
	db->conn = PQconnectdbParams(keys, values, 1);
	if (PQstatus(db->conn) != CONNECTION_OK)
		return cf_db_lost(db, why, "connecting to the database");
	PQsetNoticeReceiver(db->conn, on_notice, db);
	if (PQsetnonblocking(db->conn, 1) != 0 ||
	    PQenterPipelineMode(db->conn) != 1)
		return cf_db_lost(db, why, "setting up the connection");
	rc = set_up(db, why);
	if (rc != CF_OK && db->conn != NULL)
		cf_db_drop(db);
	return rc;
}

enum cf_err
cf_db_connect(struct cf_db *db, struct cf_why *why)
{
	int64_t now = cf_clock_mono_ms();
	enum cf_err rc;

	if (db->conn != NULL && PQstatus(db->conn) == CONNECTION_OK)
		return CF_OK;
	cf_db_drop(db);
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
	cf_db_drop(*db);
	free(*db);
	*db = NULL;
}
