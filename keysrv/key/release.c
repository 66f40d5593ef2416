/* SPDX-License-Identifier: Apache-2.0 */
/*
 * release - the one transaction that lets keys go.
 *
 * For a batch of retrievals: find the keys and lock their state, check proofs
 * and criteria, unwrap, write release, receipt and outbox row, COMMIT.  Only
 * then are the replies sent; a commit that failed, warned or got lost makes
 * 503s of them all (cf_batch_run), and the keys are wiped unsent.
 *
 * No key leaves without a committed receipt: the reply with the key is
 * written before COMMIT, but nothing outside this transaction can see it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"
#include "keysrv/db/db_upkeep.h"
#include "keysrv/http/batch.h"
#include "keysrv/http/json_out.h"
#include "keysrv/http/kind.h"
#include "keysrv/key/criteria.h"
#include "keysrv/key/release.h"
#include "keysrv/who/who.h"

static bool
release_knows_key(const struct cf_release_item *item)
{
	return cf_ask_knows_key(&item->ask,
	    item->found ? item->key.token_sha256 : NULL);
}

/* ---- find ---- */

static void
release_forget(struct cf_release_item *item)
{
	cf_key_row_free(&item->key);
	item->found = item->first = item->used = false;
	item->has_material = item->held = item->had = item->counted = false;
	item->changed = false;
	item->lead = item;
	item->releases = item->rest.count = 0;
	item->rc = CF_ERR__COUNT;
}

static void
release_take_rows(const struct cf_batch *batch, size_t locked, size_t material,
    size_t used)
{
	const struct cf_db *db = batch->db;
	struct cf_release_item *item;
	size_t row;

	for (row = 0; row < cf_db_rows(db, locked); row++) {
		item = cf_release_item_of(batch, cf_db_number(db, locked, row));
		cf_db_key_get(db, locked, row, &item->key);
		cf_db_lock_get(db, locked, row, &item->state);
		item->found = true;
		/* At bearer there is one principal, and so one first. */
		item->first = item->state.first_released_at_ms < 0;
	}
	for (row = 0; row < cf_db_rows(db, material); row++) {
		item = cf_release_item_of(batch, cf_db_number(db, material,
		    row));
		if (!item->found)
			continue;
		cf_db_material_get(db, material, row, &item->material);
		item->has_material = true;
	}
	for (row = 0; row < cf_db_rows(db, used); row++) {
		item = cf_release_item_of(batch, cf_db_number(db, used, row));
		item->used = true;
	}
}

/*
 * Find and lock, then read: the statements after the first begin when the
 * locks are held, so what they see of a key cannot change before our COMMIT.
 * Without its token no key is found, and none is locked.
 */
static enum cf_err
release_find(struct cf_batch *batch, int64_t *ret_now_ms, struct cf_why *why)
{
	struct cf_db_args asked, keys, challenges;
	struct cf_who_asked callers;
	unsigned char token_sha256[CF_DIGEST_LEN];
	size_t i, locked, material, used, now;
	struct cf_release_item *item;
	enum cf_err rc;

	cf_db_asked_args(&asked);
	cf_db_key_args(&keys);
	cf_db_used_args(&challenges);
	for (i = 0; i < batch->count; i++) {
		item = cf_release_item_of(batch, i);
		release_forget(item);
		item->caller = &batch->req[i]->caller;
		cf_proof_sha256(&item->ask.token, token_sha256);
		cf_ask_challenge(&item->ask, &item->challenge);
		cf_db_asked_add(&asked, item->ask.key_id, token_sha256);
		cf_db_key_add(&keys, item->ask.key_id);
		cf_db_used_add(&challenges, item->ask.key_id,
		    &item->challenge);
	}
	cf_who_send(batch, NULL, &callers);
	locked = cf_db_asked_lock(batch->db, &asked);
	material = cf_db_material_send(batch->db, &keys);
	used = cf_db_used_send(batch->db, &challenges);
	now = cf_db_now_send(batch->db);
	rc = cf_db_flush(batch->db, why);
	cf_db_args_free(&asked);
	cf_db_args_free(&keys);
	cf_db_args_free(&challenges);
	if (rc != CF_OK)
		return rc;
	cf_who_get(batch, &callers);
	release_take_rows(batch, locked, material, used);
	*ret_now_ms = cf_db_now_get(batch->db, now);
	return CF_OK;
}

