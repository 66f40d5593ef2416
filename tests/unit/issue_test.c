/* SPDX-License-Identifier: Apache-2.0 */
/* The issue request as JSON, its answer, and the message reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/issue.h"
#include "common/proofs.h"
#include "common/reference.h"

#define HANDLE "AQEBAQEBAQEBAQEBAQEBAQ"
#define REQUEST_ID "BwcHBwcHBwcHBwcHBwcHBw"
#define TOKEN "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
#define KEY "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"

static struct cf_issue_key key;
static const char *recipients[] = { "bob@b.test" };
static struct cf_issue_request request;

static int
setup(void **state)
{
	(void)state;
	memset(key.key_id, 1, sizeof key.key_id);
	memset(key.token.bytes, 2, CF_TOKEN_LEN);
	key.token.len = CF_TOKEN_LEN;
	memset(key.opening_key, 3, sizeof key.opening_key);
	memset(key.possession_key, 4, sizeof key.possession_key);
	memset(request.request_id, 7, sizeof request.request_id);
	memset(request.message_ref, 8, sizeof request.message_ref);
	memset(request.reference_check, 9, sizeof request.reference_check);
	request.message_id = "<\"q\\x\"@a.test>";
	request.sender = "alice@a.test";
	request.recipients = recipients;
	request.recipient_count = 1;
	request.reader_url = "https://r.a.test";
	request.keys = &key;
	request.key_count = 1;
	return 0;
}

static void
t_build_writes_exactly_the_contract(void **state)
{
	struct cf_buf json = CF_BUF_INIT_SECRET(10000);

	(void)state;
	assert_int_equal(cf_issue_build(&request, &json, NULL), CF_OK);
	assert_string_equal(cf_buf_str(&json),
	    "{\"request_id\":\"" REQUEST_ID "\",\"message_ref\":"
	    "\"CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg\","
	    "\"reference_check\":\"CQkJCQkJCQkJCQkJCQkJCQ\","
	    "\"message_id\":\"<\\\"q\\\\x\\\"@a.test>\","
	    "\"sender\":\"alice@a.test\",\"recipients\":[\"bob@b.test\"],"
	    "\"reader_url\":\"https://r.a.test\",\"keys\":[{\"key_id\":\""
	    HANDLE "\",\"token\":\"" TOKEN "\",\"algorithm\":\"kek-a256kw\","
	    "\"opening_key\":\"AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM\","
	    "\"possession_key\":"
	    "\"BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ\","
	    "\"policy\":{\"require\":\"bearer\"}}]}");
	cf_buf_reset(&json);
	key.expires_in_s = 604800;
	assert_int_equal(cf_issue_build(&request, &json, NULL), CF_OK);
	key.expires_in_s = 0;
	assert_non_null(strstr(cf_buf_str(&json),
	    "\"policy\":{\"require\":\"bearer\",\"expires_in\":604800}}]}"));
	cf_buf_free(&json);
}

static void
t_build_refuses_what_is_not_utf8(void **state)
{
	struct cf_buf json = CF_BUF_INIT_SECRET(10000);
	struct cf_issue_request bad = request;
	const char *latin[] = { "b\xf6" "b@b.test" };

	(void)state;
	bad.sender = latin[0];
	assert_int_equal(cf_issue_build(&bad, &json, NULL), CF_E_SYNTAX);
	bad = request;
	bad.recipients = latin;
	assert_int_equal(cf_issue_build(&bad, &json, NULL), CF_E_SYNTAX);
	cf_buf_free(&json);
}

static void
t_build_refuses_what_does_not_fit(void **state)
{
	struct cf_buf json = CF_BUF_INIT_SECRET(100);

	(void)state;
	assert_int_equal(cf_issue_build(&request, &json, NULL),
	    CF_E_TOO_LARGE);
	cf_buf_free(&json);
}

/* The right answer, with room to change it. */
static size_t
answer(char *out, size_t cap)
{
	unsigned char bytes[CF_KEK_LEN], commitment[CF_COMMITMENT_LEN];
	char text[CF_B64URL_LEN(CF_COMMITMENT_LEN) + 1];

	memset(bytes, 5, sizeof bytes);
	cf_proof_key_commitment(bytes, sizeof bytes, commitment);
	cf_b64url_encode(commitment, sizeof commitment, text);
	return (size_t)snprintf(out, cap, "{\"request_id\":\"" REQUEST_ID
	    "\",\"keys\":[{\"key_id\":\"" HANDLE "\",\"locator\":"
	    "\"https://keys.test/k/" HANDLE "\",\"algorithm\":\"kek-a256kw\","
	    "\"key\":\"" KEY "\",\"key_commitment\":\"%s\"}]}", text);
}

