/* SPDX-License-Identifier: Apache-2.0 */
/* cf_note - see crypto_note.h. */
#include "common/crypto_note.h"

#include <glib.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "common/crypto_evp.h"
#include "common/mem.h"

#define LABEL "counterfoil note v1"	/* with its NUL */
#define TAG_LEN 16
#define PLAIN_LEN (CF_NOTE_LEN - TAG_LEN)
#define AAD_LEN (sizeof LABEL + CF_KEY_ID_LEN)

/* Where each part stands in the plaintext. */
#define NAMES_AT CF_DIGEST_LEN
#define BODY_AT (NAMES_AT + CF_HEAD_NAMES * CF_NOTE_SHORT_LEN)
#define SUBJECT_AT (BODY_AT + CF_NOTE_SHORT_LEN)

_Static_assert(SUBJECT_AT + CF_NOTE_SUBJECT_MAX == PLAIN_LEN,
    "the parts fill the note");

void
cf_note_fill(struct cf_note *note,
    const unsigned char values_sha256[CF_DIGEST_LEN],
    const struct cf_commit_digests *digests, const char *subject)
{
	CF_AUTO(cf_free) char *valid = g_utf8_make_valid(subject, -1);
	size_t len = strlen(valid), i;

	memset(note, 0, sizeof *note);
	memcpy(note->values_sha256, values_sha256, CF_DIGEST_LEN);
	for (i = 0; i < CF_HEAD_NAMES; i++)
		memcpy(note->name[i], digests->name[i], CF_NOTE_SHORT_LEN);
	memcpy(note->body, digests->body, CF_NOTE_SHORT_LEN);
	if (len > CF_NOTE_SUBJECT_MAX)
		for (len = CF_NOTE_SUBJECT_MAX; (valid[len] & 0xc0) == 0x80;)
			len--;
	memcpy(note->subject, valid, len);
}

/*
 * AES-256-GCM as the header says; `in` and `out` are PLAIN_LEN bytes.  False:
 * the tag does not hold.
 */
static bool
run_gcm(const struct cf_secret *secret, const unsigned char *key_id,
    bool encrypt, const unsigned char *in, unsigned char *out,
    unsigned char *tag)
{
	static const unsigned char nonce[12];
	CF_AUTO(cf_cipher_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char aad[AAD_LEN], key[CF_DIGEST_LEN];
	int n, ok, final;

	memcpy(aad, LABEL, sizeof LABEL);
	memcpy(aad + sizeof LABEL, key_id, CF_KEY_ID_LEN);
	cf_hmac(secret, aad, sizeof aad, key);
	ok = ctx != NULL && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL,
	    key, nonce, encrypt) == 1 &&
	    EVP_CipherUpdate(ctx, NULL, &n, aad, sizeof aad) == 1 &&
	    EVP_CipherUpdate(ctx, out, &n, in, PLAIN_LEN) == 1 &&
	    (encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG,
	    TAG_LEN, tag) == 1);
	OPENSSL_cleanse(key, sizeof key);
	if (!ok)
		cf_bug("no AES-256-GCM");
	final = EVP_CipherFinal_ex(ctx, out + PLAIN_LEN, &n);
	if (encrypt && (final != 1 || EVP_CIPHER_CTX_ctrl(ctx,
	    EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) != 1))
		cf_bug("no tag");
	ERR_clear_error();
	return final == 1;
}

void
cf_note_seal(const struct cf_secret *reference_secret,
    const unsigned char key_id[CF_KEY_ID_LEN], const struct cf_note *note,
    unsigned char ret[CF_NOTE_LEN])
{
	unsigned char plain[PLAIN_LEN];

	memcpy(plain, note->values_sha256, CF_DIGEST_LEN);
	memcpy(plain + NAMES_AT, note->name, sizeof note->name);
	memcpy(plain + BODY_AT, note->body, CF_NOTE_SHORT_LEN);
	memcpy(plain + SUBJECT_AT, note->subject, CF_NOTE_SUBJECT_MAX);
	(void)run_gcm(reference_secret, key_id, true, plain, ret,
	    ret + PLAIN_LEN);
	OPENSSL_cleanse(plain, sizeof plain);
}

bool
cf_note_open(const struct cf_secret *reference_secret,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char note[CF_NOTE_LEN], struct cf_note *ret)
{
	unsigned char plain[PLAIN_LEN], tag[TAG_LEN];
	bool good;

	memcpy(tag, note + PLAIN_LEN, TAG_LEN);
	good = run_gcm(reference_secret, key_id, false, note, plain, tag);
	memset(ret, 0, sizeof *ret);
	if (good) {
		memcpy(ret->values_sha256, plain, CF_DIGEST_LEN);
		memcpy(ret->name, plain + NAMES_AT, sizeof ret->name);
		memcpy(ret->body, plain + BODY_AT, CF_NOTE_SHORT_LEN);
		memcpy(ret->subject, plain + SUBJECT_AT, CF_NOTE_SUBJECT_MAX);
		good = g_utf8_validate(ret->subject, -1, NULL);
	}
	OPENSSL_cleanse(plain, sizeof plain);
	return good;
}
