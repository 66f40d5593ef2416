/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_admin - see db_admin.h. */
#include "keysrv/db/db_admin.h"

#include "common/buf.h"

#define SCRIPT_MAX (1u << 20)

/* ---- migrations ---- */

/* The table of versions is made by the first migration. */
static enum cf_err
has_versions(struct cf_db *db, bool *ret, struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "has_versions",
	    "SELECT to_regclass('counterfoil.schema_version') IS NOT NULL" };
	size_t result = cf_db_send(db, &stmt, NULL);
	enum cf_err rc = cf_db_flush(db, why);

	if (rc == CF_OK)
		*ret = cf_db_get_bool(db, result, 0);
	return rc;
}

enum cf_err
cf_db_migrate_applied(struct cf_db *db, int version, bool *ret_applied,
    struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "version_find",
	    "SELECT true FROM counterfoil.schema_version "
	    "WHERE version = $1" };
	struct cf_db_args args;
	enum cf_err rc;
	size_t result;

	rc = has_versions(db, ret_applied, why);
	if (rc != CF_OK || !*ret_applied)
		return rc;
	cf_db_args_init(&args, "I");
	cf_db_int(&args, 0, version);
	result = cf_db_send(db, &stmt, &args);
	rc = cf_db_flush(db, why);
	cf_db_args_free(&args);
	if (rc == CF_OK)
		*ret_applied = cf_db_rows(db, result) == 1;
	return rc;
}

/* The first migrations come before the function. */
static const char record_grants[] = "DO $$ BEGIN "
    "IF to_regprocedure('counterfoil.record_grants()') IS NOT NULL THEN "
    "PERFORM counterfoil.record_grants(); END IF; END $$";

enum cf_err
cf_db_migrate_apply(struct cf_db *db, const struct cf_migration *m,
    struct cf_why *why)
{
	struct cf_buf script = CF_BUF_INIT(SCRIPT_MAX);
	struct cf_why own = { "" };
	enum cf_err rc;

	/* The first one makes the owner and becomes it by itself. */
	cf_buf_addf(&script, "BEGIN; SET LOCAL statement_timeout = 0; "
	    "SET LOCAL search_path = pg_catalog; "
	    "SELECT pg_advisory_xact_lock(hashtext('counterfoil migrate')); "
	    "%s\n", m->version == 1 ? ""
	    : "SET LOCAL ROLE counterfoil_owner;");
	cf_buf_adds(&script, m->sql);
	/* Number and name are our own constants. */
	cf_buf_addf(&script, "\n;INSERT INTO counterfoil.schema_version "
	    "(version, name) VALUES (%d, '%s'); %s; COMMIT", m->version,
	    m->name, record_grants);
	rc = cf_buf_check(&script, why);
	if (rc == CF_OK)
		rc = cf_db_script(db, cf_buf_str(&script), &own);
	if (rc != CF_OK) {
		(void)cf_fail(rc, why, "%s: %s", m->name, own.text);
		if (cf_db_connected(db) &&
		    cf_db_script(db, "ROLLBACK", NULL) != CF_OK)
			rc = CF_E_DATABASE;
	}
	cf_buf_free(&script);
	return rc;
}

size_t
cf_db_faults_send(struct cf_db *db)
{
	static const struct cf_db_stmt stmt = { "faults",
	    "SELECT fault FROM counterfoil.schema_fault "
	    "ORDER BY place, fault" };

	return cf_db_send(db, &stmt, NULL);
}

/* ---- gateways ---- */

static size_t
account_insert(struct cf_db *db, const char *name)
{
	static const struct cf_db_stmt stmt = { "account_insert",
	    "INSERT INTO counterfoil.account (name, kind) "
	    "VALUES ($1, 'gateway') ON CONFLICT DO NOTHING "
	    "RETURNING account_id" };
	struct cf_db_args args;
	size_t result;

	cf_db_args_init(&args, "T");
	cf_db_text(&args, 0, name);
	result = cf_db_send(db, &stmt, &args);
	cf_db_args_free(&args);
	return result;
}

