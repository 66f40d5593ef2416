/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_inbound - keep sealed mail for our own readers and point them there.
 *
 * begin, body, finish as in outbound.h.  Whatever has not one E, its L and
 * its notice, or names a key server that is not on the allow list, is to be
 * delivered as it came, and so is what the store has no room for; only other
 * trouble of our own is an error.
 * Does not know: libmilter.
 * Threads: one message belongs to one thread at a time.   Logging: never.
 */
#ifndef CF_MILTER_INBOUND_H
#define CF_MILTER_INBOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/composite.h"
#include "common/err.h"
#include "common/field.h"
#include "milter/gateway/slots.h"
#include "milter/gateway/snapshot.h"

struct cf_inbound;

struct cf_inbound_facts {
	char handle[CF_HANDLE_LEN + 1];
	uint64_t bytes_in, bytes_out;
	bool full;		/* left alone for want of room */
};

/* All arguments must live until cf_inbound_free().  CF_E_IO. */
CF_MUST_USE enum cf_err cf_inbound_begin(const struct cf_snapshot *snapshot,
    const char *sender, const struct cf_field *fields, size_t count,
    struct cf_inbound **ret, struct cf_why *why);
CF_MUST_USE enum cf_err cf_inbound_body(struct cf_inbound *in,
    const void *data, size_t len, struct cf_why *why);
/*
 * The end.  *ret_rewrite: a new body is to be had from cf_inbound_write();
 * else `why` has the reason to leave the message alone.  Large messages wait
 * for each other: CF_E_BUSY after the time of deadline_s.  CF_E_IO.
 */
CF_MUST_USE enum cf_err cf_inbound_finish(struct cf_inbound *in,
    struct cf_progress *progress, bool *ret_rewrite, struct cf_why *why);
CF_MUST_USE enum cf_err cf_inbound_write(struct cf_inbound *in,
    cf_composite_write_fn *write, void *arg, struct cf_why *why);
void cf_inbound_facts(const struct cf_inbound *in,
    struct cf_inbound_facts *ret);
void cf_inbound_free(struct cf_inbound **in);

#endif
