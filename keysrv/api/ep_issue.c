/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /api/v1/issue - a gateway registers a message and gets its keys.  The
 * work is done in issue.c.
 */
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/crypto_point.h"
#include "common/digest.h"
#include "common/fault.h"
#include "common/mem.h"
#include "keysrv/http/fields.h"
#include "keysrv/http/kind.h"
#include "keysrv/key/issue.h"

/* Better than that, nobody who asks for a key is known here. */
#define OFFERED CF_ASSURANCE_BEARER

#define AT(member) offsetof(struct cf_issue_item, member)
static const struct cf_member fields[] = {
	{ "request_id", CF_MEMBER_BYTES, .offset = AT(request_id),
	    .len = CF_EVENT_ID_LEN },
	{ "message_ref", CF_MEMBER_BYTES, .offset = AT(message_ref),
	    .len = CF_REF_LEN },
	{ "reference_check", CF_MEMBER_BYTES, .offset = AT(reference_check),
	    .len = CF_REF_CHECK_LEN },
	{ "message_id", CF_MEMBER_TEXT_OR_EMPTY, .offset = AT(message_id),
	    .len = CF_MESSAGE_ID_MAX },
	{ "sender", CF_MEMBER_TEXT, .offset = AT(sender),
	    .len = CF_WIRE_ADDRESS_MAX },
	{ "recipients", CF_MEMBER_VALUE, .offset = AT(recipients) },
	{ "reader_url", CF_MEMBER_WORD, .offset = AT(reader_url),
	    .len = CF_SERVICE_MAX },
	{ "keys", CF_MEMBER_VALUE, .offset = AT(keys) },
};
#undef AT

#define AT(member) offsetof(struct cf_item_key, member)
static const struct cf_member key_fields[] = {
	{ "key_id", CF_MEMBER_BYTES, .offset = AT(key_id),
	    .len = CF_KEY_ID_LEN },
	{ "token", CF_MEMBER_SECRET, .offset = AT(token), .len = CF_TOKEN_LEN },
	{ "algorithm", CF_MEMBER_WORD, .offset = AT(algorithm),
	    .len = sizeof ((struct cf_item_key *)0)->algorithm - 1 },
	{ "opening_key", CF_MEMBER_BYTES, .offset = AT(opening_key),
	    .len = CF_PUBLIC_KEY_LEN },
	{ "possession_key", CF_MEMBER_BYTES, .offset = AT(possession_key),
	    .len = CF_PUBLIC_KEY_LEN },
	{ "policy", CF_MEMBER_VALUE, .offset = AT(policy) },
};
#undef AT

struct policy {
	char require[33];
	int64_t expires_in_s;
};

#define AT(member) offsetof(struct policy, member)
static const struct cf_member policy_fields[] = {
	{ "require", CF_MEMBER_WORD, .offset = AT(require), .len = 32 },
	{ "expires_in", CF_MEMBER_INT, .offset = AT(expires_in_s),
	    .min = 1, .max = CF_ISSUE_EXPIRES_MAX_S, .optional = true },
};
#undef AT

#define COUNT(table) (sizeof table / sizeof table[0])

/* ---- pieces ---- */

static enum cf_err
read_recipients(struct cf_issue_item *item, struct cf_why *why)
{
	size_t i, n = json_array_size(item->recipients);
	const char *s;

	if (n < 1 || n > CF_ISSUE_RECIPIENTS_MAX)
		return cf_fail(CF_E_SYNTAX, why, "\"recipients\" is not an "
		    "array of 1 to %d addresses.", CF_ISSUE_RECIPIENTS_MAX);
	for (i = 0; i < n; i++) {
		s = json_string_value(json_array_get(item->recipients, i));
		if (s == NULL || !cf_address_registrable(s))
			return cf_fail(CF_E_SYNTAX, why, "A recipient is not "
			    "an address of 1 to %d bytes whose characters can "
			    "all be seen.", CF_WIRE_ADDRESS_MAX);
		item->recipient[item->recipient_count++] = cf_strdup(s);
	}
	return CF_OK;
}

/* The domain in lower case. */
static enum cf_err
take_domain(struct cf_issue_item *item, struct cf_why *why)
{
	const char *at;
	size_t i;

	if (!cf_address_ok(item->sender))
		return cf_fail(CF_E_SYNTAX, why, "\"sender\" is not an "
		    "address that a receipt can be sent to: letters, digits "
		    "and the usual signs of ASCII, without quotes, single "
		    "dots between words, with a domain, %d bytes at most.",
		    CF_ADDRESS_MAX);
	at = strrchr(item->sender, '@');
	for (i = 0; at[i] != '\0'; i++)
		item->domain[i] = at[i + 1] >= 'A' && at[i + 1] <= 'Z'
		    ? (char)(at[i + 1] + ('a' - 'A')) : at[i + 1];
	return CF_OK;
}

static enum cf_err
read_policy(struct cf_item_key *key, struct cf_why *why)
{
	struct policy policy = { .expires_in_s = 0 };
	enum cf_err rc;

	rc = cf_fields_read(key->policy, policy_fields, COUNT(policy_fields),
	    &policy, why);
	if (rc != CF_OK)
		return rc;
	if (!cf_assurance_parse(policy.require, &key->require) ||
	    !cf_assurance_at_least(OFFERED, key->require))
		return cf_fail(CF_E_POLICY, why, "This server offers only "
		    "\"require\": \"%s\".", cf_assurance_name(OFFERED));
	key->expires_in_s = policy.expires_in_s;
	return CF_OK;
}

