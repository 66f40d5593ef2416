/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil-admin accept - a changed URL or signer is meant.  The servers
 * refuse to start with another than before: links lead to the one, receipts
 * are known by the other.
 */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "keysrv/admin/admin.h"
#include "keysrv/db/db_master.h"
#include "keysrv/key/match.h"

static bool
parse_what(const char *text, enum cf_match_what *ret)
{
	if (strcmp(text, cf_match_name(CF_MATCH_SERVICE_URL)) == 0)
		*ret = CF_MATCH_SERVICE_URL;
	else if (strcmp(text, cf_match_name(CF_MATCH_SIGNER)) == 0)
		*ret = CF_MATCH_SIGNER;
	else
		return false;
	return true;
}

static enum cf_err
check_set(const struct cf_settings *s, enum cf_match_what what,
    struct cf_why *why)
{
	if (what == CF_MATCH_SERVICE_URL && s->service_url == NULL)
		return cf_fail(CF_E_CONFIG, why, "service_url is not set; "
		    "name the key server's configuration with -c");
	if (what == CF_MATCH_SIGNER && (s->signer_certificate == NULL ||
	    s->signer_key == NULL || s->receipt_from == NULL))
		return cf_fail(CF_E_CONFIG, why, "signer_certificate, "
		    "signer_key or receipt_from is not set; name the key "
		    "server's configuration with -c");
	return CF_OK;
}

enum cf_err
cf_admin_accept(const struct cf_settings *settings, int argc, char **argv,
    struct cf_why *why)
{
	CF_AUTO(cf_db_free) struct cf_db *db = NULL;
	CF_AUTO(cf_free) char *value = NULL;
	enum cf_match_what what;
	enum cf_err rc;

	if (argc != 1)
		return CF_ADMIN_USAGE;
	if (!parse_what(argv[0], &what))
		return cf_admin_wrong(argv[0], "service_url or signer");
	rc = check_set(settings, what, why);
	if (rc == CF_OK)
		rc = cf_match_value(what, settings, &value, why);
	if (rc != CF_OK)
		return rc;
	db = cf_admin_open_db(settings);
	rc = cf_db_connect(db, why);
	if (rc == CF_OK)
		rc = cf_db_registered_set(db, argv[0], value, why);
	if (rc == CF_OK)
		printf("%s is %s; give all key servers the same and start "
		    "them again\n", argv[0], value);
	return rc;
}
