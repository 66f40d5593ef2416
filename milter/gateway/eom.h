/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_eom - the end of a message: do what was decided.
 *
 * A message that is to be sealed has two ways out: CF_OK behind its whole
 * sealed body, and an error.
 * Does not know: libmilter; the hands that change a message are lent.
 * Threads: one message belongs to one thread at a time.   Logging: never.
 */
#ifndef CF_MILTER_EOM_H
#define CF_MILTER_EOM_H

#include "milter/gateway/edits.h"
#include "milter/gateway/mctx.h"

struct cf_eom_ops {
	struct cf_edit_ops edit;
	bool (*tell)(void *arg);	/* a sign of life; false: peer gone */
	cf_composite_write_fn *write;	/* the new body, in one run */
	void *arg;			/* of tell and write */
};

/*
 * *ret_verdict: what was done, one word (static), for the log; `why` may say
 * why it was left alone.  After an error the message must not go on.
 */
CF_MUST_USE enum cf_err cf_eom_run(struct cf_mctx *m,
    const struct cf_eom_ops *ops, const char **ret_verdict,
    struct cf_why *why);

#endif
