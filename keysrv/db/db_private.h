/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of cf_db share: db_conn.c makes and checks the connection,
 * db_pipe.c sends and receives, db_row.c reads results, db_run.c runs
 * transactions.
 */
#ifndef CF_KEYSRV_DB_PRIVATE_H
#define CF_KEYSRV_DB_PRIVATE_H

#include <libpq-fe.h>

#include "keysrv/db/db.h"
#include "keysrv/db/db_column.h"

#define CF_DB_RESULTS_MAX 24
#define CF_DB_COMMANDS_MAX (2 * CF_DB_RESULTS_MAX + 4)
#define CF_DB_PREPARED_MAX 64

/* What a failed flush means for the transaction. */
enum cf_db_failure {
	CF_DB_FAIL_NONE,
	CF_DB_FAIL_LOST,	/* the connection is gone */
	CF_DB_FAIL_AGAIN,	/* a conflict; may be run again */
	CF_DB_FAIL_THERE,	/* a row was there before; likewise */
	CF_DB_FAIL_MOVED,	/* it takes no writes any more; likewise */
	CF_DB_FAIL_TEMP,	/* the server cannot at present */
	CF_DB_FAIL_DENIED,	/* this login may not */
	CF_DB_FAIL_HARD		/* the statement is wrong for this data */
};

/* One queued command; each brings one result, but not all are kept. */
struct cf_db_command {
	const struct cf_db_stmt *prepares;	/* or NULL */
	bool keep;
};

struct cf_db {
	struct cf_db_options options;
	PGconn *conn;			/* NULL: not connected */
	/*
	 * A pooler stands between, and each transaction may come to another
	 * server process: nothing is prepared, and what belongs to a session
	 * is said in each transaction.
	 */
	bool pooled;
	bool in_block;			/* between BEGIN and its end */
	char synchronous_commit[16];	/* as it was when looked at, or "" */
	const struct cf_db_stmt *prepared[CF_DB_PREPARED_MAX];
	size_t prepared_count;
	PGresult *result[CF_DB_RESULTS_MAX];
	size_t result_count;		/* queued, or there after a flush */
	struct cf_db_command command[CF_DB_COMMANDS_MAX];
	size_t command_count;
	enum cf_db_failure failure;
	size_t failed_at;		/* the command that was refused first */
	bool warned;			/* a WARNING arrived */
	bool was_connected;		/* to log the way back */
	int64_t last_attempt_ms;
	int wake_fd;
	int64_t limit_ms;		/* for the results of a flush */
	bool gave_up;			/* limit_ms over, or woken */
};

/* The connection does not work any more: say why, and give it up. */
enum cf_err cf_db_lost(struct cf_db *db, struct cf_why *why,
    const char *what);
/* Let go of the results, and of what is queued. */
void cf_db_clear(struct cf_db *db);
/* What holds for a session, or for a transaction behind a pooler. */
void cf_db_send_session(struct cf_db *db);
/* One statement more whose result is not kept and has no number. */
void cf_db_send_silent(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args);

/*
 * One row of a result.  Gives the first column that does not fit, or NULL;
 * `exact`: a time out of range does not.
 */
const char *cf_db_row_read(const PGresult *res, size_t row,
    const struct cf_db_column *table, size_t count, bool exact, void *into);

#endif
