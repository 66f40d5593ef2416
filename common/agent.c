/* SPDX-License-Identifier: Apache-2.0 */
/* cf_agent - see agent.h. */
#include "common/agent.h"

#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/proofs.h"
#include "common/wire.h"

#define ANSWER_MAX 16384	/* bytes; the API's bodies are far smaller */
#define REQUEST_MAX 2048
#define PAUSE_FIRST_MS 200	/* doubled with each repetition */
#define PAUSE_MAX_MS 3000

struct cf_agent {
	struct cf_agent_options options;
	const struct cf_link *link;
	const struct cf_container *container;
	struct cf_secret possession;	/* seeds */
	struct cf_secret opening;	/* empty until opened */
	struct cf_release release;	/* zero until retrieved */
	int64_t end_ms;			/* of the step under way */
};

/* ---- one request ---- */

static enum cf_err
post(const struct cf_agent *agent, const char *path,
    const struct cf_buf *request, struct cf_buf *answer, struct cf_why *why)
{
	struct cf_httpc_request r = { 0 };
	int64_t left = agent->end_ms - cf_clock_mono_ms();
	enum cf_err rc;
	long status = 0;

	rc = cf_buf_check(request, why);
	if (rc != CF_OK)
		return rc;
	r.service = agent->link->service;
	r.path = path;
	r.json = cf_buf_str(request);
	r.json_len = request->len;
	r.origin = agent->options.origin;
	r.timeout_ms = agent->options.timeout_ms;
	if (left < r.timeout_ms)
		r.timeout_ms = left > 1 ? (long)left : 1;
	rc = cf_httpc_send(agent->options.http, &r, &status, answer, why);
	if (rc != CF_OK)
		return rc;
	if (status != 200)
		return cf_json_problem(status, cf_buf_str(answer), answer->len,
		    agent->link->service, why);
	return CF_OK;
}

/* {"handle":...,"token":...  and so on; nothing in it needs escaping. */
static void
begin_request(const struct cf_agent *agent, struct cf_buf *request)
{
	char token[CF_TOKEN_TEXT_LEN + 1];

	cf_secret_to_b64url(&agent->link->token, token);
	cf_buf_addf(request, "{\"handle\":\"%s\",\"token\":\"%s\"",
	    agent->link->handle, token);
	OPENSSL_cleanse(token, sizeof token);
}

static enum cf_err
get_challenge(const struct cf_agent *agent,
    char ret[CF_CHALLENGE_TEXT_LEN + 1], struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf request =
	    CF_BUF_INIT_SECRET(REQUEST_MAX);
	CF_AUTO(cf_buf_free) struct cf_buf answer = CF_BUF_INIT(ANSWER_MAX);
	CF_AUTO(cf_json_free) json_t *json = NULL;
	unsigned char bytes[CF_CHALLENGE_LEN];
	enum cf_err rc;

	begin_request(agent, &request);
	cf_buf_addc(&request, '}');
	rc = post(agent, CF_PATH_CHALLENGE, &request, &answer, why);
	if (rc != CF_OK)
		return rc;
	if (cf_json_parse(cf_buf_str(&answer), answer.len, &json, NULL) !=
	    CF_OK || !cf_json_bytes(json, "challenge", bytes, sizeof bytes))
		return cf_fail(CF_E_PROTOCOL, why,
		    "%s: the answer has no proper \"challenge\"",
		    agent->link->service);
	memcpy(ret, cf_json_string(json, "challenge"),
	    CF_CHALLENGE_TEXT_LEN + 1);
	return CF_OK;
}

static void
sign(const struct cf_secret *seed, const struct cf_buf *text,
    char ret[CF_B64URL_LEN(CF_SIGNATURE_LEN) + 1])
{
	unsigned char signature[CF_SIGNATURE_LEN];

	cf_proof_sign(seed, cf_buf_str(text), text->len, signature);
	cf_b64url_encode(signature, sizeof signature, ret);
}

