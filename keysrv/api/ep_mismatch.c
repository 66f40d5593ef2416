/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /api/v1/mismatch - the agent found that the message is not the one
 * that was registered, and has shown nothing of it.
 */
#include "keysrv/key/opening.h"

#include "keysrv/http/kind.h"

static enum cf_err
parse(struct cf_req *req, struct cf_why *why)
{
	return cf_opening_parse(req, CF_PROOF_MISMATCH, why);
}

const struct cf_action cf_ep_mismatch = {
	.kind = &cf_kind_opening,
	.parse = parse,
	.free_item = cf_opening_item_free,
};
