/* SPDX-License-Identifier: Apache-2.0 */
/* The container: round trips, and openssl(1) as the judge. */
#include <sys/stat.h>
#include <unistd.h>

#include "common/container.h"
#include "common/proofs.h"
#include "common/sealer.h"
#include "tests/unit/fixture.h"

#define E_MAX ((size_t)64 << 20)
#define KEK_HEX "0707070707070707070707070707070707070707070707070707070707070707"
#define ID_HEX "30313233343536373839616263646566"

static const unsigned char key_id[CF_KEY_ID_LEN] = "0123456789abcdef";

static struct cf_secret
test_kek(void)
{
	struct cf_secret kek = CF_SECRET_EMPTY;

	memset(kek.bytes, 7, CF_KEK_LEN);
	kek.len = CF_KEK_LEN;
	return kek;
}

/* Seal `len` bytes in pieces of at most `piece` into `e`. */
static void
seal(const unsigned char *plain, size_t len, size_t piece, struct cf_buf *e)
{
	struct cf_buf head = CF_BUF_INIT(CF_CONTAINER_HEAD_MAX);
	struct cf_buf tail = CF_BUF_INIT(CF_CONTAINER_TAIL_LEN);
	unsigned char *cipher = cf_calloc(len + 1, 1);
	struct cf_secret kek = test_kek();
	struct cf_sealer *s = NULL;
	size_t at, n;

	assert_int_equal(cf_sealer_new(&s, NULL), CF_OK);
	for (at = 0; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		memcpy(cipher + at, plain + at, n);	/* in place */
		assert_int_equal(cf_sealer_update(s, cipher + at, n,
		    cipher + at, NULL), CF_OK);
	}
	assert_int_equal(cf_sealer_final(s, NULL), CF_OK);
	assert_int_equal(cf_sealer_len(s), len);
	assert_int_equal(cf_sealer_frame(s, key_id, &kek, &head, &tail, NULL),
	    CF_OK);
	assert_int_equal(head.len + len + tail.len, cf_container_size(len));
	cf_buf_add(e, head.data, head.len);
	cf_buf_add(e, cipher, len);
	cf_buf_add(e, tail.data, tail.len);
	assert_int_equal(cf_buf_check(e, NULL), CF_OK);
	cf_buf_free(&head);
	cf_buf_free(&tail);
	free(cipher);
	cf_sealer_free(&s);
	cf_sealer_free(&s);
}

static enum cf_err
open_all(const void *e, size_t len, struct cf_buf *plain)
{
	struct cf_secret kek = test_kek(), cek = CF_SECRET_EMPTY;
	struct cf_container c;
	enum cf_err rc;

	rc = cf_container_parse(e, len, &c, NULL);
	if (rc == CF_OK)
		rc = cf_container_unwrap(&c, &kek, &cek, NULL);
	if (rc == CF_OK)
		rc = fixture_decrypt(&c, &cek, plain);
	return rc;
}

static void
t_round_trips_at_many_sizes(void **state)
{
	static const size_t size[] = { 0, 1, 2, 15, 16, 17, 31, 32, 60, 100,
	    126, 127, 128, 129, 255, 256, 257, 1000, 65408, 65535, 65536,
	    65537, 1 << 20, (1 << 24) + 1 };
	unsigned char *plain = cf_calloc((1 << 24) + 1, 1);
	uint64_t seed = 1;
	size_t i;

	(void)state;
	fixture_fill(&seed, plain, (1 << 24) + 1);
	for (i = 0; i < sizeof size / sizeof size[0]; i++) {
		struct cf_buf e = CF_BUF_INIT(E_MAX);
		struct cf_buf out = CF_BUF_INIT_SECRET(E_MAX);

		seal(plain, size[i], 1 + (size_t)(fixture_next(&seed) % 70000),
		    &e);
		cf_buf_adds(&out, "before");
		assert_int_equal(open_all(e.data, e.len, &out), CF_OK);
		assert_int_equal(out.len, 6 + size[i]);
		assert_memory_equal(out.data, "before", 6);
		if (size[i] > 0)
			assert_memory_equal(out.data + 6, plain, size[i]);
		cf_buf_free(&e);
		cf_buf_free(&out);
	}
	free(plain);
}

