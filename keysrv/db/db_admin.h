/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_admin - statements of counterfoil-admin: migrations, gateways. */
#ifndef CF_KEYSRV_DB_ADMIN_H
#define CF_KEYSRV_DB_ADMIN_H

#include "common/container.h"
#include "common/wire.h"
#include "keysrv/db/db.h"
#include "keysrv/db/db_row.h"
#include "keysrv/db/schema.h"

CF_MUST_USE enum cf_err cf_db_migrate_applied(struct cf_db *db, int version,
    bool *ret_applied, struct cf_why *why);
/*
 * In one transaction, with its line in schema_version.  One migrator at a
 * time: who comes second waits, and fails at what is there by then.
 */
CF_MUST_USE enum cf_err cf_db_migrate_apply(struct cf_db *db,
    const struct cf_migration *migration, struct cf_why *why);

/* What is not as the migrations made it: a row with a sentence for each. */
size_t cf_db_faults_send(struct cf_db *db);

#define CF_GATEWAY_DOMAINS_MAX 100

struct cf_new_gateway {
	const char *name;
	const char *domain[CF_GATEWAY_DOMAINS_MAX];
	size_t domain_count;
	unsigned char token_sha256[CF_DIGEST_LEN];
};

/* CF_E_CONFIG  there is an account of that name */
CF_MUST_USE enum cf_err cf_db_gateway_add(struct cf_db *db,
    const struct cf_new_gateway *gateway, struct cf_why *why);
/* The account's reference is this one from now on.  CF_E_CONFIG: no account */
CF_MUST_USE enum cf_err cf_db_gateway_reference(struct cf_db *db,
    const char *name, const unsigned char check[CF_REF_CHECK_LEN],
    struct cf_why *why);
/* All gateways, by name.  Rows for the next. */
CF_MUST_USE enum cf_err cf_db_gateway_list(struct cf_db *db,
    size_t *ret_result, struct cf_why *why);
struct cf_gateway_row {
	const char *name, *domains;	/* lent by the result */
	int64_t created_at_ms;
};
void cf_db_gateway_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_gateway_row *ret);

#endif
