/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db's results: values out of PostgreSQL's binary form.  See db.h. */
#include <endian.h>
#include <string.h>

#include "keysrv/db_private.h"

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

bool
cf_db_is_null(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	return PQgetisnull(result_of(db, result), (int)row, (int)col) == 1;
}

const void *
cf_db_get_bytes(const struct cf_db *db, size_t result, size_t row, size_t col,
    size_t *ret_len)
{
	const PGresult *res = result_of(db, result);

	*ret_len = (size_t)PQgetlength(res, (int)row, (int)col);
	return PQgetvalue(res, (int)row, (int)col);
}

void
cf_db_get_fixed(const struct cf_db *db, size_t result, size_t row, size_t col,
    void *out, size_t len)
{
	size_t have;
	const void *bytes = cf_db_get_bytes(db, result, row, col, &have);

	if (have != len)
		cf_bug("column of another length");
	memcpy(out, bytes, len);
}

const char *
cf_db_get_text(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	return PQgetvalue(result_of(db, result), (int)row, (int)col);
}

int64_t
cf_db_get_int(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	uint64_t v;

	cf_db_get_fixed(db, result, row, col, &v, sizeof v);
	return (int64_t)be64toh(v);
}

bool
cf_db_get_bool(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	unsigned char v;

	cf_db_get_fixed(db, result, row, col, &v, sizeof v);
	return v != 0;
}

int64_t
cf_db_get_time(const struct cf_db *db, size_t result, size_t row, size_t col)
{
	if (cf_db_is_null(db, result, row, col))
		return -1;
	return cf_db_get_int(db, result, row, col) / 1000 + CF_DB_EPOCH_MS;
}
