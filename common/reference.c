/* SPDX-License-Identifier: Apache-2.0 */
/* cf_ref - see reference.h. */
#include "common/reference.h"

#include <string.h>

#include "common/buf.h"

#define LABEL "counterfoil ref v1"
#define CHECK_LABEL "counterfoil reference check v1"
#define TEXT_MAX 16384

_Static_assert(CF_REF_LEN == CF_DIGEST_LEN, "a reference is an HMAC");

void
cf_ref_make(struct cf_digest *message, const struct cf_secret *secret,
    const char *sender, const char *recipient, const char *message_id,
    unsigned char ret[CF_REF_LEN])
{
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(TEXT_MAX);
	unsigned char digest[CF_DIGEST_LEN];

	cf_digest_end(message, digest);
	/* Each text with its NUL: no two lists give the same bytes. */
	cf_buf_add(&text, LABEL, sizeof LABEL);
	cf_buf_add(&text, sender, strlen(sender) + 1);
	cf_buf_add(&text, recipient, strlen(recipient) + 1);
	cf_buf_add(&text, message_id, strlen(message_id) + 1);
	cf_buf_add(&text, digest, sizeof digest);
	if (text.full)
		cf_bug("addresses were not capped");
	cf_hmac(secret, cf_buf_str(&text), text.len, ret);
}

void
cf_ref_check(const struct cf_secret *secret,
    unsigned char ret[CF_REF_CHECK_LEN])
{
	unsigned char whole[CF_DIGEST_LEN];

	cf_hmac(secret, CHECK_LABEL, sizeof CHECK_LABEL, whole);
	memcpy(ret, whole, CF_REF_CHECK_LEN);
}
