/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil-admin masterkey - the master keys: make, make known, let seal,
 * look.  The keys are in the file; the database knows their names.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "keysrv/admin/admin.h"
#include "keysrv/db/db_master.h"
#include "keysrv/key/match.h"

enum cf_err
cf_admin_masterkey_new(const struct cf_settings *settings, int argc,
    char **argv, struct cf_why *why)
{
	enum cf_err rc;

	(void)settings;
	if (argc != 1 || argv[0][0] == '-')
		return CF_ADMIN_USAGE;
	rc = cf_vault_new_file(argv[0], why);
	if (rc == CF_OK)
		printf("%s: keep a copy apart from the database's; without it "
		    "no stored key can be opened again\n", argv[0]);
	return rc;
}

/* What the other three begin with; *ret_result are the known keys. */
static enum cf_err
open_both(const struct cf_settings *settings, struct cf_vault **ret_vault,
    struct cf_db **ret_db, size_t *ret_result, struct cf_why *why)
{
	enum cf_err rc;

	if (settings->masterkey_file == NULL)
		return cf_fail(CF_E_CONFIG, why, "masterkey_file is not set; "
		    "name the key server's configuration with -c");
	rc = cf_vault_load(settings->masterkey_file, ret_vault, why);
	if (rc != CF_OK)
		return rc;
	*ret_db = cf_admin_open_db(settings);
	rc = cf_db_connect(*ret_db, why);
	if (rc != CF_OK)
		return rc;
	*ret_result = cf_db_masters_send(*ret_db);
	return cf_db_flush(*ret_db, why);
}

/* The known key of that name; false: there is none. */
static bool
masterkey_find(const struct cf_db *db, size_t result, const unsigned char *id,
    struct cf_master_row *ret)
{
	size_t i;

	for (i = 0; i < cf_db_rows(db, result); i++) {
		cf_db_master_get(db, result, i, ret);
		if (memcmp(ret->master.id, id, sizeof ret->master.id) == 0)
			return true;
	}
	return false;
}

/* ---- add ---- */

/* The first key of the file that is not known, or NULL. */
static const struct cf_master *
first_unknown(const struct cf_db *db, size_t result,
    const struct cf_vault *vault)
{
	struct cf_master_row row;
	size_t i;

	for (i = 0; i < cf_vault_count(vault); i++)
		if (!masterkey_find(db, result, cf_vault_master(vault, i)->id,
		    &row))
			return cf_vault_master(vault, i);
	return NULL;
}

/*
 * A new key is in the file before it is known: one that was made known and
 * is in no file would be lost.  If only the first half was done, the next
 * call does the second.
 */
static enum cf_err
masterkey_add(const struct cf_settings *settings, struct cf_db *db,
    size_t result, struct cf_vault *vault, struct cf_why *why)
{
	const struct cf_master *master = first_unknown(db, result, vault);
	char text[CF_MASTER_TEXT_LEN + 1];
	enum cf_err rc = CF_OK;

	if (master == NULL) {
		rc = cf_vault_add(vault, why);
		master = cf_vault_master(vault, cf_vault_count(vault) - 1);
	}
	if (rc == CF_OK)
		rc = cf_db_master_add(db, master, why);
	if (rc != CF_OK)
		return rc;
	cf_master_text(master, text);
	printf("master key %s is in %s and known; put by a copy of the file, "
	    "bring it to every key server, then run: counterfoil-admin "
	    "masterkey activate %s\n", text, settings->masterkey_file, text);
	return CF_OK;
}

enum cf_err
cf_admin_masterkey_add(const struct cf_settings *settings, int argc,
    char **argv, struct cf_why *why)
{
	CF_AUTO(cf_vault_free) struct cf_vault *vault = NULL;
	CF_AUTO(cf_db_free) struct cf_db *db = NULL;
	enum cf_err rc;
	size_t result;

	(void)argv;
	if (argc != 0)
		return CF_ADMIN_USAGE;
	rc = open_both(settings, &vault, &db, &result, why);
	if (rc == CF_OK && cf_db_rows(db, result) == 0)
		rc = cf_fail(CF_E_CONFIG, why, "this database has no master "
		    "key yet; the first one is that of the server that "
		    "starts first");
	/* The wrong file is no place for a new key. */
	if (rc == CF_OK)
		rc = cf_match_used(db, result, vault, why);
	if (rc != CF_OK)
		return rc;
	return masterkey_add(settings, db, result, vault, why);
}

