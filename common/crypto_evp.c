/* SPDX-License-Identifier: Apache-2.0 */
/* See crypto_evp.h. */
#include "common/crypto_evp.h"

#include <openssl/err.h>

void
cf_cipher_free(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);
	*ctx = NULL;
}

enum cf_err
cf_evp_fail(enum cf_err rc, struct cf_why *why, const char *what)
{
	char text[160] = "libcrypto gave no reason";
	unsigned long code = ERR_get_error();

	if (code != 0)
		ERR_error_string_n(code, text, sizeof text);
	ERR_clear_error();
	return cf_fail(rc, why, "%s: %s", what, text);
}
