/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_mform - the plaintext form M: a message with RFC 9788 header
 * protection that can be taken off again to the byte.
 *
 *   M (plain)  = Counterfoil-M line
 *                n fields "HP-Outer: Name: value"
 *                the header fields of m, in order, byte for byte, with
 *                  ct=suffix  ;CRLF SP hp="cipher"  behind the first
 *                             Content-Type field's value
 *                  mv=made    MIME-Version: 1.0  after the last field
 *                  ct=made    Content-Type: text/plain; charset=us-ascii;
 *                             hp="cipher"  as the very last field
 *                  kept       nothing
 *                CRLF, body of m
 *   M (rfc822) = Counterfoil-M line (outer=0; ct=kept; mv=kept)
 *                Content-Type: message/rfc822
 *                CRLF, all of m
 *
 *   Counterfoil-M: v=1; outer=<n>; ct=suffix|made|kept; mv=kept|made;
 *   form=plain|rfc822   (one line, exactly this text; n decimal)
 *
 * The writer takes rfc822 whenever the header of m is not a run of fields
 * "Name:value" that ends in an empty line, all lines ended by CRLF, without
 * NUL and without any other CR or LF, names of visible ASCII.
 *
 * Knows: lines and field names.   Does not know: encryption, MIME trees.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_MFORM_H
#define CF_COMMON_MFORM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/block.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/field.h"

/* Bcc, Resent-Bcc or the flag: fields that M leaves out. */
bool cf_mform_drops(const char *name);
/* MIME-Version or Content-*: says how the body is to be read (RFC 9788). */
bool cf_mform_is_structural(const char *name);
/*
 * Append the value of a field, its words that are not ASCII as encoded words
 * (RFC 2047), which may fold it.
 */
void cf_mform_pre_encode(struct cf_buf *buf, const char *value);

/*
 * Append to `head` all of M that stands before the body, with the empty
 * line, for the fields of m in their order.  What cf_mform_drops() is left
 * out; LF becomes CRLF; the rest is copied as it is.  The body follows
 * unchanged, in whatever pieces it comes.  `outer` are the fields that will
 * be seen outside, as they will be sent (cf_edits_make()); structural
 * ones (MIME-Version, Content-*) get no HP-Outer; values that are not ASCII
 * are pre-encoded (RFC 2047).
 * `head` should be a secret buffer.
 * CF_E_TOO_LARGE  over the ceiling of `head`
 */
CF_MUST_USE enum cf_err cf_mform_head(const struct cf_field *fields,
    size_t count, const struct cf_field *outer, size_t outer_count,
    struct cf_buf *head, struct cf_why *why);
/*
 * The same for a whole message of any bytes at once: nothing is dropped.
 * Appends all of M to `ret`.
 */
CF_MUST_USE enum cf_err cf_mform_add(const void *m, size_t len,
    const struct cf_field *outer, size_t outer_count, struct cf_buf *ret,
    struct cf_why *why);

/* m as it lies in M: header and body, or the body alone if that is all of m. */
#define CF_MFORM_HEADER 2	/* of the stretches are the header */
#define CF_MFORM_STRETCHES 3

/*
 * Take off what was added; what remains is m, as the milter was shown it.
 * Obeys the Counterfoil-M field alone, and checks everything that it takes
 * off.  *ret lends from M; where M wraps m whole, the stretches of the header
 * are empty.
 * CF_E_MFORM      not M, of another version, or what should be removed is
 *                 not there
 */
CF_MUST_USE enum cf_err cf_mform_strip(const void *mform, size_t len,
    struct cf_span ret[CF_MFORM_STRETCHES], struct cf_why *why);

#endif
