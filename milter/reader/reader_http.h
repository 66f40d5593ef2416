/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_reader_http - the reader on the wire: files, answers, log.
 *
 * What is answered is decided in reader.h; connections are httpd.h's.
 * Threads: as httpd.h.
 * Logging: one line a request, with the first 6 characters of a name and
 * nothing of an unknown path: a link broken by a rewriter may carry a token
 * there.
 */
#ifndef CF_MILTER_READER_HTTP_H
#define CF_MILTER_READER_HTTP_H

#include "common/err.h"
#include "milter/reader/reader_conf.h"
#include "milter/reader/reader_metrics.h"

struct cf_reader_http;

/*
 * Read page files and certificate.  `conf` and `metrics` are lent until the
 * free.  Gives *ret.  CF_E_CONFIG with the file's name.
 */
CF_MUST_USE enum cf_err cf_reader_http_new(const struct cf_reader_conf *conf,
    struct cf_reader_metrics *metrics, struct cf_reader_http **ret,
    struct cf_why *why);
/* Serve on `fd`, which is taken.  CF_E_CONFIG if the library refuses. */
CF_MUST_USE enum cf_err cf_reader_http_start(struct cf_reader_http *http,
    int fd, struct cf_why *why);
/* Break off connections over their time; call about once a second. */
void cf_reader_http_sweep(struct cf_reader_http *http);
/* Take no new connections, let answers under way finish (drain_s), end. */
void cf_reader_http_stop(struct cf_reader_http *http);
void cf_reader_http_free(struct cf_reader_http **http);

#endif
