/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_match - does what is outside of the database fit what is in it?
 *
 * A key server that seals with a master key that the database does not know
 * makes mail that nobody can open later; so it looks first, at start and
 * whenever it is asked whether it is ready.
 * Knows: which state there is.   Does not know: SQL (db_*.h), where the
 * master key comes from (vault.h).
 * Threads: as its cf_db.   Logging: never.
 */
#ifndef CF_KEYSRV_MATCH_H
#define CF_KEYSRV_MATCH_H

#include "keysrv/db/db.h"
#include "keysrv/key/vault.h"
#include "keysrv/settings.h"

/*
 * The master keys of the file against those of the database.  In a database
 * without any, the file's first becomes the first and active one.
 *
 * CF_E_MASTER_KEY  the file lacks one with which something was sealed
 * CF_E_CONFIG      the file has one that the database does not know
 */
CF_MUST_USE enum cf_err cf_match_masters(struct cf_db *db,
    struct cf_vault *vault, const struct cf_settings *settings,
    struct cf_why *why);
/* The same without making anything; *ret_any: the database has some. */
CF_MUST_USE enum cf_err cf_match_look(struct cf_db *db,
    struct cf_vault *vault, const char *path, bool *ret_any,
    struct cf_why *why);
/*
 * For a server that runs: are all keys there that were ever used?  Reads
 * results of cf_db_masters_send().  CF_E_MASTER_KEY  the first that is not
 */
CF_MUST_USE enum cf_err cf_match_used(const struct cf_db *db, size_t result,
    struct cf_vault *vault, struct cf_why *why);

/* Secrets of the service, the same for all servers and for ever. */
struct cf_match_secrets {
	struct cf_secret challenge;	/* makes challenges */
	struct cf_secret receipt;	/* makes Message-IDs of receipts */
	struct cf_secret form;		/* makes the tokens of forms */
};

/* Take them out of the database; make those that are not there yet. */
CF_MUST_USE enum cf_err cf_match_secrets(struct cf_db *db,
    struct cf_vault *vault, struct cf_match_secrets *ret,
    struct cf_why *why);
void cf_match_secrets_wipe(struct cf_match_secrets *secrets);

/* What people have from us; it changes only when somebody says so. */
enum cf_match_what {
	CF_MATCH_SERVICE_URL,	/* where links lead */
	CF_MATCH_SIGNER		/* who signs receipts */
};

/*
 * Is it as registered?  `value` is registered if nothing was.  CF_E_CONFIG:
 * another is; `why` says which command accepts it.
 */
CF_MUST_USE enum cf_err cf_match_registered(struct cf_db *db,
    enum cf_match_what what, const char *value, struct cf_why *why);
/* The same of what was read. */
CF_MUST_USE enum cf_err cf_match_differs(enum cf_match_what what,
    const char *value, const char *registered, struct cf_why *why);
/* Its name in the database and for counterfoil-admin.  Lends: static. */
const char *cf_match_name(enum cf_match_what what);
/* The value of the configuration.  Gives *ret; free it. */
CF_MUST_USE enum cf_err cf_match_value(enum cf_match_what what,
    const struct cf_settings *settings, char **ret, struct cf_why *why);

#endif
