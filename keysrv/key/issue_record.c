/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a batch of issues writes down: keys, their events, and references of
 * accounts that had none.  See issue.h.
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/secret.h"
#include "keysrv/db/db_receipt.h"
#include "keysrv/http/batch.h"
#include "keysrv/key/issue.h"

/* -1: never. */
static int64_t
expires_at(const struct cf_item_key *key, int64_t now_ms)
{
	return key->expires_in_s > 0 ? now_ms + key->expires_in_s * 1000 : -1;
}

static void
issue_write_record(struct cf_buf *rec, const unsigned char *event_id,
    const struct cf_issue_item *item, const struct cf_item_key *key,
    int64_t now_ms)
{
	char account[24], expires[CF_TIME_LEN + 1];
	size_t i;

	cf_record_begin(rec, "issued", event_id, key->key_id,
	    item->message_ref, now_ms);
	cf_record_bytes(rec, "request", item->request_id,
	    sizeof item->request_id);
	cf_record_text(rec, "sender", item->sender);
	for (i = 0; i < item->recipient_count; i++)
		cf_record_text(rec, "recipient", item->recipient[i]);
	cf_record_text(rec, "message-id", item->message_id);
	cf_record_text(rec, "reader", item->reader_url);
	cf_record_text(rec, "algorithm", key->algorithm);
	cf_record_text(rec, "assurance", cf_assurance_name(key->require));
	if (key->expires_in_s > 0) {
		cf_clock_format(expires_at(key, now_ms), expires);
		cf_record_text(rec, "expires", expires);
	}
	(void)snprintf(account, sizeof account, "%lld",
	    (long long)item->caller->account_id);
	cf_record_text(rec, "account", account);
	cf_record_registered(rec, key->opening_key, key->possession_key,
	    key->key_commitment);
}

struct writes {
	struct cf_issue_args keys;
	struct cf_db_args event, reference;
	struct cf_buf rec;
	size_t count, references;
};

static void
add_key(struct writes *w, const struct cf_issue_item *item,
    const struct cf_item_key *key, int64_t now_ms)
{
	const struct cf_new_key row = {
		.key_id = key->key_id,
		.token_sha256 = key->token_sha256,
		.request_id = item->request_id,
		.values_sha256 = key->values_sha256,
		.message_ref = item->message_ref,
		.opening_key = key->opening_key,
		.possession_key = key->possession_key,
		.key_commitment = key->key_commitment,
		.account_id = item->caller->account_id,
		.issued_at_ms = now_ms,
		.expires_at_ms = expires_at(key, now_ms),
		.message_id = item->message_id,
		.sender = item->sender,
		.reader_url = item->reader_url,
		.algorithm = key->algorithm,
		.assurance = key->require,
		.recipients = { (const char *const *)item->recipient,
		    item->recipient_count },
		.material = &key->material,
	};
	unsigned char id[CF_EVENT_ID_LEN];

	cf_random(id, sizeof id);
	cf_db_issue_add(&w->keys, &row);
	issue_write_record(&w->rec, id, item, key, now_ms);
	cf_db_event_add(&w->event, id, "issued", key->key_id, NULL,
	    &w->rec);
	w->count++;
}

static void
send_writes(struct cf_db *db, const struct writes *w)
{
	if (w->count == 0)
		return;
	cf_db_issue_send(db, &w->keys);
	cf_db_event_send(db, &w->event);
	if (w->references > 0)
		cf_db_reference_send(db, &w->reference);
}

void
cf_issue_record(const struct cf_batch *batch, int64_t now_ms)
{
	const struct cf_issue_item *item;
	struct writes w = { .count = 0 };
	size_t i, j;

	cf_db_issue_args(&w.keys);
	cf_db_event_args(&w.event);
	cf_db_reference_args(&w.reference);
	w.rec = (struct cf_buf)CF_BUF_INIT(CF_RECORD_MAX);
	for (i = 0; i < batch->count; i++) {
		item = cf_issue_item_of(batch, i);
		for (j = 0; item->rc == CF_OK && !cf_issue_is_repeat(item) &&
		    j < item->key_count; j++)
			add_key(&w, item, &item->key[j], now_ms);
		if (item->rc == CF_OK && item->first_reference) {
			cf_db_reference_add(&w.reference,
			    item->caller->account_id, item->reference_check);
			w.references++;
		}
	}
	send_writes(batch->db, &w);
	/* Should this run again. */
	for (i = 0; i < batch->count; i++)
		cf_issue_item_of(batch, i)->suspect = true;
	cf_db_issue_args_free(&w.keys);
	cf_db_args_free(&w.event);
	cf_db_args_free(&w.reference);
	cf_buf_free(&w.rec);
}
