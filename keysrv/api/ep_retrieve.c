/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /api/v1/retrieve - the key, against a receipt.  The work is done in
 * release.c.
 */
#include "common/fault.h"
#include "common/mem.h"
#include "keysrv/http/kind.h"
#include "keysrv/key/release.h"

static enum cf_err
parse(struct cf_req *req, struct cf_why *why)
{
	struct cf_release_item *item = cf_calloc(1, sizeof *item);
	enum cf_err rc;

	req->item = item;
	rc = cf_ask_parse(req->json, &item->ask, why);
	cf_fault("release.parsed");
	return rc;
}

const struct cf_action cf_ep_retrieve = {
	.kind = &cf_kind_release,
	.parse = parse,
	.free_item = cf_release_item_free,
};
