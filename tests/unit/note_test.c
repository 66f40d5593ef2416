/* SPDX-License-Identifier: Apache-2.0 */
/* The sender's note: by the vector, whatever is changed, whatever it says. */
#include "common/crypto_note.h"
#include "tests/unit/fixture.h"

static json_t *vector;
static struct cf_secret secret;
static unsigned char key_id[CF_KEY_ID_LEN], sealed[CF_NOTE_LEN];

static int
load(void **state)
{
	(void)state;
	vector = fixture_json("commitment.json");
	secret = fixture_secret(vector, "reference_secret");
	fixture_bytes(vector, "key_id", key_id, sizeof key_id);
	fixture_bytes(json_object_get(vector, "note"), "sealed", sealed,
	    sizeof sealed);
	return 0;
}

static int
unload(void **state)
{
	(void)state;
	cf_secret_wipe(&secret);
	json_decref(vector);
	return 0;
}

/* Digests that begin with a byte of their own each. */
static void
fill(struct cf_note *note, const char *subject)
{
	struct cf_commit_digests d;
	unsigned char values[CF_DIGEST_LEN];
	size_t i;

	memset(values, 'v', sizeof values);
	memset(d.body, 'b', sizeof d.body);
	for (i = 0; i < CF_HEAD_NAMES; i++)
		memset(d.name[i], (int)('0' + i), CF_DIGEST_LEN);
	cf_note_fill(note, values, &d, subject);
}

static void
t_it_is_the_vector(void **state)
{
	struct cf_note note, back;
	unsigned char out[CF_NOTE_LEN];

	(void)state;
	fill(&note, fixture_text(json_object_get(vector, "note"), "subject"));
	cf_note_seal(&secret, key_id, &note, out);
	assert_memory_equal(out, sealed, sizeof out);
	assert_true(cf_note_open(&secret, key_id, sealed, &back));
	assert_memory_equal(&note, &back, sizeof note);
}

static void
t_whatever_is_changed_is_seen(void **state)
{
	unsigned char other[CF_KEY_ID_LEN];
	struct cf_note note;
	size_t bit;

	(void)state;
	for (bit = 0; bit < sizeof sealed * 8; bit++) {
		sealed[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_false(cf_note_open(&secret, key_id, sealed, &note));
		sealed[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	memcpy(other, key_id, sizeof other);
	other[0] ^= 1;
	assert_false(cf_note_open(&secret, other, sealed, &note));
	secret.bytes[0] ^= 1;
	assert_false(cf_note_open(&secret, key_id, sealed, &note));
	secret.bytes[0] ^= 1;
	assert_true(cf_note_open(&secret, key_id, sealed, &note));
}

static void
t_a_subject_is_cut_between_characters(void **state)
{
	char text[600];
	struct cf_note note;
	size_t before;

	(void)state;
	fill(&note, "");
	assert_string_equal(note.subject, "");
	memset(text, 'x', sizeof text);
	for (before = 388; before <= 392; before++) {
		/* Four bytes; whole or not at all. */
		memcpy(text + before, "\xf0\x9f\x93\xa8", 4);
		text[before + 4] = '\0';
		fill(&note, text);
		assert_int_equal(strlen(note.subject),
		    before == 388 ? 392 : before);
		memset(text, 'x', sizeof text);
	}
	text[sizeof text - 1] = '\0';
	fill(&note, text);
	assert_int_equal(strlen(note.subject), CF_NOTE_SUBJECT_MAX);
	fill(&note, "gr\xfc\xdf" "e");
	assert_string_equal(note.subject, "gr\xef\xbf\xbd\xef\xbf\xbd" "e");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_it_is_the_vector),
		cmocka_unit_test(t_whatever_is_changed_is_seen),
		cmocka_unit_test(t_a_subject_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
