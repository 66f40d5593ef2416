/* SPDX-License-Identifier: Apache-2.0 */
/*
 * issue - the transaction that registers messages and makes their keys.
 *
 * A gateway that lost our answer asks again with the same values and gets
 * the same answer, the same key even; other values under a known key id are
 * refused.  Keys are never replaced.
 */
#include "keysrv/key/issue.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"
#include "common/wire.h"
#include "keysrv/db/db_master.h"
#include "keysrv/db/db_upkeep.h"
#include "keysrv/http/batch.h"
#include "keysrv/http/json_out.h"
#include "keysrv/http/kind.h"
#include "keysrv/who/who.h"

#define KEYS_IN_BATCH 2048	/* keys in one transaction */
#define POSTPONE_MAX 3

/* ---- find ---- */

/* The master key for new keys. */
struct sealing {
	struct cf_master master;
	bool there;
};

static const char *
domain_of(const struct cf_req *req)
{
	const struct cf_issue_item *item = req->item;

	return item->domain;
}

static void
take_callers(struct cf_batch *batch, const struct cf_who_asked *asked)
{
	struct cf_issue_item *item;
	size_t i;

	cf_who_get(batch, asked);
	for (i = 0; i < batch->count; i++) {
		item = cf_issue_item_of(batch, i);
		item->has_reference = item->caller->has_reference;
		memcpy(item->reference, item->caller->reference,
		    sizeof item->reference);
	}
}

static void
take_issued(struct cf_batch *batch, size_t issued,
    struct cf_item_key *const *place)
{
	struct cf_item_key *key;
	size_t row;

	for (row = 0; row < cf_db_rows(batch->db, issued); row++) {
		key = place[cf_db_number(batch->db, issued, row)];
		cf_db_issued_get(batch->db, issued, row, &key->issued);
		key->there = true;
	}
}

/*
 * Key ids are random: they are looked for only when this runs again, as after
 * an insert that met one that was there.
 */
static bool
is_suspect(const struct cf_batch *batch)
{
	size_t i;

	for (i = 0; i < batch->count; i++)
		if (cf_issue_item_of(batch, i)->suspect)
			return true;
	return false;
}

/*
 * Which master key seals is read in each transaction, so that all servers
 * change together.
 */
static enum cf_err
issue_find(struct cf_batch *batch, struct sealing *ret_sealing,
    int64_t *ret_now_ms, struct cf_why *why)
{
	const bool look = is_suspect(batch);
	/* Which key position n of the query stands for. */
	CF_AUTO(cf_free) struct cf_item_key **place = NULL;
	struct cf_who_asked callers;
	struct cf_db_args keys;
	struct cf_issue_item *item;
	size_t i, j, issued = 0, active, now, n = 0;
	enum cf_err rc;

	for (i = 0; i < batch->count; i++)
		n += cf_issue_item_of(batch, i)->key_count;
	place = cf_calloc(n, sizeof *place);
	cf_db_key_args(&keys);
	for (i = n = 0; i < batch->count; i++) {
		item = cf_issue_item_of(batch, i);
		item->caller = &batch->req[i]->caller;
		item->first_reference = false;
		for (j = 0; j < item->key_count; j++) {
			item->key[j].there = false;
			place[n++] = &item->key[j];
			cf_db_key_add(&keys, item->key[j].key_id);
		}
	}
	cf_who_send(batch, domain_of, &callers);
	if (look)
		issued = cf_db_issued_send(batch->db, &keys);
	active = cf_db_active_send(batch->db);
	now = cf_db_now_send(batch->db);
	rc = cf_db_flush(batch->db, why);
	cf_db_args_free(&keys);
	if (rc == CF_OK) {
		take_callers(batch, &callers);
		if (look)
			take_issued(batch, issued, place);
		cf_db_active_get(batch->db, active, &ret_sealing->master,
		    &ret_sealing->there);
		*ret_now_ms = cf_db_now_get(batch->db, now);
	}
	return rc;
}

