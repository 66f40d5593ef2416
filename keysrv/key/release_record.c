/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a batch of retrievals writes down: events, releases, states of keys
 * and mails to senders.  See release.h.
 */
#include <string.h>

#include "common/fault.h"
#include "common/secret.h"
#include "keysrv/db/db_receipt.h"
#include "keysrv/http/batch.h"
#include "keysrv/key/release.h"

static void
add_proof_lines(struct cf_buf *rec, const struct cf_ask *ask)
{
	cf_record_text(rec, "origin", ask->origin);
	cf_record_text(rec, "agent-time", ask->time);
	cf_record_text(rec, "challenge", ask->challenge);
	cf_record_bytes(rec, "signature", ask->signature,
	    sizeof ask->signature);
}

static void
write_released(struct cf_buf *rec, const struct cf_release_item *item,
    int64_t now_ms)
{
	const struct cf_key_row *key = &item->key;

	cf_record_begin(rec, "released", item->event_id, item->ask.key_id,
	    key->message_ref, now_ms);
	cf_record_bytes(rec, "release", item->release_id,
	    sizeof item->release_id);
	cf_record_text(rec, "principal", item->caller->principal);
	cf_record_text(rec, "assurance",
	    cf_assurance_name(item->caller->assurance));
	cf_record_text(rec, "first", item->first ? "yes" : "no");
	add_proof_lines(rec, &item->ask);
	cf_record_bytes(rec, "secret-sha256", item->secret_sha256,
	    sizeof item->secret_sha256);
	cf_record_registered(rec, key->opening_key, key->possession_key,
	    key->key_commitment);
}

static void
write_refused(struct cf_buf *rec, const struct cf_release_item *item,
    int64_t now_ms)
{
	cf_record_begin(rec, "refused", item->event_id, item->ask.key_id,
	    item->key.message_ref, now_ms);
	cf_record_text(rec, "reason", cf_err_slug(item->rc));
	add_proof_lines(rec, &item->ask);
}

/* Everything one step writes, column by column. */
struct writes {
	struct cf_db_args event, release, notice, state;
	struct cf_buf rec;
	size_t events, releases, notices, states;
};

static void
writes_init(struct writes *w)
{
	memset(w, 0, sizeof *w);
	cf_db_event_args(&w->event);
	cf_db_release_args(&w->release);
	cf_db_notice_args(&w->notice);
	cf_db_state_args(&w->state);
	w->rec = (struct cf_buf)CF_BUF_INIT(CF_RECORD_MAX);
}

static void
writes_free(struct writes *w)
{
	cf_db_args_free(&w->event);
	cf_db_args_free(&w->release);
	cf_db_args_free(&w->notice);
	cf_db_args_free(&w->state);
	cf_buf_free(&w->rec);
}

static void
release_add_notice(struct writes *w, const struct cf_ks *ks,
    const struct cf_release_item *item, int64_t now_ms)
{
	const struct cf_notice_row row = {
		.event_id = item->event_id,
		.key_id = item->ask.key_id,
		.message_ref = item->key.message_ref,
		.account_id = item->key.account_id,
		.sender = item->key.sender,
		.recipient = item->key.recipient,
		.message_id = item->key.message_id,
		.assurance = item->caller->assurance,
		.principal = item->caller->principal,
		.released_at_ms = now_ms,
		.opened_at_ms = now_ms,		/* not used for releases */
		.not_before_ms = now_ms + 1000 * ks->settings->receipt_delay_s,
	};

	cf_db_notice_add(&w->notice, &row);
	w->notices++;
}

static void
add_release(struct writes *w, const struct cf_req *req,
    struct cf_release_item *item, int64_t now_ms)
{
	struct cf_new_release row;

	cf_random(item->release_id, sizeof item->release_id);
	cf_secret_random(&item->secret, CF_RELEASE_SECRET_LEN);
	cf_proof_sha256(&item->secret, item->secret_sha256);
	row = (struct cf_new_release){
		.key_id = item->ask.key_id,
		.release_id = item->release_id,
		.secret_sha256 = item->secret_sha256,
		.principal = item->caller->principal,
		.assurance = item->caller->assurance,
		.origin = item->ask.origin,
		.at_ms = now_ms,
		.challenge = &item->challenge,
		.network = { req->network, req->network_len },
	};
	cf_db_release_add(&w->release, &row);
	w->releases++;
	if (item->first)
		release_add_notice(w, req->ks, item, now_ms);
	write_released(&w->rec, item, now_ms);
	cf_db_event_add(&w->event, item->event_id, "released",
	    item->ask.key_id, item->release_id, &w->rec);
	w->events++;
}

static void
add_refusal(struct writes *w, const struct cf_release_item *item,
    int64_t now_ms)
{
	write_refused(&w->rec, item, now_ms);
	cf_db_event_add(&w->event, item->event_id, "refused",
	    item->ask.key_id, NULL, &w->rec);
	w->events++;
}

/* The key's row, and the hour before if that had more than its events. */
static void
add_state(struct writes *w, const struct cf_release_item *item,
    int64_t now_ms)
{
	unsigned char id[CF_EVENT_ID_LEN];

	cf_db_state_add(&w->state, item->ask.key_id, item->releases, now_ms,
	    &item->state.quota);
	w->states++;
	if (item->rest.count == 0)
		return;
	cf_random(id, sizeof id);
	cf_record_repeated(&w->rec, id, item->ask.key_id,
	    item->key.message_ref, now_ms, &item->rest);
	cf_db_event_add(&w->event, id, "refused", item->ask.key_id, NULL,
	    &w->rec);
	w->events++;
}

static void
release_collect(const struct cf_batch *batch, struct writes *w, int64_t now_ms)
{
	struct cf_release_item *item;
	size_t i;

	for (i = 0; i < batch->count; i++) {
		item = cf_release_item_of(batch, i);
		if (item->changed)
			add_state(w, item, now_ms);
		/* What is our fault is no refusal. */
		if (item->rc == CF_E_UNKNOWN_KEY || item->counted ||
		    (item->rc != CF_OK &&
		    cf_err_class(item->rc) != CF_CLASS_PERM))
			continue;
		cf_random(item->event_id, sizeof item->event_id);
		if (item->rc == CF_OK)
			add_release(w, batch->req[i], item, now_ms);
		else
			add_refusal(w, item, now_ms);
	}
}

void
cf_release_record(const struct cf_batch *batch, int64_t now_ms)
{
	struct writes w;

	writes_init(&w);
	release_collect(batch, &w, now_ms);
	cf_fault("release.collected");
	if (w.releases > 0)
		cf_db_release_send(batch->db, &w.release);
	if (w.states > 0)
		cf_db_state_send(batch->db, &w.state);
	cf_fault("release.released");
	if (w.events > 0)
		cf_db_event_send(batch->db, &w.event);
	cf_fault("release.event");
	if (w.notices > 0)
		cf_db_notice_released(batch->db, &w.notice);
	cf_fault("release.outbox");
	writes_free(&w);
}
