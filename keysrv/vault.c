/* SPDX-License-Identifier: Apache-2.0 */
/* cf_vault - see vault.h. */
#include "keysrv/vault.h"

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/file.h"
#include "common/mem.h"

#define MASTER_LEN 32
#define VERSIONS_MAX 32
#define FILE_MAX 4096
#define INNER_LEN (CF_VAULT_KEY_LEN + 8)
#define GCM_NONCE_LEN 12
#define GCM_TAG_LEN 16

static const char inner_info[] = "counterfoil inner v1";
static const char outer_info[] = "counterfoil outer v1";

struct master {
	int64_t version;
	struct cf_secret key;
};

struct cf_vault {
	struct master master[VERSIONS_MAX];	/* by version, ascending */
	size_t count;
	EVP_KDF *hkdf;		/* fetched once: a look-up takes locks */
	EVP_CIPHER *kwp, *gcm;
};

/* What the outer layer is bound to; the same bytes on every machine. */
struct aad {
	unsigned char key_id[CF_KEY_ID_LEN];
	uint64_t account_id;	/* big-endian */
	uint64_t version;
};

static void
hkdf(const struct cf_vault *vault, const struct cf_secret *ikm,
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
	hkdf(vault, token, key_id, CF_KEY_ID_LEN, inner_info, ret);
}

/* ---- outer layer: opens with the master key only ---- */

static const struct master *
find_master(const struct cf_vault *vault, int64_t version)
{
	size_t i;

	for (i = 0; i < vault->count; i++)
		if (vault->master[i].version == version)
			return &vault->master[i];
	return NULL;
}

/* `wrapped` is nonce || ciphertext || tag; encrypts or decrypts in it. */
static bool
gcm(const struct cf_vault *vault, int encrypt, const struct master *master,
    const struct aad *aad, struct cf_vault_row *row, unsigned char *inner)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret key = CF_SECRET_EMPTY;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char *text = row->wrapped + GCM_NONCE_LEN;
	unsigned char *tag = text + INNER_LEN;
	int n, ok;

	if (ctx == NULL)
		cf_bug("no memory for a cipher");
	hkdf(vault, &master->key, row->salt, sizeof row->salt, outer_info,
	    &key);
	ok = EVP_CipherInit_ex2(ctx, vault->gcm, key.bytes, row->wrapped,
	    encrypt, NULL);
	if (ok == 1 && !encrypt)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG,
		    GCM_TAG_LEN, tag);
	if (ok == 1)
		ok = EVP_CipherUpdate(ctx, NULL, &n,
		    (const unsigned char *)aad, sizeof *aad);
	if (ok == 1)
		ok = EVP_CipherUpdate(ctx, encrypt ? text : inner, &n,
		    encrypt ? inner : text, INNER_LEN);
	if (ok == 1)
		ok = EVP_CipherFinal_ex(ctx, (encrypt ? text : inner) +
		    INNER_LEN, &n);
	if (ok == 1 && encrypt)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG,
		    GCM_TAG_LEN, tag);
	EVP_CIPHER_CTX_free(ctx);
	return ok == 1;
}

static struct aad
make_aad(const unsigned char *key_id, int64_t account_id, int64_t version)
{
	struct aad aad;

	memcpy(aad.key_id, key_id, sizeof aad.key_id);
	aad.account_id = htobe64((uint64_t)account_id);
	aad.version = htobe64((uint64_t)version);
	return aad;
}

enum cf_err
cf_vault_make(const struct cf_vault *vault,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t account_id,
    const struct cf_secret *token, struct cf_vault_row *ret_row,
    unsigned char ret_commitment[CF_COMMITMENT_LEN],
    struct cf_secret *ret_kd, struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret kek = CF_SECRET_EMPTY;
	const struct master *master = &vault->master[vault->count - 1];
	unsigned char inner[INNER_LEN];
	struct aad aad = make_aad(key_id, account_id, master->version);

	cf_secret_random(ret_kd, CF_VAULT_KEY_LEN);
	cf_proof_key_commitment(ret_kd->bytes, ret_kd->len, ret_commitment);
	inner_key(vault, token, key_id, &kek);
	ret_row->version = master->version;
	if (RAND_bytes(ret_row->salt, sizeof ret_row->salt) != 1 ||
	    RAND_bytes(ret_row->wrapped, GCM_NONCE_LEN) != 1)
		cf_bug("no random bytes");
	if (!kwp(vault, 1, &kek, ret_kd->bytes, ret_kd->len, inner,
	    sizeof inner) || !gcm(vault, 1, master, &aad, ret_row, inner))
		return cf_fail(CF_E_INTERNAL, why, "a key cannot be wrapped");
	return CF_OK;
}

