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

#include "common/bulk.h"
#include "common/err.h"
#include "common/httpc.h"
#include "common/proxy.h"
#include "common/reading.h"
#include "milter/cli/cli_conf.h"

/* Exit status, as the manual has it. */
enum {
	CF_EXIT_OK = 0,
	CF_EXIT_REFUSED = 1,	/* refused, damaged, not sealed */
	CF_EXIT_USAGE = 2,
	CF_EXIT_TEMPORARY = 75	/* EX_TEMPFAIL: try again later */
};

/* What a file has in it, and which of it is meant. */
struct cf_cli_sealed {
	struct cf_bulk bulk;	/* what was read */
	struct cf_buf file;	/* lends from `bulk` */
	struct cf_reading reading;
	/* After cf_cli_choose(): */
	const struct cf_sealed *part;	/* lends from `reading` */
	struct cf_link link;	/* L; a secret */
	bool other_link;	/* --link is not the one that the mail has */
};

struct cf_cli_place {
	struct cf_bulk_place bulk;
	char *directory;
};

/* argv[0] is the subcommand's name.  Gives the exit status. */
int cf_cmd_open(const struct cf_cli_conf *conf, int argc, char **argv);
int cf_cmd_show(const struct cf_cli_conf *conf, int argc, char **argv);
int cf_cmd_status(const struct cf_cli_conf *conf, int argc, char **argv);

/*
 * Where large mail lies meanwhile, in a file without a name: beside `out`, the
 * file that is to be written, or in TMPDIR when that is NULL.  Gives
 * it; cf_cli_place_free().
 */
void cf_cli_place(const char *out, struct cf_cli_place *ret);
void cf_cli_place_free(struct cf_cli_place *place);
/*
 * Read FILE ("-": standard input) and take it apart.  `place` is lent until
 * cf_cli_sealed_free().  Fills *ret.
 */
CF_MUST_USE enum cf_err cf_cli_read(const struct cf_cli_conf *conf,
    const char *path, const struct cf_cli_place *place,
    struct cf_cli_sealed *ret, struct cf_why *why);
/*
 * Say which of its sealed messages is meant: the one with `key_id` (a
 * handle), else that of the link, else the only one.  `link_text`, L or a
 * reader link, goes before the mail's own.  Either may be NULL.
 * CF_E_SEVERAL    there are others, and nothing says which one
 * CF_E_CONTAINER  none has that key id
 * CF_E_LINK_SYNTAX, CF_E_LINK_TOO_LONG  no link, here or there
 * CF_E_LINK_LOST  one that does not help, here or there
 */
CF_MUST_USE enum cf_err cf_cli_choose(struct cf_cli_sealed *sealed,
    const char *link_text, const char *key_id, struct cf_why *why);
void cf_cli_sealed_free(struct cf_cli_sealed *sealed);

/*
 * The one line of failure on standard error: what, why, what to do.  Gives
 * the exit status that goes with `rc`.
 */
int cf_cli_fail(enum cf_err rc, const struct cf_why *why);
/*
 * The same for a request to a key server, with one more line when it was not
 * reached and only the environment names a proxy.
 */
int cf_cli_fail_asking(const struct cf_cli_conf *conf, enum cf_err rc,
    const struct cf_why *why);
/* Text from outside, for a terminal, in its visible form (visible.h). */
void cf_cli_put(const char *text, FILE *out);
/* The same to a string.  Gives. */
char *cf_cli_clean(const char *text);
/*
 * For requests by the proxy of `conf`.  Fills *ret_proxy, which *ret uses:
 * end with cf_httpc_free(), then cf_proxy_wipe().
 */
CF_MUST_USE enum cf_err cf_cli_client(const struct cf_cli_conf *conf,
    struct cf_proxy *ret_proxy, struct cf_httpc **ret, struct cf_why *why);

#endif
