/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opening - the transaction behind open and mismatch: find the release,
 * check secret and signature, lock the key, write event and outbox row.
 */
#include "keysrv/key/opening.h"

#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"
#include "keysrv/db/db_upkeep.h"
#include "keysrv/http/batch.h"
#include "keysrv/http/fields.h"
#include "keysrv/http/json_out.h"
#include "keysrv/http/kind.h"

#define AT(member) offsetof(struct cf_opening_item, member)
static const struct cf_member fields[] = {
	{ "handle", CF_MEMBER_BYTES, .offset = AT(key_id),
	    .len = CF_KEY_ID_LEN },
	{ "release_id", CF_MEMBER_BYTES, .offset = AT(release_id),
	    .len = CF_RELEASE_ID_LEN },
	{ "release_secret", CF_MEMBER_SECRET, .offset = AT(secret),
	    .len = CF_RELEASE_SECRET_LEN },
	{ "time", CF_MEMBER_TIME, .offset = AT(time) },
	{ "signature", CF_MEMBER_BYTES, .offset = AT(signature),
	    .len = CF_SIGNATURE_LEN },
};
#undef AT

enum cf_err
cf_opening_parse(struct cf_req *req, enum cf_proof_verb verb,
    struct cf_why *why)
{
	struct cf_opening_item *item = cf_calloc(1, sizeof *item);
	enum cf_err rc;

	req->item = item;
	item->verb = verb;
	rc = cf_fields_read(req->json, fields,
	    sizeof fields / sizeof fields[0], item, why);
	if (rc != CF_OK)
		return rc;
	cf_b64url_encode(item->key_id, sizeof item->key_id, item->handle);
	cf_proof_sha256(&item->secret, item->secret_sha256);
	cf_fault("open.parsed");
	return CF_OK;
}

void
cf_opening_item_free(void *arg)
{
	struct cf_opening_item *item = arg;

	cf_release_row_free(&item->release);
	cf_secret_wipe(&item->secret);
	free(item);
}

static struct cf_opening_item *
item_of(const struct cf_batch *batch, size_t i)
{
	return batch->req[i]->item;
}

static const char *
event_of(const struct cf_opening_item *item)
{
	return item->verb == CF_PROOF_OPEN ? "opened" : "mismatch";
}

static const char *
once_of(const struct cf_opening_item *item)
{
	return item->verb == CF_PROOF_OPEN ? "opening" : "mismatch";
}

/* ---- find ---- */

static enum cf_err
opening_find(struct cf_batch *batch, struct cf_why *why)
{
	struct cf_opening_item *item;
	struct cf_db_args args;
	enum cf_err rc;
	size_t i, row;

	cf_db_release_find_args(&args);
	for (i = 0; i < batch->count; i++) {
		item = item_of(batch, i);
		cf_release_row_free(&item->release);
		item->found = false;
		cf_db_release_find_add(&args, item->key_id, item->release_id);
	}
	(void)cf_db_release_find(batch->db, &args);
	rc = cf_db_flush(batch->db, why);
	cf_db_args_free(&args);
	if (rc != CF_OK)
		return rc;
	for (row = 0; row < cf_db_rows(batch->db, 0); row++) {
		item = item_of(batch, cf_db_number(batch->db, 0, row));
		cf_db_release_get(batch->db, 0, row, &item->release);
		item->found = true;
	}
	return CF_OK;
}

/* ---- check ---- */

/* Constant time; the same work for a release that is not there. */
static bool
knows_secret(const struct cf_opening_item *item)
{
	static const unsigned char nothing[CF_DIGEST_LEN];
	struct cf_secret have = CF_SECRET_EMPTY, want = CF_SECRET_EMPTY;
	bool equal;

	cf_secret_set(&have, item->secret_sha256, CF_DIGEST_LEN);
	cf_secret_set(&want, item->found ? item->release.secret_sha256
	    : nothing, CF_DIGEST_LEN);
	equal = cf_secret_equal(&have, &want);
	return equal && item->found;
}

static enum cf_err
opening_check(struct cf_opening_item *item)
{
	char release_id[CF_RELEASE_ID_TEXT_LEN + 1];
	struct cf_buf text = CF_BUF_INIT(1000);
	enum cf_err rc;

	if (!knows_secret(item))
		return CF_E_UNKNOWN_RELEASE;
	cf_b64url_encode(item->release_id, sizeof item->release_id,
	    release_id);
	rc = cf_proof_text_done(item->verb, item->handle, release_id,
	    item->secret_sha256, item->time, &text, &item->why);
	if (rc == CF_OK)
		rc = cf_proof_verify(item->verb == CF_PROOF_OPEN
		    ? item->release.opening_key
		    : item->release.possession_key,
		    cf_buf_str(&text), text.len, item->signature, NULL);
	cf_buf_free(&text);
	return rc;
}

