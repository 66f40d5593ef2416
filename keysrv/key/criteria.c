/* SPDX-License-Identifier: Apache-2.0 */
/* cf_criteria - see criteria.h. */
#include "keysrv/key/criteria.h"

#include <stddef.h>

/* Nobody issues a key here that asks for more than can be known here. */
static enum cf_err
known_well_enough(const struct cf_criteria_input *in, struct cf_why *why)
{
	if (cf_assurance_at_least(in->known, in->asked))
		return CF_OK;
	return cf_fail(CF_E_INTERNAL, why, "The sender wants to know better "
	    "who opens this message than this server can tell.");
}

static enum cf_err
not_revoked(const struct cf_criteria_input *in, struct cf_why *why)
{
	if (in->revoked_at_ms < 0)
		return CF_OK;
	return cf_fail(CF_E_REVOKED, why,
	    "This message can no longer be opened: the sender has withdrawn "
	    "it.");
}

static enum cf_err
not_expired(const struct cf_criteria_input *in, struct cf_why *why)
{
	if (in->expires_at_ms < 0 || in->now_ms < in->expires_at_ms)
		return CF_OK;
	/* Until when, describe tells; people have clocks of their own. */
	return cf_fail(CF_E_EXPIRED, why,
	    "This message can no longer be opened: its time has passed. Ask "
	    "the sender to send it again.");
}

static enum cf_err (*const criteria[])(const struct cf_criteria_input *in,
    struct cf_why *why) = {
	known_well_enough,
	not_revoked,
	not_expired,
};

enum cf_err
cf_criteria_check(const struct cf_criteria_input *in, struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	size_t i;

	for (i = 0; i < sizeof criteria / sizeof criteria[0] && rc == CF_OK;
	    i++)
		rc = criteria[i](in, why);
	return rc;
}
