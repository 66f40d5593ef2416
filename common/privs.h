/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_privs - stop being root, and leave no core file.
 *
 * Call after sockets are bound and secrets are read, before threads start.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_PRIVS_H
#define CF_COMMON_PRIVS_H

#include "common/err.h"

/*
 * Core files and debuggers of the same user: off, as for all that holds keys,
 * or back on up to the hard limit.  A program that gets cores by a pipe
 * (core_pattern) does not ask for the limit, so both are set.
 */
void cf_privs_core(bool wanted);
/*
 * See to it that standard input, output and error are something, first of all:
 * else the next file or socket becomes one of them, and what is said goes
 * there.  Where one was closed, all writing to it fails.
 */
void cf_privs_standard_files(void);
/*
 * Become `user` (NULL or "": stay as we are) with the groups of that user and
 * `group` as the primary one (NULL or "": the user's own).  Core dumps are
 * turned off either way.
 * CF_E_CONFIG  no such user or group, or not allowed to change to it
 */
CF_MUST_USE enum cf_err cf_privs_drop(const char *user, const char *group,
    struct cf_why *why);

/*
 * Who a daemon will run as, for its -n: `user`, or, as root sees it, the owner
 * of `directory`, its store.  So a service manager's user is known, of whom
 * the configuration says nothing.  NULL: who asks.  Gives.
 */
char *cf_privs_user(const char *user, const char *directory);

#endif