/* Under another "key" no proof would ever hold, or any would. */
static enum cf_err
check_points(const struct cf_item_key *key, struct cf_why *why)
{
	if (!cf_point_is_key(key->opening_key))
		return cf_fail(CF_E_SYNTAX, why,
		    "\"opening_key\" is not a public key of Ed25519.");
	if (!cf_point_is_key(key->possession_key))
		return cf_fail(CF_E_SYNTAX, why,
		    "\"possession_key\" is not a public key of Ed25519.");
	if (memcmp(key->opening_key, key->possession_key,
	    CF_PUBLIC_KEY_LEN) == 0)
		return cf_fail(CF_E_SYNTAX, why, "\"opening_key\" and "
		    "\"possession_key\" are the same.");
	return CF_OK;
}

static enum cf_err
read_keys(struct cf_issue_item *item, struct cf_why *why)
{
	size_t i, j, n = json_array_size(item->keys);
	struct cf_item_key *key;
	enum cf_err rc;

	if (n < 1 || n > CF_ISSUE_KEYS_MAX)
		return cf_fail(CF_E_SYNTAX, why, "\"keys\" is not an array of "
		    "1 to %d keys.", CF_ISSUE_KEYS_MAX);
	item->key = cf_calloc(n, sizeof *item->key);
	item->key_count = n;
	for (i = 0; i < n; i++) {
		key = &item->key[i];
		rc = cf_fields_read(json_array_get(item->keys, i), key_fields,
		    COUNT(key_fields), key, why);
		if (rc == CF_OK)
			rc = read_policy(key, why);
		if (rc != CF_OK)
			return rc;
		if (strcmp(key->algorithm, CF_ISSUE_ALGORITHM) != 0)
			return cf_fail(CF_E_SYNTAX, why, "\"algorithm\" is "
			    "not \"" CF_ISSUE_ALGORITHM "\".");
		rc = check_points(key, why);
		if (rc != CF_OK)
			return rc;
		for (j = 0; j < i; j++)
			if (memcmp(item->key[j].key_id, key->key_id,
			    CF_KEY_ID_LEN) == 0)
				return cf_fail(CF_E_SYNTAX, why,
				    "A key id stands there twice.");
		cf_proof_sha256(&key->token, key->token_sha256);
	}
	return CF_OK;
}

/*
 * A hash over all that was asked for with this key, but for the request id:
 * equal hash, equal request.  The names and line ends keep values apart.
 */
static void
hash_values(const struct cf_issue_item *item, struct cf_item_key *key,
    struct cf_buf *buf)
{
	size_t i;

	cf_buf_reset(buf);
	cf_buf_adds(buf, "counterfoil-issue/v1\n");
	cf_record_bytes(buf, "key", key->key_id, sizeof key->key_id);
	cf_record_bytes(buf, "token-sha256", key->token_sha256,
	    sizeof key->token_sha256);
	cf_record_bytes(buf, "ref", item->message_ref,
	    sizeof item->message_ref);
	cf_record_text(buf, "message-id", item->message_id);
	cf_record_text(buf, "sender", item->sender);
	for (i = 0; i < item->recipient_count; i++)
		cf_record_text(buf, "recipient", item->recipient[i]);
	cf_record_text(buf, "reader", item->reader_url);
	cf_record_text(buf, "algorithm", key->algorithm);
	cf_record_text(buf, "require", cf_assurance_name(key->require));
	if (key->expires_in_s > 0)
		cf_buf_addf(buf, "expires-in %lld\n",
		    (long long)key->expires_in_s);
	cf_record_bytes(buf, "opening-key", key->opening_key,
	    sizeof key->opening_key);
	cf_record_bytes(buf, "possession-key", key->possession_key,
	    sizeof key->possession_key);
	cf_digest_of(buf->data, buf->len, key->values_sha256);
}

static enum cf_err
check(struct cf_issue_item *item, struct cf_why *why)
{
	struct cf_buf buf = CF_BUF_INIT(CF_RECORD_MAX);
	enum cf_err rc;
	size_t i;

	rc = cf_link_check_service(item->reader_url, NULL);
	if (rc != CF_OK)
		return cf_fail(CF_E_SYNTAX, why, "\"reader_url\" is not "
		    "https://host[:port] (http for loopback only).");
	rc = take_domain(item, why);
	if (rc == CF_OK && item->recipient_count > 1)
		rc = cf_fail(CF_E_NEEDS_MAILBOX, why, "Several recipients "
		    "under one key need the mailbox code, which this server "
		    "does not offer yet.");
	if (rc != CF_OK)
		return rc;
	for (i = 0; i < item->key_count; i++)
		hash_values(item, &item->key[i], &buf);
	if (buf.full)
		rc = CF_E_TOO_LARGE;
	cf_buf_free(&buf);
	return rc;
}

static enum cf_err
parse(struct cf_req *req, struct cf_why *why)
{
	struct cf_issue_item *item = cf_calloc(1, sizeof *item);
	enum cf_err rc;

	req->item = item;
	rc = cf_fields_read(req->json, fields, COUNT(fields), item, why);
	if (rc == CF_OK)
		rc = read_recipients(item, why);
	if (rc == CF_OK)
		rc = read_keys(item, why);
	if (rc == CF_OK)
		rc = check(item, why);
	/* Lent by the tree, which goes now. */
	item->recipients = item->keys = NULL;
	cf_fault("issue.parsed");
	return rc;
}

static void
free_item(void *arg)
{
	struct cf_issue_item *item = arg;
	size_t i;

	for (i = 0; i < item->recipient_count; i++)
		free(item->recipient[i]);
	for (i = 0; i < item->key_count; i++) {
		cf_secret_wipe(&item->key[i].token);
		cf_secret_wipe(&item->key[i].kd);
	}
	free(item->key);
	free(item);
}

const struct cf_action cf_ep_issue = {
	.kind = &cf_kind_issue,
	.parse = parse,
	.free_item = free_item,
};
