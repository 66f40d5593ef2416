/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_outbox - the outbox's statements.
 *
 * Does not know: what a mail is.
 * Each is one transaction, safe to repeat, and ends with CF_E_DATABASE when
 * it is not known to be committed.
 * Threads: as cf_db.   Logging: never.
 */
#ifndef CF_KEYSRV_DB_OUTBOX_H
#define CF_KEYSRV_DB_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "keysrv/db/db.h"
#include "keysrv/db/db_row.h"
#include "keysrv/receipt/record.h"

#define CF_DB_OUTBOX_LEASE_MAX 32	/* rows at once */

/*
 * A leased row.  Strings are given; free with cf_db_outbox_row_clear().  What
 * its kind has no use for is NULL, and -1 of a time.
 */
struct cf_db_outbox_row {
	int64_t id;
	int64_t attempt;	/* this is the n-th; the lease's fence, too */
	/*
	 * NULL, or the column in which something stands that cannot: then the
	 * row has no more than id, attempt and kind.
	 */
	const char *unreadable;
	unsigned char event_id[CF_EVENT_ID_LEN];
	char *kind;			/* never NULL */
	bool has_key;
	unsigned char key_id[CF_KEY_ID_LEN];
	char *assurance, *sender, *recipient, *principal;
	char *original_message_id, *details;
	int64_t released_ms, opened_ms;
	bool second;		/* the same release's notice was sent before */
};

void cf_db_outbox_row_clear(struct cf_db_outbox_row *row);

/*
 * Lease up to `max` due rows for `lease_ms`.  A second mail waits for the
 * first of the same release.  Gives rows[0 .. *ret_count - 1], each row that
 * it leased.
 */
CF_MUST_USE enum cf_err cf_db_outbox_lease(struct cf_db *db, size_t max,
    long lease_ms, struct cf_db_outbox_row *rows, size_t *ret_count,
    struct cf_why *why);

/*
 * The rest ends a lease, and survives the end of this process, but perhaps not
 * that of the database's machine within the next second.  *ret_ours is false
 * when the row is no longer as it was leased: the lease ran out and somebody
 * else has it, or it says more than the mail that was sent.  Then nothing is
 * changed.
 */
CF_MUST_USE enum cf_err cf_db_outbox_sent(struct cf_db *db,
    const struct cf_db_outbox_row *row, bool *ret_ours, struct cf_why *why);
CF_MUST_USE enum cf_err cf_db_outbox_undeliverable(struct cf_db *db,
    const struct cf_db_outbox_row *row, const char *error, bool *ret_ours,
    struct cf_why *why);
/* Try again after `delay_ms`; *ret_gave_up when it is older than allowed. */
CF_MUST_USE enum cf_err cf_db_outbox_retry(struct cf_db *db,
    const struct cf_db_outbox_row *row, long delay_ms, long max_age_ms,
    const char *error, bool *ret_ours, bool *ret_gave_up,
    struct cf_why *why);
/*
 * As if it had not been leased: no attempt was made.  With `error`, what
 * hinders all mail: that is noted, and the row ages.
 */
CF_MUST_USE enum cf_err cf_db_outbox_give_back(struct cf_db *db,
    const struct cf_db_outbox_row *row, long max_age_ms, const char *error,
    bool *ret_ours, bool *ret_gave_up, struct cf_why *why);

#endif