/* A challenge, then `path` signed over it. */
static enum cf_err
ask(const struct cf_agent *agent, enum cf_proof_verb verb, const char *path,
    struct cf_buf *answer, struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf request =
	    CF_BUF_INIT_SECRET(REQUEST_MAX);
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(REQUEST_MAX);
	const char *origin = agent->options.origin == NULL ? "-" :
	    agent->options.origin;
	char challenge[CF_CHALLENGE_TEXT_LEN + 1] = "";
	char now[CF_TIME_LEN + 1];
	char signature[CF_B64URL_LEN(CF_SIGNATURE_LEN) + 1];
	enum cf_err rc;

	rc = get_challenge(agent, challenge, why);
	if (rc != CF_OK)
		return rc;
	cf_clock_format(cf_clock_ms(), now);
	rc = cf_proof_text_ask(verb, agent->link->handle, challenge, origin,
	    now, &text, why);
	if (rc != CF_OK)
		return rc;
	sign(&agent->possession, &text, signature);
	begin_request(agent, &request);
	cf_buf_addf(&request, ",\"challenge\":\"%s\",\"origin\":\"%s\","
	    "\"time\":\"%s\",\"signature\":\"%s\"}", challenge, origin, now,
	    signature);
	return post(agent, path, &request, answer, why);
}

/* The opening proof or the mismatch report. */
static enum cf_err
tell(const struct cf_agent *agent, enum cf_proof_verb verb, const char *path,
    const struct cf_secret *seed, struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf request =
	    CF_BUF_INIT_SECRET(REQUEST_MAX);
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(REQUEST_MAX);
	CF_AUTO(cf_buf_free) struct cf_buf answer = CF_BUF_INIT(ANSWER_MAX);
	char now[CF_TIME_LEN + 1];
	char signature[CF_B64URL_LEN(CF_SIGNATURE_LEN) + 1];
	char secret[CF_B64URL_LEN(CF_RELEASE_SECRET_LEN) + 1];
	unsigned char digest[CF_DIGEST_LEN];
	enum cf_err rc;

	cf_clock_format(cf_clock_ms(), now);
	cf_proof_sha256(&agent->release.secret, digest);
	rc = cf_proof_text_done(verb, agent->link->handle,
	    agent->release.release_id, digest, now, &text, why);
	if (rc != CF_OK)
		return rc;
	sign(seed, &text, signature);
	cf_secret_to_b64url(&agent->release.secret, secret);
	cf_buf_addf(&request, "{\"handle\":\"%s\",\"release_id\":\"%s\","
	    "\"release_secret\":\"%s\",\"time\":\"%s\",\"signature\":\"%s\"}",
	    agent->link->handle, agent->release.release_id, secret, now,
	    signature);
	OPENSSL_cleanse(secret, sizeof secret);
	return post(agent, path, &request, &answer, why);
}

/* ---- steps, each with its repetitions ---- */

/*
 * A lost answer is no refusal: the step is done again from its challenge.
 * What is wrong with a certificate or an answer stays wrong.
 */
static bool
is_worth_repeating(enum cf_err rc)
{
	return rc == CF_E_NETWORK || rc == CF_E_TIMEOUT || rc == CF_E_BUSY ||
	    rc == CF_E_DATABASE || rc == CF_E_CHALLENGE_USED ||
	    rc == CF_E_BAD_CHALLENGE;
}

/* True: it is time for the next attempt.  False: the deadline is past. */
static bool
wait_to_repeat(const struct cf_agent *agent, int *pause_ms)
{
	if (cf_clock_mono_ms() + *pause_ms >= agent->end_ms)
		return false;
	(void)poll(NULL, 0, *pause_ms);
	*pause_ms = *pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS :
	    *pause_ms * 2;
	return true;
}

static enum cf_err
ask_until_answered(struct cf_agent *agent, enum cf_proof_verb verb,
    const char *path, struct cf_buf *answer, struct cf_why *why)
{
	int pause_ms = PAUSE_FIRST_MS;
	enum cf_err rc;

	agent->end_ms = cf_clock_mono_ms() + agent->options.deadline_ms;
	do {
		cf_buf_reset(answer);
		rc = ask(agent, verb, path, answer, why);
	} while (is_worth_repeating(rc) && wait_to_repeat(agent, &pause_ms));
	/* It is made from E: one that does not hold is of another E. */
	if (rc == CF_E_BAD_SIGNATURE)
		return cf_fail(CF_E_DAMAGED, why, "%s does not accept this "
		    "copy as the message that it has the key for",
		    agent->link->service);
	return rc;
}

static enum cf_err
tell_until_heard(struct cf_agent *agent, enum cf_proof_verb verb,
    const char *path, const struct cf_secret *seed, struct cf_why *why)
{
	int pause_ms = PAUSE_FIRST_MS;
	enum cf_err rc;

	agent->end_ms = cf_clock_mono_ms() + agent->options.deadline_ms;
	do {
		rc = tell(agent, verb, path, seed, why);
	} while (is_worth_repeating(rc) && wait_to_repeat(agent, &pause_ms));
	return rc;
}

