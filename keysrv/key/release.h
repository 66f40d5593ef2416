/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_release - one retrieval on its way through the release transaction.
 *
 * Knows: the order of the steps (release.c).   Does not know: HTTP, SQL text.
 * Threads: a batch belongs to one worker.   Logging: one line a request,
 * after the transaction.
 */
#ifndef CF_KEYSRV_RELEASE_H
#define CF_KEYSRV_RELEASE_H

#include "keysrv/http/batch.h"
#include "keysrv/key/ask.h"

struct cf_release_item {
	struct cf_ask ask;
	const struct cf_caller *caller;	/* lent by the request */
	/* found and locked */
	bool found;
	struct cf_key_row key;
	enum cf_err proof_rc;		/* what the proofs alone say */
	bool held;			/* the sealed message: signed with it */
	struct cf_db_challenge challenge;
	struct cf_key_lock state;
	bool has_material;		/* false: shredded */
	struct cf_vault_row material;
	bool used;			/* the challenge was */
	bool first;			/* release of this key */
	bool had;			/* its network, one in this hour */
	/*
	 * Of several items with one key the first keeps how the key stands;
	 * the others point to it.
	 */
	struct cf_release_item *lead;
	struct cf_quota_rest rest;	/* of the hour before */
	int64_t releases;
	bool changed;
	/* decided */
	enum cf_err rc;
	bool counted;			/* a refusal that is no event */
	struct cf_why why;
	unsigned char event_id[CF_EVENT_ID_LEN];
	unsigned char release_id[CF_RELEASE_ID_LEN];
	struct cf_secret secret;	/* goes out with the key */
	unsigned char secret_sha256[CF_DIGEST_LEN];
	struct cf_secret kd;
};

static inline struct cf_release_item *
cf_release_item_of(const struct cf_batch *batch, size_t i)
{
	return batch->req[i]->item;
}

void cf_release_item_free(void *item);
/*
 * Queue what COMMIT goes out with, as it was decided; gives releases their
 * ids and secrets.  release_record.c.
 */
void cf_release_record(const struct cf_batch *batch, int64_t now_ms);

#endif
