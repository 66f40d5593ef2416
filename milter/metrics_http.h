/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_metrics_http - serve GET /metrics on an address of its own.
 *
 * Threads: makes one; the calls below come from main().   Logging: as httpd.h.
 */
#ifndef CF_MILTER_METRICS_HTTP_H
#define CF_MILTER_METRICS_HTTP_H

#include "common/err.h"
#include "milter/mconf.h"

struct cf_metrics_http;

/*
 * Could we listen at metrics_listen, as `user` (NULL: who asks)?
 * CF_E_CONFIG  no, or others than this machine could reach it
 * CF_E_BUSY    somebody listens there
 */
CF_MUST_USE enum cf_err cf_metrics_check(const struct cf_mconf *conf,
    const char *user, struct cf_why *why);
/*
 * Listen at metrics_listen.  Before privileges are dropped.  *ret_fd is -1
 * when the option is unset.
 * CF_E_CONFIG  it cannot be had, or others than this machine could reach it
 */
CF_MUST_USE enum cf_err cf_metrics_listen(const struct cf_mconf *conf,
    int *ret_fd, struct cf_why *why);
/* Serve on `fd` (taken; -1: nothing to do, *ret is NULL).  Gives *ret. */
CF_MUST_USE enum cf_err cf_metrics_serve(int fd,
    struct cf_metrics_http **ret, struct cf_why *why);
/* Break off who is slow; call about once a second.  NULL: nothing to do. */
void cf_metrics_http_sweep(struct cf_metrics_http *http);
void cf_metrics_http_free(struct cf_metrics_http **http);

#endif
