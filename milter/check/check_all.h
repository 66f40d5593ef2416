/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_check_report - all that `counterfoil-milter -n` looks at beyond the
 * configuration.
 *
 * Threads: one.   Logging: never; findings go to `out`.
 */
#ifndef CF_MILTER_CHECK_ALL_H
#define CF_MILTER_CHECK_ALL_H

#include <stdbool.h>

#include "milter/check/check.h"

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

#endif
