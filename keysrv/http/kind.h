/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_kind - what workers do with requests: kinds.def, as a table.
 *
 * `single` is the rule: each request has a transaction of its own.  Requests
 * of any other kind share one, which is faster by far; that is for what comes
 * by the thousand, and costs the one who writes it a batch in which each
 * request can fail for itself.
 *
 * Knows: kinds.   Does not know: endpoints, HTTP, the queue.
 * Threads: const.   Logging: what after() logs.
 */
#ifndef CF_KEYSRV_KIND_H
#define CF_KEYSRV_KIND_H

#include <stddef.h>

#include "common/err.h"
#include "keysrv/db/db.h"

struct cf_batch;

struct cf_kind {
	const char *name;	/* in the counters and in the log */
	/*
	 * Decide every request of `batch`, a struct cf_batch, in one
	 * transaction of this mode; called as cf_batch_run() says.
	 */
	enum cf_db_mode mode;
	enum cf_err (*fn)(struct cf_db *db, void *batch, struct cf_why *why);
	/* All are decided, none is answered yet; or NULL. */
	void (*after)(const struct cf_batch *batch);
	/* Instead of all that: the kind makes its transactions itself. */
	void (*run)(struct cf_batch *batch);
};

enum {
#define KIND(name) + 1
	CF_KIND__COUNT = 0
#include "keysrv/http/kinds.def"
#undef KIND
};

extern const struct cf_kind *const cf_kinds[CF_KIND__COUNT];

#define KIND(name) extern const struct cf_kind cf_kind_##name;
#include "keysrv/http/kinds.def"
#undef KIND

#endif
