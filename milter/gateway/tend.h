/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_tend - the thread that goes through the store again and again.
 *
 * It removes sealed messages whose time is over and counts the others for
 * room.h, at the start and then regularly, with pauses that leave the disk to
 * the mail.
 * Threads: start and stop from one; wake from any.   Logging: what it
 * removed, and what it could not.
 */
#ifndef CF_MILTER_TEND_H
#define CF_MILTER_TEND_H

#include "common/err.h"

/* With the current snapshot, whichever that is then.  CF_E_INTERNAL. */
CF_MUST_USE enum cf_err cf_tend_start(struct cf_why *why);
/* There is a new configuration: begin at once. */
void cf_tend_wake(void);
/* Returns when the thread has ended, which is soon. */
void cf_tend_stop(void);

#endif
