/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_trigger - what asks for a receipt beside the flag, if the site wants it.
 *
 * Threads: const.   Logging: never.
 */
#ifndef CF_MILTER_TRIGGER_H
#define CF_MILTER_TRIGGER_H

#include "common/conf_opt.h"

/* Bits. */
enum cf_trigger {
	CF_TRIGGER_DISPOSITION = 1,	/* Disposition-Notification-To */
	CF_TRIGGER_RECEIPT = 2,		/* Return-Receipt-To */
	CF_TRIGGER_SUBJECT = 4		/* a Subject with the tag */
};

/* Their words, in the option and in the log. */
extern const struct cf_conf_name cf_triggers[];

#endif
