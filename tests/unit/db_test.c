/* SPDX-License-Identifier: Apache-2.0 */
/* Values on their way to PostgreSQL and back: parameters, row tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/assurance.h"
#include "keysrv/db/db_private.h"
#include "keysrv/db/db_row.h"

#define LEN(array) (sizeof array / sizeof array[0])

/* ---- parameters ---- */

static void
check_value(const struct cf_db_args *args, size_t col, uint32_t oid,
    const void *bytes, size_t len)
{
	struct cf_db_value v = cf_db_args_value(args, col);

	assert_int_equal(v.oid, oid);
	assert_int_equal(v.len, len);
	assert_memory_equal(v.bytes, bytes, len);
}

static void
t_single_values_are_themselves(void **state)
{
	static const unsigned char two[] = { 0, 0, 0, 0, 0, 0, 1, 2 };
	/* A second after 2000, in microseconds. */
	static const unsigned char second[] = { 0, 0, 0, 0, 0, 0x0f, 0x42,
	    0x40 };
	struct cf_db_args args;

	(void)state;
	cf_db_args_init(&args, "BTIZ");
	cf_db_bytes(&args, 0, "a\0b", 3);
	cf_db_text(&args, 1, "");
	cf_db_int(&args, 2, 258);
	cf_db_time(&args, 3, CF_DB_EPOCH_MS + 1000);
	check_value(&args, 0, 17, "a\0b", 3);
	check_value(&args, 1, 25, "", 0);
	check_value(&args, 2, 20, two, sizeof two);
	check_value(&args, 3, 1184, second, sizeof second);
	cf_db_args_free(&args);
}

/* dimensions, has nulls, element type, elements, lower bound; then those */
static void
t_small_letters_are_arrays(void **state)
{
	static const unsigned char none[] = { 0, 0, 0, 1, 0, 0, 0, 1,
	    0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 1 };
	static const unsigned char three[] = { 0, 0, 0, 1, 0, 0, 0, 1,
	    0, 0, 0, 25, 0, 0, 0, 3, 0, 0, 0, 1,
	    0, 0, 0, 2, 'a', 'b', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 };
	struct cf_db_args args;

	(void)state;
	cf_db_args_init(&args, "btiz");
	check_value(&args, 0, 1001, none, sizeof none);
	cf_db_text(&args, 1, "ab");
	cf_db_null(&args, 1);
	cf_db_text(&args, 1, "");
	check_value(&args, 1, 1009, three, sizeof three);
	/* It may be asked again, and grow. */
	check_value(&args, 1, 1009, three, sizeof three);
	cf_db_text(&args, 1, "c");
	assert_int_equal(cf_db_args_value(&args, 1).len, sizeof three + 5);
	assert_int_equal(cf_db_args_value(&args, 1).bytes[15], 4);
	assert_int_equal(cf_db_args_value(&args, 2).oid, 1016);
	assert_int_equal(cf_db_args_value(&args, 3).oid, 1185);
	cf_db_args_free(&args);
}

/* A row of all that can be written; its columns in another order. */
struct written {
	int64_t at_ms;
	const unsigned char *at;
	struct cf_db_texts texts;
	unsigned char here[2];
	const char *text;
	struct cf_db_span span;
	int64_t number;
	enum cf_assurance assurance;
};

#define AT(member) offsetof(struct written, member)
static const struct cf_db_column written_columns[] = {
	{ "here", CF_DB_BYTES, AT(here), 2 },
	{ "there", CF_DB_BYTES_AT, AT(at), 3 },
	{ "span", CF_DB_SPAN, AT(span), 0 },
	{ "text", CF_DB_TEXT, AT(text), 0 },
	{ "texts", CF_DB_TEXTS, AT(texts), 0 },
	{ "number", CF_DB_INT, AT(number), 0 },
	{ "at", CF_DB_TIME, AT(at_ms), 0 },
	{ "assurance", CF_DB_ASSURANCE, AT(assurance), 0 },
};
#undef AT

