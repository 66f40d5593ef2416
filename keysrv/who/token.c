/* SPDX-License-Identifier: Apache-2.0 */
/* The method `token': an account's API token, RFC 6750 2.1. */
#include <string.h>
#include <strings.h>

#include "common/secret.h"
#include "keysrv/db/db_who.h"
#include "keysrv/http/request.h"
#include "keysrv/who/who.h"

/* "Bearer <43 characters>" */
static enum cf_err
token_read(const struct cf_req *req, unsigned char ret_sha256[CF_DIGEST_LEN],
    struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret token = CF_SECRET_EMPTY;
	const char *value = req->field(req, "Authorization");

	if (value == NULL || strncasecmp(value, "Bearer ", 7) != 0)
		return cf_fail(CF_E_UNAUTHORIZED, why,
		    "An API token is needed (Authorization: Bearer).");
	if (cf_secret_from_b64url(value + 7, strlen(value + 7), CF_TOKEN_LEN,
	    &token, NULL) != CF_OK)
		return cf_fail(CF_E_UNAUTHORIZED, why,
		    "The API token is not of the right form.");
	cf_proof_sha256(&token, ret_sha256);
	return CF_OK;
}

const struct cf_method cf_method_token = {
	.name = "token",
	.who = CF_WHO_TOKEN,
	.assurance = CF_ASSURANCE_ACCOUNT,
	.read = token_read,
	.send = cf_db_who_token,
};
