/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_req - one HTTP request on its way through the server.
 *
 *   HTTP thread   reads the body, calls the endpoint's parse(), suspends
 *   worker        takes a batch of requests of one kind, does them in one
 *                 transaction, sets each reply
 *   HTTP thread   sends the reply, wipes everything
 *
 * Knows: what an endpoint needs of a request.   Does not know: the HTTP
 * library (http.c does).
 * Threads: one owner at a time; the queue hands it over.
 */
#ifndef CF_KEYSRV_REQUEST_H
#define CF_KEYSRV_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/proofs.h"
#include "common/secret.h"
#include "keysrv/db/db.h"
#include "keysrv/http/endpoint.h"
#include "keysrv/key/vault.h"
#include "keysrv/settings.h"
#include "keysrv/web/page.h"

#define CF_BATCH_MAX 512	/* requests in one transaction */

/* What the running server is made of; const after start. */
struct cf_ks {
	const struct cf_settings *settings;
	struct cf_vault *vault;
	const struct cf_secret *challenge_secret;
	const struct cf_secret *form_secret;	/* of csrf.h */
	struct cf_queue *queue;
	struct cf_health *health;
	struct cf_counts *counts;	/* NULL: nothing is counted */
};

#define CF_REPLY_FIELDS_MAX 4

/* A header field of a reply, besides those that every reply has. */
struct cf_reply_field {
	const char *name;	/* static text */
	char *value;		/* may be a secret */
};

struct cf_req {
	const struct cf_ks *ks;
	const struct cf_endpoint *ep;
	const struct cf_kind *kind;	/* mostly the endpoint's */
	const char *tail;	/* path below ep->path, lent */
	json_t *json;		/* the body, an object; NULL without */
	const char *raw;	/* or as it came; both for parse() alone */
	size_t raw_len;
	struct cf_secret visitor;	/* for csrf.c alone */
	struct cf_claim claim;	/* if ep->who has a method */
	struct cf_caller caller;	/* whose it is; in a transaction */
	char origin[CF_ORIGIN_MAX + 1];	/* header, or "-" */
	unsigned char network[8];	/* of the client: /24 or /64 */
	size_t network_len;		/* 3, 8, or 0 if not known */
	/*
	 * Copy a query parameter's value, decoded; false: there is none.  One
	 * that is not well encoded, or longer than `cap` holds, is "".
	 */
	bool (*query)(const struct cf_req *req, const char *name, char *ret,
	    size_t cap);
	int query_count;	/* parameters behind the '?' */
	/* A header field's value, the first of its name, or NULL.  Lends. */
	const char *(*field)(const struct cf_req *req, const char *name);
	struct cf_req *next;	/* in the queue */
	int64_t queued_ms;
	uint64_t serial;	/* order of arrival */

	void *item;		/* the endpoint's */

	enum cf_err rc;		/* CF_ERR__COUNT: not decided yet */
	int status;		/* of a good reply */
	const char *type;	/* NULL: application/json */
	struct cf_page page;	/* if that is what it is: cf_req_page() */
	unsigned retry_after_s;	/* of CF_E_TOO_MANY */
	struct cf_reply_field fields[CF_REPLY_FIELDS_MAX];
	size_t field_count;	/* in use: cf_req_add_field() */
	struct cf_buf reply;	/* wiped when sent */
	struct cf_why why;	/* "detail" of an error */
};

/* A good reply begins: gives the empty buffer to write the body to. */
struct cf_buf *cf_req_ok(struct cf_req *req, int status);
/* The reply is a page; its caller writes and ends it. */
struct cf_page *cf_req_page(struct cf_req *req, int status,
    const char *title);
/*
 * The reply is that the browser shall GET `path` of ours, one slash in front:
 * 303, RFC 9110 15.4.4.  CF_E_SYNTAX: it is another's, which would send
 * people wherever somebody else likes; nothing has changed.
 */
CF_MUST_USE enum cf_err cf_req_redirect(struct cf_req *req, const char *path,
    struct cf_why *why);
/*
 * Add a header field to the reply that has begun, good or bad; to begin
 * another takes it away.  `name` is lent for ever, `value` copied.
 * CF_E_SYNTAX: `value` has other characters than printable ASCII.
 */
CF_MUST_USE enum cf_err cf_req_add_field(struct cf_req *req,
    const char *name, const char *value, struct cf_why *why);
/* Take away what cf_req_add_field() added. */
void cf_req_drop_fields(struct cf_req *req);
/* A bad one.  `why` may be NULL or empty: the table's sentence is sent. */
void cf_req_fail(struct cf_req *req, enum cf_err rc, const struct cf_why *why);

#endif
