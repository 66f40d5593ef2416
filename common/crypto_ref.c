/* SPDX-License-Identifier: Apache-2.0 */
/* cf_ref - see crypto_ref.h. */
#include "common/crypto_ref.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"

#define LABEL "counterfoil ref v1"
#define CHECK_LABEL "counterfoil reference check v1"
#define TEXT_MAX 16384

struct cf_ref {
	EVP_MD_CTX *md;
};

struct cf_ref *
cf_ref_new(void)
{
	struct cf_ref *ref = cf_calloc(1, sizeof *ref);

	ref->md = EVP_MD_CTX_new();
	if (ref->md == NULL ||
	    EVP_DigestInit_ex(ref->md, EVP_sha256(), NULL) != 1)
		cf_bug("no SHA-256");
	return ref;
}

void
cf_ref_free(struct cf_ref **ref)
{
	if (*ref == NULL)
		return;
	EVP_MD_CTX_free((*ref)->md);
	cf_free(ref);
}

void
cf_ref_update(struct cf_ref *ref, const void *data, size_t len)
{
	if (EVP_DigestUpdate(ref->md, data, len) != 1)
		cf_bug("SHA-256 failed");
}

static void
hmac(const struct cf_secret *secret, const char *text, size_t text_len,
    unsigned char ret[CF_REF_LEN])
{
	unsigned len = 0;

	if (HMAC(EVP_sha256(), secret->bytes, (int)secret->len,
	    (const unsigned char *)text, text_len, ret, &len) == NULL ||
	    len != CF_REF_LEN)
		cf_bug("HMAC failed");
}

void
cf_ref_final(struct cf_ref *ref, const struct cf_secret *secret,
    const char *sender, const char *recipient, const char *message_id,
    unsigned char ret[CF_REF_LEN])
{
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(TEXT_MAX);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_DigestFinal_ex(ref->md, digest, &len) != 1)
		cf_bug("SHA-256 failed");
	/* Each text with its NUL: no two lists give the same bytes. */
	cf_buf_add(&text, LABEL, sizeof LABEL);
	cf_buf_add(&text, sender, strlen(sender) + 1);
	cf_buf_add(&text, recipient, strlen(recipient) + 1);
	cf_buf_add(&text, message_id, strlen(message_id) + 1);
	cf_buf_add(&text, digest, len);
	if (text.full)
		cf_bug("addresses were not capped");
	hmac(secret, cf_buf_str(&text), text.len, ret);
}

void
cf_ref_check(const struct cf_secret *secret,
    unsigned char ret[CF_REF_CHECK_LEN])
{
	unsigned char whole[CF_REF_LEN];

	hmac(secret, CHECK_LABEL, sizeof CHECK_LABEL, whole);
	memcpy(ret, whole, CF_REF_CHECK_LEN);
}