/*
 * Their outcome is kept until the criteria, which come first, have been
 * asked.  Without the token nothing is looked at.
 */
static void
release_check_proofs(struct cf_batch *batch)
{
	struct cf_release_item *item;
	size_t i;

	for (i = 0; i < batch->count; i++) {
		item = cf_release_item_of(batch, i);
		item->why.text[0] = '\0';
		if (release_knows_key(item)) {
			cf_who_holds(&batch->req[i]->caller);
			item->proof_rc = cf_ask_check(&item->ask,
			    CF_PROOF_RETRIEVE, batch->req[i], &item->key,
			    &item->held, &item->why);
		} else {
			item->rc = CF_E_UNKNOWN_KEY;
		}
	}
}

/* ---- the key's hour ---- */

static bool
is_same_key(const struct cf_release_item *a, const struct cf_release_item *b)
{
	return memcmp(a->ask.key_id, b->ask.key_id, CF_KEY_ID_LEN) == 0;
}

static void
find_leads(struct cf_batch *batch, int64_t now_ms)
{
	struct cf_release_item *item;
	size_t i, j;

	for (i = 0; i < batch->count; i++) {
		item = cf_release_item_of(batch, i);
		if (item->rc == CF_E_UNKNOWN_KEY)
			continue;
		for (j = 0; j < i && item->lead == item; j++)
			if (cf_release_item_of(batch, j)->found &&
			    is_same_key(cf_release_item_of(batch, j), item))
				item->lead = cf_release_item_of(batch, j);
		if (item->lead == item)
			item->changed = cf_quota_turn(&item->state.quota,
			    now_ms, &item->rest);
	}
}

/* Could the batch come to where it matters who had a release? */
static bool
may_be_spent(const struct cf_batch *batch,
    const struct cf_release_item *item)
{
	struct cf_quota quota;

	if (item->rc == CF_E_UNKNOWN_KEY || item->proof_rc != CF_OK)
		return false;
	quota = item->lead->state.quota;
	quota.released += (int64_t)batch->count;
	return cf_quota_is_spent(&quota);
}

/* The queries of a step; number n of them belongs to at[n]. */
struct positions {
	size_t at[CF_BATCH_MAX];
	size_t count;
};

/* Rare, and then one round trip more. */
static enum cf_err
ask_networks(struct cf_batch *batch, struct cf_why *why)
{
	struct positions p = { .count = 0 };
	struct cf_release_item *item;
	struct cf_db_args args;
	enum cf_err rc = CF_OK;
	size_t i, row;

	cf_db_network_args(&args);
	for (i = 0; i < batch->count; i++) {
		item = cf_release_item_of(batch, i);
		if (!may_be_spent(batch, item))
			continue;
		p.at[p.count++] = i;
		cf_db_network_add(&args, item->ask.key_id,
		    batch->req[i]->network, batch->req[i]->network_len,
		    item->lead->state.quota.hour_at_ms);
	}
	if (p.count > 0) {
		(void)cf_db_network_find(batch->db, &args);
		rc = cf_db_flush(batch->db, why);
	}
	for (row = 0; rc == CF_OK && p.count > 0 &&
	    row < cf_db_rows(batch->db, 0); row++) {
		i = p.at[cf_db_number(batch->db, 0, row)];
		item = cf_release_item_of(batch, i);
		item->had = true;
	}
	cf_db_args_free(&args);
	return rc;
}

/* ---- decide ---- */

static bool
is_same_network(const struct cf_req *a, const struct cf_req *b)
{
	return a->network_len == b->network_len &&
	    memcmp(a->network, b->network, a->network_len) == 0;
}

