/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_metrics_http - serve GET /metrics on an address of its own, for the
 * options metrics_listen and metrics_public of our daemons.
 *
 * Knows: where it may listen.   Does not know: what the numbers are.
 * Threads: makes one, which calls `write`; the calls below come from main().
 * Logging: as httpd.h.
 */
#ifndef CF_COMMON_METRICS_HTTP_H
#define CF_COMMON_METRICS_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/finding.h"

struct cf_metrics_http;

/* What the configuration says, and where; lent to each call. */
struct cf_metrics_place {
	const char *path;	/* the file, for errors */
	const struct cf_conf_opt *table;
	size_t count;
	const char *listen;	/* ADDRESS:PORT, unix:/PATH; NULL: none */
	bool public;		/* others than this machine may reach it */
	const char *user;	/* to whom a unix socket is given, or NULL */
};

/*
 * For -n: could we listen there, as `user` (NULL: who asks)?  Says an error
 * if not.  That somebody listens there is no fault: a daemon may run.
 */
void cf_metrics_check(const struct cf_metrics_place *place, const char *user,
    struct cf_findings *findings);
/*
 * Listen there.  Before privileges are dropped.  *ret_fd is -1 when the option
 * is unset.
 * CF_E_CONFIG  it cannot be had, or others than this machine could reach it;
 *              `why` begins with the place in the file
 */
CF_MUST_USE enum cf_err cf_metrics_listen(
    const struct cf_metrics_place *place, int *ret_fd, struct cf_why *why);
/*
 * Serve on `fd` (taken; -1: nothing to do, *ret is NULL) what `write` appends,
 * in the text format; `arg` is lent to it.  Gives *ret.
 */
CF_MUST_USE enum cf_err cf_metrics_serve(const struct cf_metrics_place *place,
    int fd, enum cf_err (*write)(void *arg, struct cf_buf *out), void *arg,
    struct cf_metrics_http **ret, struct cf_why *why);
/* Break off who is slow; call about once a second.  NULL: nothing to do. */
void cf_metrics_http_sweep(struct cf_metrics_http *http);
/* A unix socket is removed. */
void cf_metrics_http_free(struct cf_metrics_http **http);

#endif
