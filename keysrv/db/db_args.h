/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_args - the parameters of one statement, as PostgreSQL reads them.
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
	const char *types;
	size_t count;
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

/* One parameter as it is sent; lent by `args` until something is added. */
struct cf_db_value {
	const char *bytes;
	int len;
	uint32_t oid;		/* of its type */
};
struct cf_db_value cf_db_args_value(const struct cf_db_args *args,
    size_t col);

#endif