/* What the last row has in a column: the bytes, behind their length. */
static void
check_last(const struct cf_db_args *args, size_t col, const void *bytes,
    size_t len)
{
	struct cf_db_value v = cf_db_args_value(args, col);

	assert_true((size_t)v.len >= len + 4);
	assert_int_equal(v.bytes[(size_t)v.len - len - 1], len);
	assert_memory_equal(v.bytes + (size_t)v.len - len, bytes, len);
}

static void
t_a_row_is_added_by_its_table(void **state)
{
	static const char *const two[] = { "a\"b", "c\\" };
	static const uint32_t oids[] = { 1001, 1001, 1001, 1009, 1009, 1016,
	    1185, 1009 };
	struct written row = { CF_DB_EPOCH_MS, (const unsigned char *)"xyz",
	    { two, 2 }, "\1\2", "text", { "span", 3 }, 5,
	    CF_ASSURANCE_ACCOUNT };
	struct cf_db_args args;
	size_t i;

	(void)state;
	CF_DB_ARGS_ROWS(&args, written_columns);
	cf_db_args_add(&args, &row);
	for (i = 0; i < LEN(oids); i++) {
		assert_int_equal(cf_db_args_value(&args, i).oid, oids[i]);
		assert_int_equal(cf_db_args_value(&args, i).bytes[15], 1);
	}
	check_last(&args, 0, "\1\2", 2);
	check_last(&args, 1, "xyz", 3);
	check_last(&args, 2, "spa", 3);
	check_last(&args, 3, "text", 4);
	check_last(&args, 4, "{\"a\\\"b\",\"c\\\\\"}", 14);
	check_last(&args, 5, "\0\0\0\0\0\0\0\5", 8);
	check_last(&args, 6, "\0\0\0\0\0\0\0\0", 8);
	check_last(&args, 7, "account", 7);
	/* The two that may be null. */
	row.at = NULL;
	row.at_ms = -1;
	cf_db_args_add(&args, &row);
	for (i = 0; i < LEN(oids); i++) {
		struct cf_db_value v = cf_db_args_value(&args, i);

		assert_int_equal(v.bytes[15], 2);
		assert_int_equal(memcmp(v.bytes + v.len - 4,
		    "\377\377\377\377", 4) == 0, i == 1 || i == 6);
	}
	cf_db_args_free(&args);
}

static void
check_sql(const struct cf_db_args *args, const char *sql, const char *want)
{
	CF_AUTO(cf_buf_free) struct cf_buf out = CF_BUF_INIT(1000);

	cf_db_args_sql(args, sql, &out);
	assert_string_equal(cf_buf_str(&out), want);
}

static void
t_a_statement_has_its_columns_from_the_table(void **state)
{
	struct cf_db_args args;

	(void)state;
	CF_DB_ARGS_ROWS(&args, written_columns);
	check_sql(&args, "INSERT INTO t ($columns) SELECT $select "
	    "FROM unnest($values) AS q ($columns)",
	    "INSERT INTO t (here, there, span, text, texts, number, at, "
	    "assurance) "
	    "SELECT here, there, span, text, texts::text[], number, at, "
	    "assurance FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) "
	    "AS q (here, there, span, text, texts, number, at, assurance)");
	check_sql(&args, "$1 $value $columnses $", "$1 $value $columnses $");
	cf_db_args_free(&args);
	cf_db_args_init(&args, "bb");
	check_sql(&args, "SELECT $1, $columns", "SELECT $1, $columns");
	check_sql(&args, "", "");
	cf_db_args_free(&args);
}

/* ---- rows ---- */

struct thing {
	unsigned char id[4];
	bool has_mark;
	unsigned char mark[2];
	const char *name;
	char *copy;
	int64_t count;
	bool good;
	int64_t at_ms;
	size_t number;
	enum cf_assurance assurance;
};

