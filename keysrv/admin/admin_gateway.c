/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil-admin gateway - accounts of mail gateways.  The API token goes
 * into a 0600 file for the gateway; the database gets its SHA-256.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/clock.h"
#include "common/link.h"
#include "common/proofs.h"
#include "keysrv/admin/admin.h"
#include "keysrv/db/db_admin.h"

static enum cf_err
check_domain(const char *domain, struct cf_why *why)
{
	size_t len = strlen(domain);

	if (len == 0 || len > 253 || domain[0] == '.' ||
	    domain[len - 1] == '.' || domain[strspn(domain,
	    "abcdefghijklmnopqrstuvwxyz0123456789-.")] != '\0')
		return cf_fail(CF_E_CONFIG, why, "%s: not a domain in lower "
		    "case letters, digits, '-' and '.'", domain);
	return CF_OK;
}

static enum cf_err
parse_add(int argc, char **argv, struct cf_new_gateway *g,
    const char **ret_file, struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	const char *p;
	int i;

	if (argc < 1 || argv[0][0] == '-' || argv[0][0] == '\0')
		return CF_ADMIN_USAGE;
	for (p = argv[0]; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return cf_admin_wrong(argv[0], "a name without blanks "
			    "and control characters");
	g->name = argv[0];
	for (i = 1; i + 1 < argc && rc == CF_OK; i += 2) {
		if (strcmp(argv[i], "--token-file") == 0) {
			*ret_file = argv[i + 1];
		} else if (strcmp(argv[i], "--domain") == 0 &&
		    g->domain_count < CF_GATEWAY_DOMAINS_MAX) {
			rc = check_domain(argv[i + 1], why);
			g->domain[g->domain_count++] = argv[i + 1];
		} else {
			return cf_admin_wrong(argv[i],
			    strcmp(argv[i], "--domain") == 0 ?
			    "taken so often" : "an option here");
		}
	}
	if (rc == CF_OK && (i != argc || g->domain_count == 0 ||
	    *ret_file == NULL))
		return CF_ADMIN_USAGE;
	return rc;
}

enum cf_err
cf_admin_gateway_add(const struct cf_settings *settings, int argc,
    char **argv, struct cf_why *why)
{
	CF_AUTO(cf_db_free) struct cf_db *db = NULL;
	CF_AUTO(cf_secret_wipe) struct cf_secret token = CF_SECRET_EMPTY;
	struct cf_new_gateway gateway = { .domain_count = 0 };
	const char *file = NULL;
	enum cf_err rc;

	rc = parse_add(argc, argv, &gateway, &file, why);
	if (rc != CF_OK)
		return rc;
	cf_secret_random(&token, CF_TOKEN_LEN);
	cf_proof_sha256(&token, gateway.token_sha256);
	db = cf_admin_open_db(settings);
	rc = cf_db_connect(db, why);
	/* The file first: an account with a lost token is of no use. */
	if (rc == CF_OK)
		rc = cf_secret_write_file(file, &token, why);
	if (rc != CF_OK)
		return rc;
	rc = cf_db_gateway_add(db, &gateway, why);
	if (rc != CF_OK)
		(void)unlink(file);
	else
		printf("gateway %s: its API token is in %s\n", gateway.name,
		    file);
	return rc;
}

enum cf_err
cf_admin_gateway_reference(const struct cf_settings *settings, int argc,
    char **argv, struct cf_why *why)
{
	CF_AUTO(cf_db_free) struct cf_db *db = NULL;
	unsigned char check[CF_REF_CHECK_LEN];
	enum cf_err rc;

	if (argc != 2)
		return CF_ADMIN_USAGE;
	if (!cf_b64url_decode(argv[1], strlen(argv[1]), check, sizeof check))
		return cf_admin_wrong(argv[1], "a check of a reference "
		    "secret, as the key server's refusal names it");
	db = cf_admin_open_db(settings);
	rc = cf_db_connect(db, why);
	if (rc == CF_OK)
		rc = cf_db_gateway_reference(db, argv[0], check, why);
	if (rc == CF_OK)
		printf("gateway %s: its reference secret is the one of %s; a "
		    "gateway of that account with another is refused\n",
		    argv[0], argv[1]);
	return rc;
}

enum cf_err
cf_admin_gateway_list(const struct cf_settings *settings, int argc,
    char **argv, struct cf_why *why)
{
	CF_AUTO(cf_db_free) struct cf_db *db = NULL;
	struct cf_gateway_row gateway;
	char time[CF_TIME_LEN + 1];
	size_t row, list;
	enum cf_err rc;

	(void)argv;
	if (argc != 0)
		return CF_ADMIN_USAGE;
	db = cf_admin_open_db(settings);
	rc = cf_db_connect(db, why);
	if (rc == CF_OK)
		rc = cf_db_gateway_list(db, &list, why);
	if (rc != CF_OK)
		return rc;
	for (row = 0; row < cf_db_rows(db, list); row++) {
		cf_db_gateway_get(db, list, row, &gateway);
		cf_clock_format(gateway.created_at_ms, time);
		printf("%s\t%s\t%s\n", gateway.name, time,
		    gateway.domains);
	}
	return CF_OK;
}
