/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_findings - what a program's -n prints: one line a finding.
 *
 * "ok", "warning" or "error", what it is about, what is wrong and what to
 * do.  Knows: the form of the lines.   Does not know: what is looked at.
 * Threads: one.   Logging: never; findings go to `out`.
 */
#ifndef CF_COMMON_FINDING_H
#define CF_COMMON_FINDING_H

#include <stdio.h>

#include "common/err.h"

enum cf_finding { CF_FINDING_OK, CF_FINDING_WARNING, CF_FINDING_ERROR };

struct cf_findings {
	FILE *out;
	const char *subject;	/* of the findings that follow; lent */
	unsigned warnings, errors;
};

/* One line.  What is not printable ASCII becomes '?'. */
void cf_findings_say(struct cf_findings *findings, enum cf_finding finding,
    const char *fmt, ...) CF_PRINTF(3, 4);
/* The last line: how many there were. */
void cf_findings_end(struct cf_findings *findings);

#endif
