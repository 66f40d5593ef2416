/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_args - see db_args.h. */
#include "keysrv/db/db_args.h"

#include <endian.h>
#include <string.h>

#include "common/assurance.h"

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
	args->count = strlen(types);
	if (args->count > CF_DB_ARGS_MAX)
		cf_bug("too many parameters");
	memcpy(args->types, types, args->count);
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

/* ---- rows ---- */

static char
letter_of(enum cf_db_type type)
{
	switch (type) {
	case CF_DB_BYTES:
	case CF_DB_BYTES_AT:
	case CF_DB_SPAN:
		return 'b';
	case CF_DB_TEXT:
	case CF_DB_TEXTS:
	case CF_DB_ASSURANCE:
		return 't';
	case CF_DB_INT:
		return 'i';
	case CF_DB_TIME:
		return 'z';
	default:
		cf_bug("a column that is only read");
	}
}

void
cf_db_args_rows(struct cf_db_args *args, const struct cf_db_column *table,
    size_t count)
{
	char types[CF_DB_ARGS_MAX + 1] = "";
	size_t i;

	if (count > CF_DB_ARGS_MAX)
		cf_bug("too many columns");
	for (i = 0; i < count; i++)
		types[i] = letter_of(table[i].type);
	cf_db_args_init(args, types);
	args->table = table;
}

/* A text array as its literal, {"a","b"}: arrays of arrays do not vary. */
static void
add_texts(struct cf_db_args *args, size_t col, const struct cf_db_texts *texts)
{
	struct cf_buf buf = CF_BUF_INIT(1u << 20);
	const char *p;
	size_t i;

	for (i = 0; i < texts->count; i++) {
		cf_buf_adds(&buf, i == 0 ? "{\"" : "\",\"");
		for (p = texts->item[i]; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				cf_buf_addc(&buf, '\\');
			cf_buf_addc(&buf, *p);
		}
	}
	cf_buf_adds(&buf, "\"}");
	if (buf.full)
		cf_bug("list too long");
	cf_db_text(args, col, cf_buf_str(&buf));
	cf_buf_free(&buf);
}

static void
add_bytes(struct cf_db_args *args, size_t col, const void *bytes, size_t len)
{
	if (bytes == NULL)
		cf_db_null(args, col);
	else
		cf_db_bytes(args, col, bytes, len);
}

static void
add_time(struct cf_db_args *args, size_t col, int64_t ms)
{
	if (ms < 0)
		cf_db_null(args, col);
	else
		cf_db_time(args, col, ms);
}

void
cf_db_args_add(struct cf_db_args *args, const void *row)
{
	size_t i;

	for (i = 0; i < args->count; i++) {
		const struct cf_db_column *c = &args->table[i];
		const void *at = (const char *)row + c->offset;
		const struct cf_db_span *span = at;

		if (c->type == CF_DB_BYTES)
			cf_db_bytes(args, i, at, c->len);
		else if (c->type == CF_DB_BYTES_AT)
			add_bytes(args, i, *(const void *const *)at, c->len);
		else if (c->type == CF_DB_SPAN)
			cf_db_bytes(args, i, span->bytes, span->len);
		else if (c->type == CF_DB_TEXT)
			cf_db_text(args, i, *(const char *const *)at);
		else if (c->type == CF_DB_ASSURANCE)
			cf_db_text(args, i, cf_assurance_name(
			    *(const enum cf_assurance *)at));
		else if (c->type == CF_DB_TEXTS)
			add_texts(args, i, at);
		else if (c->type == CF_DB_INT)
			cf_db_int(args, i, *(const int64_t *)at);
		else
			add_time(args, i, *(const int64_t *)at);
	}
}

/* What stands for the word behind a $, or false: it is none of these. */
static bool
add_words(const struct cf_db_args *args, const char *word, size_t len,
    struct cf_buf *out)
{
	const bool values = len == 6 && memcmp(word, "values", len) == 0;
	const bool select = len == 6 && memcmp(word, "select", len) == 0;
	const struct cf_db_column *c = args->table;
	size_t i;

	if (c == NULL || !(values || select ||
	    (len == 7 && memcmp(word, "columns", len) == 0)))
		return false;
	for (i = 0; i < args->count; i++, c++) {
		cf_buf_adds(out, i == 0 ? "" : ", ");
		if (values)
			cf_buf_addf(out, "$%zu", i + 1);
		else
			cf_buf_adds(out, c->name);
		if (select && c->type == CF_DB_TEXTS)
			cf_buf_adds(out, "::text[]");
	}
	return true;
}

void
cf_db_args_sql(const struct cf_db_args *args, const char *sql,
    struct cf_buf *out)
{
	const char *p;
	size_t len;

	for (p = sql; *p != '\0'; p += len) {
		len = strcspn(p + 1, "$") + 1;
		if (*p == '$') {
			len = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz") + 1;
			if (len > 1 && add_words(args, p + 1, len - 1, out))
				continue;
		}
		cf_buf_add(out, p, len);
	}
	if (out->full)
		cf_bug("a statement that is too long");
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