/* What requests before this one in the same batch have taken. */
static void
release_look_back(const struct cf_batch *batch, size_t i)
{
	struct cf_release_item *item = cf_release_item_of(batch, i);
	const struct cf_release_item *before;
	size_t j;

	for (j = 0; j < i; j++) {
		before = cf_release_item_of(batch, j);
		if (before->rc != CF_OK || before->lead != item->lead)
			continue;
		item->first = false;
		if (memcmp(before->challenge.random, item->challenge.random,
		    sizeof item->challenge.random) == 0)
			item->used = true;
		if (is_same_network(batch->req[j], batch->req[i]))
			item->had = true;
	}
}

/* One that would be the second of its network, after many others. */
static enum cf_err
check_quota(struct cf_req *req, struct cf_release_item *item, int64_t now_ms)
{
	const struct cf_quota *quota = &item->lead->state.quota;
	int64_t wait_s;

	if (item->first || !item->had || !cf_quota_is_spent(quota))
		return CF_OK;
	wait_s = cf_quota_wait_s(quota, now_ms);
	req->retry_after_s = (unsigned)wait_s;
	return cf_fail(CF_E_TOO_MANY, &item->why, "This message has been "
	    "opened very often within the hour. From your network it can be "
	    "opened again in %lld minutes.", (long long)(wait_s + 59) / 60);
}

static enum cf_err
release_unwrap(struct cf_batch *batch, size_t i)
{
	struct cf_release_item *item = cf_release_item_of(batch, i);
	enum cf_err rc;

	if (!item->has_material)
		return cf_fail(CF_E_REVOKED, &item->why,
		    "The key of this message has been destroyed.");
	rc = cf_vault_open(batch->ks->vault, item->ask.key_id,
	    item->key.account_id, &item->ask.token, &item->material,
	    &item->kd, &item->why);
	if (rc != CF_OK) {
		cf_log(CF_LOG_ERROR, "key=%s: %s", item->ask.handle,
		    item->why.text);
		item->why.text[0] = '\0';
	}
	return rc;
}

/* The order of the reasons: criteria, proofs, challenge used before. */
static enum cf_err
release_decide(struct cf_batch *batch, size_t i, int64_t now_ms)
{
	struct cf_release_item *item = cf_release_item_of(batch, i);
	const struct cf_criteria_input in = {
		.now_ms = now_ms,
		.known = item->caller->assurance,
		.asked = item->key.assurance,
		.revoked_at_ms = item->state.revoked_at_ms,
		.expires_at_ms = item->state.expires_at_ms,
	};
	struct cf_why why = { "" };
	enum cf_err rc;

	if (!item->found)
		cf_bug("a key without its state");
	rc = cf_criteria_check(&in, &why);
	if (rc != CF_OK) {
		item->why = why;
		return rc;
	}
	if (item->proof_rc != CF_OK)
		return item->proof_rc;
	release_look_back(batch, i);
	if (item->used)
		return CF_E_CHALLENGE_USED;
	rc = check_quota(batch->req[i], item, now_ms);
	return rc == CF_OK ? release_unwrap(batch, i) : rc;
}

/* What was decided counts for what follows. */
static void
release_count(struct cf_release_item *item, int64_t now_ms)
{
	struct cf_release_item *lead = item->lead;

	if (item->rc == CF_OK) {
		lead->releases++;
		if (!item->first)
			cf_quota_release(&lead->state.quota, now_ms);
	} else if (cf_err_class(item->rc) == CF_CLASS_PERM) {
		item->counted = !cf_quota_refuse(&lead->state.quota,
		    item->held, now_ms);
	} else {
		return;		/* our fault, or a matter of time */
	}
	lead->changed = true;
}

/* ---- reply ---- */

