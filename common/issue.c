/* SPDX-License-Identifier: Apache-2.0 */
/* cf_issue - see issue.h. */
#include "common/issue.h"

#include <openssl/crypto.h>
#include <string.h>
#include <time.h>

#include "common/assurance.h"
#include "common/b64url.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/proofs.h"
#include "common/wire.h"

#define TRIES 2			/* at one server */
#define PAUSE_MS 250		/* before the second */
#define BUSY_PAUSE_MS 1000	/* when it said that it is busy */
#define DOWN_MS 30000		/* a failed server is passed over so long */
#define LEAST_MS 100		/* less time than this is none */

void
cf_issue_answer_wipe(struct cf_issue_answer *answer)
{
	OPENSSL_cleanse(answer, sizeof *answer);
}

/* ---- the request ---- */

static json_t *
b64(const void *bytes, size_t len)
{
	char text[CF_B64URL_LEN(64) + 1];
	json_t *s;

	cf_b64url_encode(bytes, len, text);
	s = json_string(text);
	OPENSSL_cleanse(text, sizeof text);
	return s;
}

static json_t *
key_to_json(const struct cf_issue_key *key)
{
	json_t *expires = key->expires_in_s > 0 ?
	    json_integer(key->expires_in_s) : NULL;

	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:{s:s, s:o*}}",
	    "key_id", b64(key->key_id, sizeof key->key_id),
	    "token", b64(key->token.bytes, key->token.len),
	    "algorithm", CF_ISSUE_ALGORITHM,
	    "opening_key", b64(key->opening_key, sizeof key->opening_key),
	    "possession_key",
	    b64(key->possession_key, sizeof key->possession_key),
	    "policy", "require", cf_assurance_name(CF_ASSURANCE_BEARER),
	    "expires_in", expires);
}

/* They are overwritten before jansson frees them. */
static void
cleanse_member(const json_t *object, const char *name)
{
	json_t *s = json_object_get(object, name);

	if (json_is_string(s))
		OPENSSL_cleanse((char *)(uintptr_t)json_string_value(s),
		    json_string_length(s));
}

static void
cleanse_tokens(const json_t *root)
{
	const json_t *keys = json_object_get(root, "keys");
	size_t i;

	for (i = 0; i < json_array_size(keys); i++)
		cleanse_member(json_array_get(keys, i), "token");
}

static int
dump_to_buf(const char *data, size_t len, void *arg)
{
	cf_buf_add(arg, data, len);
	return 0;
}

enum cf_err
cf_issue_build(const struct cf_issue_request *request, struct cf_buf *json,
    struct cf_why *why)
{
	json_t *root, *recipients = json_array(), *keys = json_array();
	bool good = true;
	size_t i;
	int rc;

	for (i = 0; i < request->recipient_count; i++)
		good &= json_array_append_new(recipients,
		    json_string(request->recipients[i])) == 0;
	for (i = 0; i < request->key_count; i++)
		good &= json_array_append_new(keys,
		    key_to_json(&request->keys[i])) == 0;
	root = json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:s, s:o}",
	    "request_id", b64(request->request_id, CF_ISSUE_ID_LEN),
	    "message_ref", b64(request->message_ref, CF_REF_LEN),
	    "reference_check",
	    b64(request->reference_check, CF_REF_CHECK_LEN),
	    "message_id", request->message_id,
	    "sender", request->sender,
	    "recipients", recipients,
	    "reader_url", request->reader_url,
	    "keys", keys);
	if (root == NULL || !good) {
		json_decref(root);
		return cf_fail(CF_E_SYNTAX, why,
		    "an address or the Message-ID is not UTF-8");
	}
	rc = json_dump_callback(root, dump_to_buf, json, JSON_COMPACT);
	cleanse_tokens(root);
	json_decref(root);
	if (rc != 0)
		return cf_fail(CF_E_INTERNAL, why, "JSON could not be written");
	return cf_buf_check(json, why);
}

/* ---- the answer ---- */

/* Is the member the base64url text of exactly these bytes? */
static bool
is_bytes(const json_t *object, const char *name, const void *want, size_t len)
{
	unsigned char have[64];

	return len <= sizeof have && cf_json_bytes(object, name, have, len) &&
	    memcmp(have, want, len) == 0;
}

static bool
is_text(const json_t *object, const char *name, const char *want)
{
	const char *have = cf_json_string(object, name);

	return have != NULL && strcmp(have, want) == 0;
}

