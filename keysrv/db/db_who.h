/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_who - statements that find accounts by what their owners show.
 *
 * Does not know: what that is; it comes as a hash.
 */
#ifndef CF_KEYSRV_DB_WHO_H
#define CF_KEYSRV_DB_WHO_H

#include "common/wire.h"
#include "keysrv/db/db.h"

struct cf_who_row {
	size_t number;			/* of the claim */
	int64_t account_id;
	const char *account;		/* its name; lent */
	bool may_send;			/* for the domain */
	bool has_reference;
	unsigned char reference[CF_REF_CHECK_LEN];
};

/* Claims, each with a domain or "".  One of no bytes is nobody's. */
void cf_db_who_args(struct cf_db_args *args);
void cf_db_who_add(struct cf_db_args *args, const unsigned char *sha256,
    size_t len, const char *domain);
/* Claims that are the hashes of API tokens. */
size_t cf_db_who_token(struct cf_db *db, const struct cf_db_args *args);
/* A row of any of these. */
void cf_db_who_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_who_row *ret);

#endif
