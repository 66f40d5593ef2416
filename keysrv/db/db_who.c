/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_who - see db_who.h. */
#include "keysrv/db/db_who.h"

#include "keysrv/db/db_row.h"
#include "keysrv/who/caller.h"

struct claim {
	struct cf_db_span claim;
	const char *domain;
};

void
cf_db_who_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct claim, member)
	static const struct cf_db_column columns[] = {
		{ "claim", CF_DB_SPAN, AT(claim), 0 },
		{ "domain", CF_DB_TEXT, AT(domain), 0 },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_who_add(struct cf_db_args *args, const unsigned char *sha256,
    size_t len, const char *domain)
{
	const struct claim claim = { { sha256, len }, domain };

	cf_db_args_add(args, &claim);
}

size_t
cf_db_who_token(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "who_token",
	    "SELECT q.n, a.account_id, a.name AS account, "
	    "d.domain IS NOT NULL AS may_send, r.check_value AS reference "
	    "FROM unnest($values) WITH ORDINALITY AS q ($columns, n) "
	    "JOIN counterfoil.api_token t ON t.token_sha256 = q.claim "
	    "AND t.revoked_at IS NULL "
	    "JOIN counterfoil.account a ON a.account_id = t.account_id "
	    "LEFT JOIN counterfoil.account_reference r "
	    "ON r.account_id = a.account_id "
	    "LEFT JOIN counterfoil.account_domain d "
	    "ON d.account_id = a.account_id AND d.domain = q.domain" };

	return cf_db_send(db, &stmt, args);
}

void
cf_db_who_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_who_row *ret)
{
#define AT(member) offsetof(struct cf_who_row, member)
	static const struct cf_db_column columns[] = {
		{ "n", CF_DB_NUMBER, AT(number), 0 },
		{ "account_id", CF_DB_INT, AT(account_id), 0 },
		{ "account", CF_DB_TEXT, AT(account), 0 },
		{ "may_send", CF_DB_BOOL, AT(may_send), 0 },
		{ "reference", CF_DB_IS_THERE, AT(has_reference), 0 },
		{ "reference", CF_DB_BYTES_OR_NULL, AT(reference),
		    CF_REF_CHECK_LEN },
	};
#undef AT

	CF_DB_ROW(db, result, row, columns, ret);
}
