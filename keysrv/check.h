/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_check - what `counterfoil-keysrv -n` looks at beyond the configuration.
 *
 * Each finding is one line of common/finding.h.  Nothing is changed anywhere:
 * nothing is registered and no mail is sent.
 * Threads: one.   Logging: never; findings go to `findings`.
 */
#ifndef CF_KEYSRV_CHECK_H
#define CF_KEYSRV_CHECK_H

#include "common/finding.h"
#include "common/metrics_http.h"
#include "keysrv/settings.h"

/* All of it, as the server would find it, and the last line. */
void cf_check_all(struct cf_findings *findings, const struct cf_settings *s,
    const struct cf_metrics_place *place);

#endif