static void
t_every_message_has_its_own_keys(void **state)
{
	struct cf_buf a = CF_BUF_INIT(E_MAX), b = CF_BUF_INIT(E_MAX);
	struct cf_secret kek = test_kek(), cek_a, cek_b;
	struct cf_container ca, cb;

	(void)state;
	seal((const unsigned char *)"same", 4, 9, &a);
	seal((const unsigned char *)"same", 4, 9, &b);
	assert_int_equal(cf_container_parse(a.data, a.len, &ca, NULL), CF_OK);
	assert_int_equal(cf_container_parse(b.data, b.len, &cb, NULL), CF_OK);
	assert_int_equal(cf_container_unwrap(&ca, &kek, &cek_a, NULL), CF_OK);
	assert_int_equal(cf_container_unwrap(&cb, &kek, &cek_b, NULL), CF_OK);
	assert_memory_not_equal(ca.nonce, cb.nonce, CF_NONCE_LEN);
	assert_false(cf_secret_equal(&cek_a, &cek_b));
	cf_buf_free(&a);
	cf_buf_free(&b);
}

static void
t_public_keys_are_those_of_the_parsed_container(void **state)
{
	struct cf_buf head = CF_BUF_INIT(256), tail = CF_BUF_INIT(18);
	struct cf_secret kek = test_kek(), cek, seed;
	unsigned char cipher[5], opening[32], possession[32], own[32];
	struct cf_sealer *s = NULL;
	struct cf_container c;

	(void)state;
	assert_int_equal(cf_sealer_new(&s, NULL), CF_OK);
	assert_int_equal(cf_sealer_update(s, "hello", 5, cipher, NULL), CF_OK);
	assert_int_equal(cf_sealer_final(s, NULL), CF_OK);
	cf_sealer_public_keys(s, opening, possession);
	assert_int_equal(cf_sealer_frame(s, key_id, &kek, &head, &tail, NULL),
	    CF_OK);
	cf_buf_free(&tail);
	tail.max = 17;
	assert_int_equal(cf_sealer_frame(s, key_id, &kek, &head, &tail, NULL),
	    CF_E_TOO_LARGE);
	cf_buf_free(&tail);
	cf_buf_free(&head);
	tail.max = 18;
	head.max = 512;
	assert_int_equal(cf_sealer_frame(s, key_id, &kek, &head, &tail, NULL),
	    CF_OK);
	cf_buf_add(&head, cipher, 5);
	cf_buf_add(&head, tail.data, tail.len);
	assert_int_equal(cf_container_parse(head.data, head.len, &c, NULL),
	    CF_OK);
	assert_int_equal(cf_container_unwrap(&c, &kek, &cek, NULL), CF_OK);
	cf_proof_opening_seed(&cek, &seed);
	cf_proof_public_key(&seed, own);
	assert_memory_equal(own, opening, 32);
	cf_proof_possession_of(&c, &seed);
	cf_proof_public_key(&seed, own);
	assert_memory_equal(own, possession, 32);
	cf_sealer_free(&s);
	cf_buf_free(&head);
	cf_buf_free(&tail);
}

static void
t_truncated_at_every_byte_is_refused(void **state)
{
	struct cf_buf e = CF_BUF_INIT(E_MAX);
	struct cf_container c;
	unsigned char *cut;
	size_t len;

	(void)state;
	seal((const unsigned char *)"twenty bytes of text", 20, 7, &e);
	for (len = 0; len < e.len; len++) {
		cut = cf_calloc(len + 1, 1);	/* so that ASan sees the end */
		cut = cf_realloc(cut, len == 0 ? 1 : len, 1);
		memcpy(cut, e.data, len);
		assert_int_equal(cf_container_parse(cut, len, &c, NULL),
		    CF_E_CONTAINER);
		free(cut);
	}
	cf_buf_addc(&e, 0);
	assert_int_equal(cf_container_parse(e.data, e.len, &c, NULL),
	    CF_E_CONTAINER);
	cf_buf_free(&e);
}

