/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_wire - sizes and words of the issue request, for both of its ends.
 *
 * Those of links stand in link.h, those of proofs in proofs.h.  contrib/lint
 * compares these with keysrv/openapi.yaml.
 */
#ifndef CF_COMMON_WIRE_H
#define CF_COMMON_WIRE_H

/* Bytes of a sender or recipient, without < >: the longest local part and
 * domain that RFC 5321 4.5.3.1 has, and the @. */
#define CF_WIRE_ADDRESS_MAX 320
#define CF_MESSAGE_ID_MAX 998		/* bytes */
#define CF_REF_LEN 32			/* message reference, bytes */
#define CF_REF_CHECK_LEN 16		/* check of its secret, bytes */
#define CF_ISSUE_BODY_MAX 262144	/* bytes of a request */
#define CF_ISSUE_RECIPIENTS_MAX 100
#define CF_ISSUE_KEYS_MAX 64
#define CF_ISSUE_EXPIRES_MAX_S 315360000LL	/* ten years */
#define CF_ISSUE_ALGORITHM "kek-a256kw"

#endif