/* ---- decide ---- */

static enum cf_err
same_values(const struct cf_issue_item *item, const struct cf_item_key *key,
    struct cf_why *why)
{
	if (key->there && key->issued.account_id == item->caller->account_id &&
	    memcmp(key->issued.values_sha256, key->values_sha256,
	    sizeof key->values_sha256) == 0)
		return CF_OK;
	return cf_fail(CF_E_KEY_TAKEN, why,
	    "A key id of this request is in use with other values.");
}

/* A repeat: the keys as they were made. */
static enum cf_err
open_again(const struct cf_ks *ks, struct cf_issue_item *item,
    struct cf_why *why)
{
	struct cf_item_key *key;
	enum cf_err rc = CF_OK;
	size_t i;

	for (i = 0; i < item->key_count && rc == CF_OK; i++) {
		key = &item->key[i];
		rc = same_values(item, key, why);
		if (rc == CF_OK && !key->issued.has_material)
			rc = cf_fail(CF_E_KEY_TAKEN, why,
			    "This key has been destroyed.");
		if (rc == CF_OK)
			rc = cf_vault_open(ks->vault, key->key_id,
			    item->caller->account_id, &key->token,
			    &key->issued.material, &key->kd, why);
		memcpy(key->key_commitment, key->issued.key_commitment,
		    sizeof key->key_commitment);
	}
	return rc;
}

static enum cf_err
make_new(const struct cf_ks *ks, const struct sealing *sealing,
    struct cf_issue_item *item, struct cf_why *why)
{
	struct cf_item_key *key;
	enum cf_err rc = CF_OK;
	size_t i;

	if (!sealing->there)
		return cf_fail(CF_E_MASTER_KEY, why,
		    "no master key is active; see counterfoil-admin "
		    "masterkey status");

	for (i = 0; i < item->key_count && rc == CF_OK; i++) {
		key = &item->key[i];
		rc = cf_vault_make(ks->vault, &sealing->master, key->key_id,
		    item->caller->account_id, &key->token, &key->material,
		    key->key_commitment, &key->kd, why);
	}
	return rc;
}

bool
cf_issue_is_repeat(const struct cf_issue_item *item)
{
	size_t i;

	for (i = 0; i < item->key_count; i++)
		if (item->key[i].there)
			return true;
	return false;
}

/* A request before this one may give the account its reference. */
static void
issue_look_back(const struct cf_batch *batch, size_t i)
{
	struct cf_issue_item *item = cf_issue_item_of(batch, i);
	const struct cf_issue_item *before;
	size_t j;

	for (j = 0; j < i && !item->has_reference; j++) {
		before = cf_issue_item_of(batch, j);
		if (before->rc != CF_OK ||
		    before->caller->account_id != item->caller->account_id)
			continue;
		item->has_reference = true;
		memcpy(item->reference, before->reference_check,
		    sizeof item->reference);
	}
	item->first_reference = !item->has_reference;
}

enum cf_err
cf_issue_reference(const char *account, const unsigned char *registered,
    const unsigned char check[CF_REF_CHECK_LEN], struct cf_why *why)
{
	char text[CF_B64URL_LEN(CF_REF_CHECK_LEN) + 1];

	if (registered == NULL ||
	    memcmp(registered, check, CF_REF_CHECK_LEN) == 0)
		return CF_OK;
	cf_b64url_encode(check, CF_REF_CHECK_LEN, text);
	return cf_fail(CF_E_REFERENCE, why, "The account is known by another "
	    "reference secret; if this one shall count, run at the key "
	    "server: counterfoil-admin gateway reference %s %s", account,
	    text);
}

