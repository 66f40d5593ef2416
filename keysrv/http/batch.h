/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_batch - requests of one kind, and the transaction that they share.
 *
 * Knows: when a transaction may be tried, and what its failure means for
 * each.   Does not know: what the requests want.
 * Threads: as the database connection.   Logging: as cf_db_run().
 */
#ifndef CF_KEYSRV_BATCH_H
#define CF_KEYSRV_BATCH_H

#include <stddef.h>

#include "common/err.h"
#include "keysrv/db/db.h"

struct cf_kind;
struct cf_ks;
struct cf_req;

/* What a worker took from the queue: requests of one kind. */
struct cf_batch {
	const struct cf_ks *ks;
	struct cf_db *db;
	struct cf_req **req;
	size_t count;
};

/*
 * Run `fn` over the batch as one transaction; `fn` decides every request.
 * If the transaction is refused for what one of them says, each is run
 * alone; if it fails otherwise, or its outcome is not known, all are told
 * 503 and whatever fn decided is forgotten.
 */
void cf_batch_run(struct cf_batch *batch, enum cf_db_mode mode,
    const char *name, enum cf_err (*fn)(struct cf_db *db, void *batch,
    struct cf_why *why));

/* By kind->run(), or as one transaction. */
void cf_batch_do(struct cf_batch *batch, const struct cf_kind *kind);

#endif
