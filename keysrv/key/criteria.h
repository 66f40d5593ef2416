/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_criteria - may this key be released now?
 *
 * A table of pure functions; the first that fails gives the reason.  A new
 * criterion is one function and one row.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_CRITERIA_H
#define CF_KEYSRV_CRITERIA_H

#include <stdint.h>

#include "common/assurance.h"
#include "common/err.h"

/* What the criteria look at; times in ms, -1 = not set. */
struct cf_criteria_input {
	enum cf_assurance known;	/* who wants it */
	enum cf_assurance asked;	/* by the sender */
	int64_t now_ms;
	int64_t revoked_at_ms;
	int64_t expires_at_ms;
};

/* CF_OK, or the error of the first criterion that fails. */
CF_MUST_USE enum cf_err cf_criteria_check(const struct cf_criteria_input *in,
    struct cf_why *why);

#endif
