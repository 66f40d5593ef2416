/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /api/v1/challenge - something fresh to sign.  Records nothing; the
 * challenge is not stored.
 */
#include <string.h>

#include "common/clock.h"
#include "common/secret.h"
#include "keysrv/http/json_out.h"
#include "keysrv/http/kind.h"
#include "keysrv/key/read.h"

static void
answer(struct cf_req *req, const struct cf_read_item *item)
{
	unsigned char random[CF_CHALLENGE_RANDOM_LEN];
	char challenge[CF_CHALLENGE_TEXT_LEN + 1];
	struct cf_jout out;

	cf_random(random, sizeof random);
	cf_challenge_make(req->ks->challenge_secret, item->ask.key_id,
	    cf_clock_ms() / 1000, random, challenge);
	cf_jout_begin(&out, cf_req_ok(req, 200));
	cf_jout_str(&out, "challenge", challenge);
	cf_jout_int(&out, "expires_in",
	    req->ks->settings->challenge_lifetime_s);
	cf_jout_end(&out);
}

static enum cf_err
parse(struct cf_req *req, struct cf_why *why)
{
	struct cf_read_item *item = cf_read_item_new(req);

	item->answer = answer;
	item->token_only = true;
	return cf_ask_parse_short(req->json, &item->ask, why);
}

const struct cf_action cf_ep_challenge = {
	.kind = &cf_kind_read,
	.parse = parse,
	.free_item = cf_read_item_free,
};
