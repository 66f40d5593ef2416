/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db's runner: BEGIN, COMMIT, ROLLBACK and the bounded repetition; and
 * scripts.  See db.h.
 */
#include <string.h>

#include "common/log.h"
#include "keysrv/db/db_private.h"

#define TRIES_MAX 4

static const struct cf_db_stmt BEGIN = { "begin",
    "BEGIN ISOLATION LEVEL READ COMMITTED" };
static const struct cf_db_stmt COMMIT = { "commit", "COMMIT" };
static const struct cf_db_stmt ROLLBACK = { "rollback", "ROLLBACK" };

static void
begin(struct cf_db *db)
{
	db->in_block = true;
	cf_db_clear(db);
	cf_db_send_silent(db, &BEGIN, NULL);
	if (db->pooled)
		cf_db_send_session(db);
}

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
		cf_db_drop(db);
	db->in_block = false;
}

static bool
may_run_again(const struct cf_db *db)
{
	return db->failure == CF_DB_FAIL_AGAIN ||
	    db->failure == CF_DB_FAIL_THERE ||
	    db->failure == CF_DB_FAIL_MOVED ||
	    db->failure == CF_DB_FAIL_LOST;
}

/*
 * Did the server say itself that it refused a statement before COMMIT, and
 * so did not come to that?  Who loses a connection, or ends one, may have
 * come to it: a pooler says so of a server that it has lost.
 */
static bool
was_refused(const struct cf_db *db, size_t commit_at)
{
	return db->failed_at < commit_at && db->failure != CF_DB_FAIL_NONE &&
	    db->failure != CF_DB_FAIL_LOST;
}

/*
 * COMMIT goes with what is queued: one that fails keeps the server from
 * coming to it.  Otherwise anything else than a plain COMMIT without a warning
 * is "not known".
 */
static enum cf_err
commit(struct cf_db *db, bool *ret_again, struct cf_why *why)
{
	size_t result, commit_at;
	enum cf_err rc;

	db->warned = false;
	result = cf_db_send(db, &COMMIT, NULL);
	commit_at = db->command_count - 1;
	rc = cf_db_flush(db, why);
	if (rc != CF_OK && was_refused(db, commit_at)) {
		*ret_again = may_run_again(db);
		rollback(db);
		return rc;
	}
	db->in_block = false;
	if (rc != CF_OK) {
		cf_db_drop(db);
		return CF_E_DATABASE;
	}
	if (strcmp(PQcmdStatus(db->result[result]), "COMMIT") != 0)
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
	db->failure = CF_DB_FAIL_NONE;
	/* BEGIN travels with the first statements of `fn`. */
	if (mode == CF_DB_WRITE)
		begin(db);
	rc = fn(db, arg, why);
	if (mode == CF_DB_READ) {
		*ret_again = may_run_again(db);
		return rc;
	}
	if (rc == CF_OK)
		return commit(db, ret_again, why);
	*ret_again = rc == CF_E_BUSY || may_run_again(db);
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
	cf_db_clear(db);
	if (PQexitPipelineMode(db->conn) != 1 ||
	    PQsetnonblocking(db->conn, 0) != 0)
		return cf_db_lost(db, why, "database");
	res = PQexec(db->conn, script);
	if (PQresultStatus(res) != PGRES_COMMAND_OK &&
	    PQresultStatus(res) != PGRES_TUPLES_OK)
		rc = cf_fail(CF_E_DATABASE, why, "%s (%s)",
		    PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY),
		    PQresultErrorField(res, PG_DIAG_SQLSTATE));
	PQclear(res);
	if (PQsetnonblocking(db->conn, 1) != 0 ||
	    PQenterPipelineMode(db->conn) != 1)
		return cf_db_lost(db, why, "database");
	return rc;
}
