/* SPDX-License-Identifier: Apache-2.0 */
/* cf_digest - see digest.h. */
#include "common/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "common/mem.h"

struct cf_digest {
	EVP_MD_CTX *ctx;
};

struct cf_digest *
cf_digest_new(void)
{
	struct cf_digest *digest = cf_calloc(1, sizeof *digest);

	digest->ctx = EVP_MD_CTX_new();
	if (digest->ctx == NULL ||
	    EVP_DigestInit_ex(digest->ctx, EVP_sha256(), NULL) != 1)
		cf_bug("SHA-256 cannot be had");
	return digest;
}

void
cf_digest_free(struct cf_digest **digest)
{
	if (*digest == NULL)
		return;
	EVP_MD_CTX_free((*digest)->ctx);
	free(*digest);
	*digest = NULL;
}

void
cf_digest_add(struct cf_digest *digest, const void *data, size_t len)
{
	if (EVP_DigestUpdate(digest->ctx, data, len) != 1)
		cf_bug("SHA-256 failed");
}

void
cf_digest_end(struct cf_digest *digest, unsigned char ret[CF_DIGEST_LEN])
{
	if (EVP_DigestFinal_ex(digest->ctx, ret, NULL) != 1)
		cf_bug("SHA-256 failed");
}

void
cf_digest_of(const void *data, size_t len, unsigned char ret[CF_DIGEST_LEN])
{
	if (EVP_Digest(data, len, ret, NULL, EVP_sha256(), NULL) != 1)
		cf_bug("SHA-256 failed");
}

void
cf_hmac(const struct cf_secret *key, const void *data, size_t len,
    unsigned char ret[CF_DIGEST_LEN])
{
	unsigned ret_len = 0;

	if (HMAC(EVP_sha256(), key->bytes, (int)key->len, data, len, ret,
	    &ret_len) == NULL || ret_len != CF_DIGEST_LEN)
		cf_bug("HMAC failed");
}
