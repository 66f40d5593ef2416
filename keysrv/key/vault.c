/* SPDX-License-Identifier: Apache-2.0 */
/* cf_vault - see vault.h. */
#include "keysrv/key/vault.h"

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/file.h"
#include "common/mem.h"

#define MASTER_LEN 32
#define MASTERS_MAX 32
#define FILE_MAX 4096
#define LINE_LEN (CF_MASTER_TEXT_LEN + 1 + CF_B64URL_LEN(MASTER_LEN) + 1)
#define INNER_LEN (CF_VAULT_KEY_LEN + 8)
#define GCM_NONCE_LEN 12
#define GCM_TAG_LEN 16

static const char inner_info[] = "counterfoil inner v1";
static const char outer_info[] = "counterfoil outer v1";
static const char check_info[] = "counterfoil master check v1";
static const char secret_info[] = "counterfoil service secret v1";

struct master {
	struct cf_master name;
	struct cf_secret key;
};

struct cf_vault {
	/* Keys are only ever added, behind the last: readers take no lock. */
	struct master master[MASTERS_MAX];
	atomic_size_t count;
	pthread_mutex_t lock;	/* of those who add */
	struct stat seen;	/* the file when it was read last */
	char *path;
	EVP_KDF *hkdf;		/* fetched once: a look-up takes locks */
	EVP_CIPHER *kwp, *gcm;
};

/* What the outer layer is bound to; the same bytes on every machine. */
struct aad {
	unsigned char key_id[CF_KEY_ID_LEN];
	uint64_t account_id;	/* big-endian */
	unsigned char master_id[CF_MASTER_ID_LEN];
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

/* ---- the master key file ---- */

void
cf_master_text(const struct cf_master *master,
    char out[CF_MASTER_TEXT_LEN + 1])
{
	size_t i;

	for (i = 0; i < CF_MASTER_ID_LEN; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", master->id[i]);
}

bool
cf_master_parse(const char *text, size_t len,
    unsigned char ret_id[CF_MASTER_ID_LEN])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char id[CF_MASTER_ID_LEN] = { 0 };
	const char *p;
	size_t i;

	if (len != CF_MASTER_TEXT_LEN)
		return false;
	for (i = 0; i < len; i++) {
		p = memchr(digits, text[i], 16);
		if (p == NULL)
			return false;
		id[i / 2] = (unsigned char)(id[i / 2] << 4 | (p - digits));
	}
	memcpy(ret_id, id, sizeof id);
	return true;
}

static const struct master *
find_id(const struct cf_vault *vault,
    const unsigned char id[CF_MASTER_ID_LEN])
{
	const size_t count = atomic_load(&vault->count);
	size_t i;

	for (i = 0; i < count; i++)
		if (memcmp(vault->master[i].name.id, id,
		    CF_MASTER_ID_LEN) == 0)
			return &vault->master[i];
	return NULL;
}

/* Only the right key has it; it tells nothing of the key. */
static void
set_check(const struct cf_vault *vault, struct master *m)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret value = CF_SECRET_EMPTY;

	hkdf(vault, &m->key, m->name.id, CF_MASTER_ID_LEN, check_info,
	    &value);
	memcpy(m->name.check, value.bytes, sizeof m->name.check);
}

/* False: there is one of that name, or no room. */
static bool
keep(struct cf_vault *vault, const struct master *m)
{
	const size_t count = atomic_load(&vault->count);

	if (find_id(vault, m->name.id) != NULL || count == MASTERS_MAX)
		return false;
	vault->master[count] = *m;
	atomic_store(&vault->count, count + 1);
	return true;
}