/* What a change at `at` of E must lead to. */
static enum cf_err
expected(const struct cf_container *c, size_t at, size_t total)
{
	/* From the end: tag, 04 10, ciphertext, 80 len, ICVlen, nonce ... */
	size_t cipher = c->ciphertext_off, nonce = cipher - 2 - 3 - 12;
	size_t wrapped = nonce - 17 - 11 - 2 - 40, id = wrapped - 15 - 16;

	if (at >= total - CF_TAG_LEN)
		return CF_E_DAMAGED;
	if (at >= cipher && at < cipher + c->ciphertext_len)
		return CF_E_DAMAGED;
	if (at >= nonce && at < nonce + CF_NONCE_LEN)
		return CF_E_DAMAGED;
	if (at >= wrapped && at < wrapped + CF_WRAPPED_LEN)
		return CF_E_WRONG_KEY;
	if (at >= id && at < id + CF_KEY_ID_LEN)
		return CF_OK;	/* bound by the key itself */
	return CF_E_CONTAINER;
}

static void
t_flipped_at_every_bit_is_told_apart(void **state)
{
	struct cf_buf e = CF_BUF_INIT(E_MAX);
	struct cf_container c, changed;
	enum cf_err want;
	size_t at, bit;

	(void)state;
	seal((const unsigned char *)"twenty bytes of text", 20, 7, &e);
	assert_int_equal(cf_container_parse(e.data, e.len, &c, NULL), CF_OK);
	for (at = 0; at < e.len; at++) {
		want = expected(&c, at, e.len);
		for (bit = 0; bit < 8; bit++) {
			struct cf_buf out = CF_BUF_INIT_SECRET(100);

			e.data[at] ^= (char)(1 << bit);
			if (open_all(e.data, e.len, &out) != want)
				fail_msg("byte %zu bit %zu", at, bit);
			assert_int_equal(out.len, want == CF_OK ? 20 : 0);
			if (want == CF_OK) {
				assert_int_equal(cf_container_parse(e.data,
				    e.len, &changed, NULL), CF_OK);
				assert_memory_not_equal(changed.key_id,
				    key_id, CF_KEY_ID_LEN);
			}
			/* Nothing unverified is left in the buffer either. */
			if (out.data != NULL && want == CF_E_DAMAGED)
				assert_memory_equal(out.data, "\0\0\0\0", 4);
			e.data[at] ^= (char)(1 << bit);
			cf_buf_free(&out);
		}
	}
	cf_buf_free(&e);
}

static void
t_wrong_key_and_small_buffer_have_their_codes(void **state)
{
	struct cf_buf e = CF_BUF_INIT(E_MAX), out = CF_BUF_INIT_SECRET(19);
	struct cf_secret kek = test_kek(), cek = CF_SECRET_EMPTY;
	struct cf_container c;

	(void)state;
	seal((const unsigned char *)"twenty bytes of text", 20, 7, &e);
	assert_int_equal(cf_container_parse(e.data, e.len, &c, NULL), CF_OK);
	kek.bytes[31] ^= 1;
	assert_int_equal(cf_container_unwrap(&c, &kek, &cek, NULL),
	    CF_E_WRONG_KEY);
	assert_int_equal(cek.len, 0);
	kek.len = 31;
	assert_int_equal(cf_container_unwrap(&c, &kek, &cek, NULL),
	    CF_E_WRONG_KEY);
	kek = test_kek();
	assert_int_equal(cf_container_unwrap(&c, &kek, &cek, NULL), CF_OK);
	assert_int_equal(fixture_decrypt(&c, &cek, &out),
	    CF_E_TOO_LARGE);
	cf_buf_free(&e);
	cf_buf_free(&out);
}

static void
t_too_large_is_refused_before_anything_is_read(void **state)
{
	struct cf_sealer *s = NULL;
	unsigned char byte[1] = { 0 };

	(void)state;
	assert_int_equal(cf_sealer_new(&s, NULL), CF_OK);
	assert_int_equal(cf_sealer_update(s, byte, CF_PLAIN_MAX + 1, byte,
	    NULL), CF_E_TOO_LARGE);
	cf_sealer_free(&s);
}

