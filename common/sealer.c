/* SPDX-License-Identifier: Apache-2.0 */
/* cf_sealer - see sealer.h. */
#include "common/sealer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto_evp.h"
#include "common/mem.h"
#include "common/proofs.h"

struct cf_sealer {
	EVP_CIPHER_CTX *gcm;
	struct cf_digest *digest;	/* over ciphertext, then tag */
	unsigned char sum[CF_DIGEST_LEN];	/* its end */
	struct cf_secret cek;
	unsigned char nonce[CF_NONCE_LEN];
	unsigned char tag[CF_TAG_LEN];
	unsigned char opening[CF_PUBLIC_KEY_LEN];
	unsigned char possession[CF_PUBLIC_KEY_LEN];
	uint64_t len;
	bool final;
};

void
cf_sealer_free(struct cf_sealer **sealer)
{
	if (*sealer == NULL)
		return;
	cf_cipher_free(&(*sealer)->gcm);
	cf_digest_free(&(*sealer)->digest);
	cf_secret_wipe(&(*sealer)->cek);
	free(*sealer);
	*sealer = NULL;
}

enum cf_err
cf_sealer_new(struct cf_sealer **ret, struct cf_why *why)
{
	CF_AUTO(cf_sealer_free) struct cf_sealer *s = NULL;

	s = cf_calloc(1, sizeof *s);
	cf_secret_random(&s->cek, CF_CEK_LEN);
	s->gcm = EVP_CIPHER_CTX_new();
	s->digest = cf_digest_new();
	cf_random(s->nonce, CF_NONCE_LEN);
	if (s->gcm == NULL || EVP_EncryptInit_ex(s->gcm, EVP_aes_256_gcm(),
	    NULL, s->cek.bytes, s->nonce) != 1)
		return cf_evp_fail(CF_E_INTERNAL, why, "starting to seal");
	*ret = s;
	s = NULL;
	return CF_OK;
}

enum cf_err
cf_sealer_update(struct cf_sealer *s, const void *plain, size_t len,
    unsigned char *ret_cipher, struct cf_why *why)
{
	const unsigned char *in = plain;
	size_t n;
	int out_len;

	if (s->final)
		cf_bug("update after final");
	if (len > CF_PLAIN_MAX - s->len)
		return cf_fail(CF_E_TOO_LARGE, why,
		    "a sealed message may have at most 4 GiB");
	for (; len > 0; len -= n) {
		n = len < CF_EVP_PIECE ? len : CF_EVP_PIECE;
		if (EVP_EncryptUpdate(s->gcm, ret_cipher, &out_len, in,
		    (int)n) != 1 || (size_t)out_len != n)
			return cf_evp_fail(CF_E_INTERNAL, why, "sealing");
		cf_digest_add(s->digest, ret_cipher, n);
		in += n;
		ret_cipher += n;
		s->len += n;
	}
	return CF_OK;
}

enum cf_err
cf_sealer_final(struct cf_sealer *s, struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret seed = CF_SECRET_EMPTY;
	unsigned char none[1];
	int len;

	if (s->final)
		cf_bug("final twice");
	if (EVP_EncryptFinal_ex(s->gcm, none, &len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(s->gcm, EVP_CTRL_AEAD_GET_TAG, CF_TAG_LEN,
	    s->tag) != 1)
		return cf_evp_fail(CF_E_INTERNAL, why, "ending the seal");
	cf_digest_add(s->digest, s->tag, CF_TAG_LEN);
	cf_digest_end(s->digest, s->sum);
	cf_proof_opening_seed(&s->cek, &seed);
	cf_proof_public_key(&seed, s->opening);
	cf_proof_possession_seed(s->nonce, s->sum, &seed);
	cf_proof_public_key(&seed, s->possession);
	s->final = true;
	return CF_OK;
}

void
cf_sealer_digest(const struct cf_sealer *s,
    unsigned char ret_digest[CF_DIGEST_LEN])
{
	if (!s->final)
		cf_bug("the digest before final");
	memcpy(ret_digest, s->sum, CF_DIGEST_LEN);
}

uint64_t
cf_sealer_len(const struct cf_sealer *s)
{
	return s->len;
}

void
cf_sealer_public_keys(const struct cf_sealer *s,
    unsigned char ret_opening[CF_PUBLIC_KEY_LEN],
    unsigned char ret_possession[CF_PUBLIC_KEY_LEN])
{
	if (!s->final)
		cf_bug("keys before final");
	memcpy(ret_opening, s->opening, CF_PUBLIC_KEY_LEN);
	memcpy(ret_possession, s->possession, CF_PUBLIC_KEY_LEN);
}

enum cf_err
cf_sealer_frame(const struct cf_sealer *s,
    const unsigned char key_id[CF_KEY_ID_LEN], const struct cf_secret *kek,
    struct cf_buf *head, struct cf_buf *tail, struct cf_why *why)
{
	struct cf_container c = { .ciphertext_len = (size_t)s->len };
	enum cf_err rc;

	if (!s->final)
		cf_bug("frame before final");
	rc = cf_container_wrap(&s->cek, kek, c.wrapped_key, why);
	if (rc != CF_OK)
		return rc;
	memcpy(c.key_id, key_id, CF_KEY_ID_LEN);
	memcpy(c.nonce, s->nonce, CF_NONCE_LEN);
	memcpy(c.tag, s->tag, CF_TAG_LEN);
	return cf_container_frame(&c, head, tail, why);
}
