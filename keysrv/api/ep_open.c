/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /api/v1/open - the opening proof: someone unwrapped the content key
 * in this release.  May be repeated.
 */
#include "keysrv/key/opening.h"

#include "keysrv/http/kind.h"

static enum cf_err
parse(struct cf_req *req, struct cf_why *why)
{
	return cf_opening_parse(req, CF_PROOF_OPEN, why);
}

const struct cf_action cf_ep_open = {
	.kind = &cf_kind_opening,
	.parse = parse,
	.free_item = cf_opening_item_free,
};
