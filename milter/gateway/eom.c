/* SPDX-License-Identifier: Apache-2.0 */
/* cf_eom - see eom.h. */
#include "milter/gateway/eom.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/wire.h"
#include "milter/gateway/sock.h"

/* Everything that can fail for long stands before the first edit. */
static enum cf_err
seal(struct cf_mctx *m, const struct cf_eom_ops *ops, struct cf_why *why)
{
	struct cf_progress progress = { ops->tell, ops->arg,
	    cf_clock_mono_ms(), 0, 0, false };
	enum cf_err rc;

	rc = cf_outbound_finish(m->outbound, &progress, why);
	cf_fault("milter-finished");
	if (rc == CF_OK)
		rc = cf_edits_apply(cf_outbound_edits(m->outbound),
		    &ops->edit, why);
	cf_fault("milter-edited");
	if (rc == CF_OK)
		rc = cf_outbound_write(m->outbound, ops->write, ops->arg, why);
	cf_fault("milter-body");
	if (rc != CF_OK)
		return rc;
	cf_outbound_keep(m->outbound);
	why->text[0] = '\0';	/* of a try that failed before */
	return CF_OK;
}

static enum cf_err
strip(struct cf_mctx *m, const struct cf_eom_ops *ops, struct cf_why *why)
{
	struct cf_edits edits = { 0 };
	enum cf_err rc;

	/* Not all fields of a header that is too large are kept. */
	if (m->facts.header_over)
		cf_edits_delete_count(&edits, m->facts.flags, CF_FLAG_FIELD);
	else
		cf_edits_delete_all(&edits, m->fields, m->field_count,
		    CF_FLAG_FIELD);
	rc = cf_edits_apply(&edits, &ops->edit, why);
	cf_edits_free(&edits);
	return rc;
}

static enum cf_err
rewrite(struct cf_mctx *m, const struct cf_eom_ops *ops,
    const char **ret_verdict, struct cf_why *why)
{
	struct cf_progress progress = { ops->tell, ops->arg,
	    cf_clock_mono_ms(), 0, 0, false };
	struct cf_inbound_facts facts;
	bool ready = false;
	enum cf_err rc = CF_OK;

	*ret_verdict = "unchanged";
	if (m->inbound == NULL) {
		*why = m->left;
	} else {
		cf_sock_nudge();
		rc = cf_inbound_finish(m->inbound, &progress, &ready,
		    why);
		cf_inbound_facts(m->inbound, &facts);
		if (facts.full)
			m->decision.cause = "no-room";
	}
	if (rc != CF_OK && !cf_mctx_passes_trouble(m))
		return rc;
	rc = m->decision.strip ? strip(m, ops, why) : CF_OK;
	if (!ready || rc != CF_OK)
		return rc;
	rc = cf_inbound_write(m->inbound, ops->write, ops->arg, why);
	if (rc != CF_OK)
		return rc;
	*ret_verdict = cf_action_name(CF_ACTION_REWRITE);
	return CF_OK;
}

enum cf_err
cf_eom_run(struct cf_mctx *m, const struct cf_eom_ops *ops,
    const char **ret_verdict, struct cf_why *why)
{
	*ret_verdict = cf_action_name(m->decision.action);
	switch (m->decision.action) {
	case CF_ACTION_SEAL:
		return seal(m, ops, why);
	case CF_ACTION_STRIP:
		return strip(m, ops, why);
	case CF_ACTION_REWRITE:
		return rewrite(m, ops, ret_verdict, why);
	case CF_ACTION_PASS:
	case CF_ACTION_REFUSE:
	case CF_ACTION__COUNT:
		break;
	}
	return cf_fail(CF_E_INTERNAL, why, "a decision without an act");
}