static enum cf_err
issue_decide(const struct cf_batch *batch, const struct sealing *sealing,
    size_t i)
{
	const struct cf_ks *ks = batch->ks;
	struct cf_issue_item *item = cf_issue_item_of(batch, i);
	enum cf_err rc;

	item->why.text[0] = '\0';
	if (item->caller->method == NULL)
		return CF_E_UNAUTHORIZED;
	if (!item->caller->may_send)
		return cf_fail(CF_E_SENDER, &item->why,
		    "The account may not send for %s.", item->domain);
	issue_look_back(batch, i);
	rc = cf_issue_reference(item->caller->account, item->has_reference ?
	    item->reference : NULL, item->reference_check, &item->why);
	if (rc != CF_OK)
		return rc;
	rc = cf_issue_is_repeat(item) ? open_again(ks, item, &item->why)
	    : make_new(ks, sealing, item, &item->why);
	/* For us, not for strangers. */
	if (cf_err_class(rc) == CF_CLASS_BUG || rc == CF_E_MASTER_KEY) {
		cf_log(CF_LOG_ERROR, "issue: %s", item->why.text);
		item->why.text[0] = '\0';
	}
	return rc;
}

/* ---- reply ---- */

static void
issue_write_key(struct cf_jout *out, const struct cf_ks *ks,
    const struct cf_item_key *key)
{
	char handle[CF_HANDLE_LEN + 1], locator[CF_LINK_MAX + 1];

	cf_b64url_encode(key->key_id, sizeof key->key_id, handle);
	(void)snprintf(locator, sizeof locator, "%s" CF_PATH_KEY "%s",
	    ks->settings->service_url, handle);
	cf_jout_open(out, NULL, '{');
	cf_jout_str(out, "key_id", handle);
	cf_jout_str(out, "locator", locator);
	cf_jout_str(out, "algorithm", key->algorithm);
	cf_jout_b64(out, "key", key->kd.bytes, key->kd.len);
	cf_jout_b64(out, "key_commitment", key->key_commitment,
	    sizeof key->key_commitment);
	cf_jout_close(out, '}');
}

static void
issue_reply(struct cf_req *req)
{
	struct cf_issue_item *item = req->item;
	struct cf_jout out;
	size_t i;

	if (item->rc == CF_OK) {
		cf_jout_begin(&out, cf_req_ok(req, cf_issue_is_repeat(item)
		    ? 200 : 201));
		cf_jout_b64(&out, "request_id", item->request_id,
		    sizeof item->request_id);
		cf_jout_open(&out, "keys", '[');
		for (i = 0; i < item->key_count; i++)
			issue_write_key(&out, req->ks, &item->key[i]);
		cf_jout_close(&out, ']');
		cf_jout_end(&out);
	} else {
		cf_req_fail(req, item->rc, &item->why);
	}
	for (i = 0; i < item->key_count; i++)
		cf_secret_wipe(&item->key[i].kd);
}

/* ---- the transaction ---- */

static enum cf_err
issue_all(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct cf_batch *batch = arg;
	struct sealing sealing = { .there = false };
	int64_t now_ms = 0;
	enum cf_err rc;
	size_t i;

	(void)db;
	cf_fault("issue.begin");
	rc = issue_find(batch, &sealing, &now_ms, why);
	if (rc != CF_OK)
		return rc;
	cf_fault("issue.found");
	for (i = 0; i < batch->count; i++)
		cf_issue_item_of(batch, i)->rc = issue_decide(batch, &sealing,
		    i);
	cf_fault("issue.decided");
	cf_issue_record(batch, now_ms);
	cf_fault("issue.written");
	for (i = 0; i < batch->count; i++)
		issue_reply(batch->req[i]);
	cf_fault("issue.commit");
	return CF_OK;
}

