/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_opening - opening proofs and mismatch reports: what an agent says after
 * it has tried to open the message.
 *
 * Both name a release and bring its secret; an opening is signed with the
 * opening key, which only the content key gives, a mismatch with the
 * possession key.  Each is recorded once a release.
 * Threads: a batch belongs to one worker.   Logging: one line a request,
 * after the transaction.
 */
#ifndef CF_KEYSRV_OPENING_H
#define CF_KEYSRV_OPENING_H

#include "keysrv/db/db_receipt.h"
#include "keysrv/http/request.h"

struct cf_opening_item {
	enum cf_proof_verb verb;	/* CF_PROOF_OPEN, CF_PROOF_MISMATCH */
	unsigned char key_id[CF_KEY_ID_LEN];
	char handle[CF_HANDLE_LEN + 1];
	unsigned char release_id[CF_RELEASE_ID_LEN];
	struct cf_secret secret;
	unsigned char secret_sha256[CF_DIGEST_LEN];
	char time[CF_TIME_LEN + 1];	/* the agent's clock */
	unsigned char signature[CF_SIGNATURE_LEN];
	/* found */
	bool found;
	struct cf_release_row release;
	/* locked */
	int64_t seen_at_ms;		/* recorded before; -1 = no */
	bool first;			/* opening by this principal */
	/* decided */
	enum cf_err rc;
	struct cf_why why;
	unsigned char event_id[CF_EVENT_ID_LEN];
};

/* Parse for either endpoint. */
CF_MUST_USE enum cf_err cf_opening_parse(struct cf_req *req,
    enum cf_proof_verb verb, struct cf_why *why);
void cf_opening_item_free(void *item);

#endif
