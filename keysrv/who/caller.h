/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_caller - who may ask, what they bring, who they are; see who.h.
 */
#ifndef CF_KEYSRV_CALLER_H
#define CF_KEYSRV_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/assurance.h"
#include "common/err.h"
#include "common/proofs.h"
#include "common/wire.h"

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

#endif
