/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_vault: what is wrapped and unwrapped, and so all that sees a Kd; see
 * vault.h.
 */
#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "keysrv/key/vault_private.h"

#define INNER_LEN (CF_VAULT_KEY_LEN + 8)
#define GCM_NONCE_LEN 12
#define GCM_TAG_LEN 16

static const char inner_info[] = "counterfoil inner v1";
static const char outer_info[] = "counterfoil outer v1";
static const char secret_info[] = "counterfoil service secret v1";

/* What the outer layer is bound to; the same bytes on every machine. */
struct aad {
	unsigned char key_id[CF_KEY_ID_LEN];
	uint64_t account_id;	/* big-endian */
	unsigned char master_id[CF_MASTER_ID_LEN];
};

void
cf_vault_derive(const struct cf_vault *vault, const struct cf_secret *ikm,
    const void *salt, size_t salt_len, const char *info,
    struct cf_secret *ret)
{
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(vault->hkdf);
	OSSL_PARAM params[5], *p = params;

	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
	    (char *)"SHA256", 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
	    (void *)ikm->bytes, ikm->len);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
	    (void *)info, strlen(info));
	if (salt_len > 0)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
		    (void *)salt, salt_len);
	*p = OSSL_PARAM_construct_end();
	if (ctx == NULL || EVP_KDF_derive(ctx, ret->bytes, 32, params) != 1)
		cf_bug("HKDF");
	ret->len = 32;
	EVP_KDF_CTX_free(ctx);
}

enum cf_err
cf_vault_load(const char *path, struct cf_vault **ret, struct cf_why *why)
{
	struct cf_vault *vault = cf_calloc(1, sizeof *vault);
	enum cf_err rc;

	pthread_mutex_init(&vault->lock, NULL);
	vault->path = cf_strdup(path);
	vault->hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	vault->kwp = EVP_CIPHER_fetch(NULL, "AES-256-WRAP-PAD", NULL);
	vault->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (vault->hkdf == NULL || vault->kwp == NULL || vault->gcm == NULL)
		cf_bug("algorithms are missing in libcrypto");
	rc = cf_vault_read(vault, why);
	if (rc != CF_OK) {
		cf_vault_free(&vault);
		return rc;
	}
	*ret = vault;
	return CF_OK;
}

void
cf_vault_free(struct cf_vault **ref)
{
	struct cf_vault *vault = *ref;

	if (vault == NULL)
		return;
	EVP_KDF_free(vault->hkdf);
	EVP_CIPHER_free(vault->kwp);
	EVP_CIPHER_free(vault->gcm);
	pthread_mutex_destroy(&vault->lock);
	free(vault->path);
	OPENSSL_cleanse(vault, sizeof *vault);
	free(vault);
	*ref = NULL;
}

enum cf_err
cf_vault_keep_in_memory(const struct cf_vault *vault, struct cf_why *why)
{
	return cf_secret_keep_in_memory(vault, sizeof *vault, why);
}

/* ---- inner layer: opens with the token of the link only ---- */