static void
domains_insert(struct cf_db *db, int64_t account_id,
    const struct cf_new_gateway *g)
{
	static const struct cf_db_stmt stmt = { "domains_insert",
	    "INSERT INTO counterfoil.account_domain (account_id, domain) "
	    "SELECT DISTINCT $1, d FROM unnest($2) AS u (d)" };
	struct cf_db_args args;
	size_t i;

	cf_db_args_init(&args, "It");
	cf_db_int(&args, 0, account_id);
	for (i = 0; i < g->domain_count; i++)
		cf_db_text(&args, 1, g->domain[i]);
	(void)cf_db_send(db, &stmt, &args);
	cf_db_args_free(&args);
}

static void
token_insert(struct cf_db *db, int64_t account_id,
    const struct cf_new_gateway *g)
{
	static const struct cf_db_stmt stmt = { "token_insert",
	    "INSERT INTO counterfoil.api_token (token_sha256, account_id) "
	    "VALUES ($1, $2)" };
	struct cf_db_args args;

	cf_db_args_init(&args, "BI");
	cf_db_bytes(&args, 0, g->token_sha256, sizeof g->token_sha256);
	cf_db_int(&args, 1, account_id);
	(void)cf_db_send(db, &stmt, &args);
	cf_db_args_free(&args);
}

static enum cf_err
admin_add(struct cf_db *db, void *arg, struct cf_why *why)
{
	const struct cf_new_gateway *g = arg;
	int64_t account_id;
	size_t result;
	enum cf_err rc;

	result = account_insert(db, g->name);
	rc = cf_db_flush(db, why);
	if (rc != CF_OK)
		return rc;
	if (cf_db_rows(db, result) == 0)
		return cf_fail(CF_E_CONFIG, why, "there is an account of the "
		    "name %s", g->name);
	account_id = cf_db_get_int(db, result, 0);
	domains_insert(db, account_id, g);
	token_insert(db, account_id, g);
	return cf_db_flush(db, why);
}

enum cf_err
cf_db_gateway_add(struct cf_db *db, const struct cf_new_gateway *gateway,
    struct cf_why *why)
{
	struct cf_new_gateway copy = *gateway;

	return cf_db_run(db, CF_DB_WRITE, "gateway add", admin_add, &copy,
	    why);
}

enum cf_err
cf_db_gateway_reference(struct cf_db *db, const char *name,
    const unsigned char check[CF_REF_CHECK_LEN], struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "gateway_reference",
	    "INSERT INTO counterfoil.account_reference "
	    "(account_id, check_value) SELECT account_id, $2 "
	    "FROM counterfoil.account WHERE name = $1 AND kind = 'gateway' "
	    "ON CONFLICT (account_id) DO UPDATE "
	    "SET check_value = excluded.check_value, at = now() "
	    "RETURNING true" };
	struct cf_db_args args;
	enum cf_err rc;
	size_t result;

	cf_db_args_init(&args, "TB");
	cf_db_text(&args, 0, name);
	cf_db_bytes(&args, 1, check, CF_REF_CHECK_LEN);
	result = cf_db_send(db, &stmt, &args);
	rc = cf_db_flush(db, why);
	cf_db_args_free(&args);
	if (rc == CF_OK && cf_db_rows(db, result) == 0)
		rc = cf_fail(CF_E_CONFIG, why, "there is no gateway of the "
		    "name %s", name);
	return rc;
}

enum cf_err
cf_db_gateway_list(struct cf_db *db, size_t *ret_result, struct cf_why *why)
{
	static const struct cf_db_stmt stmt = { "gateway_list",
	    "SELECT a.name, (SELECT coalesce(string_agg(d.domain, ' ' "
	    "ORDER BY d.domain), '') FROM counterfoil.account_domain d "
	    "WHERE d.account_id = a.account_id) AS domains, a.created_at "
	    "FROM counterfoil.account a WHERE a.kind = 'gateway' "
	    "ORDER BY a.name" };

	*ret_result = cf_db_send(db, &stmt, NULL);
	return cf_db_flush(db, why);
}

void
cf_db_gateway_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_gateway_row *ret)
{
#define AT(member) offsetof(struct cf_gateway_row, member)
	static const struct cf_db_column columns[] = {
		{ "name", CF_DB_TEXT, AT(name), 0 },
		{ "domains", CF_DB_TEXT, AT(domains), 0 },
		{ "created_at", CF_DB_TIME, AT(created_at_ms), 0 },
	};
#undef AT

	CF_DB_ROW(db, result, row, columns, ret);
}
