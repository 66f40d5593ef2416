/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_row - see db_row.h. */
#include "keysrv/db/db_row.h"

#include <endian.h>
#include <string.h>

#include "common/assurance.h"
#include "common/err.h"
#include "common/mem.h"
#include "keysrv/db/db_private.h"

/* One value as libpq has it. */
struct value {
	const char *bytes;	/* NULL: null */
	size_t len;
};

static struct value
value_at(const PGresult *res, int row, int col)
{
	if (PQgetisnull(res, row, col) == 1)
		return (struct value){ NULL, 0 };
	return (struct value){ PQgetvalue(res, row, col),
	    (size_t)PQgetlength(res, row, col) };
}

static bool
read_int(struct value v, int64_t *ret)
{
	uint64_t be;

	if (v.bytes == NULL || v.len != sizeof be)
		return false;
	memcpy(&be, v.bytes, sizeof be);
	*ret = (int64_t)be64toh(be);
	return true;
}

/* False, with the nearest that can be said, for a time out of range. */
static bool
read_time(struct value v, int64_t *ret)
{
	int64_t us;

	*ret = -1;
	if (v.bytes == NULL)
		return true;
	if (!read_int(v, &us))
		cf_bug("a time of another length");
	/* Down to the millisecond, before 2000 too. */
	*ret = us / 1000 - (us % 1000 < 0) + CF_DB_EPOCH_MS;
	if (us >= INT64_MAX - 1000 || *ret > CF_DB_TIME_MOST_MS)
		*ret = CF_DB_TIME_MOST_MS;
	else if (us <= INT64_MIN + 1000 || *ret < 0)
		*ret = 0;
	else
		return true;
	return false;
}

static bool
read_bool(struct value v, bool *ret)
{
	if (v.bytes == NULL || v.len != 1)
		return false;
	*ret = v.bytes[0] != 0;
	return true;
}

static bool
read_bytes(struct value v, size_t len, void *to)
{
	if (v.bytes == NULL || v.len != len)
		return false;
	memcpy(to, v.bytes, len);
	return true;
}

static bool
read_number(struct value v, size_t *ret)
{
	int64_t n;

	if (!read_int(v, &n) || n < 1)
		return false;
	*ret = (size_t)(n - 1);
	return true;
}

static bool
read_value(struct value v, const struct cf_db_column *c, bool exact,
    void *into)
{
	char *to = (char *)into + c->offset;

	switch (c->type) {
	case CF_DB_BYTES:
		return read_bytes(v, c->len, to);
	case CF_DB_BYTES_OR_NULL:
		return v.bytes == NULL || read_bytes(v, c->len, to);
	case CF_DB_IS_THERE:
		*(bool *)(void *)to = v.bytes != NULL;
		return true;
	case CF_DB_TEXT:
		*(const char **)(void *)to = v.bytes;
		return v.bytes != NULL;
	case CF_DB_COPY:
		*(char **)(void *)to = cf_strdup(v.bytes == NULL ? ""
		    : v.bytes);
		return v.bytes != NULL;
	case CF_DB_COPY_OR_NULL:
		*(char **)(void *)to = v.bytes == NULL ? NULL
		    : cf_strdup(v.bytes);
		return true;
	case CF_DB_ASSURANCE:
		return v.bytes != NULL && cf_assurance_parse(v.bytes,
		    (enum cf_assurance *)(void *)to);
	case CF_DB_INT:
		return read_int(v, (int64_t *)(void *)to);
	case CF_DB_BOOL:
		return read_bool(v, (bool *)(void *)to);
	case CF_DB_TIME:
		return read_time(v, (int64_t *)(void *)to) || !exact;
	case CF_DB_NUMBER:
		return read_number(v, (size_t *)(void *)to);
	case CF_DB_BYTES_AT:
	case CF_DB_SPAN:
	case CF_DB_TEXTS:
		break;
	}
	cf_bug("a column that is only written");
}

/* Tables mostly have the statement's order: look where it should be first. */
static int
column_of(const PGresult *res, const char *name, int hint)
{
	int i, n = PQnfields(res);

	for (i = 0; i < n; i++)
		if (strcmp(PQfname(res, (hint + i) % n), name) == 0)
			return (hint + i) % n;
	cf_bug("a column that the statement does not have");
}

const char *
cf_db_row_read(const PGresult *res, size_t row,
    const struct cf_db_column *table, size_t count, bool exact, void *into)
{
	const char *wrong = NULL;
	int col = -1;
	size_t i;

	for (i = 0; i < count; i++) {
		col = column_of(res, table[i].name, col + 1);
		if (!read_value(value_at(res, (int)row, col), &table[i],
		    exact, into) && wrong == NULL)
			wrong = table[i].name;
	}
	return wrong;
}

static const PGresult *
result_of(const struct cf_db *db, size_t result)
{
	if (result >= db->result_count || db->result[result] == NULL)
		cf_bug("result that is not there");
	return db->result[result];
}

size_t
cf_db_rows(const struct cf_db *db, size_t result)
{
	return (size_t)PQntuples(result_of(db, result));
}

const char *
cf_db_row_try(const struct cf_db *db, size_t result, size_t row,
    const struct cf_db_column *table, size_t count, void *into)
{
	return cf_db_row_read(result_of(db, result), row, table, count, true,
	    into);
}

void
cf_db_row(const struct cf_db *db, size_t result, size_t row,
    const struct cf_db_column *table, size_t count, void *into)
{
	if (cf_db_row_read(result_of(db, result), row, table, count, false,
	    into) != NULL)
		cf_bug("a column of another form");
}

static struct value
only_value(const struct cf_db *db, size_t result, size_t row)
{
	const PGresult *res = result_of(db, result);

	if (PQnfields(res) != 1)
		cf_bug("not a statement with one column");
	return value_at(res, (int)row, 0);
}

size_t
cf_db_number(const struct cf_db *db, size_t result, size_t row)
{
	static const struct cf_db_column n[] = { { "n", CF_DB_NUMBER, 0, 0 } };
	size_t number;

	CF_DB_ROW(db, result, row, n, &number);
	return number;
}

const char *
cf_db_get_text(const struct cf_db *db, size_t result, size_t row)
{
	const char *text = only_value(db, result, row).bytes;

	if (text == NULL)
		cf_bug("no text");
	return text;
}

int64_t
cf_db_get_int(const struct cf_db *db, size_t result, size_t row)
{
	int64_t v;

	if (!read_int(only_value(db, result, row), &v))
		cf_bug("no number");
	return v;
}

bool
cf_db_get_bool(const struct cf_db *db, size_t result, size_t row)
{
	bool v;

	if (!read_bool(only_value(db, result, row), &v))
		cf_bug("no truth value");
	return v;
}

int64_t
cf_db_get_time(const struct cf_db *db, size_t result, size_t row)
{
	int64_t ms;

	(void)read_time(only_value(db, result, row), &ms);
	return ms;
}
