/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_agent - the recipient agent: opens one sealed message.
 *
 * challenge -> describe (records nothing); challenge -> retrieve -> checks ->
 * the message; the opening proof afterwards.  A message that does not match
 * its registration is reported and not given out.
 *
 * Knows: the recipient API of the key server, the order of the steps.
 * Does not know: files, MIME.
 * Threads: one agent, one thread.   Logging: never.
 */
#ifndef CF_COMMON_AGENT_H
#define CF_COMMON_AGENT_H

#include "common/bulk.h"
#include "common/container.h"
#include "common/err.h"
#include "common/httpc.h"
#include "common/link.h"
#include "common/unseal.h"

struct cf_agent;

struct cf_agent_options {
	struct cf_httpc *http;
	const char *origin;	/* to name as our origin, NULL = none */
	long timeout_ms;	/* one request; > 0 */
	long deadline_ms;	/* one step with its repetitions; > 0 */
	const struct cf_bulk_place *place;	/* of what is opened; NULL:
						 * memory */
};

/*
 * For the message with L `link` and E `container`; all arguments are lent
 * until the free.  Asks nobody yet; whether the key server in L may be asked
 * and is believed is the caller's to decide, before.  Gives *ret.
 * CF_E_CONTAINER  the link is for another message
 */
CF_MUST_USE enum cf_err cf_agent_new(const struct cf_agent_options *options,
    const struct cf_link *link, const struct cf_container *container,
    struct cf_agent **ret, struct cf_why *why);
void cf_agent_free(struct cf_agent **agent);	/* wipes */

/*
 * Who sealed it and what a release will record.  Fills *ret; end with
 * cf_about_free().  The server's refusals, CF_E_NETWORK, ...
 * CF_E_DAMAGED   it does not know this E by that key id
 */
CF_MUST_USE enum cf_err cf_agent_describe(struct cf_agent *agent,
    struct cf_about *ret, struct cf_why *why);
/*
 * Retrieve the key (this is what the receipt records) and give the original
 * message.  Fills *ret; cf_opened_free().
 * CF_E_DAMAGED   it, or E as the key server has it, was changed
 * CF_E_MISMATCH  reported to the key server as well
 * CF_E_FULL, CF_E_IO  the place; before the key is retrieved, if it can be
 *                known
 */
CF_MUST_USE enum cf_err cf_agent_open(struct cf_agent *agent,
    struct cf_opened *ret, struct cf_why *why);
/* After cf_agent_open(): the release.  Lends: until the free. */
const struct cf_release *cf_agent_release(const struct cf_agent *agent);
/* After cf_agent_open(): post the opening proof.  May be repeated. */
CF_MUST_USE enum cf_err cf_agent_confirm(struct cf_agent *agent,
    struct cf_why *why);

#endif
