/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_column - tables that say which column stands where in a struct.
 *
 * db_row.h reads rows by them, db_args.h writes rows.
 */
#ifndef CF_KEYSRV_DB_COLUMN_H
#define CF_KEYSRV_DB_COLUMN_H

#include <stddef.h>

enum cf_db_type {
	CF_DB_BYTES,		/* unsigned char[len], exactly as many */
	CF_DB_TEXT,		/* const char *; read: lent until the next
				 * send */
	CF_DB_INT,		/* int64_t */
	CF_DB_TIME,		/* int64_t, in milliseconds; null is -1 */
	CF_DB_ASSURANCE,	/* enum cf_assurance, from its word */
	/* Only read. */
	CF_DB_BYTES_OR_NULL,	/* as CF_DB_BYTES; null leaves it as it is */
	CF_DB_IS_THERE,		/* bool: the column is not null */
	CF_DB_COPY,		/* char *, given: free it */
	CF_DB_COPY_OR_NULL,	/* the same; null is NULL */
	CF_DB_BOOL,		/* bool */
	CF_DB_NUMBER,		/* size_t, from 0; SQL counts from 1 */
	/* Only written. */
	CF_DB_BYTES_AT,		/* const unsigned char *; NULL is null */
	CF_DB_SPAN,		/* struct cf_db_span */
	CF_DB_TEXTS		/* struct cf_db_texts, for a text[] */
};

struct cf_db_column {
	const char *name;
	enum cf_db_type type;
	size_t offset;		/* in the struct */
	size_t len;		/* CF_DB_BYTES, CF_DB_BYTES_AT */
};

struct cf_db_span {
	const void *bytes;
	size_t len;
};

struct cf_db_texts {
	const char *const *item;	/* at least one */
	size_t count;
};

#endif
