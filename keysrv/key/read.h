/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_read - requests that only look: challenge, describe, the page of a key.
 *
 * One statement finds the keys of a whole batch; each endpoint's answer()
 * then writes its reply.  Nothing is recorded.
 * Threads: a batch belongs to one worker.
 */
#ifndef CF_KEYSRV_READ_H
#define CF_KEYSRV_READ_H

#include "keysrv/key/ask.h"

struct cf_read_item {
	struct cf_ask ask;
	bool has_key;		/* false: no token is needed (pages) */
	bool token_only;	/* of the key no more than that is needed */
	bool found;
	struct cf_key_row key;
	/* Called with the key found, unless token_only, and the token right. */
	void (*answer)(struct cf_req *req, const struct cf_read_item *item);
};

/* Makes req->item. */
struct cf_read_item *cf_read_item_new(struct cf_req *req);
void cf_read_item_free(void *item);

#endif
