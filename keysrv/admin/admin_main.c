/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil-admin - set up and look after a key server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/privs.h"
#include "config.h"
#include "keysrv/admin/admin.h"
#include "keysrv/admin/admin_signer.h"

#define CONFIG_FILE CF_SYSCONFDIR "/counterfoil-keysrv.conf"

struct cf_db *
cf_admin_open_db(const struct cf_settings *settings)
{
	return cf_db_new(&(struct cf_db_options){
	    .conninfo = settings->database,
	    .role = "counterfoil_owner",
	    .unsafe_database = settings->unsafe_database });
}

enum cf_err
cf_admin_wrong(const char *argument, const char *wanted)
{
	fprintf(stderr, "counterfoil-admin: \"%s\" is not %s\n", argument,
	    wanted);
	return CF_ADMIN_USAGE;
}

static enum cf_err
signer_new(const struct cf_settings *settings, int argc, char **argv,
    struct cf_why *why)
{
	const char *address = NULL, *cert = NULL, *key = NULL, *alg = NULL;
	int i;

	(void)settings;
	for (i = 0; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--address") == 0)
			address = argv[i + 1];
		else if (strcmp(argv[i], "--cert") == 0)
			cert = argv[i + 1];
		else if (strcmp(argv[i], "--key") == 0)
			key = argv[i + 1];
		else if (strcmp(argv[i], "--algorithm") == 0)
			alg = argv[i + 1];
		else
			return CF_ADMIN_USAGE;
	}
	if (i != argc || address == NULL || cert == NULL || key == NULL)
		return CF_ADMIN_USAGE;
	return cf_admin_signer_new(address, cert, key, alg, stdout, why);
}

static const struct command {
	const char *noun, *verb;	/* verb NULL: none */
	bool needs_config;
	cf_admin_fn *run;
	const char *words;
} commands[] = {
	{ "migrate", NULL, true, cf_admin_migrate, "" },
	{ "accept", NULL, true, cf_admin_accept, "service_url|signer" },
	{ "gateway", "add", true, cf_admin_gateway_add,
	    "NAME --domain DOMAIN [--domain DOMAIN ...] --token-file FILE" },
	{ "gateway", "list", true, cf_admin_gateway_list, "" },
	{ "gateway", "reference", true, cf_admin_gateway_reference,
	    "NAME CHECK" },
	{ "masterkey", "new", false, cf_admin_masterkey_new, "FILE" },
	{ "masterkey", "add", true, cf_admin_masterkey_add, "" },
	{ "masterkey", "activate", true, cf_admin_masterkey_activate, "ID" },
	{ "masterkey", "status", true, cf_admin_masterkey_status, "" },
	{ "signer", "new", false, signer_new, "--address ADDRESS --cert FILE "
	    "--key FILE [--algorithm p256|rsa3072]" },
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static int
usage(void)
{
	size_t i;

	fputs("usage: counterfoil-admin [-c FILE] COMMAND\n"
	    "       counterfoil-admin -V\n"
	    "commands:\n", stderr);
	for (i = 0; i < COMMAND_COUNT; i++)
		fprintf(stderr, "  %s%s%s %s\n", commands[i].noun,
		    commands[i].verb == NULL ? "" : " ",
		    commands[i].verb == NULL ? "" : commands[i].verb,
		    commands[i].words);
	return 2;
}

/*
 * The files that the configuration names are made by these commands, so they
 * need not be there yet: the same table, without the checks of values.
 */
static enum cf_err
load_settings(const char *path, struct cf_settings *settings,
    struct cf_why *why)
{
	CF_AUTO(cf_free) struct cf_conf_opt *table =
	    cf_calloc(cf_settings_count, sizeof *table);
	size_t i;

	memcpy(table, cf_settings_table, cf_settings_count * sizeof *table);
	for (i = 0; i < cf_settings_count; i++)
		table[i].check = NULL;
	return cf_conf_load(path, table, cf_settings_count, settings, why);
}

static int
run(const struct command *command, const char *config, int argc, char **argv)
{
	struct cf_settings settings;
	struct cf_why why = { "" };
	enum cf_err rc = CF_OK;

	memset(&settings, 0, sizeof settings);
	if (command->needs_config)
		rc = load_settings(config, &settings, &why);
	if (rc == CF_OK)
		rc = command->run(&settings, argc, argv, &why);
	cf_settings_free(&settings);
	if (rc == CF_OK)
		return 0;
	if (rc == CF_ADMIN_USAGE && why.text[0] == '\0')
		return usage();
	fprintf(stderr, "counterfoil-admin: %s\n", why.text[0] == '\0'
	    ? cf_err_text(rc) : why.text);
	return cf_err_class(rc) == CF_CLASS_TEMP && rc != CF_E_CONFIG &&
	    rc != CF_E_IO && rc != CF_E_FULL ? 75 : 1;
}

int
main(int argc, char **argv)
{
	const char *config = CONFIG_FILE;
	const struct command *c;
	size_t i;

	cf_privs_standard_files();
	cf_privs_core(false);
	(void)umask(077);
	cf_log_open("counterfoil-admin", CF_LOG_STDERR, CF_LOG_WARN);
	argc--, argv++;
	if (argc == 1 && strcmp(argv[0], "-V") == 0) {
		puts("counterfoil-admin " PACKAGE_VERSION);
		return 0;
	}
	if (argc >= 2 && strcmp(argv[0], "-c") == 0) {
		config = argv[1];
		argc -= 2, argv += 2;
	}
	for (i = 0; i < COMMAND_COUNT; i++) {
		c = &commands[i];
		if (argc < 1 || strcmp(argv[0], c->noun) != 0)
			continue;
		if (c->verb == NULL)
			return run(c, config, argc - 1, argv + 1);
		if (argc >= 2 && strcmp(argv[1], c->verb) == 0)
			return run(c, config, argc - 2, argv + 2);
	}
	return usage();
}
