/* SPDX-License-Identifier: Apache-2.0 */
/* cf_proof - see proofs.h. */
#include "common/proofs.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto_point.h"

/* The texts end in the NUL that separates them from what follows. */
static const char opening_info[] = "counterfoil opening v1";
static const char possession_prefix[] = "counterfoil possession v1";
static const char commitment_prefix[] = "counterfoil key v1";

/* A challenge may come from a server whose clock is this much ahead. */
#define CLOCK_SLACK_S 5

static const char *const verb_name[CF_PROOF__COUNT] = {
	[CF_PROOF_DESCRIBE] = "describe",
	[CF_PROOF_RETRIEVE] = "retrieve",
	[CF_PROOF_OPEN] = "open",
	[CF_PROOF_MISMATCH] = "mismatch",
};

static void
digest_free(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
	*ctx = NULL;
}

static void
pkey_free(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
	*key = NULL;
}

/* SHA-256(a || b || c). */
static void
sha256(const void *a, size_t a_len, const void *b, size_t b_len,
    const void *c, size_t c_len, unsigned char ret[CF_DIGEST_LEN])
{
	CF_AUTO(cf_digest_free) struct cf_digest *digest = cf_digest_new();

	cf_digest_add(digest, a, a_len);
	cf_digest_add(digest, b, b_len);
	cf_digest_add(digest, c, c_len);
	cf_digest_end(digest, ret);
}

/*
 * RFC 5869 with an empty salt (a salt of zero bytes), for one block of
 * output: two HMACs.
 */
void
cf_proof_opening_seed(const struct cf_secret *cek, struct cf_secret *ret_seed)
{
	static const struct cf_secret zero = { .len = CF_DIGEST_LEN };
	CF_AUTO(cf_secret_wipe) struct cf_secret prk = CF_SECRET_EMPTY;
	unsigned char info[sizeof opening_info];

	memcpy(info, opening_info, sizeof opening_info - 1);
	info[sizeof info - 1] = 1;	/* the first, and only, block */
	cf_hmac(&zero, cek->bytes, cek->len, prk.bytes);
	prk.len = CF_DIGEST_LEN;
	cf_hmac(&prk, info, sizeof info, ret_seed->bytes);
	ret_seed->len = CF_SEED_LEN;
}

void
cf_proof_possession_seed(const unsigned char nonce[CF_NONCE_LEN],
    const unsigned char digest[CF_DIGEST_LEN], struct cf_secret *ret_seed)
{
	unsigned char seed[CF_SEED_LEN];

	sha256(possession_prefix, sizeof possession_prefix, nonce,
	    CF_NONCE_LEN, digest, CF_DIGEST_LEN, seed);
	cf_secret_set(ret_seed, seed, sizeof seed);
	OPENSSL_cleanse(seed, sizeof seed);
}

void
cf_proof_possession_of(const struct cf_container *c,
    struct cf_secret *ret_seed)
{
	unsigned char digest[CF_DIGEST_LEN];

	cf_container_digest(c, digest);
	cf_proof_possession_seed(c->nonce, digest, ret_seed);
}

void
cf_proof_key_commitment(const void *x, size_t x_len,
    unsigned char ret[CF_COMMITMENT_LEN])
{
	sha256(commitment_prefix, sizeof commitment_prefix, x, x_len, "", 0,
	    ret);
}

void
cf_proof_sha256(const struct cf_secret *secret,
    unsigned char ret[CF_DIGEST_LEN])
{
	cf_digest_of(secret->bytes, secret->len, ret);
}

static EVP_PKEY *
private_key(const struct cf_secret *seed)
{
	EVP_PKEY *key;

	if (seed->len != CF_SEED_LEN)
		cf_bug("seed of another size");
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
	    seed->bytes, CF_SEED_LEN);
	if (key == NULL)
		cf_bug("no Ed25519");
	return key;
}

void
cf_proof_public_key(const struct cf_secret *seed,
    unsigned char ret[CF_PUBLIC_KEY_LEN])
{
	CF_AUTO(pkey_free) EVP_PKEY *key = private_key(seed);
	size_t len = CF_PUBLIC_KEY_LEN;

	if (EVP_PKEY_get_raw_public_key(key, ret, &len) != 1 ||
	    len != CF_PUBLIC_KEY_LEN)
		cf_bug("no Ed25519 public key");
}