static void
t_head_alone_says_where_the_ciphertext_is(void **state)
{
	static const size_t size[] = { 0, 1, 127, 128, 70000 };
	unsigned char *plain = cf_calloc(70000, 1);
	struct cf_container c, all;
	size_t i, have, need;

	(void)state;
	for (i = 0; i < sizeof size / sizeof size[0]; i++) {
		struct cf_buf e = CF_BUF_INIT(E_MAX);

		seal(plain, size[i], 70000, &e);
		have = e.len < CF_CONTAINER_HEAD_MAX ? e.len :
		    CF_CONTAINER_HEAD_MAX;
		assert_int_equal(cf_container_parse(e.data, e.len, &all,
		    NULL), CF_OK);
		assert_int_equal(cf_container_parse_head(e.data, have, e.len,
		    &c, NULL), CF_OK);
		assert_null(c.ciphertext);
		assert_int_equal(c.ciphertext_len, size[i]);
		assert_int_equal(c.ciphertext_off, all.ciphertext_off);
		assert_memory_equal(c.key_id, key_id, CF_KEY_ID_LEN);
		assert_memory_equal(c.wrapped_key, all.wrapped_key,
		    CF_WRAPPED_LEN);
		need = c.ciphertext_off;
		assert_int_equal(cf_container_parse_head(e.data, need, e.len,
		    &c, NULL), CF_OK);
		assert_int_equal(cf_container_parse_head(e.data, need - 1,
		    e.len, &c, NULL), CF_E_CONTAINER);
		assert_int_equal(cf_container_parse_head(e.data, have,
		    e.len + 1, &c, NULL), CF_E_CONTAINER);
		cf_buf_free(&e);
	}
	free(plain);
	/* Over 4 GiB, a length needs five bytes. */
	{
		static const unsigned char big[] = { 0x30, 0x85, 0x01, 0, 0, 0,
		    0x10 };
		struct cf_why why;

		assert_int_equal(cf_container_parse_head(big, sizeof big,
		    UINT64_C(0x100000017), &c, &why), CF_E_CONTAINER);
		assert_non_null(strstr(why.text, "longer than four bytes"));
	}
	/* A total of its own does not make it read further. */
	assert_int_equal(cf_container_parse_head("0", 1, UINT64_MAX, &c, NULL),
	    CF_E_CONTAINER);
}

/* ---- the independent opinion ---- */

static char dir[] = "/tmp/cfcontainerXXXXXX";

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
remove_dir(void **state)
{
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/in", dir);
	unlink(path);
	(void)snprintf(path, sizeof path, "%s/out", dir);
	unlink(path);
	return rmdir(dir);
}

/* Give `in` to `openssl cms` with `args`; its output goes to `out`. */
static int
run_cms(const char *args, const void *in, size_t len, struct cf_buf *out)
{
	char path_in[64], path_out[64];
	char *command;
	FILE *f;
	int rc;

	(void)snprintf(path_in, sizeof path_in, "%s/in", dir);
	(void)snprintf(path_out, sizeof path_out, "%s/out", dir);
	f = fopen(path_in, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(in, 1, len, f), len);
	fclose(f);
	unlink(path_out);
	command = cf_asprintf("openssl cms %s -binary -secretkey " KEK_HEX
	    " -secretkeyid " ID_HEX " -in %s -out %s 2>/dev/null", args,
	    path_in, path_out);
	rc = system(command);
	free(command);
	if (rc == 0)
		assert_int_equal(cf_file_read(path_out, out, NULL), CF_OK);
	return rc;
}

static void
t_openssl_opens_ours(void **state)
{
	static const size_t size[] = { 0, 1, 100, 128, 1000, 65536, 300001 };
	unsigned char *plain = cf_calloc(300001, 1);
	uint64_t seed = 2;
	size_t i;

	(void)state;
	fixture_fill(&seed, plain, 300001);
	for (i = 0; i < sizeof size / sizeof size[0]; i++) {
		struct cf_buf e = CF_BUF_INIT(E_MAX), out = CF_BUF_INIT(E_MAX);

		seal(plain, size[i], 4096, &e);
		assert_int_equal(run_cms("-decrypt -inform DER", e.data, e.len,
		    &out), 0);
		assert_int_equal(out.len, size[i]);
		if (size[i] > 0)
			assert_memory_equal(out.data, plain, size[i]);
		cf_buf_free(&e);
		cf_buf_free(&out);
	}
	free(plain);
}

