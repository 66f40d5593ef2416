/* SPDX-License-Identifier: Apache-2.0 */
/* Derivations, signed texts, signatures and challenges, by the vectors. */
#include "common/crypto_point.h"
#include "common/link.h"
#include "common/proofs.h"
#include "tests/unit/fixture.h"

static json_t *vector;

static int
load(void **state)
{
	(void)state;
	vector = fixture_json("message.json");
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
assert_b64(const void *bytes, size_t len, const char *key)
{
	char text[200];

	cf_b64url_encode(bytes, len, text);
	assert_string_equal(text, fixture_text(vector, key));
}

static void
t_seeds_keys_and_commitment_are_the_vectors(void **state)
{
	struct cf_secret cek = fixture_secret(vector, "cek"), seed;
	struct cf_secret kd = fixture_secret(vector, "kd");
	unsigned char nonce[CF_NONCE_LEN], digest[32], out[32];

	(void)state;
	cf_proof_opening_seed(&cek, &seed);
	assert_b64(seed.bytes, seed.len, "opening_seed");
	cf_proof_public_key(&seed, out);
	assert_b64(out, 32, "opening_key");
	fixture_bytes(vector, "nonce", nonce, sizeof nonce);
	fixture_bytes(vector, "content_digest", digest, sizeof digest);
	cf_proof_possession_seed(nonce, digest, &seed);
	assert_b64(seed.bytes, seed.len, "possession_seed");
	cf_proof_public_key(&seed, out);
	assert_b64(out, 32, "possession_key");
	cf_proof_key_commitment(kd.bytes, kd.len, out);
	assert_b64(out, 32, "key_commitment");
}

static void
t_links_are_the_vectors(void **state)
{
	char text[CF_READER_LINK_MAX + 1];
	struct cf_link link;

	(void)state;
	assert_int_equal(cf_link_parse(fixture_text(vector, "link"), &link,
	    NULL), CF_OK);
	assert_b64(link.key_id, CF_KEY_ID_LEN, "key_id");
	assert_b64(link.token.bytes, link.token.len, "token");
	assert_string_equal(link.handle, fixture_text(vector, "handle"));
	cf_link_format_reader(&link, fixture_text(vector, "reader_url"),
	    fixture_text(vector, "blob"), text);
	assert_string_equal(text, fixture_text(vector, "reader_link"));
	cf_link_wipe(&link);
}

/* The text of `verb` out of the vector's values. */
static enum cf_err
text_of(enum cf_proof_verb verb, struct cf_buf *ret)
{
	json_t *challenge = json_object_get(vector, "challenge");
	json_t *release = json_object_get(vector, "release");
	struct cf_secret secret = fixture_secret(release, "release_secret");
	unsigned char digest[32];
	const char *handle = fixture_text(vector, "handle");
	const char *time = fixture_text(vector, "agent_time");

	if (verb == CF_PROOF_DESCRIBE || verb == CF_PROOF_RETRIEVE)
		return cf_proof_text_ask(verb, handle,
		    fixture_text(challenge, "text"),
		    fixture_text(vector, "origin"), time, ret, NULL);
	cf_proof_sha256(&secret, digest);
	return cf_proof_text_done(verb, handle,
	    fixture_text(release, "release_id"), digest, time, ret, NULL);
}

static void
t_signed_texts_and_signatures_are_the_vectors(void **state)
{
	static const char *const name[CF_PROOF__COUNT] = { "describe",
	    "retrieve", "open", "mismatch" };
	int verb;

	(void)state;
	for (verb = 0; verb < CF_PROOF__COUNT; verb++) {
		struct cf_buf text = CF_BUF_INIT(1000);
		json_t *want = json_object_get(json_object_get(vector,
		    "signed"), name[verb]);
		bool opening = verb == CF_PROOF_OPEN;
		struct cf_secret seed = fixture_secret(vector, opening ?
		    "opening_seed" : "possession_seed");
		unsigned char key[32], other[32], sig[CF_SIGNATURE_LEN];
		char sig_text[87];

		assert_int_equal(text_of((enum cf_proof_verb)verb, &text),
		    CF_OK);
		assert_string_equal(text.data, fixture_text(want, "text"));
		cf_proof_sign(&seed, text.data, text.len, sig);
		cf_b64url_encode(sig, sizeof sig, sig_text);
		assert_string_equal(sig_text, fixture_text(want, "signature"));
		fixture_bytes(vector, opening ? "opening_key" :
		    "possession_key", key, 32);
		fixture_bytes(vector, opening ? "possession_key" :
		    "opening_key", other, 32);
		assert_int_equal(cf_proof_verify(key, text.data, text.len, sig,
		    NULL), CF_OK);
		assert_int_equal(cf_proof_verify(other, text.data, text.len,
		    sig, NULL), CF_E_BAD_SIGNATURE);
		cf_buf_free(&text);
	}
}

static void
t_a_changed_bit_breaks_the_signature(void **state)
{
	struct cf_secret seed = fixture_secret(vector, "opening_seed");
	unsigned char key[32], sig[CF_SIGNATURE_LEN];
	char text[] = "counterfoil open v1\n";
	size_t i;

	(void)state;
	cf_proof_public_key(&seed, key);
	cf_proof_sign(&seed, text, sizeof text - 1, sig);
	for (i = 0; i < 8 * sizeof sig; i++) {
		sig[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_int_equal(cf_proof_verify(key, text, sizeof text - 1,
		    sig, NULL), CF_E_BAD_SIGNATURE);
		sig[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	for (i = 0; i < 8 * (sizeof text - 1); i++) {
		text[i / 8] ^= (char)(1 << i % 8);
		assert_int_equal(cf_proof_verify(key, text, sizeof text - 1,
		    sig, NULL), CF_E_BAD_SIGNATURE);
		text[i / 8] ^= (char)(1 << i % 8);
	}
	assert_int_equal(cf_proof_verify(key, text, sizeof text - 2, sig,
	    NULL), CF_E_BAD_SIGNATURE);
	memset(key, 0xff, sizeof key);	/* no point of the curve */
	assert_int_equal(cf_proof_verify(key, text, sizeof text - 1, sig,
	    NULL), CF_E_BAD_SIGNATURE);
}

/* R = identity, S = 0 holds for one text in 1, 2, 4 or 8 under these. */
static void
t_keys_of_small_order_verify_nothing(void **state)
{
	static const char *const weak[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	unsigned char key[32], sig[CF_SIGNATURE_LEN] = { 1 };
	unsigned byte;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof weak / sizeof weak[0]; i++) {
		for (k = 0; k < sizeof key; k++) {
			assert_int_equal(sscanf(weak[i] + 2 * k, "%2x", &byte),
			    1);
			key[k] = (unsigned char)byte;
		}
		for (k = 0; k < 100; k++)
			if (cf_proof_verify(key, &k, sizeof k, sig, NULL) !=
			    CF_E_BAD_SIGNATURE)
				fail_msg("%s verifies", weak[i]);
	}
}

static void
t_what_is_a_key(void **state)
{
	CF_AUTO(json_decrefp) json_t *points = fixture_json("points.json");
	unsigned char point[CF_POINT_LEN];
	const json_t *c;
	size_t i, keys = 0;

	(void)state;
	json_array_foreach(json_object_get(points, "points"), i, c) {
		fixture_bytes(c, "point", point, sizeof point);
		if (cf_point_is_key(point) !=
		    json_is_true(json_object_get(c, "key")))
			fail_msg("%s: %s", fixture_text(c, "about"),
			    fixture_text(c, "point"));
		if (strncmp(fixture_text(c, "about"), "order", 5) == 0)
			assert_true(cf_point_is_weak(point));
		keys += cf_point_is_key(point);
	}
	assert_true(keys > 20 && keys < i - 20);
}

static void
t_texts_refuse_what_would_forge_a_line(void **state)
{
	static const char *const bad[] = { "", "a b", "a\nb", "a\r", "\x7f",
	    "\xc3\xa4", "a\tb" };
	const char *handle = fixture_text(vector, "handle");
	const char *time = fixture_text(vector, "agent_time");
	const char *challenge = fixture_text(json_object_get(vector,
	    "challenge"), "text");
	const char *release = fixture_text(json_object_get(vector, "release"),
	    "release_id");
	struct cf_buf text = CF_BUF_INIT(1000);
	unsigned char digest[32] = { 0 };
	char longest[CF_ORIGIN_MAX + 2];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(cf_proof_text_ask(CF_PROOF_DESCRIBE, bad[i],
		    challenge, "-", time, &text, NULL), CF_E_SYNTAX);
		assert_int_equal(cf_proof_text_ask(CF_PROOF_DESCRIBE, handle,
		    bad[i], "-", time, &text, NULL), CF_E_SYNTAX);
		assert_int_equal(cf_proof_text_ask(CF_PROOF_DESCRIBE, handle,
		    challenge, bad[i], time, &text, NULL), CF_E_SYNTAX);
		assert_int_equal(cf_proof_text_ask(CF_PROOF_DESCRIBE, handle,
		    challenge, "-", bad[i], &text, NULL), CF_E_SYNTAX);
		assert_int_equal(cf_proof_text_done(CF_PROOF_OPEN, bad[i],
		    release, digest, time, &text, NULL), CF_E_SYNTAX);
		assert_int_equal(cf_proof_text_done(CF_PROOF_OPEN, handle,
		    bad[i], digest, time, &text, NULL), CF_E_SYNTAX);
		assert_int_equal(cf_proof_text_done(CF_PROOF_OPEN, handle,
		    release, digest, bad[i], &text, NULL), CF_E_SYNTAX);
	}
	assert_int_equal(text.len, 0);
	memset(longest, 'o', sizeof longest);
	longest[CF_ORIGIN_MAX + 1] = '\0';
	assert_int_equal(cf_proof_text_ask(CF_PROOF_RETRIEVE, handle,
	    challenge, longest, time, &text, NULL), CF_E_SYNTAX);
	longest[CF_ORIGIN_MAX] = '\0';
	assert_int_equal(cf_proof_text_ask(CF_PROOF_RETRIEVE, handle,
	    challenge, longest, time, &text, NULL), CF_OK);
	text.max = text.len;
	assert_int_equal(cf_proof_text_done(CF_PROOF_OPEN, handle, release,
	    digest, time, &text, NULL), CF_E_TOO_LARGE);
	cf_buf_free(&text);
}

static void
t_challenge_is_the_vector_and_is_checked(void **state)
{
	json_t *v = json_object_get(vector, "challenge");
	struct cf_secret secret = fixture_secret(v, "server_secret"), other;
	const char *want = fixture_text(v, "text");
	int64_t time = json_integer_value(json_object_get(v, "time_s"));
	unsigned char id[CF_KEY_ID_LEN], random[CF_CHALLENGE_RANDOM_LEN];
	char text[CF_CHALLENGE_TEXT_LEN + 1], c;
	size_t i;

	(void)state;
	fixture_bytes(vector, "key_id", id, sizeof id);
	fixture_bytes(v, "random", random, sizeof random);
	cf_challenge_make(&secret, id, time, random, text);
	assert_string_equal(text, want);
	assert_int_equal(strlen(text), CF_CHALLENGE_TEXT_LEN);
#define CHECK(now, life) cf_challenge_check(&secret, id, text, now, life, NULL)
	assert_int_equal(CHECK(time, 300), CF_OK);
	assert_int_equal(CHECK(time + 300, 300), CF_OK);
	assert_int_equal(CHECK(time + 301, 300), CF_E_BAD_CHALLENGE);
	assert_int_equal(CHECK(time - 5, 300), CF_OK);
	assert_int_equal(CHECK(time - 6, 300), CF_E_BAD_CHALLENGE);
	for (i = 0; i < CF_CHALLENGE_TEXT_LEN; i++) {
		c = text[i];
		text[i] = c == 'A' ? 'B' : 'A';
		assert_int_equal(CHECK(time, 300), CF_E_BAD_CHALLENGE);
		text[i] = '\0';
		assert_int_equal(CHECK(time, 300), CF_E_BAD_CHALLENGE);
		text[i] = c;
	}
	id[0] ^= 1;
	assert_int_equal(CHECK(time, 300), CF_E_BAD_CHALLENGE);
	id[0] ^= 1;
	other = secret;
	other.bytes[31] ^= 1;
	assert_int_equal(cf_challenge_check(&other, id, text, time, 300, NULL),
	    CF_E_BAD_CHALLENGE);
	/* A time of its own cannot overflow the comparison. */
	cf_challenge_make(&secret, id, INT64_MIN, random, text);
	assert_int_equal(CHECK(time, 300), CF_E_BAD_CHALLENGE);
	cf_challenge_make(&secret, id, INT64_MAX, random, text);
	assert_int_equal(CHECK(time, 300), CF_E_BAD_CHALLENGE);
#undef CHECK
}

static void
t_registered_values_are_checked(void **state)
{
	struct cf_secret cek = fixture_secret(vector, "cek");
	struct cf_secret kd = fixture_secret(vector, "kd");
	unsigned char opening[32], commitment[32];

	(void)state;
	fixture_bytes(vector, "opening_key", opening, 32);
	fixture_bytes(vector, "key_commitment", commitment, 32);
#define CHECK() cf_proof_check_registered(&cek, &kd, opening, commitment, NULL)
	assert_int_equal(CHECK(), CF_OK);
	opening[31] ^= 1;
	assert_int_equal(CHECK(), CF_E_MISMATCH);
	opening[31] ^= 1;
	commitment[0] ^= 1;
	assert_int_equal(CHECK(), CF_E_MISMATCH);
	commitment[0] ^= 1;
	cek.bytes[0] ^= 1;
	assert_int_equal(CHECK(), CF_E_MISMATCH);
	cek.bytes[0] ^= 1;
	kd.bytes[0] ^= 1;
	assert_int_equal(CHECK(), CF_E_MISMATCH);
#undef CHECK
}

/*
 * GCM does not commit to its key: both messages decrypt, both can prove
 * possession, and only the registered opening key tells them apart.
 */
static void
t_two_texts_only_the_registered_one_passes(void **state)
{
	json_t *v = fixture_json("two-text.json");
	json_t *registered = json_object_get(v, "registered");
	static const char *const message[] = { "message_a", "message_b" };
	static const char *const text[] = { "text_a", "text_b" };
	struct cf_secret kd = fixture_secret(v, "kd"), cek, seed;
	unsigned char opening[32], commitment[32], possession[32], own[32];
	size_t e_len, want_len;
	struct cf_container c;
	int i;

	(void)state;
	fixture_bytes(registered, "opening_key", opening, 32);
	fixture_bytes(registered, "possession_key", possession, 32);
	fixture_bytes(registered, "key_commitment", commitment, 32);
	for (i = 0; i < 2; i++) {
		struct cf_buf out = CF_BUF_INIT_SECRET(10000);
		char *e = fixture_blob(v, message[i], &e_len);
		char *want = fixture_blob(v, text[i], &want_len);

		assert_int_equal(cf_container_parse(e, e_len, &c, NULL),
		    CF_OK);
		assert_int_equal(cf_container_unwrap(&c, &kd, &cek, NULL),
		    CF_OK);
		assert_int_equal(fixture_decrypt(&c, &cek, &out),
		    CF_OK);
		assert_int_equal(out.len, want_len);
		assert_memory_equal(out.data, want, want_len);
		cf_proof_possession_of(&c, &seed);
		cf_proof_public_key(&seed, own);
		assert_memory_equal(own, possession, 32);
		assert_int_equal(cf_proof_check_registered(&cek, &kd, opening,
		    commitment, NULL), i == 0 ? CF_OK : CF_E_MISMATCH);
		cf_buf_free(&out);
		free(e);
		free(want);
	}
	json_decref(v);
}

/* `text` without white space and mdoc's backslashes. */
static void
squeeze(char *text)
{
	char *out = text;

	for (; *text != '\0'; text++)
		if (strchr(" \t\n\\", *text) == NULL)
			*out++ = *text;
	*out = '\0';
}

static void
assert_in_manual(const char *manual, const json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		/* The signed texts are shown as a form, not as a value. */
		if (json_is_object(value))
			assert_in_manual(manual, value);
		else if (json_is_string(value) && strcmp(key, "text") != 0 &&
		    strstr(manual, json_string_value(value)) == NULL)
			fail_msg("counterfoil-format.7 has another %s", key);
	}
}

static void
t_manual_has_the_vectors(void **state)
{
	const char *top = getenv("top_srcdir");
	char *path = cf_asprintf("%s/man/counterfoil-format.7",
	    top == NULL ? "." : top);
	struct cf_buf manual = CF_BUF_INIT(1 << 20);

	(void)state;
	assert_int_equal(cf_file_read(path, &manual, NULL), CF_OK);
	squeeze(manual.data);
	assert_in_manual(manual.data, vector);
	assert_non_null(strstr(manual.data, fixture_text(json_object_get(
	    vector, "challenge"), "text")));
	cf_buf_free(&manual);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_seeds_keys_and_commitment_are_the_vectors),
		cmocka_unit_test(t_links_are_the_vectors),
		cmocka_unit_test(t_signed_texts_and_signatures_are_the_vectors),
		cmocka_unit_test(t_a_changed_bit_breaks_the_signature),
		cmocka_unit_test(t_keys_of_small_order_verify_nothing),
		cmocka_unit_test(t_what_is_a_key),
		cmocka_unit_test(t_texts_refuse_what_would_forge_a_line),
		cmocka_unit_test(t_challenge_is_the_vector_and_is_checked),
		cmocka_unit_test(t_registered_values_are_checked),
		cmocka_unit_test(t_two_texts_only_the_registered_one_passes),
		cmocka_unit_test(t_manual_has_the_vectors),
	};

	return cmocka_run_group_tests_name("proofs", tests, load, unload);
}
