/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_mctx - one message under way, from MAIL to its end.
 *
 * Collects envelope and header, decides at the end of the header, and hands
 * the body to outbound.h or inbound.h.  All of it goes in one free.
 * Does not know: libmilter.
 * Which of cf_mctx_rcpt(), _header(), _decide() and _body() comes when, the
 * milter protocol says; libmilter sees to it.
 * Threads: one message belongs to one thread at a time.   Logging: never.
 */
#ifndef CF_MILTER_MCTX_H
#define CF_MILTER_MCTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/mform.h"
#include "milter/gateway/budget.h"
#include "milter/gateway/flag.h"
#include "milter/gateway/inbound.h"
#include "milter/gateway/outbound.h"
#include "milter/gateway/snapshot.h"

#define CF_MCTX_RCPT_KEPT 100	/* recipients kept; all are counted */

struct cf_rcpt {
	char *address;		/* bare */
	char *args;		/* ESMTP arguments, blanks between, or "" */
};

struct cf_mctx {
	struct cf_snapshot *snapshot;	/* pinned */
	int64_t began_ms;	/* monotonic */
	bool in_flight;		/* counted in flight.h */
	/* Option that this message ran into, or NULL.  Nothing was kept of such
	 * a one, but it was looked at: what does not concern us passes. */
	const char *limit;
	int64_t held[CF_BUDGET__COUNT];	/* of budget.h */
	char *sender;		/* bare; "" for the null sender */
	struct cf_rcpt *rcpt;
	size_t rcpt_count;	/* kept */
	struct cf_buf header;	/* name NUL value NUL, in order */
	size_t field_count;
	struct cf_field *fields;	/* into `header`; made at its end */
	struct cf_facts facts;
	struct cf_decision decision;
	struct cf_outbound *outbound;	/* with CF_ACTION_SEAL */
	struct cf_inbound *inbound;	/* with CF_ACTION_REWRITE */
	struct cf_near_body *near;	/* while the body is looked at */
	struct cf_why left;	/* why that one left the message alone */
};

/*
 * A message from `address` as MAIL gave it, with or without <>.  Gives.  Until
 * cf_mctx_client() has said more, its client may not use the flag.
 */
struct cf_mctx *cf_mctx_new(const char *address);
/* As cf_standing_entitled(), by the configuration the whole message goes by. */
void cf_mctx_client(struct cf_mctx *m, const struct sockaddr *client,
    const char *user, const char *daemon);
void cf_mctx_free(struct cf_mctx **m);
void cf_mctx_rcpt(struct cf_mctx *m, const char *address,
    char *const *args);
/* `leadspc`: the value still has the blank behind the colon. */
void cf_mctx_header(struct cf_mctx *m, const char *name, const char *value,
    bool leadspc);
/*
 * End of header: m->decision.  CF_E_BUSY, and none, when the milter is being
 * stopped.  For SEAL and REWRITE the work begins;
 * CF_E_* when it cannot.  Where the site wants sealed mail to pass in case of
 * trouble, m->inbound is gone after it instead, and m->left says why.
 */
CF_MUST_USE enum cf_err cf_mctx_decide(struct cf_mctx *m, struct cf_why *why);
/* Is trouble of ours with this message no reason to keep it? */
bool cf_mctx_passes_trouble(const struct cf_mctx *m);
/*
 * The same holds for what goes wrong here.  Where it was decided to pass, but
 * the body's beginning wanted (cf_mctx_wants_body()), what it shows can make
 * that a refusal.
 */
CF_MUST_USE enum cf_err cf_mctx_body(struct cf_mctx *m, unsigned char *data,
    size_t len, struct cf_why *why);
/* Its end, with the same. */
void cf_mctx_body_end(struct cf_mctx *m, struct cf_why *why);
/* Has the rest of the body anything to do with what becomes of the message? */
bool cf_mctx_wants_body(const struct cf_mctx *m);

#endif
