/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_who - see who.h; and the kind that asks for nothing but the caller,
 * before a body is read that only callers who are known may send.
 */
#include "keysrv/who/who.h"

#include <stdio.h>
#include <string.h>

#include "keysrv/db/db_row.h"
#include "keysrv/db/db_who.h"
#include "keysrv/http/batch.h"
#include "keysrv/http/kind.h"
#include "keysrv/http/request.h"

static const struct cf_method *const methods[CF_METHOD__COUNT] = {
	&cf_method_token,
};

/* No header tells of it: it is found when the key is. */
static const struct cf_method holder = {
	.name = "holder",
	.assurance = CF_ASSURANCE_BEARER,
};

enum cf_err
cf_who_read(struct cf_req *req, struct cf_why *why)
{
	enum cf_err rc = (req->ep->who & CF_WHO_KNOWN) == 0 ? CF_OK :
	    CF_E_UNAUTHORIZED;
	size_t m;

	for (m = 0; m < CF_METHOD__COUNT; m++) {
		if ((req->ep->who & methods[m]->who) == 0)
			continue;
		rc = methods[m]->read(req, req->claim.sha256, why);
		if (rc == CF_OK) {
			req->claim.method = methods[m];
			break;
		}
	}
	return rc;
}

static bool
has_claims(const struct cf_batch *batch, const struct cf_method *method)
{
	size_t i;

	for (i = 0; i < batch->count; i++)
		if (batch->req[i]->claim.method == method)
			return true;
	return false;
}

static size_t
send_claims(const struct cf_batch *batch, const struct cf_method *method,
    const char *(*domain)(const struct cf_req *req))
{
	struct cf_db_args claims;
	const struct cf_req *req;
	size_t i, result;
	bool is_its;

	cf_db_who_args(&claims);
	/* Rows are found by position: every request takes one. */
	for (i = 0; i < batch->count; i++) {
		req = batch->req[i];
		is_its = req->claim.method == method;
		cf_db_who_add(&claims, req->claim.sha256,
		    is_its ? CF_DIGEST_LEN : 0,
		    is_its && domain != NULL ? domain(req) : "");
	}
	result = method->send(batch->db, &claims);
	cf_db_args_free(&claims);
	return result;
}

void
cf_who_send(const struct cf_batch *batch,
    const char *(*domain)(const struct cf_req *req),
    struct cf_who_asked *ret)
{
	size_t m, i;

	memset(ret, 0, sizeof *ret);
	for (i = 0; i < batch->count; i++)
		memset(&batch->req[i]->caller, 0,
		    sizeof batch->req[i]->caller);
	for (m = 0; m < CF_METHOD__COUNT; m++) {
		ret->sent[m] = has_claims(batch, methods[m]);
		if (ret->sent[m])
			ret->result[m] = send_claims(batch, methods[m],
			    domain);
	}
}

static void
who_set(struct cf_caller *caller, const struct cf_method *method,
    const struct cf_who_row *row)
{
	caller->method = method;
	caller->assurance = method->assurance;
	caller->account_id = row->account_id;
	(void)snprintf(caller->principal, sizeof caller->principal, "%lld",
	    (long long)row->account_id);
	(void)snprintf(caller->account, sizeof caller->account, "%s",
	    row->account);
	caller->may_send = row->may_send;
	caller->has_reference = row->has_reference;
	if (row->has_reference)
		memcpy(caller->reference, row->reference,
		    sizeof caller->reference);
}

void
cf_who_get(const struct cf_batch *batch, const struct cf_who_asked *asked)
{
	struct cf_who_row row;
	size_t m, i;

	for (m = 0; m < CF_METHOD__COUNT; m++) {
		if (!asked->sent[m])
			continue;
		for (i = 0; i < cf_db_rows(batch->db, asked->result[m]);
		    i++) {
			cf_db_who_get(batch->db, asked->result[m], i, &row);
			who_set(&batch->req[row.number]->caller, methods[m],
			    &row);
		}
	}
}

enum cf_err
cf_who_find(const struct cf_batch *batch, struct cf_why *why)
{
	struct cf_who_asked asked;
	enum cf_err rc;

	cf_who_send(batch, NULL, &asked);
	rc = cf_db_flush(batch->db, why);
	if (rc == CF_OK)
		cf_who_get(batch, &asked);
	return rc;
}

void
cf_who_holds(struct cf_caller *caller)
{
	if (caller->method != NULL)
		return;
	caller->method = &holder;
	caller->assurance = holder.assurance;
	(void)snprintf(caller->principal, sizeof caller->principal, "%s",
	    cf_assurance_name(holder.assurance));
}

/* ---- the kind ---- */

static enum cf_err
who_look(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct cf_batch *batch = arg;
	enum cf_err rc = cf_who_find(batch, why);
	size_t i;

	(void)db;
	for (i = 0; i < batch->count && rc == CF_OK; i++) {
		if (batch->req[i]->caller.method == NULL)
			cf_req_fail(batch->req[i], CF_E_UNAUTHORIZED, NULL);
		else
			batch->req[i]->rc = CF_OK;
	}
	return rc;
}

const struct cf_kind cf_kind_who = {
	.name = "token",	/* in counters since there was no other */
	.mode = CF_DB_READ,
	.fn = who_look,
};
