/* SPDX-License-Identifier: Apache-2.0 */
/* cf_trigger - see trigger.h. */
#include "milter/gateway/trigger.h"

const struct cf_conf_name cf_triggers[] = {
	{ "disposition-notification-to", CF_TRIGGER_DISPOSITION },
	{ "return-receipt-to", CF_TRIGGER_RECEIPT },
	{ "subject-tag", CF_TRIGGER_SUBJECT }, { NULL, 0 },
};
