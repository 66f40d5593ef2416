/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_daemon - counterfoil-milter while it serves.
 *
 * Socket, privileges, then libmilter in a thread of its own while this one
 * waits for signals: HUP and USR1 reload, TERM and INT stop when the messages
 * under way are done.
 * Threads: one, the first.   Logging: yes, it is the program.
 */
#ifndef CF_MILTER_DAEMON_H
#define CF_MILTER_DAEMON_H

#include "common/err.h"
#include "common/metrics_http.h"
#include "milter/gateway/mconf.h"

/* Where it serves its metrics.  Lends from both. */
struct cf_metrics_place cf_daemon_place(const char *path,
    const struct cf_mconf *conf);
/*
 * Serve with `conf`, which was read from `path`, until a signal ends it; that
 * ends the process.  *ret_status: libmilter ended by itself.
 * Errors: it did not start.
 */
CF_MUST_USE enum cf_err cf_daemon_run(const char *path,
    const struct cf_mconf *conf, int *ret_status, struct cf_why *why);

#endif