static enum cf_err
parse_key(const json_t *object, const struct cf_issue_key *asked,
    struct cf_issue_answer *ret, struct cf_why *why)
{
	char text[CF_LINK_MAX + 1], token[CF_TOKEN_TEXT_LEN + 1];
	unsigned char commitment[CF_COMMITMENT_LEN];
	const char *locator = cf_json_string(object, "locator");
	enum cf_err rc = CF_E_LINK_SYNTAX;

	if (!is_bytes(object, "key_id", asked->key_id, CF_KEY_ID_LEN))
		return cf_fail(CF_E_PROTOCOL, why,
		    "the answer is for another key id");
	if (!is_text(object, "algorithm", CF_ISSUE_ALGORITHM))
		return cf_fail(CF_E_PROTOCOL, why, "unknown algorithm");
	if (!cf_json_secret(object, "key", CF_KEK_LEN, &ret->kek))
		return cf_fail(CF_E_PROTOCOL, why, "no key in the answer");
	cf_proof_key_commitment(ret->kek.bytes, ret->kek.len, commitment);
	if (!is_bytes(object, "key_commitment", commitment,
	    sizeof commitment))
		return cf_fail(CF_E_PROTOCOL, why,
		    "the key commitment is not that of the key");
	cf_secret_to_b64url(&asked->token, token);
	if (locator != NULL && (size_t)snprintf(text, sizeof text, "%s#%s",
	    locator, token) < sizeof text)
		rc = cf_link_parse(text, &ret->locator, NULL);
	OPENSSL_cleanse(text, sizeof text);
	OPENSSL_cleanse(token, sizeof token);
	if (rc != CF_OK || memcmp(ret->locator.key_id, asked->key_id,
	    CF_KEY_ID_LEN) != 0)
		return cf_fail(CF_E_PROTOCOL, why,
		    "the locator in the answer is not valid");
	return CF_OK;
}

static enum cf_err
parse_root(const struct cf_issue_request *request, const json_t *root,
    struct cf_issue_answer *answers, struct cf_why *why)
{
	const json_t *keys = json_object_get(root, "keys");
	enum cf_err rc;
	size_t i;

	if (!is_bytes(root, "request_id", request->request_id,
	    CF_ISSUE_ID_LEN))
		return cf_fail(CF_E_PROTOCOL, why,
		    "the answer is for another request");
	if (json_array_size(keys) != request->key_count)
		return cf_fail(CF_E_PROTOCOL, why,
		    "the answer has another number of keys");
	for (i = 0; i < request->key_count; i++) {
		rc = parse_key(json_array_get(keys, i), &request->keys[i],
		    &answers[i], why);
		if (rc != CF_OK)
			return rc;
	}
	return CF_OK;
}

enum cf_err
cf_issue_parse(const struct cf_issue_request *request, const char *json,
    size_t len, struct cf_issue_answer *answers, struct cf_why *why)
{
	CF_AUTO(cf_json_free) json_t *root = NULL;
	enum cf_err rc;
	size_t i;

	if (cf_json_parse(json, len, &root, why) != CF_OK)
		return CF_E_PROTOCOL;
	rc = parse_root(request, root, answers, why);
	for (i = 0; rc != CF_OK && i < request->key_count; i++)
		cf_issue_answer_wipe(&answers[i]);
	return rc;
}

/* ---- asking ---- */

/* May the same request do better at the same server a moment later? */
static bool
is_worth_repeating(enum cf_err rc)
{
	return cf_err_class(rc) != CF_CLASS_PERM && rc != CF_E_TLS &&
	    rc != CF_E_PROXY;
}

/* Words of a server about itself must not be taken for ours. */
static enum cf_err
as_answer(enum cf_err rc)
{
	switch (rc) {
	case CF_E_UNAUTHORIZED:
	case CF_E_SENDER:
	case CF_E_REFERENCE:
	case CF_E_NEEDS_MAILBOX:
	case CF_E_POLICY:
	case CF_E_KEY_TAKEN:
	case CF_E_BUSY:
	case CF_E_DATABASE:
	case CF_E_MASTER_KEY:
		return rc;
	default:
		return cf_err_class(rc) == CF_CLASS_PERM ? CF_E_REFUSED :
		    CF_E_PROTOCOL;
	}
}