static bool
kwp(const struct cf_vault *vault, int encrypt, const struct cf_secret *kek,
    const unsigned char *in, size_t in_len, unsigned char *out, int out_len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	bool ok;

	if (ctx == NULL)
		cf_bug("no memory for a cipher");
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = EVP_CipherInit_ex2(ctx, vault->kwp, kek->bytes, NULL, encrypt,
	    NULL) == 1 && EVP_CipherUpdate(ctx, out, &n, in,
	    (int)in_len) == 1 && n == out_len;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static void
inner_key(const struct cf_vault *vault, const struct cf_secret *token,
    const unsigned char *key_id, struct cf_secret *ret)
{
	cf_vault_derive(vault, token, key_id, CF_KEY_ID_LEN, inner_info, ret);
}

/* ---- outer layer: opens with the master key only ---- */

static void
make_key(const struct cf_vault *vault, const struct cf_vault_master *master,
    const unsigned char salt[CF_VAULT_SALT_LEN], const char *info,
    struct cf_secret *ret)
{
	cf_vault_derive(vault, &master->key, salt, CF_VAULT_SALT_LEN, info,
	    ret);
}

/* `wrapped` is nonce || ciphertext || tag; encrypts or decrypts `len` bytes. */
static bool
gcm(const struct cf_vault *vault, int encrypt, const struct cf_secret *key,
    const void *aad, size_t aad_len, unsigned char *wrapped,
    unsigned char *inner, int len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char *text = wrapped + GCM_NONCE_LEN;
	unsigned char *tag = text + len;
	int n, ok;

	if (ctx == NULL)
		cf_bug("no memory for a cipher");
	if (encrypt)
		cf_random(wrapped, GCM_NONCE_LEN);
	ok = EVP_CipherInit_ex2(ctx, vault->gcm, key->bytes, wrapped,
	    encrypt, NULL);
	if (ok == 1 && !encrypt)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG,
		    GCM_TAG_LEN, tag);
	if (ok == 1)
		ok = EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len);
	if (ok == 1)
		ok = EVP_CipherUpdate(ctx, encrypt ? text : inner, &n,
		    encrypt ? inner : text, len);
	if (ok == 1)
		ok = EVP_CipherFinal_ex(ctx, (encrypt ? text : inner) + len,
		    &n);
	if (ok == 1 && encrypt)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG,
		    GCM_TAG_LEN, tag);
	EVP_CIPHER_CTX_free(ctx);
	return ok == 1;
}

static struct aad
make_aad(const unsigned char *key_id, int64_t account_id,
    const struct cf_master *master)
{
	struct aad aad;

	memcpy(aad.key_id, key_id, sizeof aad.key_id);
	aad.account_id = htobe64((uint64_t)account_id);
	memcpy(aad.master_id, master->id, sizeof aad.master_id);
	return aad;
}

enum cf_err
cf_vault_make(struct cf_vault *vault, const struct cf_master *under,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t account_id,
    const struct cf_secret *token, struct cf_vault_row *ret_row,
    unsigned char ret_commitment[CF_COMMITMENT_LEN],
    struct cf_secret *ret_kd, struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret kek = CF_SECRET_EMPTY;
	CF_AUTO(cf_secret_wipe) struct cf_secret outer = CF_SECRET_EMPTY;
	const struct aad aad = make_aad(key_id, account_id, under);
	const struct cf_vault_master *master;
	unsigned char inner[INNER_LEN];
	enum cf_err rc;

	rc = cf_vault_find(vault, under, &master, why);
	if (rc != CF_OK)
		return rc;
	cf_secret_random(ret_kd, CF_VAULT_KEY_LEN);
	cf_proof_key_commitment(ret_kd->bytes, ret_kd->len, ret_commitment);
	inner_key(vault, token, key_id, &kek);
	ret_row->master = *under;
	cf_random(ret_row->salt, CF_VAULT_SALT_LEN);
	make_key(vault, master, ret_row->salt, outer_info, &outer);
	if (!kwp(vault, 1, &kek, ret_kd->bytes, ret_kd->len, inner,
	    sizeof inner) || !gcm(vault, 1, &outer, &aad, sizeof aad,
	    ret_row->wrapped, inner, INNER_LEN))
		return cf_fail(CF_E_INTERNAL, why, "a key cannot be wrapped");
	return CF_OK;
}

