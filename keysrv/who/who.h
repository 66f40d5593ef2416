/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_who - who is asking, by a table of methods.
 *
 * An endpoint says which methods it takes.  The first of them whose claim the
 * header brings is it: the claim is read by an HTTP thread, and the database
 * is asked whose it is in the transaction that does the request.
 *
 * Knows: methods, what each is worth.   Does not know: SQL, HTTP, what a
 * caller may do.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_WHO_H
#define CF_KEYSRV_WHO_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "keysrv/who/caller.h"

struct cf_batch;
struct cf_req;

/*
 * Read the claim by a method that the endpoint takes, into req->claim.
 * CF_E_UNAUTHORIZED  none of them finds one; not where anyone may call
 */
CF_MUST_USE enum cf_err cf_who_read(struct cf_req *req, struct cf_why *why);

/* Which results of a flush tell of callers. */
struct cf_who_asked {
	bool sent[CF_METHOD__COUNT];
	size_t result[CF_METHOD__COUNT];
};

/*
 * In a transaction: queue the statements that find the callers of a batch,
 * none for a batch without claims.  `domain` gives the one that a request's
 * caller is to send for; NULL: that is not asked.
 */
void cf_who_send(const struct cf_batch *batch,
    const char *(*domain)(const struct cf_req *req),
    struct cf_who_asked *ret);
/* After the flush: sets req->caller of each. */
void cf_who_get(const struct cf_batch *batch,
    const struct cf_who_asked *asked);
/* Both, with a flush of their own; its error. */
CF_MUST_USE enum cf_err cf_who_find(const struct cf_batch *batch,
    struct cf_why *why);

/*
 * Who has shown to hold message and link and is not known otherwise is known
 * as that: at bearer nobody is named, all who hold them are one principal.
 */
void cf_who_holds(struct cf_caller *caller);

#endif