static enum cf_err
ask_once(const struct cf_issue_client *client, const char *server,
    const struct cf_issue_request *request, const struct cf_buf *json,
    struct cf_issue_answer *answers, struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf body =
	    CF_BUF_INIT_SECRET(CF_ISSUE_ANSWER_MAX);
	int64_t left = client->deadline_ms - cf_clock_mono_ms();
	struct cf_httpc_request http = { 0 };
	struct cf_why inner = { "" };
	enum cf_err rc;
	long status = 0;

	if (left < LEAST_MS)
		return cf_fail(CF_E_TIMEOUT, why, "%s: no time left", server);
	http.service = server;
	http.path = CF_PATH_ISSUE;
	http.json = cf_buf_str(json);
	http.json_len = json->len;
	http.bearer = client->bearer;
	http.timeout_ms = left < client->request_timeout_ms ? (long)left :
	    client->request_timeout_ms;
	http.tick = client->tick;
	http.tick_arg = client->tick_arg;
	rc = cf_httpc_send(client->http, &http, &status, &body, why);
	if (rc != CF_OK)
		return rc;
	if (status != 200 && status != 201)
		return as_answer(cf_json_problem(status, cf_buf_str(&body),
		    body.len, server, why));
	rc = cf_issue_parse(request, cf_buf_str(&body), body.len, answers,
	    &inner);
	if (rc != CF_OK)
		return cf_fail(rc, why, "%s: %s", server, inner.text);
	return CF_OK;
}

static enum cf_err
ask_observed(const struct cf_issue_client *client, const char *server,
    const struct cf_issue_request *request, const struct cf_buf *json,
    struct cf_issue_answer *answers, struct cf_why *why)
{
	int64_t began = cf_clock_mono_ms();
	enum cf_err rc;

	rc = ask_once(client, server, request, json, answers, why);
	if (client->observe != NULL)
		client->observe(server, rc, cf_clock_mono_ms() - began);
	return rc;
}

/* Wait before trying again, in steps that let tick() speak to the peer. */
static bool
pause_ms(const struct cf_issue_client *client, long ms)
{
	struct timespec step = { 0, 50 * 1000000L };
	long done;

	if (client->deadline_ms - cf_clock_mono_ms() < ms + LEAST_MS)
		return false;
	for (done = 0; done < ms; done += 50) {
		if (client->tick != NULL && client->tick(client->tick_arg) != 0)
			return false;
		nanosleep(&step, NULL);
	}
	return true;
}

static enum cf_err
ask_server(const struct cf_issue_client *client, const char *server,
    const struct cf_issue_request *request, const struct cf_buf *json,
    struct cf_issue_answer *answers, struct cf_why *why)
{
	enum cf_err rc = CF_E_TIMEOUT;
	int try;

	for (try = 0; try < TRIES; try++) {
		if (try > 0 && !pause_ms(client,
		    rc == CF_E_BUSY ? BUSY_PAUSE_MS : PAUSE_MS))
			break;
		rc = ask_observed(client, server, request, json, answers, why);
		if (rc == CF_OK || !is_worth_repeating(rc))
			break;
	}
	return rc;
}

static bool
is_down(const struct cf_issue_client *client, size_t i)
{
	return client->down_until_ms != NULL &&
	    atomic_load(&client->down_until_ms[i]) > cf_clock_mono_ms();
}

static void
set_down(const struct cf_issue_client *client, size_t i, bool down)
{
	if (client->down_until_ms != NULL)
		atomic_store(&client->down_until_ms[i],
		    down ? cf_clock_mono_ms() + DOWN_MS : 0);
}

enum cf_err
cf_issue(const struct cf_issue_client *client,
    const struct cf_issue_request *request, struct cf_issue_answer *answers,
    struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf json =
	    CF_BUF_INIT_SECRET(CF_ISSUE_BODY_MAX);
	CF_AUTO(cf_free) bool *later =
	    cf_calloc(client->server_count, sizeof *later);
	enum cf_err rc;
	size_t i;
	int pass;

	rc = cf_issue_build(request, &json, why);
	if (rc != CF_OK)
		return rc;
	if (client->server_count == 0)
		return cf_fail(CF_E_CONFIG, why, "no key server is configured");
	for (i = 0; i < client->server_count; i++)
		later[i] = is_down(client, i);
	/* First those not known to be down; then, if need be, the others. */
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < client->server_count; i++) {
			if (later[i] != (pass == 1))
				continue;
			rc = ask_server(client, client->servers[i], request,
			    &json, answers, why);
			set_down(client, i, rc != CF_OK);
			if (rc == CF_OK)
				return CF_OK;
		}
	return rc;
}
