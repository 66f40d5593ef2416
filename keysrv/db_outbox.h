/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_outbox - the outbox's statements and its connection.
 *
 * Knows: SQL, libpq, how to wait for PostgreSQL without hanging.
 * Does not know: what a mail is.
 * Each call connects first where there is no connection; after any failure
 * (CF_E_DATABASE) the connection is dropped and the next call makes a new
 * one.  Each is one statement in its own transaction, safe to repeat.
 * Threads: one at a time.   Logging: never.
 */
#ifndef CF_KEYSRV_DB_OUTBOX_H
#define CF_KEYSRV_DB_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define CF_DB_OUTBOX_LEASE_MAX 32	/* rows at once */

struct cf_db_outbox;

/* A leased row.  Strings are given; free with cf_db_outbox_row_clear(). */
struct cf_db_outbox_row {
	char *id, *attempts;	/* outbox_id and the lease's fence, decimal */
	unsigned char event_id[16], key_id[16];
	char *kind, *assurance;
	char *sender, *recipient, *principal, *original_message_id;
	int64_t released_ms, opened_ms;	/* opened_ms 0 when not opened */
	int attempt;		/* this is the n-th */
	bool second;		/* the same release's notice was sent before */
};

/*
 * `wake_fd` turns readable when the program stops: waiting ends at once.
 * Connects to nothing yet.  Never fails.  Gives; free with
 * cf_db_outbox_free().
 */
struct cf_db_outbox *cf_db_outbox_new(const char *conninfo, int wake_fd);
void cf_db_outbox_free(struct cf_db_outbox **db);
void cf_db_outbox_row_clear(struct cf_db_outbox_row *row);

/*
 * From now on wait up to `limit_ms` a call, whatever wake_fd says: for the
 * last marks when the program stops.
 */
void cf_db_outbox_last_calls(struct cf_db_outbox *db, int64_t limit_ms);

/*
 * Lease up to `max` due rows for `lease_ms`.  A second mail waits for the
 * first of the same release.  Gives rows[0 .. *ret_count - 1].
 */
CF_MUST_USE enum cf_err cf_db_outbox_lease(struct cf_db_outbox *db, size_t max,
    long lease_ms, struct cf_db_outbox_row *rows, size_t *ret_count,
    struct cf_why *why);

/*
 * The rest ends a lease.  *ret_ours is false when the row is no longer as it
 * was leased: the lease ran out and somebody else has it, or it says more
 * than the mail that was sent.  Then nothing is changed.
 */
CF_MUST_USE enum cf_err cf_db_outbox_sent(struct cf_db_outbox *db,
    const struct cf_db_outbox_row *row, bool *ret_ours, struct cf_why *why);
CF_MUST_USE enum cf_err cf_db_outbox_undeliverable(struct cf_db_outbox *db,
    const struct cf_db_outbox_row *row, const char *error, bool *ret_ours,
    struct cf_why *why);
/* Try again after `delay_ms`; *ret_gave_up when it is older than allowed. */
CF_MUST_USE enum cf_err cf_db_outbox_retry(struct cf_db_outbox *db,
    const struct cf_db_outbox_row *row, long delay_ms, long max_age_ms,
    const char *error, bool *ret_ours, bool *ret_gave_up,
    struct cf_why *why);
/* As if it had not been leased. */
CF_MUST_USE enum cf_err cf_db_outbox_give_back(struct cf_db_outbox *db,
    const struct cf_db_outbox_row *row, bool *ret_ours, struct cf_why *why);

#endif
