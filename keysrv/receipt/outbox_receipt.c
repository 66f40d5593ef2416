/* SPDX-License-Identifier: Apache-2.0 */
/* From a row of the outbox to a receipt mail - see outbox_kind.h. */
#include <stddef.h>

#include "common/b64url.h"
#include "keysrv/receipt/outbox_kind.h"
#include "keysrv/receipt/receipt.h"

/* The table forbids it of receipts, unless its owner has changed that. */
static const char *
missing(const struct cf_db_outbox_row *row, enum cf_receipt_grade grade)
{
	return !row->has_key ? "key_id" :
	    row->assurance == NULL ? "assurance" :
	    row->sender == NULL ? "sender" :
	    row->recipient == NULL ? "recipient" :
	    row->principal == NULL ? "principal" :
	    row->original_message_id == NULL ? "original_message_id" :
	    row->released_ms < 0 ? "released_at" :
	    grade == CF_RECEIPT_OPENED && row->opened_ms < 0 ? "opened_at" :
	    NULL;
}

static enum cf_err
read_words(const struct cf_db_outbox_row *row, enum cf_receipt_grade *ret_grade,
    enum cf_assurance *ret_assurance, struct cf_why *why)
{
	const char *column;

	if (!cf_receipt_grade_parse(row->kind, ret_grade))
		cf_bug("a receipt's kind without a grade");
	column = missing(row, *ret_grade);
	if (column != NULL)
		return cf_fail(CF_E_INTERNAL, why, "nothing stands in its "
		    "column %s", column);
	if (!cf_assurance_parse(row->assurance, ret_assurance))
		return cf_fail(CF_E_INTERNAL, why,
		    "no receipt is written for \"%s\" at \"%s\"", row->kind,
		    row->assurance);
	return CF_OK;
}

enum cf_err
cf_outbox_build_receipt(const struct cf_outbox_desk *desk,
    const struct cf_db_outbox_row *row, struct cf_buf *mail,
    const char **ret_to, struct cf_why *why)
{
	char handle[CF_B64URL_LEN(CF_KEY_ID_LEN) + 1];
	char message_id[CF_RECEIPT_MESSAGE_ID_MAX + 1];
	struct cf_receipt r = {
		.second = row->second,
		.key_handle = handle,
		.from = desk->from,
		.to = row->sender,
		.recipient = row->recipient,
		.principal = row->principal,
		.original_message_id = row->original_message_id,
		.message_id = message_id,
		.date_ms = desk->now_ms,
		.released_ms = row->released_ms,
		.opened_ms = row->opened_ms,
	};
	enum cf_err rc = read_words(row, &r.grade, &r.assurance, why);

	if (rc != CF_OK)
		return rc;
	cf_b64url_encode(row->key_id, sizeof row->key_id, handle);
	cf_receipt_message_id(desk->server_secret, row->event_id, row->kind,
	    r.from, message_id);
	*ret_to = row->sender;
	return cf_receipt_build(&r, desk->signer, mail, why);
}
