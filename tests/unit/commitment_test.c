/* SPDX-License-Identifier: Apache-2.0 */
/* The message commitment, by the vectors and in every way of cutting. */
#include "common/commitment.h"
#include "tests/unit/fixture.h"

static json_t *vector;

static int
load(void **state)
{
	(void)state;
	vector = fixture_json("commitment.json");
	return 0;
}

static int
unload(void **state)
{
	(void)state;
	json_decref(vector);
	return 0;
}

static void
assert_digest(const json_t *object, const char *key,
    const unsigned char digest[CF_DIGEST_LEN], const json_t *message)
{
	unsigned char want[CF_DIGEST_LEN];

	fixture_bytes(object, key, want, sizeof want);
	if (memcmp(want, digest, sizeof want) != 0)
		fail_msg("%s of \"%s\"", key, fixture_text(message, "about"));
}

/* The start of `first` bytes, the rest in pieces of `piece`. */
static struct cf_commit_digests
digests_of(const char *m, size_t len, size_t first, size_t piece)
{
	CF_AUTO(cf_commit_free) struct cf_commit *c = cf_commit_new(m, first);
	struct cf_commit_digests d;
	size_t n;

	for (; first < len; first += n) {
		n = piece < len - first ? piece : len - first;
		cf_commit_add(c, m + first, n);
	}
	cf_commit_end(c, &d);
	return d;
}

static void
t_digests_are_the_vectors(void **state)
{
	struct cf_commit_digests d;
	unsigned char salt[CF_MESSAGE_SALT_LEN], out[CF_DIGEST_LEN];
	const json_t *message, *names;
	size_t i, j, len;

	(void)state;
	fixture_bytes(vector, "salt", salt, sizeof salt);
	json_array_foreach(json_object_get(vector, "messages"), i, message) {
		char *m = fixture_blob(message, "m", &len);

		d = digests_of(m, len, len, 1);
		assert_digest(message, "head", d.head, message);
		assert_digest(message, "body", d.body, message);
		names = json_object_get(message, "names");
		assert_int_equal(json_array_size(names), CF_HEAD_NAMES);
		for (j = 0; j < CF_HEAD_NAMES; j++) {
			assert_true(cf_b64url_decode(json_string_value(
			    json_array_get(names, j)), 43, out, sizeof out));
			assert_memory_equal(out, d.name[j], sizeof out);
		}
		cf_commit_make(salt, &d, out);
		assert_digest(message, "commitment", out, message);
		free(m);
	}
	assert_true(i > 20);
}

/* As a milter gets it: the header whole, the body in any pieces. */
static void
t_pieces_change_nothing(void **state)
{
	struct cf_commit_digests whole, d;
	const json_t *message;
	size_t i, len, piece, first;

	(void)state;
	json_array_foreach(json_object_get(vector, "messages"), i, message) {
		char *m = fixture_blob(message, "m", &len);
		char *end = len < 2 || memcmp(m, "\r\n", 2) == 0 ? m - 2 :
		    memmem(m, len, "\r\n\r\n", 4);

		first = end == NULL || len < 2 ? len : (size_t)(end + 4 - m);
		whole = digests_of(m, len, len, 1);
		for (; first <= len; first++)
			for (piece = 1; piece < 8; piece++) {
				d = digests_of(m, len, first, piece);
				if (memcmp(&d, &whole, sizeof d) != 0)
					fail_msg("\"%s\" cut at %zu, by %zu",
					    fixture_text(message, "about"),
					    first, piece);
			}
		free(m);
	}
}

static void
t_the_salt_is_the_gateways(void **state)
{
	struct cf_secret secret = fixture_secret(vector, "reference_secret");
	unsigned char key_id[CF_KEY_ID_LEN], want[CF_MESSAGE_SALT_LEN],
	    salt[CF_MESSAGE_SALT_LEN];

	(void)state;
	fixture_bytes(vector, "key_id", key_id, sizeof key_id);
	fixture_bytes(vector, "salt", want, sizeof want);
	cf_commit_salt(&secret, key_id, salt);
	assert_memory_equal(salt, want, sizeof salt);
	key_id[15] ^= 1;
	cf_commit_salt(&secret, key_id, salt);
	assert_memory_not_equal(salt, want, sizeof salt);
	cf_secret_wipe(&secret);
}

/* What a change of one byte does to digests, and to which name's. */
static void
t_one_byte_matters(void **state)
{
	static const char m[] = "From: a@a.test\r\nSubject: Offer 17\r\n"
	    "X-Other: 1\r\n\r\nTwo hundred.\r\n";
	struct cf_commit_digests whole = digests_of(m, sizeof m - 1,
	    sizeof m - 1, 1), d;
	char *changed = cf_strdup(m);
	size_t i;

	(void)state;
	strstr(changed, "17")[1] = '8';
	d = digests_of(changed, sizeof m - 1, sizeof m - 1, 1);
	assert_memory_not_equal(d.head, whole.head, CF_DIGEST_LEN);
	assert_memory_equal(d.body, whole.body, CF_DIGEST_LEN);
	for (i = 0; i < CF_HEAD_NAMES; i++)
		assert_int_equal(memcmp(d.name[i], whole.name[i],
		    CF_DIGEST_LEN) == 0,
		    strcmp(cf_commit_names[i], "Subject") != 0);
	memcpy(changed, m, sizeof m);
	*strstr(changed, "hundred") = 'H';
	d = digests_of(changed, sizeof m - 1, sizeof m - 1, 1);
	assert_memory_equal(d.head, whole.head, CF_DIGEST_LEN);
	assert_memory_not_equal(d.body, whole.body, CF_DIGEST_LEN);
	memcpy(changed, m, sizeof m);
	strstr(changed, "Other")[7] = '2';
	d = digests_of(changed, sizeof m - 1, sizeof m - 1, 1);
	assert_memory_equal(&d, &whole, sizeof d);
	free(changed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_digests_are_the_vectors),
		cmocka_unit_test(t_pieces_change_nothing),
		cmocka_unit_test(t_the_salt_is_the_gateways),
		cmocka_unit_test(t_one_byte_matters),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