#define AT(member) offsetof(struct thing, member)
/* Not in the order of the result, and one of it is not asked for. */
static const struct cf_db_column table[] = {
	{ "copy", CF_DB_COPY, AT(copy), 0 },
	{ "id", CF_DB_BYTES, AT(id), 4 },
	{ "mark", CF_DB_IS_THERE, AT(has_mark), 0 },
	{ "mark", CF_DB_BYTES_OR_NULL, AT(mark), 2 },
	{ "name", CF_DB_TEXT, AT(name), 0 },
	{ "count", CF_DB_INT, AT(count), 0 },
	{ "good", CF_DB_BOOL, AT(good), 0 },
	{ "at", CF_DB_TIME, AT(at_ms), 0 },
	{ "n", CF_DB_NUMBER, AT(number), 0 },
	{ "assurance", CF_DB_ASSURANCE, AT(assurance), 0 },
};
#undef AT

enum { N, ID, MARK, NAME, OTHER, COUNT, GOOD, WHEN, COPY, HOW,
    COLUMNS };
static const char *const names[COLUMNS] = { "n", "id", "mark", "name",
    "other", "count", "good", "at", "copy", "assurance" };

static void
put(PGresult *res, int col, const void *bytes, int len)
{
	char copy[16];

	if (len > 0)
		memcpy(copy, bytes, (size_t)len);
	assert_int_equal(PQsetvalue(res, 0, col, bytes == NULL ? NULL : copy,
	    len), 1);
}

static void
put64(PGresult *res, int col, uint64_t v)
{
	unsigned char be[8];
	int i;

	for (i = 0; i < 8; i++)
		be[i] = (unsigned char)(v >> (56 - 8 * i));
	put(res, col, be, 8);
}

/* One row in which everything is as the table wants it. */
static PGresult *
make_row(void)
{
	PGresAttDesc desc[COLUMNS];
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	int i;

	memset(desc, 0, sizeof desc);
	for (i = 0; i < COLUMNS; i++) {
		desc[i].name = (char *)(uintptr_t)names[i];
		desc[i].format = 1;
	}
	assert_int_equal(PQsetResultAttrs(res, COLUMNS, desc), 1);
	put64(res, N, 7);
	put(res, ID, "\0\1\2\3", 4);
	put(res, MARK, "xy", 2);
	put(res, NAME, "nobody", 6);
	put(res, OTHER, "", 0);
	put64(res, COUNT, (uint64_t)-2);
	put(res, GOOD, "\1", 1);
	put64(res, WHEN, 1500000);
	put(res, COPY, "", 0);
	put(res, HOW, "mailbox", 7);
	return res;
}

static const char *
read_thing(const PGresult *res, bool exact, struct thing *t)
{
	memset(t, 0, sizeof *t);
	return cf_db_row_read(res, 0, table, LEN(table), exact, t);
}

static void
t_a_row_is_read_by_name(void **state)
{
	PGresult *res = make_row();
	struct thing t;

	(void)state;
	assert_null(read_thing(res, true, &t));
	assert_memory_equal(t.id, "\0\1\2\3", 4);
	assert_true(t.has_mark);
	assert_memory_equal(t.mark, "xy", 2);
	assert_string_equal(t.name, "nobody");
	assert_string_equal(t.copy, "");
	assert_int_equal(t.count, -2);
	assert_true(t.good);
	assert_int_equal(t.at_ms, CF_DB_EPOCH_MS + 1500);
	assert_int_equal(t.number, 6);
	assert_int_equal(t.assurance, CF_ASSURANCE_MAILBOX);
	free(t.copy);
	PQclear(res);
}

/* What a row says when one column is this. */
static const char *
wrong_with(int col, const void *bytes, int len, struct thing *t)
{
	PGresult *res = make_row();
	const char *wrong;

	put(res, col, bytes, len);
	wrong = read_thing(res, true, t);
	free(t->copy);
	PQclear(res);
	return wrong;
}

