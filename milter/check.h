/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_check - what `counterfoil-milter -n` looks at beyond the configuration.
 *
 * Each finding is one line: ok, warning or error, what it is about, what is
 * wrong and what to do.  Nothing is changed anywhere.
 * Threads: one.   Logging: never; findings go to `out`.
 */
#ifndef CF_MILTER_CHECK_H
#define CF_MILTER_CHECK_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/finding.h"
#include "milter/mconf.h"

struct cf_check {
	struct cf_findings f;
	const struct cf_snapshot *snapshot;
};

/* What to look at; empty lists mean what is found in the usual places. */
struct cf_check_targets {
	bool offline;		/* do not ask key servers */
	bool no_mta;
	struct cf_conf_list postfix, sendmail;	/* lend from the arguments */
};

/*
 * The mail servers.  As whoever asks, who may see more than the milter's own
 * user.  `check` has f.out and snapshot set.
 */
void cf_check_mail_servers(struct cf_check *check,
    const struct cf_check_targets *targets);
/* The rest, as the milter's user, and the last line. */
void cf_check_report(struct cf_check *check,
    const struct cf_check_targets *targets);

/* One line. */
#define cf_check_say(check, ...) cf_findings_say(&(check)->f, __VA_ARGS__)
/* `good`: say so with ok_text; else a finding with the text of `fmt`. */
#define cf_check_that(check, good, finding, ok_text, ...) \
	((good) ? cf_check_say((check), CF_FINDING_OK, "%s", (ok_text)) : \
	cf_check_say((check), (finding), __VA_ARGS__))

/* Does reader_url lead to the page, as browsers get there? */
void cf_check_reader(struct cf_check *check);
/* Each key server: does it answer, as who, and does it take our token? */
void cf_check_key_servers(struct cf_check *check);
/*
 * A Postfix instance by its configuration directory, a Sendmail by its
 * configuration file.  False: it does not use us.  That is an error when it
 * was named, and nothing is said of one that was `guessed`.
 */
bool cf_check_postfix(struct cf_check *check, const char *directory,
    bool guessed);
bool cf_check_sendmail(struct cf_check *check, const char *file,
    bool guessed);
/*
 * May a user go through all directories to our unix socket and write to it?
 * Said for `who`.  CF_OK for inet.
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
