/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_ask - what a recipient sends: the request of challenge, describe and
 * retrieve, and how its proofs are checked.
 *
 * Knows: the members of these requests, the order of the checks.
 * Does not know: SQL, HTTP.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_ASK_H
#define CF_KEYSRV_ASK_H

#include "keysrv/db/db_key.h"
#include "keysrv/db/db_quota.h"
#include "keysrv/http/request.h"

struct cf_ask {
	unsigned char key_id[CF_KEY_ID_LEN];
	char handle[CF_HANDLE_LEN + 1];
	struct cf_secret token;
	/* describe and retrieve only: */
	char challenge[CF_CHALLENGE_TEXT_LEN + 1];
	char origin[CF_ORIGIN_MAX + 1];		/* as signed */
	char time[CF_TIME_LEN + 1];		/* the agent's clock */
	unsigned char signature[CF_SIGNATURE_LEN];
};

/* Read {handle, token}.  CF_E_SYNTAX */
CF_MUST_USE enum cf_err cf_ask_parse_short(const json_t *json,
    struct cf_ask *ret, struct cf_why *why);
/* Read {handle, token, challenge, origin, time, signature}.  CF_E_SYNTAX */
CF_MUST_USE enum cf_err cf_ask_parse(const json_t *json, struct cf_ask *ret,
    struct cf_why *why);

/*
 * Is it the token of that key?  Constant time.  `token_sha256` is NULL when
 * there is no such key; the work done is the same.
 */
bool cf_ask_knows_key(const struct cf_ask *ask,
    const unsigned char *token_sha256);
/*
 * Origin as in the header, challenge ours and fresh, signature made with the
 * possession key; *ret_held: the last of these is so, whatever the others say.
 * CF_E_ORIGIN, CF_E_BAD_CHALLENGE, CF_E_BAD_SIGNATURE
 */
CF_MUST_USE enum cf_err cf_ask_check(const struct cf_ask *ask,
    enum cf_proof_verb verb, const struct cf_req *req,
    const struct cf_key_row *key, bool *ret_held, struct cf_why *why);
/* What makes the challenge this one; nothing does of one that is not ours. */
void cf_ask_challenge(const struct cf_ask *ask, struct cf_db_challenge *ret);
/* "issuer": {...}, the address that the issuing account may speak for. */
struct cf_jout;
void cf_ask_write_issuer(struct cf_jout *out, const struct cf_key_row *key);
/* "opening_key" and what else was registered of the key and its message. */
void cf_ask_write_registered(struct cf_jout *out,
    const struct cf_key_row *key);

#endif