static enum cf_err
parse_line(struct cf_vault *vault, const char *line, size_t len,
    const char *path, int number, struct cf_why *why)
{
	struct master m = { .key = CF_SECRET_EMPTY };
	bool kept;

	if (len <= CF_MASTER_TEXT_LEN || line[CF_MASTER_TEXT_LEN] != ' ' ||
	    !cf_master_parse(line, CF_MASTER_TEXT_LEN, m.name.id) ||
	    cf_secret_from_b64url(line + CF_MASTER_TEXT_LEN + 1,
	    len - CF_MASTER_TEXT_LEN - 1, MASTER_LEN, &m.key, NULL) != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "%s:%d: not the name of a "
		    "master key, %d hex digits, and the base64url text of %d "
		    "bytes", path, number, CF_MASTER_TEXT_LEN, MASTER_LEN);
	set_check(vault, &m);
	kept = keep(vault, &m);
	cf_secret_wipe(&m.key);
	if (!kept)
		return cf_fail(CF_E_CONFIG, why, "%s:%d: a name that was there "
		    "before, or more than %d keys", path, number,
		    MASTERS_MAX);
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
	if (rc == CF_OK && atomic_load(&vault->count) == 0)
		rc = cf_fail(CF_E_CONFIG, why, "%s: no key in it", path);
	return rc;
}

static enum cf_err
read_file(struct cf_vault *vault, struct cf_why *why)
{
	struct cf_buf buf = CF_BUF_INIT_SECRET(FILE_MAX);
	enum cf_err rc;

	/* Before it is read: what changes meanwhile is read next time. */
	if (stat(vault->path, &vault->seen) != 0)
		memset(&vault->seen, 0, sizeof vault->seen);
	rc = cf_secret_check_file(vault->path, why);
	if (rc == CF_OK && cf_file_read(vault->path, &buf, why) != CF_OK)
		rc = CF_E_CONFIG;
	if (rc == CF_OK)
		rc = parse_file(vault, cf_buf_str(&buf), vault->path, why);
	cf_buf_free(&buf);
	return rc;
}

static enum cf_err
read_again(struct cf_vault *vault, struct cf_why *why)
{
	struct cf_vault *now = NULL;
	enum cf_err rc;
	size_t i;

	rc = cf_vault_load(vault->path, &now, why);
	if (rc != CF_OK)
		return rc;
	for (i = 0; i < atomic_load(&now->count); i++)
		(void)keep(vault, &now->master[i]);
	vault->seen = now->seen;
	cf_vault_free(&now);
	return CF_OK;
}

/*
 * Keys are added to the file while servers run: one that is not there is
 * looked for in the file, if that is another than before.
 */
static void
look_again(struct cf_vault *vault)
{
	struct stat now;

	pthread_mutex_lock(&vault->lock);
	if (stat(vault->path, &now) == 0 &&
	    (now.st_ino != vault->seen.st_ino ||
	    now.st_size != vault->seen.st_size ||
	    now.st_mtim.tv_sec != vault->seen.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != vault->seen.st_mtim.tv_nsec))
		(void)read_again(vault, NULL);
	pthread_mutex_unlock(&vault->lock);
}

static enum cf_err
find_master(struct cf_vault *vault, const struct cf_master *want,
    const struct master **ret, struct cf_why *why)
{
	const struct master *m = find_id(vault, want->id);
	char text[CF_MASTER_TEXT_LEN + 1];

	if (m == NULL) {
		look_again(vault);
		m = find_id(vault, want->id);
	}
	if (m != NULL &&
	    memcmp(m->name.check, want->check, sizeof want->check) == 0) {
		*ret = m;
		return CF_OK;
	}
	cf_master_text(want, text);
	return cf_fail(CF_E_MASTER_KEY, why, m == NULL ?
	    "%s lacks the master key %s; bring the file of another server or "
	    "the copy that was put by" :
	    "%s has another master key by the name %s than this database; "
	    "bring the file of another server or the copy that was put by",
	    vault->path, text);
}

enum cf_err
cf_vault_has(struct cf_vault *vault, const struct cf_master *master,
    struct cf_why *why)
{
	const struct master *found;

	return find_master(vault, master, &found, why);
}