/* ---- activate ---- */

enum cf_err
cf_admin_masterkey_activate(const struct cf_settings *settings, int argc,
    char **argv, struct cf_why *why)
{
	CF_AUTO(cf_vault_free) struct cf_vault *vault = NULL;
	CF_AUTO(cf_db_free) struct cf_db *db = NULL;
	struct cf_master_row row;
	unsigned char id[CF_MASTER_ID_LEN];
	enum cf_err rc;
	size_t result;

	if (argc != 1)
		return CF_ADMIN_USAGE;
	if (!cf_master_parse(argv[0], strlen(argv[0]), id))
		return cf_admin_wrong(argv[0], "the name of a master key, as "
		    "counterfoil-admin masterkey status prints it");
	rc = open_both(settings, &vault, &db, &result, why);
	if (rc == CF_OK && !masterkey_find(db, result, id, &row))
		rc = cf_fail(CF_E_CONFIG, why, "this database knows no master "
		    "key %s; see counterfoil-admin masterkey status",
		    argv[0]);
	if (rc == CF_OK)
		rc = cf_vault_has(vault, &row.master, why);
	if (rc == CF_OK)
		rc = cf_db_master_activate(db, &row.master, why);
	if (rc == CF_OK)
		printf("master key %s seals from now on; keep the others for "
		    "what they sealed\n", argv[0]);
	return rc;
}

/* ---- status ---- */

static enum cf_err
print_key(struct cf_db *db, struct cf_vault *vault,
    const struct cf_master_row *row, struct cf_why *why)
{
	char text[CF_MASTER_TEXT_LEN + 1], time[CF_TIME_LEN + 1];
	struct cf_why unfit = { "" };
	int64_t count = 0;
	bool fits;
	enum cf_err rc;

	fits = cf_vault_has(vault, &row->master, &unfit) == CF_OK;
	rc = cf_db_master_count(db, &row->master, &count, why);
	if (rc != CF_OK)
		return rc;
	cf_master_text(&row->master, text);
	cf_clock_format(row->created_at_ms, time);
	printf("%s\t%s\t%s\t%lld keys\t%s\n", text,
	    row->active ? "active" : "known", time, (long long)count,
	    fits ? "ok" : unfit.text);
	return CF_OK;
}

/* Copies, as counting takes the connection. */
#define KNOWN_MAX 256

enum cf_err
cf_admin_masterkey_status(const struct cf_settings *settings, int argc,
    char **argv, struct cf_why *why)
{
	CF_AUTO(cf_vault_free) struct cf_vault *vault = NULL;
	CF_AUTO(cf_db_free) struct cf_db *db = NULL;
	struct cf_master_row rows[KNOWN_MAX];
	char text[CF_MASTER_TEXT_LEN + 1];
	const struct cf_master *unknown = NULL;
	size_t result, i, count = 0;
	enum cf_err rc;

	(void)argv;
	if (argc != 0)
		return CF_ADMIN_USAGE;
	rc = open_both(settings, &vault, &db, &result, why);
	if (rc != CF_OK)
		return rc;
	unknown = first_unknown(db, result, vault);
	for (; count < cf_db_rows(db, result) && count < KNOWN_MAX; count++)
		cf_db_master_get(db, result, count, &rows[count]);
	for (i = 0; i < count && rc == CF_OK; i++)
		rc = print_key(db, vault, &rows[i], why);
	if (rc != CF_OK || unknown == NULL)
		return rc;
	cf_master_text(unknown, text);
	return cf_fail(CF_E_CONFIG, why, "%s has a master key %s that this "
	    "database does not know", settings->masterkey_file, text);
}