enum cf_err
cf_agent_describe(struct cf_agent *agent, struct cf_about *ret,
    struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf answer = CF_BUF_INIT(ANSWER_MAX);
	enum cf_err rc;

	rc = ask_until_answered(agent, CF_PROOF_DESCRIBE, CF_PATH_DESCRIBE,
	    &answer, why);
	if (rc != CF_OK)
		return rc;
	return cf_about_parse(cf_buf_str(&answer), answer.len,
	    agent->link->handle, ret, why);
}

static enum cf_err
retrieve(struct cf_agent *agent, struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf answer =
	    CF_BUF_INIT_SECRET(ANSWER_MAX);
	enum cf_err rc;

	rc = ask_until_answered(agent, CF_PROOF_RETRIEVE, CF_PATH_RETRIEVE,
	    &answer, why);
	if (rc != CF_OK)
		return rc;
	cf_release_wipe(&agent->release);
	return cf_release_parse(cf_buf_str(&answer), answer.len,
	    agent->link->handle, &agent->release, why);
}

/* The server took our signature, so it must name our key. */
static enum cf_err
check_possession(const struct cf_agent *agent, struct cf_why *why)
{
	unsigned char key[CF_PUBLIC_KEY_LEN];

	cf_proof_public_key(&agent->possession, key);
	if (memcmp(key, agent->release.possession_key, sizeof key) != 0)
		return cf_fail(CF_E_MISMATCH, why, "the sealed message is "
		    "not the one that was registered");
	return CF_OK;
}

enum cf_err
cf_agent_open(struct cf_agent *agent, struct cf_opened *ret,
    struct cf_why *why)
{
	CF_AUTO(cf_opened_free) struct cf_opened message = { 0 };
	CF_AUTO(cf_secret_wipe) struct cf_secret cek = CF_SECRET_EMPTY;
	struct cf_why unheard = { "" };
	enum cf_err rc;

	/* A disk that is full costs no receipt. */
	rc = cf_opened_begin(agent->container, agent->options.place, &message,
	    why);
	if (rc == CF_OK)
		rc = retrieve(agent, why);
	if (rc != CF_OK)
		return rc;
	rc = check_possession(agent, why);
	if (rc == CF_OK)
		rc = cf_unseal(agent->container, &agent->release, &cek,
		    &message, why);
	if (rc == CF_OK)
		cf_proof_opening_seed(&cek, &agent->opening);
	/* The reader's error is the mismatch, whether it is heard or not. */
	if (rc == CF_E_MISMATCH)
		(void)!tell_until_heard(agent, CF_PROOF_MISMATCH,
		    CF_PATH_MISMATCH, &agent->possession, &unheard);
	if (rc == CF_OK) {
		*ret = message;
		memset(&message, 0, sizeof message);
	}
	return rc;
}

const struct cf_release *
cf_agent_release(const struct cf_agent *agent)
{
	return &agent->release;
}

enum cf_err
cf_agent_confirm(struct cf_agent *agent, struct cf_why *why)
{
	if (agent->opening.len == 0)
		cf_bug("an opening proof before the opening");
	return tell_until_heard(agent, CF_PROOF_OPEN, CF_PATH_OPEN,
	    &agent->opening, why);
}

/* ---- life ---- */

enum cf_err
cf_agent_new(const struct cf_agent_options *options,
    const struct cf_link *link, const struct cf_container *container,
    struct cf_agent **ret, struct cf_why *why)
{
	CF_AUTO(cf_agent_free) struct cf_agent *agent = NULL;

	if (memcmp(link->key_id, container->key_id, CF_KEY_ID_LEN) != 0)
		return cf_fail(CF_E_CONTAINER, why,
		    "the link belongs to another message than this one");
	agent = cf_calloc(1, sizeof *agent);
	agent->options = *options;
	agent->link = link;
	agent->container = container;
	cf_proof_possession_of(container, &agent->possession);
	*ret = agent;
	agent = NULL;
	return CF_OK;
}

void
cf_agent_free(struct cf_agent **agent)
{
	struct cf_agent *a = *agent;

	if (a == NULL)
		return;
	cf_release_wipe(&a->release);
	OPENSSL_cleanse(a, sizeof *a);
	free(a);
	*agent = NULL;
}