size_t
cf_vault_count(const struct cf_vault *vault)
{
	return atomic_load(&vault->count);
}

const struct cf_master *
cf_vault_master(const struct cf_vault *vault, size_t i)
{
	return &vault->master[i].name;
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
	rc = read_file(vault, why);
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

/* One line with a new key under a new name. */
static void
new_line(char out[LINE_LEN + 1])
{
	CF_AUTO(cf_secret_wipe) struct cf_secret key = CF_SECRET_EMPTY;
	struct cf_master name;

	cf_random(name.id, sizeof name.id);
	cf_secret_random(&key, MASTER_LEN);
	cf_master_text(&name, out);
	out[CF_MASTER_TEXT_LEN] = ' ';
	cf_secret_to_b64url(&key, out + CF_MASTER_TEXT_LEN + 1);
	memcpy(out + LINE_LEN - 1, "\n", 2);
}

enum cf_err
cf_vault_new_file(const char *path, struct cf_why *why)
{
	char line[LINE_LEN + 1];
	enum cf_err rc;

	new_line(line);
	rc = cf_file_write_new(path, 0600, line, LINE_LEN, why);
	OPENSSL_cleanse(line, sizeof line);
	return rc;
}

/*
 * *ret_fd holds it until closed: of two that add at once, each would leave out
 * what the other adds, and a key that is known and in no file is lost.
 */
static enum cf_err
lock_file(const char *path, int *ret_fd, struct cf_why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat ours, now;

	if (fd >= 0 && flock(fd, LOCK_EX) == 0 && fstat(fd, &ours) == 0 &&
	    stat(path, &now) == 0 && ours.st_ino == now.st_ino &&
	    ours.st_dev == now.st_dev) {
		*ret_fd = fd;
		return CF_OK;
	}
	if (fd >= 0)
		close(fd);
	return cf_fail(CF_E_IO, why, "%s: cannot be read, or has just been "
	    "changed; run the command again", path);
}

static enum cf_err
add_line(const char *path, struct cf_why *why)
{
	struct cf_buf buf = CF_BUF_INIT_SECRET(FILE_MAX);
	char line[LINE_LEN + 1];
	enum cf_err rc;

	rc = cf_file_read(path, &buf, why);
	if (rc == CF_OK) {
		if (buf.len > 0 && buf.data[buf.len - 1] != '\n')
			cf_buf_addc(&buf, '\n');
		new_line(line);
		cf_buf_adds(&buf, line);
		OPENSSL_cleanse(line, sizeof line);
		rc = cf_buf_check(&buf, why);
	}
	if (rc == CF_OK)
		rc = cf_file_replace(path, buf.data, buf.len, why);
	cf_buf_free(&buf);
	return rc;
}

enum cf_err
cf_vault_add(struct cf_vault *vault, struct cf_why *why)
{
	enum cf_err rc;
	int fd;

	rc = lock_file(vault->path, &fd, why);
	if (rc != CF_OK)
		return rc;
	rc = add_line(vault->path, why);
	close(fd);
	return rc == CF_OK ? read_again(vault, why) : rc;
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

static void
make_key(const struct cf_vault *vault, const struct master *master,
    const unsigned char salt[CF_VAULT_SALT_LEN], const char *info,
    struct cf_secret *ret)
{
	hkdf(vault, &master->key, salt, CF_VAULT_SALT_LEN, info, ret);
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
	const struct master *master;
	unsigned char inner[INNER_LEN];
	enum cf_err rc;

	rc = find_master(vault, under, &master, why);
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
	const struct master *master;
	unsigned char inner[INNER_LEN];
	enum cf_err rc;

	rc = find_master(vault, &row->master, &master, why);
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
	const struct master *master;
	enum cf_err rc;

	rc = find_master(vault, under, &master, why);
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
	const struct master *master;
	enum cf_err rc;

	rc = find_master(vault, &row->master, &master, why);
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
