/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_cli - what the subcommands of counterfoil(1) share.
 *
 * A subcommand is one file with one function; counterfoil.c has their table.
 * Threads: one.
 */
#ifndef CF_MILTER_CLI_H
#define CF_MILTER_CLI_H

#include <stdio.h>

#include "common/composite.h"
#include "common/err.h"
#include "common/httpc.h"
#include "milter/cli_conf.h"

/* Exit status, as the manual has it. */
enum {
	CF_EXIT_OK = 0,
	CF_EXIT_REFUSED = 1,	/* refused, damaged, not sealed */
	CF_EXIT_USAGE = 2,
	CF_EXIT_TEMPORARY = 75	/* EX_TEMPFAIL: try again later */
};

/* A sealed message, as a mail file or the bare E and L have it. */
struct cf_cli_sealed {
	struct cf_buf file;	/* what was read */
	bool bare;		/* it was E itself */
	bool has_link;		/* always, but for a bare E without --link */
	struct cf_composite mail;	/* bare: only locator and container */
};

/* argv[0] is the subcommand's name.  Gives the exit status. */
int cf_cmd_open(const struct cf_cli_conf *conf, int argc, char **argv);
int cf_cmd_show(const struct cf_cli_conf *conf, int argc, char **argv);
int cf_cmd_status(const struct cf_cli_conf *conf, int argc, char **argv);

/*
 * Read FILE ("-": standard input) and take it apart.  `link_text`, if given,
 * is L or a reader link for a bare E.  Fills *ret; cf_cli_sealed_free().
 */
CF_MUST_USE enum cf_err cf_cli_read(const struct cf_cli_conf *conf,
    const char *path, const char *link_text, struct cf_cli_sealed *ret,
    struct cf_why *why);
void cf_cli_sealed_free(struct cf_cli_sealed *sealed);

/*
 * The one line of failure on standard error: what, why, what to do.  Gives
 * the exit status that goes with `rc`.
 */
int cf_cli_fail(enum cf_err rc, const struct cf_why *why);
/* Text from outside, for a terminal, in its visible form (visible.h). */
void cf_cli_put(const char *text, FILE *out);
/* The same to a string.  Gives. */
char *cf_cli_clean(const char *text);
CF_MUST_USE enum cf_err cf_cli_client(const struct cf_cli_conf *conf,
    struct cf_httpc **ret, struct cf_why *why);

#endif
