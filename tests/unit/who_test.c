/* SPDX-License-Identifier: Apache-2.0 */
/* Who is asking: claims out of a header, and callers out of the database. */
#include "keysrv/who/who.h"

#include "keysrv/db/db_row.h"
#include "keysrv/db/db_who.h"
#include "keysrv/http/batch.h"
#include "keysrv/http/kind.h"
#include "keysrv/http/request.h"
#include "tests/unit/fixture.h"

/* A token of 32 bytes 0, and its SHA-256. */
#define TOKEN "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SHA256 "\x66\x68\x7a\xad\xf8\x62\xbd\x77\x6c\x8f\xc1\x8b\x8e\x9f" \
	"\x8e\x20\x08\x97\x14\x85\x6e\xe2\x33\xb3\x90\x2a\x59\x1d\x0d\x5f" \
	"\x29\x25"

static const struct cf_endpoint for_anyone = { .who = CF_WHO_ANYONE };
static const struct cf_endpoint for_pages = { .who = CF_WHO_PAGE };
static const struct cf_endpoint for_tokens = { .who = CF_WHO_TOKEN };

static const char *authorization;

static const char *
field(const struct cf_req *req, const char *name)
{
	(void)req;
	return strcmp(name, "Authorization") == 0 ? authorization : NULL;
}

static enum cf_err
read_claim(const struct cf_endpoint *ep, const char *value,
    struct cf_req *ret, struct cf_why *why)
{
	*ret = (struct cf_req){ .ep = ep, .field = field };
	authorization = value;
	return cf_who_read(ret, why);
}

static void
t_a_token_is_read_and_only_its_hash_is_kept(void **state)
{
	static const char *const good[] = { "Bearer " TOKEN, "bearer " TOKEN,
	    "BEARER " TOKEN };
	struct cf_req req;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(read_claim(&for_tokens, good[i], &req, NULL),
		    CF_OK);
		assert_ptr_equal(req.claim.method, &cf_method_token);
		assert_memory_equal(req.claim.sha256, SHA256, CF_DIGEST_LEN);
		assert_null(req.caller.method);
	}
}

static void
t_what_is_no_token_is_refused_unechoed(void **state)
{
	static const char *const bad[] = { NULL, "", "Bearer", "Bearer ",
	    "Bearer  " TOKEN, "Basic " TOKEN, TOKEN, "Bearer " TOKEN "A",
	    "Bearer " TOKEN " ", "Bearer AAA", "Bearer "
	    "****AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "Bearer " TOKEN
	    "," TOKEN };
	struct cf_req req;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct cf_why why = { "" };

		if (read_claim(&for_tokens, bad[i], &req, &why) !=
		    CF_E_UNAUTHORIZED)
			fail_msg("taken: %s", bad[i]);
		assert_null(req.claim.method);
		assert_non_null(strstr(why.text, "API token"));
		assert_null(strstr(why.text, "AAA"));
	}
}

static void
t_where_anyone_may_call_nothing_is_read(void **state)
{
	struct cf_req req;

	(void)state;
	assert_int_equal(read_claim(&for_anyone, NULL, &req, NULL), CF_OK);
	assert_int_equal(read_claim(&for_pages, "Bearer " TOKEN, &req, NULL),
	    CF_OK);
	assert_null(req.claim.method);
}

/* An endpoint whose methods have all been forgotten would be open. */
static void
t_each_endpoint_for_known_callers_asks(void **state)
{
	size_t i, asking = 0;
	struct cf_req req;

	(void)state;
	for (i = 0; i < CF_ENDPOINT__COUNT; i++) {
		bool known = (cf_endpoints[i].who & CF_WHO_KNOWN) != 0;

		assert_int_equal(cf_endpoints[i].who & ~(unsigned)(CF_WHO_PAGE
		    | CF_WHO_KNOWN), 0);
		assert_int_equal(read_claim(&cf_endpoints[i], NULL, &req,
		    NULL), known ? CF_E_UNAUTHORIZED : CF_OK);
		asking += known;
	}
	assert_int_equal(asking, 2);
}

/* ---- callers ---- */

/* The database knows one token, in position `found` of what is asked. */
static size_t sent, found;
static struct cf_who_row answer;
static enum cf_err flush_rc;

size_t __wrap_cf_db_send(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args);
enum cf_err __wrap_cf_db_flush(struct cf_db *db, struct cf_why *why);
size_t __wrap_cf_db_rows(const struct cf_db *db, size_t result);
void __wrap_cf_db_who_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_who_row *ret);

size_t
__wrap_cf_db_send(struct cf_db *db, const struct cf_db_stmt *stmt,
    const struct cf_db_args *args)
{
	struct cf_db_value claims = cf_db_args_value(args, 0);

	(void)db;
	(void)stmt;
	sent++;
	/* The number of claims: 15th byte of an array, db_args.c. */
	assert_int_equal(claims.bytes[15], 3);
	return 5;
}

enum cf_err
__wrap_cf_db_flush(struct cf_db *db, struct cf_why *why)
{
	(void)db;
	(void)why;
	return flush_rc;
}