static void
t_parse_takes_the_right_answer(void **state)
{
	struct cf_issue_answer got;
	char text[1000], link[CF_LINK_MAX + 1];
	size_t len = answer(text, sizeof text);

	(void)state;
	assert_int_equal(cf_issue_parse(&request, text, len, &got, NULL),
	    CF_OK);
	cf_link_format(&got.locator, link);
	assert_string_equal(link, "https://keys.test/k/" HANDLE "#" TOKEN);
	assert_int_equal(got.kek.len, CF_KEK_LEN);
	assert_int_equal(got.kek.bytes[0], 5);
	cf_issue_answer_wipe(&got);
}

static void
t_parse_truncated_at_every_byte(void **state)
{
	struct cf_issue_answer got;
	char text[1000];
	size_t n, len = answer(text, sizeof text);

	(void)state;
	for (n = 0; n < len; n++)
		assert_int_equal(cf_issue_parse(&request, text, n, &got,
		    NULL), CF_E_PROTOCOL);
}

/* Every character of a value counts: none may be another. */
static void
t_parse_refuses_any_changed_byte(void **state)
{
	struct cf_issue_answer got;
	char text[1000], *service;
	size_t n, len = answer(text, sizeof text);

	(void)state;
	service = strstr(text, "keys.test");
	for (n = 0; n < len; n++) {
		char was = text[n];

		/* Another host would be a lie that only the name shows. */
		if (text + n >= service && text + n < service + 9)
			continue;
		text[n] = was == 'x' ? 'y' : 'x';
		assert_int_equal(cf_issue_parse(&request, text, len, &got,
		    NULL), CF_E_PROTOCOL);
		text[n] = was;
	}
	assert_int_equal(cf_issue_parse(&request, text, len, &got, NULL),
	    CF_OK);
}

static void
make_ref(const char *sender, const char *recipient, const char *id,
    const char *body, unsigned char out[CF_REF_LEN])
{
	CF_AUTO(cf_digest_free) struct cf_digest *digest = cf_digest_new();
	struct cf_secret secret = { { 9 }, 32 };

	cf_digest_add(digest, body, strlen(body));
	cf_ref_make(digest, &secret, sender, recipient, id, out);
}

/* Python: hmac(bytes([9] + [0]*31), b"counterfoil reference check v1\0") */
static void
t_reference_check_is_as_the_format_says(void **state)
{
	static const unsigned char want[CF_REF_CHECK_LEN] = {
		0x05, 0x76, 0x7d, 0xec, 0xa5, 0x4a, 0xc5, 0x9d,
		0x71, 0x17, 0xd1, 0x6e, 0x7d, 0xf2, 0xc0, 0xca
	};
	const struct cf_secret secret = { { 9 }, 32 };
	unsigned char have[CF_REF_CHECK_LEN];

	(void)state;
	cf_ref_check(&secret, have);
	assert_memory_equal(have, want, sizeof want);
}

static void
t_ref_differs_with_each_part(void **state)
{
	static const char *const cases[][4] = {
		{ "a@a", "b@b", "<1>", "x" }, { "a@", "ab@b", "<1>", "x" },
		{ "a@a", "c@b", "<1>", "x" }, { "a@a", "b@b", "<2>", "x" },
		{ "a@a", "b@b", "<1>", "y" }, { "a@a", "b@b<1>", "", "x" },
	};
	unsigned char one[CF_REF_LEN], other[CF_REF_LEN];
	size_t i, k;

	(void)state;
	for (i = 0; i < 6; i++)
		for (k = 0; k < 6; k++) {
			make_ref(cases[i][0], cases[i][1], cases[i][2],
			    cases[i][3], one);
			make_ref(cases[k][0], cases[k][1], cases[k][2],
			    cases[k][3], other);
			assert_int_equal(memcmp(one, other, CF_REF_LEN) == 0,
			    i == k);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_build_writes_exactly_the_contract),
		cmocka_unit_test(t_build_refuses_what_is_not_utf8),
		cmocka_unit_test(t_build_refuses_what_does_not_fit),
		cmocka_unit_test(t_parse_takes_the_right_answer),
		cmocka_unit_test(t_parse_truncated_at_every_byte),
		cmocka_unit_test(t_parse_refuses_any_changed_byte),
		cmocka_unit_test(t_reference_check_is_as_the_format_says),
		cmocka_unit_test(t_ref_differs_with_each_part),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