/* ---- lock ---- */

static void
take_seen(struct cf_batch *batch, const size_t *position)
{
	struct cf_opening_item *item;
	size_t row, n;
	int64_t at;

	/* Two questions a key: this release, any opening by the principal. */
	for (row = 0; row < cf_db_rows(batch->db, 1); row++) {
		cf_db_once_get(batch->db, 1, row, &n, &at);
		item = item_of(batch, position[n / 2]);
		if (n % 2 == 0)
			item->seen_at_ms = at;
		else
			item->first = false;
	}
}

static enum cf_err
opening_lock(struct cf_batch *batch, int64_t *ret_now_ms, struct cf_why *why)
{
	size_t position[CF_BATCH_MAX], count = 0, now, i;
	struct cf_opening_item *item;
	struct cf_db_args keys, once;
	enum cf_err rc = CF_OK;

	cf_db_key_args(&keys);
	cf_db_once_args(&once);
	for (i = 0; i < batch->count; i++) {
		item = item_of(batch, i);
		item->seen_at_ms = -1;
		item->first = true;
		if (item->rc != CF_OK)
			continue;
		position[count++] = i;
		cf_db_key_add(&keys, item->key_id);
		cf_db_once_add(&once, item->key_id, once_of(item),
		    item->release_id, sizeof item->release_id, 0);
		cf_db_once_add(&once, item->key_id, "first-opening",
		    item->release.principal, strlen(item->release.principal),
		    0);
	}
	if (count > 0) {
		(void)cf_db_lock_send(batch->db, &keys);
		(void)cf_db_once_find(batch->db, &once);
		now = cf_db_now_send(batch->db);
		rc = cf_db_flush(batch->db, why);
		if (rc == CF_OK) {
			take_seen(batch, position);
			*ret_now_ms = cf_db_now_get(batch->db, now);
		}
	}
	cf_db_args_free(&keys);
	cf_db_args_free(&once);
	return rc;
}

/* What requests before this one in the same batch have recorded. */
static void
opening_look_back(const struct cf_batch *batch, size_t i, int64_t now_ms)
{
	struct cf_opening_item *item = item_of(batch, i);
	const struct cf_opening_item *before;
	size_t j;

	for (j = 0; j < i; j++) {
		before = item_of(batch, j);
		if (before->rc != CF_OK || before->verb != item->verb ||
		    memcmp(before->key_id, item->key_id, CF_KEY_ID_LEN) != 0)
			continue;
		if (strcmp(before->release.principal,
		    item->release.principal) == 0)
			item->first = false;
		if (item->seen_at_ms < 0 && memcmp(before->release_id,
		    item->release_id, sizeof item->release_id) == 0)
			item->seen_at_ms = before->seen_at_ms >= 0
			    ? before->seen_at_ms : now_ms;
	}
}

/* ---- record ---- */

struct writes {
	struct cf_db_args event, once, opened, notice;
	struct cf_buf rec;
	size_t events, openings, notices;
};

static void
opening_write_record(struct cf_buf *rec, const struct cf_opening_item *item,
    int64_t now_ms)
{
	cf_record_begin(rec, event_of(item), item->event_id, item->key_id,
	    item->release.message_ref, now_ms);
	cf_record_bytes(rec, "release", item->release_id,
	    sizeof item->release_id);
	cf_record_bytes(rec, "secret-sha256", item->secret_sha256,
	    sizeof item->secret_sha256);
	cf_record_text(rec, "agent-time", item->time);
	cf_record_bytes(rec, "signature", item->signature,
	    sizeof item->signature);
}

static void
opening_add_notice(struct writes *w, const struct cf_opening_item *item,
    int64_t now_ms)
{
	const struct cf_notice_row row = {
		.event_id = item->event_id,
		.key_id = item->key_id,
		.message_ref = item->release.message_ref,
		.account_id = item->release.account_id,
		.sender = item->release.sender,
		.recipient = item->release.recipient,
		.message_id = item->release.message_id,
		.assurance = item->release.assurance,
		.principal = item->release.principal,
		.released_at_ms = item->release.released_at_ms,
		.opened_at_ms = now_ms,
		.not_before_ms = now_ms,
	};

	cf_db_notice_add(&w->notice, &row);
	w->notices++;
}

