/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_report - what became of a message, for the log and the metrics.
 *
 * Does not know: libmilter, how that was decided.
 * Threads: safe.   Logging: one line a message; of mail that does not concern
 * us, at level debug unless log_passed.
 */
#ifndef CF_MILTER_REPORT_H
#define CF_MILTER_REPORT_H

#include "common/err.h"
#include "milter/gateway/mctx.h"

/*
 * The end of `m`; `why` may be empty.  counterfoil-milter(8) documents the
 * line's form, on which other people's programs rely.
 */
void cf_report_message(const char *queue_id, const struct cf_mctx *m,
    const char *verdict, const char *cause, const struct cf_why *why);

#endif