static void
t_what_does_not_fit_is_named(void **state)
{
	struct thing t;

	(void)state;
	assert_string_equal(wrong_with(ID, "\0\1\2", 3, &t), "id");
	assert_string_equal(wrong_with(ID, "\0\1\2\3\4", 5, &t), "id");
	assert_string_equal(wrong_with(ID, NULL, -1, &t), "id");
	assert_string_equal(wrong_with(MARK, "x", 1, &t), "mark");
	assert_string_equal(wrong_with(NAME, NULL, -1, &t), "name");
	assert_string_equal(wrong_with(COPY, NULL, -1, &t), "copy");
	assert_string_equal(wrong_with(COUNT, "\0\0\0\1", 4, &t), "count");
	assert_string_equal(wrong_with(COUNT, NULL, -1, &t), "count");
	assert_string_equal(wrong_with(GOOD, NULL, -1, &t), "good");
	assert_string_equal(wrong_with(N, "\0\0\0\0\0\0\0\0", 8, &t), "n");
	assert_string_equal(wrong_with(HOW, "notary", 6, &t), "assurance");
	assert_string_equal(wrong_with(HOW, NULL, -1, &t), "assurance");
	/* Not asked for. */
	assert_null(wrong_with(OTHER, NULL, -1, &t));
}

static void
t_null_is_an_answer_where_it_may_be(void **state)
{
	struct thing t;

	(void)state;
	assert_null(wrong_with(MARK, NULL, -1, &t));
	assert_false(t.has_mark);
	assert_memory_equal(t.mark, "\0\0", 2);
	assert_null(wrong_with(WHEN, NULL, -1, &t));
	assert_int_equal(t.at_ms, -1);
}

static void
t_a_copy_is_null_where_it_may_be(void **state)
{
	static const struct cf_db_column copy[] = {
		{ "other", CF_DB_COPY_OR_NULL, 0, 0 },
	};
	PGresult *res = make_row();
	char *text = NULL;

	(void)state;
	assert_null(cf_db_row_read(res, 0, copy, 1, true, &text));
	assert_string_equal(text, "");
	free(text);
	put(res, OTHER, NULL, -1);
	assert_null(cf_db_row_read(res, 0, copy, 1, true, &text));
	assert_null(text);
	PQclear(res);
}

/* The time `us` microseconds from 2000: read, and whether it fits. */
static int64_t
time_of(int64_t us, bool *ret_fits)
{
	PGresult *res = make_row();
	struct thing t;

	put64(res, WHEN, (uint64_t)us);
	*ret_fits = read_thing(res, true, &t) == NULL;
	free(t.copy);
	/* Where a time is not the point, the nearest does. */
	assert_null(read_thing(res, false, &t));
	free(t.copy);
	PQclear(res);
	return t.at_ms;
}

static void
t_times_beyond_all_days_are_the_last(void **state)
{
	const int64_t most_us = (CF_DB_TIME_MOST_MS - CF_DB_EPOCH_MS) * 1000;
	const int64_t least_us = -CF_DB_EPOCH_MS * 1000;
	bool fits;

	(void)state;
	assert_int_equal(time_of(most_us + 999, &fits), CF_DB_TIME_MOST_MS);
	assert_true(fits);
	assert_int_equal(time_of(most_us + 1000, &fits), CF_DB_TIME_MOST_MS);
	assert_false(fits);
	/* infinity, -infinity */
	assert_int_equal(time_of(INT64_MAX, &fits), CF_DB_TIME_MOST_MS);
	assert_false(fits);
	assert_int_equal(time_of(INT64_MIN, &fits), 0);
	assert_false(fits);
	assert_int_equal(time_of(least_us, &fits), 0);
	assert_true(fits);
	/* Not -1, which would be null. */
	assert_int_equal(time_of(least_us - 1, &fits), 0);
	assert_false(fits);
	assert_int_equal(time_of(-1, &fits), CF_DB_EPOCH_MS - 1);
	assert_true(fits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_single_values_are_themselves),
		cmocka_unit_test(t_small_letters_are_arrays),
		cmocka_unit_test(t_a_row_is_added_by_its_table),
		cmocka_unit_test(t_a_statement_has_its_columns_from_the_table),
		cmocka_unit_test(t_a_row_is_read_by_name),
		cmocka_unit_test(t_what_does_not_fit_is_named),
		cmocka_unit_test(t_null_is_an_answer_where_it_may_be),
		cmocka_unit_test(t_a_copy_is_null_where_it_may_be),
		cmocka_unit_test(t_times_beyond_all_days_are_the_last),
	};

	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
