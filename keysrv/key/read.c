/* SPDX-License-Identifier: Apache-2.0 */
/* cf_read - see read.h. */
#include "keysrv/key/read.h"

#include <stdlib.h>

#include "common/mem.h"
#include "keysrv/http/batch.h"
#include "keysrv/http/kind.h"

struct cf_read_item *
cf_read_item_new(struct cf_req *req)
{
	struct cf_read_item *item = cf_calloc(1, sizeof *item);

	item->has_key = true;
	req->item = item;
	return item;
}

void
cf_read_item_free(void *arg)
{
	struct cf_read_item *item = arg;

	cf_key_row_free(&item->key);
	cf_secret_wipe(&item->ask.token);
	free(item);
}

static void
read_take_rows(struct cf_batch *batch, size_t result, bool token_only)
{
	struct cf_read_item *item;
	size_t row;

	for (row = 0; row < cf_db_rows(batch->db, result); row++) {
		item = batch->req[cf_db_number(batch->db, result, row)]->item;
		if (item->token_only != token_only)
			continue;
		if (token_only)
			cf_db_token_of_key_get(batch->db, result, row,
			    item->key.token_sha256);
		else
			cf_db_key_get(batch->db, result, row, &item->key);
		item->found = true;
	}
}

/* A wrong token and an unknown key take the same path to the same answer. */
static void
read_answer(struct cf_req *req)
{
	const struct cf_read_item *item = req->item;

	if (item->has_key && !cf_ask_knows_key(&item->ask,
	    item->found ? item->key.token_sha256 : NULL))
		cf_req_fail(req, CF_E_UNKNOWN_KEY, NULL);
	else
		item->answer(req, item);
}

static enum cf_err
read_all(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct cf_batch *batch = arg;
	size_t i, whole = 0, tokens = 0, count[2] = { 0, 0 };
	struct cf_read_item *item;
	struct cf_db_args keys;
	enum cf_err rc;

	cf_db_key_args(&keys);
	for (i = 0; i < batch->count; i++) {
		item = batch->req[i]->item;
		cf_key_row_free(&item->key);
		item->found = false;
		count[item->token_only]++;
		/* Rows are found by position: every request takes one. */
		cf_db_key_add(&keys, item->ask.key_id);
	}
	if (count[false] > 0)
		whole = cf_db_key_send(db, &keys);
	if (count[true] > 0)
		tokens = cf_db_token_of_key_send(db, &keys);
	rc = cf_db_flush(db, why);
	cf_db_args_free(&keys);
	if (rc != CF_OK)
		return rc;
	if (count[false] > 0)
		read_take_rows(batch, whole, false);
	if (count[true] > 0)
		read_take_rows(batch, tokens, true);
	for (i = 0; i < batch->count; i++)
		read_answer(batch->req[i]);
	return CF_OK;
}

const struct cf_kind cf_kind_read = {
	.name = "read",
	.mode = CF_DB_READ,
	.fn = read_all,
};
