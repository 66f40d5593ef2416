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
#include <stdint.h>

#include "common/assurance.h"
#include "common/err.h"
#include "common/proofs.h"
#include "common/wire.h"

struct cf_batch;
struct cf_db;
struct cf_db_args;
struct cf_req;

/* Who may call an endpoint; bits. */
enum cf_who {
	CF_WHO_ANYONE = 0,
	CF_WHO_PAGE = 1,	/* anyone, and pages of any origin: CORS */
	CF_WHO_TOKEN = 2	/* who has an API token */
};
/* Those of them that a method stands for. */
#define CF_WHO_KNOWN CF_WHO_TOKEN

/* One way to be known. */
struct cf_method {
	const char *name;
	enum cf_who who;	/* its bit */
	enum cf_assurance assurance;	/* of who is known by it */
	/*
	 * Read the claim out of the request's header, never to echo it.
	 * CF_E_UNAUTHORIZED  there is none, or it is not of its form
	 */
	enum cf_err (*read)(const struct cf_req *req,
	    unsigned char ret_sha256[CF_DIGEST_LEN], struct cf_why *why);
	/* Queue the statement that finds callers by claims: db_who.h. */
	size_t (*send)(struct cf_db *db, const struct cf_db_args *claims);
};

extern const struct cf_method cf_method_token;
#define CF_METHOD__COUNT 1	/* in the table */

/* What a caller brought, as the database knows it. */
struct cf_claim {
	const struct cf_method *method;	/* NULL: nothing */
	unsigned char sha256[CF_DIGEST_LEN];
};

#define CF_CALLER_ACCOUNT_MAX 100

struct cf_caller {
	const struct cf_method *method;	/* NULL: nobody that is known */
	char principal[CF_WIRE_ADDRESS_MAX + 1];	/* in records */
	enum cf_assurance assurance;
	int64_t account_id;		/* 0: none; else */
	char account[CF_CALLER_ACCOUNT_MAX + 1];	/* name, may be cut */
	bool may_send;			/* for the domain that was asked */
	bool has_reference;
	unsigned char reference[CF_REF_CHECK_LEN];
};

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
