/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /healthz and GET /readyz - for monitors and balancers: does it answer,
 * and can it do its work?
 */
#include "keysrv/health.h"
#include "keysrv/http/json_out.h"
#include "keysrv/http/request.h"

/* Alive means: HTTP is answered.  It never asks the database. */
static enum cf_err
healthz(struct cf_req *req, struct cf_why *why)
{
	struct cf_jout out;

	(void)why;
	cf_jout_begin(&out, cf_req_ok(req, 200));
	cf_jout_str(&out, "status", "ok");
	cf_jout_end(&out);
	return CF_OK;
}

/* No worker's work: they may all wait for a commit that hangs. */
static void
readyz(struct cf_req *req)
{
	cf_health_ask(req->ks->health, req);
}

const struct cf_action cf_ep_healthz = {
	.parse = healthz,
};
const struct cf_action cf_ep_readyz = {
	.ask = readyz,
};
