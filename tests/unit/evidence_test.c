/* SPDX-License-Identifier: Apache-2.0 */
/* The evidence of a receipt: read back as written, and nothing else is. */
#include "common/evidence.h"
#include "tests/unit/fixture.h"
#include "tests/unit/records.h"

#define SERVICE "https://keys.example"

static char *
write_text(bool with_note)
{
	unsigned char salt[CF_LEAF_SALT_LEN], note[CF_NOTE_LEN];
	struct cf_buf out = CF_BUF_INIT(CF_EVIDENCE_MAX);

	memset(salt, 1, sizeof salt);
	memset(note, 2, sizeof note);
	cf_evidence_begin(&out, SERVICE);
	cf_evidence_add_event(&out, salt, ISSUED);
	cf_evidence_add_event(&out, salt, RELEASED);
	cf_evidence_add_event(&out, salt, OPENED);
	if (with_note)
		cf_evidence_add_note(&out, note);
	cf_buf_addc(&out, '\0');
	return out.data;
}

static enum cf_err
read_text(const char *text, size_t len)
{
	CF_AUTO(cf_evidence_free) struct cf_evidence e;
	struct cf_why why;

	return cf_evidence_read(text, len, &e, &why);
}

static void
t_what_was_written_is_read(void **state)
{
	CF_AUTO(cf_free) char *text = write_text(true);
	CF_AUTO(cf_free) char *without = write_text(false);
	struct cf_evidence e;

	(void)state;
	assert_int_equal(cf_evidence_read(text, strlen(text), &e, NULL),
	    CF_OK);
	assert_string_equal(e.service, SERVICE);
	assert_int_equal(e.count, 3);
	assert_int_equal(e.event[2].salt[31], 1);
	assert_string_equal(cf_rec_value(&e.event[1].rec, "type"), "released");
	assert_true(e.has_note);
	assert_int_equal(e.note[511], 2);
	cf_evidence_free(&e);
	assert_int_equal(cf_evidence_read(without, strlen(without), &e, NULL),
	    CF_OK);
	assert_false(e.has_note);
	cf_evidence_free(&e);
}

/* SHA-256 of the label, 32 bytes 01 and "record\n", by coreutils. */
static void
t_the_entry_is_salted(void **state)
{
	unsigned char salt[CF_LEAF_SALT_LEN];
	struct cf_hash a, b;
	char text[2 * CF_DIGEST_LEN + 1];
	size_t i;

	(void)state;
	memset(salt, 1, sizeof salt);
	a = cf_evidence_entry(salt, "record\n", 7);
	for (i = 0; i < CF_DIGEST_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", a.bytes[i]);
	assert_string_equal(text, "3666c31b281fc33ed773d80717d17b6d"
	    "e4f0568ee6bfd2ccb9d35ef246c44a31");
	salt[0] = 2;
	b = cf_evidence_entry(salt, "record\n", 7);
	assert_memory_not_equal(a.bytes, b.bytes, CF_DIGEST_LEN);
}

static char *
changed(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);

	assert_non_null(at);
	return cf_asprintf("%.*s%s%s", (int)(at - text), text, new,
	    at + strlen(old));
}

static void
t_anything_else_is_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "receipt/v1", "receipt/v2" }, { "receipt/v1", "receipt/v1 " },
		{ SERVICE, "https://Keys.example" }, { SERVICE, "" },
		{ SERVICE, "javascript:alert(1)" },
		{ SERVICE "\n", SERVICE "\nservice x\n" },
		{ "\n\nevent", "\n\n\nevent" }, { "\n\nevent", "\nevent" },
		{ "event\nsalt", "event 1\nsalt" }, { "salt AQ", "salt AR=" },
		{ "salt ", "" }, { "\nsalt ", "\nsalt  " },
		{ "seq 2\n", "seq 1\n" }, { "seq 30\n", "seq 2\n" },
		{ "type released", "type relieved" },
		{ "key AAAAAAAAAAAAAAAAAAAAAA\n",
		    "key BAAAAAAAAAAAAAAAAAAAAA\n" },
		{ "\n\nnote ", "\n\nnotes " }, { "\n\nnote ", "\nnote " },
		{ "\n\nnote Ag", "\n\nnote A" },
	};
	CF_AUTO(cf_free) char *text = write_text(true);
	size_t len = strlen(text), i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CF_AUTO(cf_free) char *other = changed(text, bad[i][0],
		    bad[i][1]);

		if (read_text(other, strlen(other)) != CF_E_SYNTAX)
			fail_msg("\"%s\" -> \"%s\" is read", bad[i][0],
			    bad[i][1]);
	}
	/* Cut anywhere but behind a whole event, a NUL anywhere. */
	for (i = 0; i < len; i++)
		if (read_text(text, i) == CF_OK)
			assert_memory_equal(text + i - 1, "\n\n", 2);
	for (i = 0; i < len; i++) {
		char kept = text[i];

		text[i] = '\0';
		assert_int_equal(read_text(text, len), CF_E_SYNTAX);
		text[i] = kept;
	}
}

static void
t_more_than_a_receipt_has_is_refused(void **state)
{
	CF_AUTO(cf_free) char *text = write_text(true);
	CF_AUTO(cf_free) char *twice = cf_asprintf("%s\n%s", text, text);
	CF_AUTO(cf_free) char *noted = cf_asprintf("%s%s", text,
	    strstr(text, "\nnote"));
	CF_AUTO(cf_free) char *alone = cf_asprintf("%s", text);
	CF_AUTO(cf_free) char *large = cf_calloc(CF_EVIDENCE_MAX + 2, 1);

	(void)state;
	assert_int_equal(read_text(twice, strlen(twice)), CF_E_SYNTAX);
	assert_int_equal(read_text(noted, strlen(noted)), CF_E_SYNTAX);
	strstr(alone, "\n\n")[1] = '\0';
	assert_int_equal(read_text(alone, strlen(alone)), CF_E_SYNTAX);
	assert_int_equal(read_text("", 0), CF_E_SYNTAX);
	memset(large, '\n', CF_EVIDENCE_MAX + 1);
	memcpy(large, text, strlen(text));
	assert_int_equal(read_text(large, CF_EVIDENCE_MAX + 1), CF_E_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_what_was_written_is_read),
		cmocka_unit_test(t_the_entry_is_salted),
		cmocka_unit_test(t_anything_else_is_refused),
		cmocka_unit_test(t_more_than_a_receipt_has_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
