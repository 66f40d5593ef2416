/* SPDX-License-Identifier: Apache-2.0 */
/* Records of every type are read; what has another text than the one is not. */
#include "common/clock.h"
#include "common/evidence_record.h"
#include "tests/unit/fixture.h"
#include "tests/unit/records.h"

static const char *const good[] = { ISSUED, RELEASED, OPENED, MISMATCH,
	REFUSED, REPEATED };

static enum cf_err
read_text(const char *text, size_t len)
{
	CF_AUTO(cf_rec_free) struct cf_rec rec;
	struct cf_why why;

	return cf_rec_read(text, len, &rec, &why);
}

static void
t_every_type_is_read(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		if (read_text(good[i], strlen(good[i])) != CF_OK)
			fail_msg("%s", good[i]);
}

static void
t_lines_are_asked_for(void **state)
{
	static const unsigned char zero[88];
	CF_AUTO(cf_rec_free) struct cf_rec rec;
	CF_AUTO(cf_free) char *plain = NULL;
	int64_t time_ms;
	size_t len;

	(void)state;
	assert_int_equal(cf_rec_read(ISSUED, strlen(ISSUED), &rec, NULL),
	    CF_OK);
	assert_string_equal(cf_rec_value(&rec, "recipient"), "bob@b.test");
	assert_null(cf_rec_value(&rec, "release"));
	assert_true(cf_rec_says(&rec, "message-id", "<100%@a.test>"));
	assert_false(cf_rec_says(&rec, "message-id", "<100%25@a.test>"));
	assert_false(cf_rec_says(&rec, "release", ""));
	assert_true(cf_rec_has(&rec, "opening-key", zero, 32));
	assert_false(cf_rec_has(&rec, "opening-key", "1234567890123456"
	    "1234567890123456", 32));
	assert_false(cf_rec_has(&rec, "opening-key", zero, 16));
	assert_true(cf_clock_parse(TIME, &time_ms));
	assert_int_equal(cf_rec_time_ms(&rec), time_ms);
	assert_int_equal(cf_rec_seq(&rec), 1);
	plain = cf_rec_decode("a%00%C3%B6%25", &len);
	assert_int_equal(len, 5);
	assert_memory_equal(plain, "a\0\xc3\xb6%", 6);
}

/* `text` with the first `old` in it made `new`. */
static char *
changed(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);

	assert_non_null(at);
	return cf_asprintf("%.*s%s%s", (int)(at - text), text, new,
	    at + strlen(old));
}

static void
t_any_other_text_is_refused(void **state)
{
	static const struct {
		const char *text, *old, *new;
	} bad[] = {
		{ ISSUED, "event/v1", "event/v2" },
		{ ISSUED, "counterfoil", " counterfoil" },
		{ ISSUED, "type issued", "type revised" },
		{ ISSUED, "type issued", "type released" },
		{ ISSUED, "seq 1", "seq 01" }, { ISSUED, "seq 1", "seq 0" },
		{ ISSUED, "seq 1", "seq -1" }, { ISSUED, "seq 1", "seq " },
		{ ISSUED, "seq 1", "seq 1000000000000000000" },
		{ ISSUED, "seq 1\n", "" }, { ISSUED, "seq 1", "seq 1\nseq 1" },
		{ ISSUED, "seq 1", "seq  1" }, { ISSUED, "seq 1", "seq 1 " },
		{ ISSUED, "id " B16, "id " B16 "=" },
		{ ISSUED, "id " B16, "id AAAAAAAAAAAAAAAAAAAAAB" },
		{ ISSUED, "id " B16, "id +AAAAAAAAAAAAAAAAAAAAA" },
		{ ISSUED, "ref " B32, "ref " B16 },
		{ ISSUED, ".123Z", ".123z" }, { ISSUED, "11-23T", "11-31T" },
		{ ISSUED, "sender ann", "sender \tann" },
		{ ISSUED, "sender ann@a.test\nrecipient bob@b.test\n",
		    "recipient bob@b.test\nsender ann@a.test\n" },
		{ ISSUED, "recipient bob@b.test\nrecipient J%C3%B6rg@b.test\n",
		    "" },
		{ ISSUED, "%C3", "%c3" }, { ISSUED, "%C3", "\xc3" },
		{ ISSUED, "%25", "%" }, { ISSUED, "%25", "%41" },
		{ ISSUED, "%25", "%2" }, { ISSUED, "bearer", "Bearer" },
		{ ISSUED, "account gateway-a", "account gateway-a\r" },
		{ ISSUED, "account", "accounts" },
		{ RELEASED, "first yes\n", "" },
		{ RELEASED, "challenge " B88, "challenge " B64 },
		{ OPENED, "message-commitment " B32 "\n", "" },
		{ MISMATCH, "signature", "release " B16 "\nsignature" },
		{ REFUSED, "reason challenge-used", "reason " },
		{ REPEATED, "count 17", "count 17\nmore 1" },
		{ REPEATED, "count 17", "count 17\n" },
		{ REPEATED, "count 17", "count" },
	};
	size_t i, j, len;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CF_AUTO(cf_free) char *text = changed(bad[i].text, bad[i].old,
		    bad[i].new);

		if (read_text(text, strlen(text)) != CF_E_SYNTAX)
			fail_msg("%s -> %s is read", bad[i].old, bad[i].new);
	}
	/* Cut anywhere, but for lines that may be missing at the end. */
	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		for (len = 0; len < strlen(good[i]); len++)
			if (read_text(good[i], len) == CF_OK &&
			    strstr(good[i], "type refused") == NULL)
				fail_msg("%.*s", (int)len, good[i]);
	/* A NUL anywhere. */
	for (j = 0; j < sizeof ISSUED - 1; j++) {
		char text[] = ISSUED;

		text[j] = '\0';
		assert_int_equal(read_text(text, sizeof text - 1),
		    CF_E_SYNTAX);
	}
}

static void
t_what_is_too_long_is_refused(void **state)
{
	struct cf_buf buf = CF_BUF_INIT(4 * CF_REC_MAX);
	size_t i;

	(void)state;
	cf_buf_adds(&buf, HEAD("issued", "1") "request " B16
	    "\nsender ann@a.test\n");
	for (i = 0; i < CF_REC_LINES_MAX; i++)
		cf_buf_adds(&buf, "recipient bob@b.test\n");
	assert_int_equal(read_text(buf.data, buf.len), CF_E_SYNTAX);
	cf_buf_reset(&buf);
	cf_buf_adds(&buf, HEAD("issued", "1") "request " B16 "\nsender ");
	while (buf.len <= CF_REC_MAX)
		cf_buf_addc(&buf, 'a');
	cf_buf_addc(&buf, '\n');
	assert_int_equal(read_text(buf.data, buf.len), CF_E_SYNTAX);
	cf_buf_free(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_every_type_is_read),
		cmocka_unit_test(t_lines_are_asked_for),
		cmocka_unit_test(t_any_other_text_is_refused),
		cmocka_unit_test(t_what_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
