/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_row - rows of the last flush's results, read into structs by a table.
 *
 * A table names each column as the statement does; their order is free, and
 * a statement may have more.  Results are counted as cf_db_send() gave them.
 *
 * Knows: PostgreSQL's binary form.   Does not know: any table.
 * Threads: as cf_db.   Logging: never.
 */
#ifndef CF_KEYSRV_DB_ROW_H
#define CF_KEYSRV_DB_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keysrv/db/db_column.h"

struct cf_db;

/* 9999-12-31; a time beyond, and `infinity', is read as this. */
#define CF_DB_TIME_MOST_MS INT64_C(253402300799999)

size_t cf_db_rows(const struct cf_db *db, size_t result);
/* What the table's constraints forbid is our bug, or the owner's. */
void cf_db_row(const struct cf_db *db, size_t result, size_t row,
    const struct cf_db_column *table, size_t count, void *into);
/*
 * As cf_db_row(), but gives the first column that does not fit, or NULL;
 * a time before 1970 or beyond CF_DB_TIME_MOST_MS does not.
 */
const char *cf_db_row_try(const struct cf_db *db, size_t result, size_t row,
    const struct cf_db_column *table, size_t count, void *into);
/* For a table that is an array in sight. */
#define CF_DB_ROW(db, result, row, table, into) \
	cf_db_row(db, result, row, table, sizeof table / sizeof table[0], into)

/* The number, from 0, of what the row belongs to: its column n. */
size_t cf_db_number(const struct cf_db *db, size_t result, size_t row);

/* Of statements with one column. */
const char *cf_db_get_text(const struct cf_db *db, size_t result, size_t row);
int64_t cf_db_get_int(const struct cf_db *db, size_t result, size_t row);
bool cf_db_get_bool(const struct cf_db *db, size_t result, size_t row);
int64_t cf_db_get_time(const struct cf_db *db, size_t result, size_t row);

#endif
