/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_upkeep - the database's clock and its partitions by month. */
#ifndef CF_KEYSRV_DB_UPKEEP_H
#define CF_KEYSRV_DB_UPKEEP_H

#include "keysrv/db/db.h"
#include "keysrv/db/db_row.h"

/*
 * The moment of the database's clock at which it comes to this statement.
 * What is recorded has its time from there: key servers may differ.
 */
size_t cf_db_now_send(struct cf_db *db);
int64_t cf_db_now_get(const struct cf_db *db, size_t result);

/*
 * Something that is committed and leaves no row: what it returns goes to
 * cf_db_write_test_get().  With `space` a megabyte is written to the
 * database's disk, too, and removed.
 */
size_t cf_db_write_test_send(struct cf_db *db, bool space);
struct cf_db_write_test {
	int64_t now_ms;		/* of the database's clock */
	bool read_only;		/* it only seemed to be written */
};
void cf_db_write_test_get(const struct cf_db *db, size_t result,
    struct cf_db_write_test *ret);

/* Since when the oldest receipt that waits is due; -1 if none waits. */
size_t cf_db_oldest_receipt_send(struct cf_db *db);
int64_t cf_db_oldest_receipt_get(const struct cf_db *db, size_t result);

/* Make the event partitions of the months to come. */
void cf_db_make_partitions(struct cf_db *db);

#endif