enum cf_err
cf_proof_check_registered(const struct cf_secret *cek,
    const struct cf_secret *kd,
    const unsigned char opening_key[CF_PUBLIC_KEY_LEN],
    const unsigned char key_commitment[CF_COMMITMENT_LEN],
    struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret seed = CF_SECRET_EMPTY;
	unsigned char own[CF_PUBLIC_KEY_LEN];

	cf_proof_key_commitment(kd->bytes, kd->len, own);
	if (CRYPTO_memcmp(own, key_commitment, CF_COMMITMENT_LEN) != 0)
		return cf_fail(CF_E_MISMATCH, why,
		    "the key is not the one that was registered");
	cf_proof_opening_seed(cek, &seed);
	cf_proof_public_key(&seed, own);
	if (CRYPTO_memcmp(own, opening_key, CF_PUBLIC_KEY_LEN) != 0)
		return cf_fail(CF_E_MISMATCH, why,
		    "the message is not the one that was registered");
	return CF_OK;
}

/* ---- signed texts ---- */

static bool
is_b64url(const char *text, size_t bytes_len)
{
	unsigned char bytes[CF_CHALLENGE_LEN];

	return cf_b64url_decode(text, strlen(text), bytes, bytes_len);
}

static bool
is_origin(const char *text)
{
	size_t len = strlen(text), i;

	for (i = 0; i < len; i++)
		if (text[i] < '!' || text[i] > '~')
			return false;
	return len > 0 && len <= CF_ORIGIN_MAX;
}

static bool
is_time(const char *text)
{
	int64_t ms;

	return cf_clock_parse(text, &ms);
}

enum cf_err
cf_proof_text_ask(enum cf_proof_verb verb, const char *handle,
    const char *challenge, const char *origin, const char *time,
    struct cf_buf *text, struct cf_why *why)
{
	if (verb != CF_PROOF_DESCRIBE && verb != CF_PROOF_RETRIEVE)
		cf_bug("not a verb that asks");
	if (!is_b64url(handle, CF_KEY_ID_LEN))
		return cf_fail(CF_E_SYNTAX, why, "the handle is malformed");
	if (!is_b64url(challenge, CF_CHALLENGE_LEN))
		return cf_fail(CF_E_SYNTAX, why, "the challenge is malformed");
	if (!is_origin(origin))
		return cf_fail(CF_E_SYNTAX, why, "the origin is malformed");
	if (!is_time(time))
		return cf_fail(CF_E_SYNTAX, why, "the time is malformed");
	cf_buf_addf(text, "counterfoil %s v1\n%s\n%s\n%s\n%s\n",
	    verb_name[verb], handle, challenge, origin, time);
	return cf_buf_check(text, why);
}

enum cf_err
cf_proof_text_done(enum cf_proof_verb verb, const char *handle,
    const char *release_id, const unsigned char secret_sha256[CF_DIGEST_LEN],
    const char *time, struct cf_buf *text, struct cf_why *why)
{
	char digest[CF_B64URL_LEN(CF_DIGEST_LEN) + 1];

	if (verb != CF_PROOF_OPEN && verb != CF_PROOF_MISMATCH)
		cf_bug("not a verb that reports");
	if (!is_b64url(handle, CF_KEY_ID_LEN))
		return cf_fail(CF_E_SYNTAX, why, "the handle is malformed");
	if (!is_b64url(release_id, CF_RELEASE_ID_LEN))
		return cf_fail(CF_E_SYNTAX, why, "the release id is malformed");
	if (!is_time(time))
		return cf_fail(CF_E_SYNTAX, why, "the time is malformed");
	cf_b64url_encode(secret_sha256, CF_DIGEST_LEN, digest);
	cf_buf_addf(text, "counterfoil %s v1\n%s\n%s\n%s\n%s\n",
	    verb_name[verb], handle, release_id, digest, time);
	return cf_buf_check(text, why);
}

