/* SPDX-License-Identifier: Apache-2.0 */
/* The kind `single`: one request, one transaction - see kind.h. */
#include "keysrv/http/batch.h"
#include "keysrv/http/kind.h"
#include "keysrv/http/request.h"
#include "keysrv/who/who.h"

static enum cf_err
single(struct cf_db *db, void *arg, struct cf_why *why)
{
	const struct cf_batch *batch = arg;
	struct cf_req *req = batch->req[0];
	enum cf_err rc;

	if ((req->ep->who & CF_WHO_KNOWN) == 0)
		return req->ep->action->run(db, req, why);
	rc = cf_who_find(batch, why);
	if (rc != CF_OK)
		return rc;
	if (req->caller.method != NULL)
		return req->ep->action->run(db, req, why);
	cf_req_fail(req, CF_E_UNAUTHORIZED, NULL);
	return CF_OK;
}

static void
single_run(struct cf_batch *batch)
{
	struct cf_batch one = *batch;
	size_t i;

	one.count = 1;
	for (i = 0; i < batch->count; i++) {
		one.req = &batch->req[i];
		cf_batch_run(&one, one.req[0]->ep->action->mode,
		    one.req[0]->ep->name, single);
	}
}

const struct cf_kind cf_kind_single = {
	.name = "single",
	.run = single_run,
};
