/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token - is the API token of a request good?  Asked before a body is read
 * that only account holders may send; the request itself asks again, in its
 * own transaction.
 */
#include "keysrv/db/db_key.h"
#include "keysrv/http/request.h"

static enum cf_err
look(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct cf_batch *batch = arg;
	unsigned char digest[CF_DIGEST_LEN];
	struct cf_db_args args;
	struct cf_sender_row sender;
	size_t i, row;
	enum cf_err rc;

	cf_db_sender_args(&args);
	for (i = 0; i < batch->count; i++) {
		cf_proof_sha256(&batch->req[i]->bearer, digest);
		cf_db_sender_add(&args, digest, "");
	}
	(void)cf_db_sender_send(db, &args);
	rc = cf_db_flush(db, why);
	cf_db_args_free(&args);
	if (rc != CF_OK)
		return rc;
	for (i = 0; i < batch->count; i++)
		cf_req_fail(batch->req[i], CF_E_UNAUTHORIZED, NULL);
	for (row = 0; row < cf_db_rows(db, 0); row++) {
		cf_db_sender_get(db, 0, row, &sender);
		batch->req[sender.number]->rc = CF_OK;
	}
	return CF_OK;
}

const struct cf_kind cf_kind_token = {
	.name = "token",
	.mode = CF_DB_READ,
	.fn = look,
};