static void
add_item(struct writes *w, struct cf_opening_item *item, int64_t now_ms)
{
	const char *principal = item->release.principal;

	cf_random(item->event_id, sizeof item->event_id);
	cf_db_once_add(&w->once, item->key_id, once_of(item),
	    item->release_id, sizeof item->release_id, now_ms);
	opening_write_record(&w->rec, item, now_ms);
	cf_db_event_add(&w->event, item->event_id, event_of(item),
	    item->key_id, item->release_id, &w->rec);
	w->events++;
	if (item->verb != CF_PROOF_OPEN)
		return;
	cf_db_opened_add(&w->opened, item->key_id, now_ms);
	w->openings++;
	if (!item->first)
		return;
	cf_db_once_add(&w->once, item->key_id, "first-opening", principal,
	    strlen(principal), now_ms);
	opening_add_notice(w, item, now_ms);
}

/* Queues what COMMIT goes out with. */
static void
opening_record(struct cf_batch *batch, int64_t now_ms)
{
	struct writes w = { .events = 0 };
	struct cf_opening_item *item;
	size_t i;

	cf_db_event_args(&w.event);
	cf_db_once_args(&w.once);
	cf_db_opened_args(&w.opened);
	cf_db_notice_args(&w.notice);
	w.rec = (struct cf_buf)CF_BUF_INIT(CF_RECORD_MAX);
	for (i = 0; i < batch->count; i++) {
		item = item_of(batch, i);
		if (item->rc != CF_OK)
			continue;
		opening_look_back(batch, i, now_ms);
		if (item->seen_at_ms < 0)
			add_item(&w, item, now_ms);
	}
	if (w.events > 0) {
		cf_db_once_send(batch->db, &w.once);
		cf_fault("open.once");
		cf_db_event_send(batch->db, &w.event);
		cf_fault("open.event");
		if (w.openings > 0)
			cf_db_opened_send(batch->db, &w.opened);
		if (w.notices > 0)
			cf_db_notice_opened(batch->db, &w.notice);
		cf_fault("open.outbox");
	}
	cf_db_args_free(&w.event);
	cf_db_args_free(&w.once);
	cf_db_args_free(&w.opened);
	cf_db_args_free(&w.notice);
	cf_buf_free(&w.rec);
}

/* ---- reply ---- */

static void
opening_reply(struct cf_req *req, int64_t now_ms)
{
	const struct cf_opening_item *item = req->item;
	struct cf_jout out;

	if (item->rc != CF_OK) {
		cf_req_fail(req, item->rc, &item->why);
		return;
	}
	cf_jout_begin(&out, cf_req_ok(req, 200));
	cf_jout_bool(&out, "recorded", true);
	if (item->verb == CF_PROOF_OPEN)
		cf_jout_time(&out, "opened_at", item->seen_at_ms >= 0
		    ? item->seen_at_ms : now_ms);
	cf_jout_end(&out);
}

static enum cf_err
opening_all(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct cf_batch *batch = arg;
	int64_t now_ms = 0;
	enum cf_err rc;
	size_t i;

	(void)db;
	cf_fault("open.begin");
	rc = opening_find(batch, why);
	if (rc != CF_OK)
		return rc;
	cf_fault("open.found");
	for (i = 0; i < batch->count; i++)
		item_of(batch, i)->rc = opening_check(item_of(batch, i));
	cf_fault("open.checked");
	rc = opening_lock(batch, &now_ms, why);
	if (rc != CF_OK)
		return rc;
	cf_fault("open.locked");
	/* A database that took over may be behind: no opening is before its
	 * release. */
	for (i = 0; i < batch->count; i++)
		if (item_of(batch, i)->found &&
		    item_of(batch, i)->release.released_at_ms > now_ms)
			now_ms = item_of(batch, i)->release.released_at_ms;
	opening_record(batch, now_ms);
	for (i = 0; i < batch->count; i++)
		opening_reply(batch->req[i], now_ms);
	cf_fault("open.commit");
	return CF_OK;
}

static void
opening_after(const struct cf_batch *batch)
{
	const struct cf_opening_item *item;
	size_t i;

	cf_fault("open.committed");
	for (i = 0; i < batch->count; i++) {
		item = item_of(batch, i);
		if (batch->req[i]->rc == CF_OK)
			cf_log(CF_LOG_INFO, "%s key=%s%s", event_of(item),
			    item->handle, item->seen_at_ms >= 0
			    ? " (again)" : "");
		else
			cf_log(CF_LOG_INFO, "not %s key=%s reason=%s",
			    event_of(item), item->handle,
			    cf_err_slug(batch->req[i]->rc));
	}
	cf_fault("open.reply");
}

const struct cf_kind cf_kind_opening = {
	.name = "open",
	.mode = CF_DB_WRITE,
	.fn = opening_all,
	.after = opening_after,
};