/*
 * openssl writes our form byte for byte when it does not stream.  What it
 * writes with -stream is BER, which we refuse on purpose.
 */
static void
t_we_open_openssl(void **state)
{
	static const size_t size[] = { 1, 100, 128, 65536, 300001 };
	unsigned char *plain = cf_calloc(300001, 1);
	struct cf_container c;
	uint64_t seed = 3;
	size_t i;

	(void)state;
	fixture_fill(&seed, plain, 300001);
	for (i = 0; i < sizeof size / sizeof size[0]; i++) {
		struct cf_buf e = CF_BUF_INIT(E_MAX);
		struct cf_buf out = CF_BUF_INIT_SECRET(E_MAX);

		assert_int_equal(run_cms("-encrypt -aes-256-gcm -outform DER",
		    plain, size[i], &e), 0);
		assert_int_equal(e.len, cf_container_size(size[i]));
		assert_int_equal(open_all(e.data, e.len, &out), CF_OK);
		assert_int_equal(out.len, size[i]);
		assert_memory_equal(out.data, plain, size[i]);
		cf_buf_free(&e);
		assert_int_equal(run_cms("-encrypt -aes-256-gcm -stream "
		    "-outform DER", plain, size[i], &e), 0);
		assert_int_equal(cf_container_parse(e.data, e.len, &c, NULL),
		    CF_E_CONTAINER);
		cf_buf_free(&e);
		assert_int_equal(run_cms("-encrypt -aes-256-cbc -outform DER",
		    plain, size[i], &e), 0);
		assert_int_equal(cf_container_parse(e.data, e.len, &c, NULL),
		    CF_E_CONTAINER);
		cf_buf_free(&e);
		cf_buf_free(&out);
	}
	free(plain);
}

static void
t_vector_opens(void **state)
{
	json_t *v = fixture_json("message.json");
	struct cf_secret kd = fixture_secret(v, "kd"), cek;
	struct cf_secret want = fixture_secret(v, "cek");
	struct cf_buf out = CF_BUF_INIT_SECRET(E_MAX);
	unsigned char digest[32], id[16];
	struct cf_container c;
	size_t len, plain_len;
	char *e = fixture_blob(v, "container", &len);
	char *plain = fixture_blob(v, "plaintext", &plain_len);
	char text[44];

	(void)state;
	assert_int_equal(cf_container_parse(e, len, &c, NULL), CF_OK);
	fixture_bytes(v, "key_id", id, sizeof id);
	assert_memory_equal(c.key_id, id, sizeof id);
	assert_int_equal(cf_container_size(plain_len), len);
	assert_int_equal(cf_container_unwrap(&c, &kd, &cek, NULL), CF_OK);
	assert_true(cf_secret_equal(&cek, &want));
	assert_int_equal(fixture_decrypt(&c, &cek, &out), CF_OK);
	assert_int_equal(out.len, plain_len);
	assert_memory_equal(out.data, plain, plain_len);
	cf_container_digest(&c, digest);
	cf_b64url_encode(digest, sizeof digest, text);
	assert_string_equal(text, fixture_text(v, "content_digest"));
	cf_buf_free(&out);
	free(e);
	free(plain);
	json_decref(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_round_trips_at_many_sizes),
		cmocka_unit_test(t_every_message_has_its_own_keys),
		cmocka_unit_test(t_public_keys_are_those_of_the_parsed_container),
		cmocka_unit_test(t_truncated_at_every_byte_is_refused),
		cmocka_unit_test(t_flipped_at_every_bit_is_told_apart),
		cmocka_unit_test(t_wrong_key_and_small_buffer_have_their_codes),
		cmocka_unit_test(t_too_large_is_refused_before_anything_is_read),
		cmocka_unit_test(t_head_alone_says_where_the_ciphertext_is),
		cmocka_unit_test(t_openssl_opens_ours),
		cmocka_unit_test(t_we_open_openssl),
		cmocka_unit_test(t_vector_opens),
	};

	return cmocka_run_group_tests_name("container", tests, make_dir,
	    remove_dir);
}
