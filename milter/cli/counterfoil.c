/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil - the recipient's and sender's command.  See counterfoil(1).
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/privs.h"
#include "common/prog.h"
#include "config.h"
#include "milter/cli/cli.h"

static const struct {
	const char *name;
	int (*run)(const struct cf_cli_conf *conf, int argc, char **argv);
	const char *says;
} commands[] = {
	{ "open", cf_cmd_open,
	    "retrieve the key and write the original message" },
	{ "show", cf_cmd_show, "say what a file is; asks nobody" },
	{ "status", cf_cmd_status, "list own sealed messages" },
};

static void
usage(FILE *out)
{
	size_t i;

	fputs("usage: counterfoil [-c FILE] [--key-server URL] COMMAND ...\n"
	    "       counterfoil [-c FILE] -n | --print-config\n"
	    "       counterfoil -V\n", out);
	for (i = 0; i < sizeof commands / sizeof commands[0]; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name,
		    commands[i].says);
}

static int
run(const struct cf_cli_conf *conf, int argc, char **argv)
{
	size_t i;

	for (i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[0], commands[i].name) == 0) {
			optind = 0;	/* glibc: start anew */
			return commands[i].run(conf, argc, argv);
		}
	fprintf(stderr, "counterfoil: no such command: %s\n", argv[0]);
	usage(stderr);
	return CF_EXIT_USAGE;
}

static int
run_with(const char *path, const char *only, enum cf_prog_task task, int argc,
    char **argv)
{
	struct cf_cli_conf conf = { 0 };
	struct cf_why why = { "" };
	enum cf_err rc;
	int status = CF_EXIT_OK;

	rc = cf_cli_conf_load(path, &conf, &why);
	if (rc != CF_OK)
		return cf_cli_fail(rc, &why);
	if (only != NULL)
		rc = cf_cli_conf_only(&conf, only, &why);
	if (rc != CF_OK)
		status = cf_cli_fail(rc, &why);
	else if (task == CF_PROG_PRINT)
		cf_conf_print(cf_cli_options, cf_cli_options_count, &conf,
		    stdout);
	else if (task == CF_PROG_RUN)
		status = run(&conf, argc, argv);
	cf_cli_conf_free(&conf);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "key-server", required_argument, NULL, 'k' },
		{ "print-config", no_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 }
	};
	const char *path = NULL, *only = NULL;
	enum cf_prog_task task = CF_PROG_RUN;
	int c;

	/* Keys and mail pass through: no core files, and no death by pipe. */
	cf_privs_standard_files();
	cf_privs_core(false);
	signal(SIGPIPE, SIG_IGN);
	while ((c = getopt_long(argc, argv, "+c:hnV", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case 'k':
			only = optarg;
			break;
		case 'n':
			task = CF_PROG_CHECK;
			break;
		case 'p':
			task = CF_PROG_PRINT;
			break;
		case 'V':
			puts("counterfoil " PACKAGE_VERSION);
			return CF_EXIT_OK;
		case 'h':
			usage(stdout);
			return CF_EXIT_OK;
		default:
			usage(stderr);
			return CF_EXIT_USAGE;
		}
	}
	if (task == CF_PROG_RUN && optind >= argc) {
		usage(stderr);
		return CF_EXIT_USAGE;
	}
	return run_with(path, only, task, argc - optind, argv + optind);
}