size_t
__wrap_cf_db_rows(const struct cf_db *db, size_t result)
{
	(void)db;
	assert_int_equal(result, 5);
	return 1;
}

void
__wrap_cf_db_who_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_who_row *ret)
{
	(void)db;
	(void)result;
	assert_int_equal(row, 0);
	*ret = answer;
	ret->number = found;
}

static struct cf_req reqs[3];
static struct cf_req *batch_of[3] = { &reqs[0], &reqs[1], &reqs[2] };
static struct cf_batch batch = { .req = batch_of, .count = 3 };

static int
begin(void **state)
{
	size_t i;

	(void)state;
	sent = 0;
	found = 2;
	flush_rc = CF_OK;
	answer = (struct cf_who_row){ .account_id = 7, .account = "gateway",
	    .may_send = true };
	for (i = 0; i < 3; i++) {
		reqs[i] = (struct cf_req){ .ep = &for_tokens,
		    .rc = CF_ERR__COUNT };
		reqs[i].claim.method = &cf_method_token;
		/* Of a run before. */
		reqs[i].caller.method = &cf_method_token;
		reqs[i].caller.account_id = 9;
	}
	return 0;
}

static void
t_the_caller_is_the_one_of_the_row(void **state)
{
	const struct cf_caller *caller = &reqs[2].caller;

	(void)state;
	assert_int_equal(cf_who_find(&batch, NULL), CF_OK);
	assert_int_equal(sent, 1);
	assert_null(reqs[0].caller.method);
	assert_int_equal(reqs[0].caller.account_id, 0);
	assert_null(reqs[1].caller.method);
	assert_ptr_equal(caller->method, &cf_method_token);
	assert_int_equal(caller->account_id, 7);
	assert_string_equal(caller->principal, "7");
	assert_string_equal(caller->account, "gateway");
	assert_int_equal(caller->assurance, CF_ASSURANCE_ACCOUNT);
	assert_true(caller->may_send);
	assert_false(caller->has_reference);
}

static void
t_a_long_name_is_cut(void **state)
{
	char name[CF_CALLER_ACCOUNT_MAX + 20];

	(void)state;
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	answer.account = name;
	assert_int_equal(cf_who_find(&batch, NULL), CF_OK);
	assert_int_equal(strlen(reqs[2].caller.account),
	    CF_CALLER_ACCOUNT_MAX);
}

static void
t_without_claims_nothing_is_asked(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		reqs[i].claim.method = NULL;
	assert_int_equal(cf_who_find(&batch, NULL), CF_OK);
	assert_int_equal(sent, 0);
	for (i = 0; i < 3; i++)
		assert_null(reqs[i].caller.method);
}

static void
t_a_database_that_is_away_knows_nobody(void **state)
{
	size_t i;

	(void)state;
	flush_rc = CF_E_DATABASE;
	assert_int_equal(cf_who_find(&batch, NULL), CF_E_DATABASE);
	for (i = 0; i < 3; i++)
		assert_null(reqs[i].caller.method);
}

static void
t_a_holder_is_one_who_is_not_known_otherwise(void **state)
{
	struct cf_caller caller = { .method = NULL };

	(void)state;
	cf_who_holds(&caller);
	assert_non_null(caller.method);
	assert_string_equal(caller.principal, "bearer");
	assert_int_equal(caller.assurance, CF_ASSURANCE_BEARER);
	assert_int_equal(caller.account_id, 0);
	assert_int_equal(cf_who_find(&batch, NULL), CF_OK);
	cf_who_holds(&reqs[2].caller);
	assert_string_equal(reqs[2].caller.principal, "7");
	assert_int_equal(reqs[2].caller.assurance, CF_ASSURANCE_ACCOUNT);
}

static void
t_the_kind_tells_known_from_unknown(void **state)
{
	(void)state;
	assert_int_equal(cf_kind_who.fn(NULL, &batch, NULL), CF_OK);
	assert_int_equal(reqs[0].rc, CF_E_UNAUTHORIZED);
	assert_int_equal(reqs[1].rc, CF_E_UNAUTHORIZED);
	assert_int_equal(reqs[2].rc, CF_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_a_token_is_read_and_only_its_hash_is_kept),
		cmocka_unit_test(t_what_is_no_token_is_refused_unechoed),
		cmocka_unit_test(t_where_anyone_may_call_nothing_is_read),
		cmocka_unit_test(t_each_endpoint_for_known_callers_asks),
		cmocka_unit_test_setup(t_the_caller_is_the_one_of_the_row,
		    begin),
		cmocka_unit_test_setup(t_a_long_name_is_cut, begin),
		cmocka_unit_test_setup(t_without_claims_nothing_is_asked,
		    begin),
		cmocka_unit_test_setup(t_a_database_that_is_away_knows_nobody,
		    begin),
		cmocka_unit_test_setup(
		    t_a_holder_is_one_who_is_not_known_otherwise, begin),
		cmocka_unit_test_setup(t_the_kind_tells_known_from_unknown,
		    begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
