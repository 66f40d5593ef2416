/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_issue - one issue request on its way: read by ep_issue.c, done by
 * issue.c.
 *
 * Threads: a batch belongs to one worker.   Logging: one line a request,
 * after the transaction.
 */
#ifndef CF_KEYSRV_ISSUE_H
#define CF_KEYSRV_ISSUE_H

#include "common/assurance.h"
#include "common/wire.h"
#include "keysrv/db/db_receipt.h"
#include "keysrv/http/batch.h"
#include "keysrv/http/request.h"

/* One key of a request. */
struct cf_item_key {
	unsigned char key_id[CF_KEY_ID_LEN];
	struct cf_secret token;
	unsigned char token_sha256[CF_DIGEST_LEN];
	unsigned char opening_key[CF_PUBLIC_KEY_LEN];
	unsigned char possession_key[CF_PUBLIC_KEY_LEN];
	unsigned char values_sha256[CF_DIGEST_LEN];
	char algorithm[33];
	json_t *policy;			/* while parsing */
	enum cf_assurance require;
	int64_t expires_in_s;		/* from the issue; 0: never */
	/* done */
	bool there;			/* issued before */
	struct cf_issued issued;
	struct cf_vault_row material;
	unsigned char key_commitment[CF_COMMITMENT_LEN];
	struct cf_secret kd;
};

struct cf_issue_item {
	unsigned char request_id[CF_EVENT_ID_LEN];
	unsigned char message_ref[CF_REF_LEN];
	char message_id[CF_MESSAGE_ID_MAX + 1];
	char sender[CF_WIRE_ADDRESS_MAX + 1];
	char domain[CF_WIRE_ADDRESS_MAX + 1];	/* of sender, lower case */
	char reader_url[CF_SERVICE_MAX + 1];
	unsigned char reference_check[CF_REF_CHECK_LEN];
	json_t *recipients, *keys;	/* while parsing */
	char *recipient[CF_ISSUE_RECIPIENTS_MAX];
	size_t recipient_count;
	struct cf_item_key *key;
	size_t key_count;
	/* done */
	unsigned postponed;	/* times it waited for another's key id */
	bool suspect;		/* a key id in its batch may be there */
	const struct cf_caller *caller;	/* lent by the request */
	bool has_reference;	/* the account has one: */
	unsigned char reference[CF_REF_CHECK_LEN];
	bool first_reference;	/* this request gives the account its one */
	enum cf_err rc;
	struct cf_why why;
};

static inline struct cf_issue_item *
cf_issue_item_of(const struct cf_batch *batch, size_t i)
{
	return batch->req[i]->item;
}

/* Were keys of it issued before? */
bool cf_issue_is_repeat(const struct cf_issue_item *item);
/*
 * Queue what COMMIT goes out with, as it was decided; issue_record.c.  Nothing
 * of a key may be there yet: if it is a repeat, or somebody else was faster,
 * all is rolled back and looked at again.
 */
void cf_issue_record(const struct cf_batch *batch, int64_t now_ms);

/*
 * Is the gateway's reference secret that of its account?  `registered` is
 * NULL for an account without one.  CF_E_REFERENCE: it is another; `why`
 * says which command accepts it.
 */
CF_MUST_USE enum cf_err cf_issue_reference(const char *account,
    const unsigned char *registered,
    const unsigned char check[CF_REF_CHECK_LEN], struct cf_why *why);

#endif
