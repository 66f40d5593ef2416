/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_upkeep - see db_upkeep.h. */
#include "keysrv/db/db_upkeep.h"

size_t
cf_db_now_send(struct cf_db *db)
{
	static const struct cf_db_stmt stmt = { "now",
	    "SELECT clock_timestamp()" };

	return cf_db_send(db, &stmt, NULL);
}

int64_t
cf_db_now_get(const struct cf_db *db, size_t result)
{
	return cf_db_get_time(db, result, 0);
}

/*
 * A message to whoever decodes the log, so that COMMIT has something to write
 * and to wait for; a table would have to be kept small.  A sort that does not
 * fit into its memory goes to the disk without locks, log or catalogue.
 */
size_t
cf_db_write_test_send(struct cf_db *db, bool space)
{
	static const struct cf_db_stmt test = { "write_test",
	    "SELECT clock_timestamp() AS now, "
	    "current_setting('transaction_read_only') = 'on' "
	    "AS read_only, "
	    "pg_logical_emit_message(true, 'counterfoil', '') IS NOT NULL" };
	static const struct cf_db_stmt memory = { "space_memory",
	    "SELECT set_config('work_mem', '64kB', true)" };
	static const struct cf_db_stmt sort = { "space_sort",
	    "SELECT count(*) FROM (SELECT repeat(md5(n::text), 64) AS x "
	    "FROM generate_series(1, 600) AS n ORDER BY x OFFSET 0) AS q" };
	size_t result = cf_db_send(db, &test, NULL);

	if (space) {
		(void)cf_db_send(db, &memory, NULL);
		(void)cf_db_send(db, &sort, NULL);
	}
	return result;
}

void
cf_db_write_test_get(const struct cf_db *db, size_t result,
    struct cf_db_write_test *ret)
{
#define AT(member) offsetof(struct cf_db_write_test, member)
	static const struct cf_db_column columns[] = {
		{ "now", CF_DB_TIME, AT(now_ms), 0 },
		{ "read_only", CF_DB_BOOL, AT(read_only), 0 },
	};
#undef AT

	CF_DB_ROW(db, result, 0, columns, ret);
}

size_t
cf_db_oldest_receipt_send(struct cf_db *db)
{
	static const struct cf_db_stmt stmt = { "oldest_receipt",
	    "SELECT min(not_before) FROM counterfoil.outbox "
	    "WHERE state = 'waiting'" };

	return cf_db_send(db, &stmt, NULL);
}

int64_t
cf_db_oldest_receipt_get(const struct cf_db *db, size_t result)
{
	return cf_db_get_time(db, result, 0);
}

void
cf_db_make_partitions(struct cf_db *db)
{
	static const struct cf_db_stmt stmt = { "make_partitions",
	    "SELECT counterfoil.make_event_partitions(3)" };

	(void)cf_db_send(db, &stmt, NULL);
}
