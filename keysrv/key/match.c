/* SPDX-License-Identifier: Apache-2.0 */
/* cf_match - see match.h. */
#include "keysrv/key/match.h"

#include <string.h>

#include "common/mem.h"
#include "keysrv/db/db_master.h"
#include "keysrv/receipt/signer.h"

/* ---- master keys ---- */

enum cf_err
cf_match_used(const struct cf_db *db, size_t result, struct cf_vault *vault,
    struct cf_why *why)
{
	struct cf_master_row row;
	enum cf_err rc = CF_OK;
	size_t i;

	for (i = 0; i < cf_db_rows(db, result) && rc == CF_OK; i++) {
		cf_db_master_get(db, result, i, &row);
		if (row.used)
			rc = cf_vault_has(vault, &row.master, why);
	}
	return rc;
}

static bool
is_known(const struct cf_db *db, size_t result,
    const struct cf_master *master)
{
	struct cf_master_row row;
	size_t i;

	for (i = 0; i < cf_db_rows(db, result); i++) {
		cf_db_master_get(db, result, i, &row);
		if (memcmp(row.master.id, master->id, sizeof master->id) == 0)
			return true;
	}
	return false;
}

/* A key of the file that nobody has made known. */
static enum cf_err
check_unknown(const struct cf_db *db, size_t result,
    const struct cf_vault *vault, const char *path, struct cf_why *why)
{
	char text[CF_MASTER_TEXT_LEN + 1];
	size_t i;

	for (i = 0; i < cf_vault_count(vault); i++) {
		if (is_known(db, result, cf_vault_master(vault, i)))
			continue;
		cf_master_text(cf_vault_master(vault, i), text);
		return cf_fail(CF_E_CONFIG, why, "%s has a master key %s that "
		    "this database does not know; if it is meant to be new, "
		    "run: counterfoil-admin masterkey add", path, text);
	}
	return CF_OK;
}

enum cf_err
cf_match_look(struct cf_db *db, struct cf_vault *vault, const char *path,
    bool *ret_any, struct cf_why *why)
{
	size_t result = cf_db_masters_send(db);
	enum cf_err rc = cf_db_flush(db, why);

	if (rc != CF_OK)
		return rc;
	*ret_any = cf_db_rows(db, result) > 0;
	if (!*ret_any)
		return CF_OK;
	rc = cf_match_used(db, result, vault, why);
	return rc == CF_OK ? check_unknown(db, result, vault, path, why) : rc;
}

enum cf_err
cf_match_masters(struct cf_db *db, struct cf_vault *vault,
    const struct cf_settings *settings, struct cf_why *why)
{
	const char *path = settings->masterkey_file;
	bool any = false;
	enum cf_err rc;

	rc = cf_match_look(db, vault, path, &any, why);
	if (rc != CF_OK || any)
		return rc;
	/* Another server may be faster; its key counts. */
	rc = cf_db_master_first(db, cf_vault_master(vault, 0), why);
	return rc == CF_OK ? cf_match_look(db, vault, path, &any, why) : rc;
}

/* ---- secrets ---- */

static enum cf_err
make_secret(struct cf_db *db, struct cf_vault *vault, const char *name,
    struct cf_why *why)
{
	struct cf_vault_secret row;
	struct cf_master active;
	bool there = false;
	enum cf_err rc;
	size_t result;

	result = cf_db_active_send(db);
	rc = cf_db_flush(db, why);
	if (rc == CF_OK)
		cf_db_active_get(db, result, &active, &there);
	if (rc == CF_OK && !there)
		rc = cf_fail(CF_E_MASTER_KEY, why, "no master key is active; "
		    "see counterfoil-admin masterkey status");
	if (rc == CF_OK)
		rc = cf_vault_make_secret(vault, &active, name, &row, why);
	return rc == CF_OK ? cf_db_secret_add(db, name, &row, why) : rc;
}

static enum cf_err
get_secret(struct cf_db *db, struct cf_vault *vault, const char *name,
    struct cf_secret *ret, struct cf_why *why)
{
	struct cf_vault_secret row;
	bool there = false;
	enum cf_err rc;

	rc = cf_db_secret_find(db, name, &row, &there, why);
	if (rc == CF_OK && !there) {
		rc = make_secret(db, vault, name, why);
		/* Another server may have been faster; its one counts. */
		if (rc == CF_OK)
			rc = cf_db_secret_find(db, name, &row, &there, why);
	}
	if (rc == CF_OK && !there)
		rc = cf_fail(CF_E_INTERNAL, why,
		    "the secret \"%s\" cannot be read back", name);
	return rc == CF_OK ? cf_vault_open_secret(vault, name, &row, ret, why)
	    : rc;
}

enum cf_err
cf_match_secrets(struct cf_db *db, struct cf_vault *vault,
    struct cf_match_secrets *ret, struct cf_why *why)
{
	enum cf_err rc;

	rc = get_secret(db, vault, "challenge", &ret->challenge, why);
	if (rc == CF_OK)
		rc = get_secret(db, vault, "receipt", &ret->receipt, why);
	if (rc == CF_OK)
		rc = get_secret(db, vault, "form", &ret->form, why);
	return rc;
}

void
cf_match_secrets_wipe(struct cf_match_secrets *secrets)
{
	cf_secret_wipe(&secrets->challenge);
	cf_secret_wipe(&secrets->receipt);
	cf_secret_wipe(&secrets->form);
}

/* ---- URL and signer ---- */

const char *
cf_match_name(enum cf_match_what what)
{
	return what == CF_MATCH_SERVICE_URL ? "service_url" : "signer";
}

enum cf_err
cf_match_value(enum cf_match_what what, const struct cf_settings *settings,
    char **ret, struct cf_why *why)
{
	CF_AUTO(cf_signer_free) struct cf_signer *signer = NULL;
	char name[CF_SIGNER_NAME_LEN + 1];
	enum cf_err rc;

	if (what == CF_MATCH_SERVICE_URL) {
		*ret = cf_strdup(settings->service_url);
		return CF_OK;
	}
	rc = cf_signer_load(settings->signer_certificate,
	    settings->signer_key, settings->receipt_from, &signer, why);
	if (rc != CF_OK)
		return rc;
	cf_signer_name(signer, name);
	*ret = cf_strdup(name);
	return CF_OK;
}

enum cf_err
cf_match_differs(enum cf_match_what what, const char *value,
    const char *registered, struct cf_why *why)
{
	if (strcmp(value, registered) == 0)
		return CF_OK;
	if (what == CF_MATCH_SERVICE_URL)
		return cf_fail(CF_E_CONFIG, why, "service_url is %s, but "
		    "links that were given out lead to %s; if these come here "
		    "too, run: counterfoil-admin accept service_url", value,
		    registered);
	return cf_fail(CF_E_CONFIG, why, "signer_certificate has another key "
	    "(%s) than the signer whose receipts people have (%s); if it is "
	    "to sign from now on, run: counterfoil-admin accept signer",
	    value, registered);
}

enum cf_err
cf_match_registered(struct cf_db *db, enum cf_match_what what,
    const char *value, struct cf_why *why)
{
	CF_AUTO(cf_free) char *registered = NULL;
	enum cf_err rc;

	rc = cf_db_registered(db, cf_match_name(what), value, &registered,
	    why);
	return rc == CF_OK ? cf_match_differs(what, value, registered, why)
	    : rc;
}
