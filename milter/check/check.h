/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_check - what all parts of `counterfoil-milter -n` stand on.
 *
 * check_parts.h has the parts, check_all.h all of it.  Each finding is one
 * line: ok, warning or error, what it is about, what is wrong and what to do.
 * Nothing is changed anywhere.
 * Threads: one.   Logging: never; findings go to `out`.
 */
#ifndef CF_MILTER_CHECK_H
#define CF_MILTER_CHECK_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/finding.h"
#include "milter/gateway/snapshot.h"

struct cf_check {
	struct cf_findings f;
	const struct cf_snapshot *snapshot;
};

/* One line. */
#define cf_check_say(check, ...) cf_findings_say(&(check)->f, __VA_ARGS__)
/* `good`: say so with ok_text; else a finding with the text of `fmt`. */
#define cf_check_that(check, good, finding, ok_text, ...) \
	((good) ? cf_check_say((check), CF_FINDING_OK, "%s", (ok_text)) : \
	cf_check_say((check), (finding), __VA_ARGS__))

/*
 * May a user go through all directories to our unix socket and write to it?
 * Said for `who`; nothing is said of an inet socket.
 */
void cf_check_socket(struct cf_check *check, const char *who);

/*
 * Run a program without a shell, `input` (at most 4096 bytes, or NULL) as its
 * standard input, standard error to nowhere, and append what it prints.
 * False: it is not there, failed, or prints too much.
 */
bool cf_check_run(const char *const *argv, const char *input,
    struct cf_buf *out);

#endif
