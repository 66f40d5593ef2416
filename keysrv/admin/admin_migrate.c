/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil-admin migrate - bring the schema to what this version needs.
 * Each migration is one transaction; running it again changes nothing.
 */
#include <stdio.h>

#include "keysrv/admin/admin.h"
#include "keysrv/db/db_admin.h"
#include "keysrv/db/schema.h"

/* A restored database may have all migrations and nothing of its rights. */
static enum cf_err
check_faults(struct cf_db *db, struct cf_why *why)
{
	size_t row, result = cf_db_faults_send(db);
	enum cf_err rc = cf_db_flush(db, why);

	for (row = 0; rc == CF_OK && row < cf_db_rows(db, result); row++)
		printf("%s\n", cf_db_get_text(db, result, row));
	if (rc == CF_OK && row > 0)
		rc = cf_fail(CF_E_CONFIG, why, "the schema has %zu faults; "
		    "was the database restored before its roles?  Restore "
		    "them first (pg_dumpall --roles-only), or mend each",
		    row);
	return rc;
}

/* *ret_applied is false when another migrator was faster. */
static enum cf_err
apply(struct cf_db *db, const struct cf_migration *m, bool *ret_applied,
    struct cf_why *why)
{
	enum cf_err rc = cf_db_migrate_apply(db, m, why);
	bool there = false;

	*ret_applied = rc == CF_OK;
	if (rc != CF_OK && cf_db_migrate_applied(db, m->version, &there, NULL)
	    == CF_OK && there)
		rc = CF_OK;
	return rc;
}

enum cf_err
cf_admin_migrate(const struct cf_settings *settings, int argc, char **argv,
    struct cf_why *why)
{
	CF_AUTO(cf_db_free) struct cf_db *db = NULL;
	const struct cf_migration *m;
	size_t i, done = 0;
	enum cf_err rc;
	bool applied;

	(void)argv;
	if (argc != 0)
		return CF_ADMIN_USAGE;
	db = cf_db_new(&(struct cf_db_options){
	    .conninfo = settings->database,
	    .unsafe_database = settings->unsafe_database,
	    .any_schema = true });
	rc = cf_db_connect(db, why);
	for (i = 0; i < cf_schema_count && rc == CF_OK; i++) {
		m = &cf_schema[i];
		rc = cf_db_migrate_applied(db, m->version, &applied, why);
		if (rc != CF_OK || applied)
			continue;
		rc = apply(db, m, &applied, why);
		if (rc == CF_OK && applied) {
			printf("applied %s\n", m->name);
			done++;
		}
	}
	if (rc == CF_OK)
		rc = check_faults(db, why);
	if (rc == CF_OK && done == 0)
		printf("up to date\n");
	return rc;
}
