/* SPDX-License-Identifier: Apache-2.0 */
/* cf_admin_signer - see admin_signer.h. */
#include "keysrv/admin/admin_signer.h"

#include <string.h>

#include "keysrv/receipt/signer.h"

enum cf_err
cf_admin_signer_new(const char *address, const char *certificate_file,
    const char *key_file, const char *algorithm, FILE *out,
    struct cf_why *why)
{
	enum cf_signer_algorithm a = CF_SIGNER_P256;
	enum cf_err rc;

	if (algorithm != NULL && strcmp(algorithm, "rsa3072") == 0)
		a = CF_SIGNER_RSA3072;
	else if (algorithm != NULL && strcmp(algorithm, "p256") != 0)
		return cf_fail(CF_E_CONFIG, why,
		    "\"%s\" is neither p256 nor rsa3072", algorithm);
	rc = cf_signer_create(a, address, certificate_file, key_file, why);
	if (rc != CF_OK)
		return rc;
	fprintf(out, "receipt_from = \"%s\"\nsigner_certificate = \"%s\"\n"
	    "signer_key = \"%s\"\n", address, certificate_file, key_file);
	return CF_OK;
}
