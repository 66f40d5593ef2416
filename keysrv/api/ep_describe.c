/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /api/v1/describe - who sent it, and how who opens it is checked; for
 * holders of the message only.  Records nothing.
 */
#include "common/clock.h"
#include "keysrv/http/json_out.h"
#include "keysrv/http/kind.h"
#include "keysrv/key/criteria.h"
#include "keysrv/key/read.h"

/* Whether it can still be opened, first; then what has become of it. */
static const char *
state_of(const struct cf_key_row *key)
{
	/* For somebody who is known as well as the sender asks. */
	const struct cf_criteria_input in = {
		.known = key->assurance,
		.asked = key->assurance,
		.now_ms = cf_clock_ms(),
		.revoked_at_ms = key->revoked_at_ms,
		.expires_at_ms = key->expires_at_ms,
	};
	enum cf_err rc = cf_criteria_check(&in, NULL);

	if (rc != CF_OK)
		return rc == CF_E_REVOKED ? "revoked" : "expired";
	if (key->first_opened_at_ms >= 0)
		return "opened";
	return key->first_released_at_ms >= 0 ? "released" : "issued";
}

static void
answer(struct cf_req *req, const struct cf_read_item *item)
{
	const struct cf_key_row *key = &item->key;
	struct cf_why why = { "" };
	struct cf_jout out;
	enum cf_err rc;
	bool held;

	rc = cf_ask_check(&item->ask, CF_PROOF_DESCRIBE, req, key, &held,
	    &why);
	if (rc != CF_OK) {
		cf_req_fail(req, rc, &why);
		return;
	}
	cf_jout_begin(&out, cf_req_ok(req, 200));
	cf_jout_str(&out, "handle", item->ask.handle);
	cf_ask_write_issuer(&out, key);
	cf_jout_str(&out, "message_id", key->message_id);
	cf_jout_time(&out, "issued_at", key->issued_at_ms);
	if (key->expires_at_ms >= 0)
		cf_jout_time(&out, "expires_at", key->expires_at_ms);
	cf_jout_str(&out, "assurance", cf_assurance_name(key->assurance));
	cf_jout_str(&out, "algorithm", key->algorithm);
	cf_ask_write_registered(&out, key);
	cf_jout_str(&out, "state", state_of(key));
	cf_jout_end(&out);
}

static enum cf_err
parse(struct cf_req *req, struct cf_why *why)
{
	struct cf_read_item *item = cf_read_item_new(req);

	item->answer = answer;
	return cf_ask_parse(req->json, &item->ask, why);
}

const struct cf_action cf_ep_describe = {
	.kind = &cf_kind_read,
	.parse = parse,
	.free_item = cf_read_item_free,
};
