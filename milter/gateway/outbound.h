/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_outbound - seal one message while it streams in.
 *
 * begin (at the end of the header), body (any number of times), finish (all
 * slow and fallible work: key, store, notice, size), then edits and write
 * hand back the result.  The plaintext is never kept: what is in memory or
 * on disk is ciphertext.
 * Does not know: libmilter.
 * Threads: one message belongs to one thread at a time.   Logging: never.
 */
#ifndef CF_MILTER_OUTBOUND_H
#define CF_MILTER_OUTBOUND_H

#include <stdint.h>

#include "common/composite.h"
#include "common/err.h"
#include "milter/gateway/edits.h"
#include "milter/gateway/flag.h"
#include "milter/gateway/slots.h"
#include "milter/gateway/snapshot.h"

struct cf_outbound;

/* For the log. */
struct cf_outbound_facts {
	char handle[CF_HANDLE_LEN + 1];	/* "" before the key request */
	uint64_t bytes_in, bytes_out;	/* M; body of P */
	int64_t key_server_ms;
};

/*
 * Begin with the header.  `sender` and `recipient` are bare addresses;
 * `decision` is to seal.  All arguments must live until cf_outbound_free().
 * Gives *ret.
 * CF_E_IO, CF_E_INTERNAL; CF_E_TOO_LARGE the header is too large
 */
CF_MUST_USE enum cf_err cf_outbound_begin(const struct cf_snapshot *snapshot,
    const char *sender, const char *recipient, const struct cf_field *fields,
    size_t count, const struct cf_decision *decision,
    struct cf_outbound **ret, struct cf_why *why);
/* Encrypt the next piece of the body; `data` is overwritten. */
CF_MUST_USE enum cf_err cf_outbound_body(struct cf_outbound *out,
    unsigned char *data, size_t len, struct cf_why *why);
/*
 * The end: get the key, store E, write the notice, check the size.  Every
 * error means that the message must not go on; cf_mctx_reply() says how to
 * refuse it.
 */
CF_MUST_USE enum cf_err cf_outbound_finish(struct cf_outbound *out,
    struct cf_progress *progress, struct cf_why *why);
/* Lends: until cf_outbound_free(). */
const struct cf_edits *cf_outbound_edits(const struct cf_outbound *out);
/* Write the new body.  After this and only after this it is sealed. */
CF_MUST_USE enum cf_err cf_outbound_write(struct cf_outbound *out,
    cf_composite_write_fn *write, void *arg, struct cf_why *why);
/* The new body was handed over whole: E stays in the store. */
void cf_outbound_keep(struct cf_outbound *out);

/* About how many bytes this message could have, sealed and all, rounded down;
 * for one that was too large. */
uint64_t cf_outbound_largest(const struct cf_outbound *out);
void cf_outbound_facts(const struct cf_outbound *out,
    struct cf_outbound_facts *ret);
/* Wipes; removes E again unless cf_outbound_keep() was called. */
void cf_outbound_free(struct cf_outbound **out);

#endif