static void
release_write_reply(struct cf_req *req, const struct cf_release_item *item,
    int64_t now_ms)
{
	const struct cf_key_row *key = &item->key;
	struct cf_jout out;

	cf_jout_begin(&out, cf_req_ok(req, 200));
	cf_jout_str(&out, "handle", item->ask.handle);
	cf_jout_b64(&out, "release_id", item->release_id,
	    sizeof item->release_id);
	cf_jout_b64(&out, "release_secret", item->secret.bytes,
	    item->secret.len);
	cf_jout_time(&out, "released_at", now_ms);
	cf_jout_bool(&out, "first", item->first);
	cf_jout_str(&out, "assurance",
	    cf_assurance_name(item->caller->assurance));
	cf_jout_str(&out, "algorithm", key->algorithm);
	cf_jout_b64(&out, "key", item->kd.bytes, item->kd.len);
	cf_ask_write_issuer(&out, key);
	cf_ask_write_registered(&out, key);
	cf_jout_end(&out);
}

static void
release_reply_all(struct cf_batch *batch, int64_t now_ms)
{
	struct cf_release_item *item;
	size_t i;

	for (i = 0; i < batch->count; i++) {
		item = cf_release_item_of(batch, i);
		if (item->rc == CF_OK)
			release_write_reply(batch->req[i], item, now_ms);
		else
			cf_req_fail(batch->req[i], item->rc, &item->why);
		cf_secret_wipe(&item->kd);
		cf_secret_wipe(&item->secret);
	}
}

/* ---- the transaction ---- */

static enum cf_err
release_all(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct cf_batch *batch = arg;
	struct cf_release_item *item;
	int64_t now_ms = 0;
	enum cf_err rc;
	size_t i;

	(void)db;
	cf_fault("release.begin");
	rc = release_find(batch, &now_ms, why);
	if (rc != CF_OK)
		return rc;
	cf_fault("release.locked");
	release_check_proofs(batch);
	/* A database that took over may be behind: no release is before its
	 * issue. */
	for (i = 0; i < batch->count; i++) {
		item = cf_release_item_of(batch, i);
		if (item->found && item->key.issued_at_ms > now_ms)
			now_ms = item->key.issued_at_ms;
	}
	find_leads(batch, now_ms);
	rc = ask_networks(batch, why);
	if (rc != CF_OK)
		return rc;
	for (i = 0; i < batch->count; i++) {
		item = cf_release_item_of(batch, i);
		if (item->rc == CF_E_UNKNOWN_KEY)
			continue;
		item->rc = release_decide(batch, i, now_ms);
		release_count(item, now_ms);
	}
	cf_fault("release.decided");
	cf_release_record(batch, now_ms);
	release_reply_all(batch, now_ms);
	cf_fault("release.commit");
	return CF_OK;
}

static void
release_log_one(const struct cf_req *req)
{
	const struct cf_release_item *item = req->item;

	if (req->rc == CF_OK)
		cf_log(CF_LOG_INFO, "released key=%s first=%s assurance=%s "
		    "origin=%s", item->ask.handle, item->first ? "yes" : "no",
		    cf_assurance_name(item->caller->assurance),
		    item->ask.origin);
	else
		cf_log(item->counted ? CF_LOG_DEBUG : CF_LOG_INFO,
		    "refused key=%s reason=%s", item->ask.handle,
		    cf_err_slug(req->rc));
}

static void
release_after(const struct cf_batch *batch)
{
	size_t i;

	cf_fault("release.committed");
	for (i = 0; i < batch->count; i++)
		release_log_one(batch->req[i]);
	cf_fault("release.reply");
}

const struct cf_kind cf_kind_release = {
	.name = "retrieve",
	.mode = CF_DB_WRITE,
	.fn = release_all,
	.after = release_after,
};

void
cf_release_item_free(void *arg)
{
	struct cf_release_item *item = arg;

	cf_key_row_free(&item->key);
	cf_secret_wipe(&item->ask.token);
	cf_secret_wipe(&item->kd);
	cf_secret_wipe(&item->secret);
	free(item);
}