enum cf_err
cf_vault_open(struct cf_vault *vault,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t account_id,
    const struct cf_secret *token, const struct cf_vault_row *row,
    struct cf_secret *ret_kd, struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret kek = CF_SECRET_EMPTY;
	CF_AUTO(cf_secret_wipe) struct cf_secret outer = CF_SECRET_EMPTY;
	CF_AUTO(cf_secret_wipe) struct cf_secret kd = CF_SECRET_EMPTY;
	const struct aad aad = make_aad(key_id, account_id, &row->master);
	struct cf_vault_row copy = *row;
	const struct cf_vault_master *master;
	unsigned char inner[INNER_LEN];
	enum cf_err rc;

	rc = cf_vault_find(vault, &row->master, &master, why);
	if (rc != CF_OK)
		return rc;
	make_key(vault, master, row->salt, outer_info, &outer);
	if (!gcm(vault, 0, &outer, &aad, sizeof aad, copy.wrapped, inner,
	    INNER_LEN))
		return cf_fail(CF_E_INTERNAL, why,
		    "the outer layer of a stored key does not open");
	inner_key(vault, token, key_id, &kek);
	if (!kwp(vault, 0, &kek, inner, sizeof inner, kd.bytes,
	    CF_VAULT_KEY_LEN))
		return cf_fail(CF_E_INTERNAL, why,
		    "the inner layer of a stored key does not open");
	kd.len = CF_VAULT_KEY_LEN;
	*ret_kd = kd;
	return CF_OK;
}

/* ---- secrets that all servers share ---- */

/* Name and master key, so that no row can stand in for another. */
static size_t
secret_aad(const char *name, const struct cf_master *master,
    unsigned char aad[CF_MASTER_ID_LEN + CF_VAULT_NAME_MAX])
{
	size_t len = strlen(name);

	if (len > CF_VAULT_NAME_MAX)
		cf_bug("name of a secret");
	memcpy(aad, master->id, CF_MASTER_ID_LEN);
	memcpy(aad + CF_MASTER_ID_LEN, name, len);
	return CF_MASTER_ID_LEN + len;
}

enum cf_err
cf_vault_make_secret(struct cf_vault *vault, const struct cf_master *under,
    const char *name, struct cf_vault_secret *ret_row, struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret key = CF_SECRET_EMPTY;
	CF_AUTO(cf_secret_wipe) struct cf_secret secret = CF_SECRET_EMPTY;
	unsigned char aad[CF_MASTER_ID_LEN + CF_VAULT_NAME_MAX];
	const size_t aad_len = secret_aad(name, under, aad);
	const struct cf_vault_master *master;
	enum cf_err rc;

	rc = cf_vault_find(vault, under, &master, why);
	if (rc != CF_OK)
		return rc;
	cf_secret_random(&secret, CF_VAULT_SECRET_LEN);
	ret_row->master = *under;
	cf_random(ret_row->salt, CF_VAULT_SALT_LEN);
	make_key(vault, master, ret_row->salt, secret_info, &key);
	if (!gcm(vault, 1, &key, aad, aad_len, ret_row->wrapped, secret.bytes,
	    CF_VAULT_SECRET_LEN))
		return cf_fail(CF_E_INTERNAL, why,
		    "a secret cannot be wrapped");
	return CF_OK;
}

enum cf_err
cf_vault_open_secret(struct cf_vault *vault, const char *name,
    const struct cf_vault_secret *row, struct cf_secret *ret,
    struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret key = CF_SECRET_EMPTY;
	CF_AUTO(cf_secret_wipe) struct cf_secret secret = CF_SECRET_EMPTY;
	unsigned char aad[CF_MASTER_ID_LEN + CF_VAULT_NAME_MAX];
	const size_t aad_len = secret_aad(name, &row->master, aad);
	struct cf_vault_secret copy = *row;
	const struct cf_vault_master *master;
	enum cf_err rc;

	rc = cf_vault_find(vault, &row->master, &master, why);
	if (rc != CF_OK)
		return rc;
	make_key(vault, master, row->salt, secret_info, &key);
	if (!gcm(vault, 0, &key, aad, aad_len, copy.wrapped, secret.bytes,
	    CF_VAULT_SECRET_LEN))
		return cf_fail(CF_E_INTERNAL, why,
		    "the stored secret \"%s\" does not open", name);
	secret.len = CF_VAULT_SECRET_LEN;
	*ret = secret;
	return CF_OK;
}
