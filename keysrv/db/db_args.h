/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_args - the parameters of one statement, as PostgreSQL reads them.
 *
 * Single values are added by their number, rows by a table that names each
 * column once: for the struct that it is taken from, and for the statement.
 *
 * Knows: the binary form of a few types and of their arrays.
 * Does not know: connections.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_DB_ARGS_H
#define CF_KEYSRV_DB_ARGS_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "keysrv/db/db_column.h"

#define CF_DB_ARGS_MAX 20
#define CF_DB_BATCH_BYTES (64u << 20)	/* ceiling of one column */
/* 2000-01-01, where PostgreSQL's time begins, in Unix milliseconds. */
#define CF_DB_EPOCH_MS INT64_C(946684800000)

/*
 * Values by column.  Types are letters: b bytea, t text, i bigint, z
 * timestamptz (milliseconds); a small letter is an array of as many values as
 * are added, a capital one a single value.
 */
struct cf_db_args {
	char types[CF_DB_ARGS_MAX + 1];
	size_t count;
	const struct cf_db_column *table;	/* of rows, or NULL */
	struct cf_buf col[CF_DB_ARGS_MAX];
	uint32_t rows[CF_DB_ARGS_MAX];
};

void cf_db_args_init(struct cf_db_args *args, const char *types);
void cf_db_args_free(struct cf_db_args *args);
void cf_db_bytes(struct cf_db_args *args, size_t col, const void *bytes,
    size_t len);
void cf_db_text(struct cf_db_args *args, size_t col, const char *text);
void cf_db_int(struct cf_db_args *args, size_t col, int64_t value);
void cf_db_time(struct cf_db_args *args, size_t col, int64_t ms);
void cf_db_null(struct cf_db_args *args, size_t col);

/* Parameters for rows: an array for each column of the table, lent. */
void cf_db_args_rows(struct cf_db_args *args,
    const struct cf_db_column *table, size_t count);
/* For a table that is an array in sight. */
#define CF_DB_ARGS_ROWS(args, table) \
	cf_db_args_rows(args, table, sizeof table / sizeof table[0])
/* One row more, from the struct that the table is of. */
void cf_db_args_add(struct cf_db_args *args, const void *row);
/*
 * Append a statement to `out`.  What it says of rows stands in for the
 * table's columns, so that it cannot differ from what is sent:
 *
 *   $values   $1, $2, ... for FROM unnest($values) AS q ($columns)
 *   $columns  their names
 *   $select   the same as a list of values, each cast where it must be
 */
void cf_db_args_sql(const struct cf_db_args *args, const char *sql,
    struct cf_buf *out);

/* One parameter as it is sent; lent by `args` until something is added. */
struct cf_db_value {
	const char *bytes;
	int len;
	uint32_t oid;		/* of its type */
};
struct cf_db_value cf_db_args_value(const struct cf_db_args *args,
    size_t col);

#endif
