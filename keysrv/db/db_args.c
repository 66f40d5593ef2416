/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_args - see db_args.h. */
#include "keysrv/db/db_args.h"

#include <endian.h>
#include <string.h>

#define OID_BYTEA 17
#define OID_INT8 20
#define OID_TEXT 25
#define OID_TIMESTAMPTZ 1184
#define OID_BYTEA_ARRAY 1001
#define OID_TEXT_ARRAY 1009
#define OID_INT8_ARRAY 1016
#define OID_TIMESTAMPTZ_ARRAY 1185
/* Where the number of elements stands in an array. */
#define COUNT_AT 12

static void
put32(struct cf_buf *buf, uint32_t v)
{
	v = htobe32(v);
	cf_buf_add(buf, &v, sizeof v);
}

static bool
is_array(char type)
{
	return type >= 'a';
}

static uint32_t
element_oid(char type)
{
	switch (type | 0x20) {
	case 'b':
		return OID_BYTEA;
	case 't':
		return OID_TEXT;
	case 'i':
		return OID_INT8;
	case 'z':
		return OID_TIMESTAMPTZ;
	default:
		cf_bug("parameter type");
	}
}

static uint32_t
param_oid(char type)
{
	switch (type) {
	case 'b':
		return OID_BYTEA_ARRAY;
	case 't':
		return OID_TEXT_ARRAY;
	case 'i':
		return OID_INT8_ARRAY;
	case 'z':
		return OID_TIMESTAMPTZ_ARRAY;
	default:
		return element_oid(type);
	}
}

void
cf_db_args_init(struct cf_db_args *args, const char *types)
{
	size_t i;

	memset(args, 0, sizeof *args);
	args->types = types;
	args->count = strlen(types);
	if (args->count > CF_DB_ARGS_MAX)
		cf_bug("too many parameters");
	for (i = 0; i < args->count; i++) {
		args->col[i].max = CF_DB_BATCH_BYTES;
		if (!is_array(types[i]))
			continue;
		/* Array header; the number of elements is set at the end. */
		put32(&args->col[i], 1);		/* dimensions */
		put32(&args->col[i], 1);		/* may have nulls */
		put32(&args->col[i], element_oid(types[i]));
		put32(&args->col[i], 0);
		put32(&args->col[i], 1);		/* lower bound */
	}
}

void
cf_db_args_free(struct cf_db_args *args)
{
	size_t i;

	for (i = 0; i < args->count; i++)
		cf_buf_free(&args->col[i]);
}

static void
add_value(struct cf_db_args *args, size_t col, char type, const void *bytes,
    size_t len)
{
	struct cf_buf *buf = &args->col[col];

	if (col >= args->count || (args->types[col] | 0x20) != type ||
	    len > INT32_MAX)
		cf_bug("parameter of another type");
	if (is_array(args->types[col]))
		put32(buf, (uint32_t)len);
	else if (args->rows[col] != 0)
		cf_bug("two values for one parameter");
	cf_buf_add(buf, bytes, len);
	args->rows[col]++;
}

void
cf_db_bytes(struct cf_db_args *args, size_t col, const void *bytes, size_t len)
{
	add_value(args, col, 'b', bytes, len);
}

void
cf_db_text(struct cf_db_args *args, size_t col, const char *text)
{
	add_value(args, col, 't', text, strlen(text));
}

void
cf_db_int(struct cf_db_args *args, size_t col, int64_t value)
{
	uint64_t v = htobe64((uint64_t)value);

	add_value(args, col, 'i', &v, sizeof v);
}

void
cf_db_time(struct cf_db_args *args, size_t col, int64_t ms)
{
	uint64_t v = htobe64((uint64_t)((ms - CF_DB_EPOCH_MS) * 1000));

	add_value(args, col, 'z', &v, sizeof v);
}

void
cf_db_null(struct cf_db_args *args, size_t col)
{
	if (col >= args->count || !is_array(args->types[col]))
		cf_bug("null outside an array");
	put32(&args->col[col], UINT32_MAX);
	args->rows[col]++;
}

struct cf_db_value
cf_db_args_value(const struct cf_db_args *args, size_t col)
{
	struct cf_buf buf = args->col[col];
	const uint32_t n = htobe32(args->rows[col]);

	if (buf.full)
		cf_bug("batch too large");
	if (is_array(args->types[col]))
		memcpy(buf.data + COUNT_AT, &n, sizeof n);
	return (struct cf_db_value){ cf_buf_str(&buf), (int)buf.len,
	    param_oid(args->types[col]) };
}
