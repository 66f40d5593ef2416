/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /api/v1/retrieve - the key, against a receipt.  The work is done in
 * release.c.
 */
#include "common/fault.h"
#include "common/mem.h"
#include "keysrv/release.h"

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

const struct cf_endpoint cf_ep_retrieve = {
	.method = "POST",
	.path = "/api/v1/retrieve",
	.kind = CF_KIND_RETRIEVE,
	.any_origin = true,
	.body_max = 16384,
	.parse = parse,
	.free_item = cf_release_item_free,
};