void
cf_proof_sign(const struct cf_secret *seed, const void *text, size_t len,
    unsigned char ret_signature[CF_SIGNATURE_LEN])
{
	CF_AUTO(pkey_free) EVP_PKEY *key = private_key(seed);
	CF_AUTO(digest_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t sig_len = CF_SIGNATURE_LEN;

	if (ctx == NULL ||
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(ctx, ret_signature, &sig_len, text, len) != 1 ||
	    sig_len != CF_SIGNATURE_LEN)
		cf_bug("signing failed");
}

enum cf_err
cf_proof_verify(const unsigned char public_key[CF_PUBLIC_KEY_LEN],
    const void *text, size_t len,
    const unsigned char signature[CF_SIGNATURE_LEN], struct cf_why *why)
{
	CF_AUTO(pkey_free) EVP_PKEY *key =
	    EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key,
	    CF_PUBLIC_KEY_LEN);
	CF_AUTO(digest_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (key == NULL || ctx == NULL ||
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) != 1)
		cf_bug("no Ed25519");
	if (cf_point_is_weak(public_key))
		return cf_fail(CF_E_BAD_SIGNATURE, why,
		    "the public key is not one");
	/* A public key that is no point of the curve fails here, too. */
	if (EVP_DigestVerify(ctx, signature, CF_SIGNATURE_LEN, text, len)
	    == 1)
		return CF_OK;
	ERR_clear_error();
	return cf_fail(CF_E_BAD_SIGNATURE, why, "the signature does not hold");
}

/* ---- the key server's challenge ---- */

/* `bytes` starts with time || random; the HMAC goes behind them. */
static void
challenge_mac(const struct cf_secret *secret, const unsigned char *key_id,
    const unsigned char *bytes, unsigned char ret[CF_DIGEST_LEN])
{
	unsigned char in[CF_KEY_ID_LEN + 8 + CF_CHALLENGE_RANDOM_LEN];

	memcpy(in, key_id, CF_KEY_ID_LEN);
	memcpy(in + CF_KEY_ID_LEN, bytes, 8 + CF_CHALLENGE_RANDOM_LEN);
	cf_hmac(secret, in, sizeof in, ret);
}

void
cf_challenge_make(const struct cf_secret *secret,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t time_s,
    const unsigned char random[CF_CHALLENGE_RANDOM_LEN],
    char ret[CF_CHALLENGE_TEXT_LEN + 1])
{
	unsigned char bytes[CF_CHALLENGE_LEN];
	int i;

	for (i = 0; i < 8; i++)
		bytes[i] = (unsigned char)((uint64_t)time_s >> (56 - 8 * i));
	memcpy(bytes + 8, random, CF_CHALLENGE_RANDOM_LEN);
	challenge_mac(secret, key_id, bytes, bytes + 8 +
	    CF_CHALLENGE_RANDOM_LEN);
	cf_b64url_encode(bytes, sizeof bytes, ret);
}

enum cf_err
cf_challenge_check(const struct cf_secret *secret,
    const unsigned char key_id[CF_KEY_ID_LEN], const char *text,
    int64_t now_s, int64_t lifetime_s, struct cf_why *why)
{
	unsigned char bytes[CF_CHALLENGE_LEN], mac[CF_DIGEST_LEN];
	uint64_t time = 0;
	int i;

	if (!cf_b64url_decode(text, strlen(text), bytes, sizeof bytes))
		return cf_fail(CF_E_BAD_CHALLENGE, why,
		    "the challenge is malformed");
	challenge_mac(secret, key_id, bytes, mac);
	if (CRYPTO_memcmp(mac, bytes + 8 + CF_CHALLENGE_RANDOM_LEN,
	    sizeof mac) != 0)
		return cf_fail(CF_E_BAD_CHALLENGE, why,
		    "the challenge was not made here for this key");
	for (i = 0; i < 8; i++)
		time = time << 8 | bytes[i];
	if (time > INT64_MAX || (int64_t)time > now_s + CLOCK_SLACK_S ||
	    now_s - (int64_t)time > lifetime_s)
		return cf_fail(CF_E_BAD_CHALLENGE, why,
		    "the challenge is too old");
	return CF_OK;
}
