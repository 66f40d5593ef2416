/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_reader_check - what `counterfoil-reader -n` looks at beyond the
 * configuration.  Nothing is changed anywhere.
 *
 * Threads: one.   Logging: never; findings go where `findings` says.
 */
#ifndef CF_MILTER_READER_CHECK_H
#define CF_MILTER_READER_CHECK_H

#include "common/finding.h"
#include "milter/reader/reader_conf.h"

/* As the reader's user: certificate, store, and the last line. */
void cf_reader_check(const struct cf_reader_conf *conf,
    struct cf_findings *findings);

#endif