enum cf_err
cf_vault_open(const struct cf_vault *vault,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t account_id,
    const struct cf_secret *token, const struct cf_vault_row *row,
    struct cf_secret *ret_kd, struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret kek = CF_SECRET_EMPTY;
	CF_AUTO(cf_secret_wipe) struct cf_secret kd = CF_SECRET_EMPTY;
	const struct master *master = find_master(vault, row->version);
	struct aad aad = make_aad(key_id, account_id, row->version);
	struct cf_vault_row copy = *row;
	unsigned char inner[INNER_LEN];

	if (master == NULL)
		return cf_fail(CF_E_INTERNAL, why, "version %lld is not in "
		    "the master key file", (long long)row->version);
	if (!gcm(vault, 0, master, &aad, &copy, inner))
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

void
cf_vault_derive(const struct cf_vault *vault, const char *purpose,
    struct cf_secret *ret)
{
	/* The oldest version: rotation adds newer ones. */
	hkdf(vault, &vault->master[0].key, NULL, 0, purpose, ret);
}

void
cf_vault_sha256(const void *bytes, size_t len,
    unsigned char ret[CF_DIGEST_LEN])
{
	if (EVP_Digest(bytes, len, ret, NULL, EVP_sha256(), NULL) != 1)
		cf_bug("SHA-256");
}

/* ---- the master key file ---- */

static enum cf_err
parse_line(struct cf_vault *vault, const char *line, size_t len,
    const char *path, int number, struct cf_why *why)
{
	struct master *m = &vault->master[vault->count];
	int64_t version = 0;
	size_t i = 0;

	for (; i < len && i < 9 && line[i] >= '0' && line[i] <= '9'; i++)
		version = version * 10 + (line[i] - '0');
	if (i == 0 || i >= len || line[i] != ' ' || version == 0 ||
	    vault->count == VERSIONS_MAX ||
	    (vault->count > 0 && version <= m[-1].version) ||
	    cf_secret_from_b64url(line + i + 1, len - i - 1, MASTER_LEN,
	    &m->key, NULL) != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "%s:%d: not \"version key\" "
		    "with a version above the line before and the base64url "
		    "text of %d bytes", path, number, MASTER_LEN);
	m->version = version;
	vault->count++;
	return CF_OK;
}

static enum cf_err
parse_file(struct cf_vault *vault, const char *text, const char *path,
    struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	int number = 1;
	size_t len;

	for (; *text != '\0' && rc == CF_OK; number++) {
		len = strcspn(text, "\n");
		rc = parse_line(vault, text, len, path, number, why);
		text += len + (text[len] == '\n');
	}
	if (rc == CF_OK && vault->count == 0)
		rc = cf_fail(CF_E_CONFIG, why, "%s: no key in it", path);
	return rc;
}

enum cf_err
cf_vault_load(const char *path, struct cf_vault **ret, struct cf_why *why)
{
	struct cf_buf buf = CF_BUF_INIT_SECRET(FILE_MAX);
	struct cf_vault *vault = cf_calloc(1, sizeof *vault);
	enum cf_err rc;

	vault->hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	vault->kwp = EVP_CIPHER_fetch(NULL, "AES-256-WRAP-PAD", NULL);
	vault->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (vault->hkdf == NULL || vault->kwp == NULL || vault->gcm == NULL)
		cf_bug("algorithms are missing in libcrypto");
	rc = cf_secret_check_file(path, why);
	if (rc == CF_OK && cf_file_read(path, &buf, why) != CF_OK)
		rc = CF_E_CONFIG;
	if (rc == CF_OK)
		rc = parse_file(vault, cf_buf_str(&buf), path, why);
	cf_buf_free(&buf);
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
	OPENSSL_cleanse(vault, sizeof *vault);
	free(vault);
	*ref = NULL;
}

enum cf_err
cf_vault_new_file(const char *path, struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret key = CF_SECRET_EMPTY;
	char line[2 + CF_B64URL_LEN(MASTER_LEN) + 2] = "1 ";
	enum cf_err rc;

	cf_secret_random(&key, MASTER_LEN);
	cf_secret_to_b64url(&key, line + 2);
	memcpy(line + 2 + CF_B64URL_LEN(MASTER_LEN), "\n", 2);
	rc = cf_file_write_new(path, 0600, line, strlen(line), why);
	OPENSSL_cleanse(line, sizeof line);
	return rc;
}
