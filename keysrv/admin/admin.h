/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_admin - the subcommands of counterfoil-admin.
 *
 * Each takes its own words (argv[0] is the first after its name) and prints
 * to standard output; a failure comes back as an error with a sentence.
 * Secrets never stand in argv: files take and give them.
 */
#ifndef CF_KEYSRV_ADMIN_H
#define CF_KEYSRV_ADMIN_H

#include "common/err.h"
#include "keysrv/db/db.h"
#include "keysrv/settings.h"

/* Wrong words: the caller prints the usage. */
#define CF_ADMIN_USAGE CF_E_SYNTAX
/* Say which argument is wrong, before the usage.  CF_ADMIN_USAGE. */
CF_MUST_USE enum cf_err cf_admin_wrong(const char *argument,
    const char *wanted);

typedef enum cf_err cf_admin_fn(const struct cf_settings *settings, int argc,
    char **argv, struct cf_why *why);

cf_admin_fn cf_admin_accept, cf_admin_migrate,
    cf_admin_gateway_add, cf_admin_gateway_list,
    cf_admin_gateway_reference,
    cf_admin_masterkey_new, cf_admin_masterkey_add,
    cf_admin_masterkey_activate, cf_admin_masterkey_status;

/* A connection as the owner, not made yet.  Gives. */
struct cf_db *cf_admin_open_db(const struct cf_settings *settings);

#endif
