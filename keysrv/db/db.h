/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db - one connection to PostgreSQL, and the transaction runner.
 *
 * Statements are queued with cf_db_send() and go out together with
 * cf_db_flush(), in one round trip (pipeline mode).  Parameters are always
 * bound, rows travel as arrays, everything is binary.  A transaction is a
 * function given to cf_db_run(), which owns BEGIN, COMMIT, ROLLBACK and the
 * bounded repetition.  A connection on which nothing can be written any more
 * is dropped: a connection string with several hosts then finds the server
 * that took over.
 *
 * db_conn.c makes the connection, db_pipe.c sends and receives, db_run.c runs
 * transactions; db_args.h has the parameters, db_row.h the results.
 *
 * Knows: libpq, SQLSTATE classes.   Does not know: tables (db_*.c do).
 * Threads: one cf_db belongs to one thread.   Logging: the connection's
 * fate, and refused statements, without their values.
 */
#ifndef CF_KEYSRV_DB_H
#define CF_KEYSRV_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "keysrv/db/db_args.h"

struct cf_db;

struct cf_db_options {
	const char *conninfo;		/* lent for the life of the cf_db */
	const char *role;		/* taken on each connection, or NULL */
	const char *application;	/* as it calls itself there, or NULL */
	bool unsafe_database;		/* accept fsync = off and the like */
	bool any_schema;		/* do not ask for the migrations */
};

/* Makes the object, not the connection.  Gives; free with cf_db_free(). */
struct cf_db *cf_db_new(const struct cf_db_options *options);
void cf_db_free(struct cf_db **db);
/*
 * Connect if not connected, and check the server.
 * CF_E_DATABASE  it does not answer (yet), or writes nothing: a standby
 * CF_E_CONFIG    it answers, but must not be used: not migrated, or it
 *                may lose what it has committed
 */
CF_MUST_USE enum cf_err cf_db_connect(struct cf_db *db, struct cf_why *why);
bool cf_db_connected(const struct cf_db *db);
/* Give the connection up; the next use makes a new one. */
void cf_db_drop(struct cf_db *db);
/*
 * From now on wait at most `limit_ms` for the results of a flush, and only
 * until `wake_fd` (or -1) is readable: after that the connection is given up.
 */
void cf_db_set_waiting(struct cf_db *db, int wake_fd, int64_t limit_ms);

/* ---- statements ---- */

struct cf_db_stmt {
	const char *name;	/* of the prepared statement */
	const char *sql;
};

/*
 * Queue a statement (prepared on its first use); gives the number of its
 * result after the next flush, counted from 0.  `args` may be NULL.
 */
size_t cf_db_send(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args);
/* Send what is queued and wait for all results: see db_row.h. */
CF_MUST_USE enum cf_err cf_db_flush(struct cf_db *db, struct cf_why *why);

/* ---- transactions ---- */

enum cf_db_mode {
	CF_DB_READ,	/* one flush without BEGIN and COMMIT */
	CF_DB_WRITE	/* BEGIN ... COMMIT; on disk when it returns CF_OK */
};

/*
 * Run `fn` as one transaction.  It may be called again after a conflict or a
 * lost connection, so it must touch nothing but the database and `arg`, and
 * begin from nothing each time; a row of its that is there already is a
 * conflict.  What it returns ends the transaction: CF_OK commits, and sends
 * with that what is queued yet; CF_E_BUSY rolls back and runs it again (a few
 * times); all else rolls back.  With `name` failures are logged under it; NULL
 * leaves that to the caller.
 *
 * CF_OK          committed, without a warning
 * CF_E_DATABASE  not committed, or it is not known; never act as if it were
 * CF_E_INTERNAL  a statement was refused for what it says
 * others         from `fn`
 */
CF_MUST_USE enum cf_err cf_db_run(struct cf_db *db, enum cf_db_mode mode,
    const char *name, enum cf_err (*fn)(struct cf_db *db, void *arg,
    struct cf_why *why), void *arg, struct cf_why *why);

/*
 * A script of several statements in one transaction, without parameters:
 * migrations.  Text results are thrown away.
 */
CF_MUST_USE enum cf_err cf_db_script(struct cf_db *db, const char *script,
    struct cf_why *why);

#endif
