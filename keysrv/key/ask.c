/* SPDX-License-Identifier: Apache-2.0 */
/* cf_ask - see ask.h. */
#include "keysrv/key/ask.h"

#include <string.h>

#include "common/clock.h"
#include "keysrv/http/fields.h"
#include "keysrv/http/json_out.h"

#define AT(member) offsetof(struct cf_ask, member)
static const struct cf_member fields[] = {
	{ "handle", CF_MEMBER_BYTES, .offset = AT(key_id),
	    .len = CF_KEY_ID_LEN },
	{ "token", CF_MEMBER_SECRET, .offset = AT(token), .len = CF_TOKEN_LEN },
	/* A challenge needs only the two above. */
	{ "challenge", CF_MEMBER_WORD, .offset = AT(challenge),
	    .len = CF_CHALLENGE_TEXT_LEN },
	{ "origin", CF_MEMBER_WORD, .offset = AT(origin),
	    .len = CF_ORIGIN_MAX },
	{ "time", CF_MEMBER_TIME, .offset = AT(time) },
	{ "signature", CF_MEMBER_BYTES, .offset = AT(signature),
	    .len = CF_SIGNATURE_LEN },
};
#undef AT

static enum cf_err
parse(const json_t *json, size_t count, struct cf_ask *ret,
    struct cf_why *why)
{
	enum cf_err rc;

	rc = cf_fields_read(json, fields, count, ret, why);
	if (rc == CF_OK)
		cf_b64url_encode(ret->key_id, sizeof ret->key_id, ret->handle);
	return rc;
}

enum cf_err
cf_ask_parse_short(const json_t *json, struct cf_ask *ret, struct cf_why *why)
{
	return parse(json, 2, ret, why);
}

enum cf_err
cf_ask_parse(const json_t *json, struct cf_ask *ret, struct cf_why *why)
{
	return parse(json, sizeof fields / sizeof fields[0], ret, why);
}

bool
cf_ask_knows_key(const struct cf_ask *ask, const unsigned char *token_sha256)
{
	static const unsigned char nobody[CF_DIGEST_LEN];
	unsigned char digest[CF_DIGEST_LEN];
	struct cf_secret have = CF_SECRET_EMPTY, want = CF_SECRET_EMPTY;
	bool equal;

	cf_proof_sha256(&ask->token, digest);
	cf_secret_set(&have, digest, sizeof digest);
	cf_secret_set(&want, token_sha256 == NULL ? nobody : token_sha256,
	    CF_DIGEST_LEN);
	equal = cf_secret_equal(&have, &want);
	return equal && token_sha256 != NULL;
}

static enum cf_err
check_signature(const struct cf_ask *ask, enum cf_proof_verb verb,
    const struct cf_key_row *key, struct cf_why *why)
{
	struct cf_buf text = CF_BUF_INIT(2000);
	enum cf_err rc;

	rc = cf_proof_text_ask(verb, ask->handle, ask->challenge, ask->origin,
	    ask->time, &text, why);
	if (rc == CF_OK)
		rc = cf_proof_verify(key->possession_key, cf_buf_str(&text),
		    text.len, ask->signature, NULL);
	cf_buf_free(&text);
	return rc;
}

enum cf_err
cf_ask_check(const struct cf_ask *ask, enum cf_proof_verb verb,
    const struct cf_req *req, const struct cf_key_row *key, bool *ret_held,
    struct cf_why *why)
{
	struct cf_why signature_why = { "" };
	enum cf_err rc, signature_rc;

	signature_rc = check_signature(ask, verb, key, &signature_why);
	*ret_held = signature_rc == CF_OK;
	if (strcmp(ask->origin, req->origin) != 0)
		return cf_fail(CF_E_ORIGIN, why, "The signed origin is not "
		    "where the request came from.");
	rc = cf_challenge_check(req->ks->challenge_secret, ask->key_id,
	    ask->challenge, cf_clock_ms() / 1000,
	    req->ks->settings->challenge_lifetime_s, NULL);
	if (rc != CF_OK)
		return rc;
	*why = signature_why;
	return signature_rc;
}

void
cf_ask_challenge(const struct cf_ask *ask, struct cf_db_challenge *ret)
{
	unsigned char raw[CF_CHALLENGE_LEN] = { 0 };
	int i;

	memset(ret, 0, sizeof *ret);
	if (!cf_b64url_decode(ask->challenge, strlen(ask->challenge), raw,
	    sizeof raw) || raw[0] > 0x7f)
		return;
	for (ret->made_at_s = 0, i = 0; i < 8; i++)
		ret->made_at_s = ret->made_at_s << 8 | raw[i];
	memcpy(ret->random, raw + 8, sizeof ret->random);
}

void
cf_ask_write_issuer(struct cf_jout *out, const struct cf_key_row *key)
{
	const char *at = strrchr(key->sender, '@');

	cf_jout_open(out, "issuer", '{');
	cf_jout_str(out, "address", key->sender);
	cf_jout_str(out, "domain", at == NULL ? "" : at + 1);
	cf_jout_str(out, "account", key->account);
	cf_jout_close(out, '}');
}

void
cf_ask_write_registered(struct cf_jout *out, const struct cf_key_row *key)
{
	cf_jout_b64(out, "opening_key", key->opening_key,
	    sizeof key->opening_key);
	cf_jout_b64(out, "possession_key", key->possession_key,
	    sizeof key->possession_key);
	cf_jout_b64(out, "key_commitment", key->key_commitment,
	    sizeof key->key_commitment);
}
