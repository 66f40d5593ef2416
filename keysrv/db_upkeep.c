/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_upkeep - see db_upkeep.h. */
#include "keysrv/db_upkeep.h"

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
	return cf_db_get_time(db, result, 0, 0);
}

void
cf_db_make_partitions(struct cf_db *db)
{
	static const struct cf_db_stmt stmt = { "make_partitions",
	    "SELECT counterfoil.make_event_partitions(3)" };

	(void)cf_db_send(db, &stmt, NULL);
}