static void
issue_log_one(const struct cf_req *req)
{
	const struct cf_issue_item *item = req->item;
	char handle[CF_HANDLE_LEN + 1];

	cf_b64url_encode(item->key[0].key_id, CF_KEY_ID_LEN, handle);
	if (req->rc == CF_OK)
		cf_log(CF_LOG_INFO, "issued key=%s keys=%zu account=%lld "
		    "sender=%s%s", handle, item->key_count,
		    (long long)item->caller->account_id, item->sender,
		    cf_issue_is_repeat(item) ? " (again)" : "");
	else
		cf_log(CF_LOG_INFO, "not issued key=%s sender=%s reason=%s",
		    handle, item->sender, cf_err_slug(req->rc));
}

/* ---- key ids that stand in several requests of a batch ---- */

struct claim {
	const unsigned char *key_id;
	size_t request;
};

static int
by_key_then_request(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int c = memcmp(x->key_id, y->key_id, CF_KEY_ID_LEN);

	return c != 0 ? c : (x->request > y->request) -
	    (x->request < y->request);
}

/* Marks requests that name a key id of a request before them. */
static void
mark_later(struct cf_req **req, size_t count, size_t keys, bool *later)
{
	CF_AUTO(cf_free) struct claim *claim = cf_calloc(keys, sizeof *claim);
	const struct cf_issue_item *item;
	size_t i, j, n = 0;

	for (i = 0; i < count; i++) {
		item = req[i]->item;
		later[i] = false;
		for (j = 0; j < item->key_count; j++) {
			claim[n].key_id = item->key[j].key_id;
			claim[n++].request = i;
		}
	}
	qsort(claim, n, sizeof *claim, by_key_then_request);
	for (i = 1; i < n; i++)
		if (memcmp(claim[i - 1].key_id, claim[i].key_id,
		    CF_KEY_ID_LEN) == 0)
			later[claim[i].request] = true;
}

/* As many requests from the front as may go into one transaction. */
static size_t
portion(struct cf_req **req, size_t count, size_t *ret_keys)
{
	const struct cf_issue_item *item;
	size_t i, keys = 0;

	for (i = 0; i < count; i++) {
		item = req[i]->item;
		if (i > 0 && keys + item->key_count > KEYS_IN_BATCH)
			break;
		keys += item->key_count;
	}
	*ret_keys = keys;
	return i;
}

/*
 * One transaction with those of the first `count` that do not have to wait
 * for another one of them.  Gives the number of requests that do wait; they
 * are at the front of `req` then.
 */
static size_t
run_portion(struct cf_batch *batch, struct cf_req **req, size_t count,
    size_t keys)
{
	struct cf_req *now[CF_BATCH_MAX];
	bool later[CF_BATCH_MAX];
	struct cf_issue_item *item;
	size_t i, waiting = 0;

	mark_later(req, count, keys, later);
	batch->req = now;
	batch->count = 0;
	for (i = 0; i < count; i++) {
		item = req[i]->item;
		if (!later[i]) {
			now[batch->count++] = req[i];
		} else if (++item->postponed <= POSTPONE_MAX) {
			req[waiting++] = req[i];
		} else {
			cf_req_fail(req[i], CF_E_BUSY, NULL);
			issue_log_one(req[i]);
		}
	}
	cf_batch_run(batch, CF_DB_WRITE, "issue", issue_all);
	cf_fault("issue.committed");
	for (i = 0; i < batch->count; i++)
		issue_log_one(batch->req[i]);
	return waiting;
}

static void
issue_run(struct cf_batch *whole)
{
	struct cf_batch batch = *whole;
	struct cf_req *left[CF_BATCH_MAX];
	size_t count = whole->count, taken, waiting, keys;

	memcpy(left, whole->req, count * sizeof *left);
	while (count > 0) {
		taken = portion(left, count, &keys);
		waiting = run_portion(&batch, left, taken, keys);
		memmove(left + waiting, left + taken,
		    (count - taken) * sizeof *left);
		count = waiting + count - taken;
	}
	cf_fault("issue.reply");
}

const struct cf_kind cf_kind_issue = {
	.name = "issue",
	.run = issue_run,
};
