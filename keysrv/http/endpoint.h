/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_endpoint - what the key server can be asked: endpoints.def, as a table.
 *
 * Knows: paths, methods, who may call.   Does not know: HTTP, the database.
 * Threads: const.   Logging: never.
 */
#ifndef CF_KEYSRV_ENDPOINT_H
#define CF_KEYSRV_ENDPOINT_H

#include <stddef.h>

#include "common/err.h"
#include "keysrv/db/db.h"
#include "keysrv/who/caller.h"

enum cf_body {
	CF_BODY_NONE,
	CF_BODY_JSON,		/* one object, in req->json */
	CF_BODY_FORM,		/* likewise, of strings: from a page of ours
				 * that its sender was shown, see csrf.h */
	CF_BODY_RAW,		/* of action->raw_type, in req->raw */
	CF_BODY__COUNT
};

struct cf_kind;
struct cf_req;

/* What an endpoint does. */
struct cf_action {
	/* What workers do with it; NULL: no worker has to. */
	const struct cf_kind *kind;
	/*
	 * Read the request into req->item, or reply at once.  Runs on an
	 * HTTP thread: no waiting.  NULL: there is nothing to read.
	 */
	enum cf_err (*parse)(struct cf_req *req, struct cf_why *why);
	void (*free_item)(void *item);	/* NULL if parse() makes none */
	const char *raw_type;	/* of a CF_BODY_RAW: its media type */
	/*
	 * Without a kind: give it to somebody who decides it in his own time,
	 * then calls cf_http_done().  NULL, too: parse() has answered.
	 */
	void (*ask)(struct cf_req *req);
	/*
	 * For cf_kind_single: decide the request (cf_req_ok(), cf_req_fail())
	 * in a transaction of its own, of this mode; as the function of
	 * cf_db_run(), so it may be called again and ends the transaction by
	 * what it returns.  Other than CF_OK, the client is told that.
	 */
	enum cf_db_mode mode;
	enum cf_err (*run)(struct cf_db *db, struct cf_req *req,
	    struct cf_why *why);
};

/* A row of endpoints.def. */
struct cf_endpoint {
	const char *name;
	const char *method;	/* "GET" (HEAD too) or "POST" */
	const char *path;	/* ends in '/': all below it, one level */
	unsigned who;		/* may call: enum cf_who */
	enum cf_body body;
	size_t body_max;	/* bytes */
	const struct cf_action *action;
};

enum {
#define ENDPOINT(name, method, path, who, body, bytes) + 1
	CF_ENDPOINT__COUNT = 0
#include "keysrv/http/endpoints.def"
#undef ENDPOINT
};

extern const struct cf_endpoint cf_endpoints[CF_ENDPOINT__COUNT];

/*
 * The endpoint whose path this is (not decoded, without query), or NULL;
 * *ret_tail is what follows a final '/'.
 */
const struct cf_endpoint *cf_endpoint_find(const char *path,
    const char **ret_tail);

#define ENDPOINT(name, method, path, who, body, bytes) \
	extern const struct cf_action cf_ep_##name;
#include "keysrv/http/endpoints.def"
#undef ENDPOINT

#endif
