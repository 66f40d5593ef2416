/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_wire - sizes and words of the protocol, for all who speak it.
 *
 * Sizes of links stand in link.h, those of proofs in proofs.h; the members
 * of JSON bodies in keysrv/openapi.yaml.  contrib/lint compares these with
 * that and with the page, and refuses them where they stand again.
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

/* ---- paths that one program asks another for ---- */

#define CF_PATH_ISSUE "/api/v1/issue"
#define CF_PATH_CHALLENGE "/api/v1/challenge"
#define CF_PATH_DESCRIBE "/api/v1/describe"
#define CF_PATH_RETRIEVE "/api/v1/retrieve"
#define CF_PATH_OPEN "/api/v1/open"
#define CF_PATH_MISMATCH "/api/v1/mismatch"
#define CF_PATH_MESSAGES "/api/v1/messages"
#define CF_PATH_HEALTH "/healthz"
#define CF_PATH_KEY "/k/"	/* of a link; the handle follows */
/* Of a reader; the blob follows. */
#define CF_PATH_PAGE "/m/"
#define CF_PATH_SEALED "/e/"

/* ---- HTTP ---- */

#define CF_MEDIA_JSON "application/json"
#define CF_PROBLEM "urn:counterfoil:problem:"	/* a slug follows, RFC 7807 */

/* ---- fields of mail ---- */

/* The flag with which a sender asks for a return receipt. */
#define CF_FLAG_FIELD "X-Return-Receipt"
#define CF_VERSION_FIELD "Counterfoil-Version"
#define CF_LOCATOR_FIELD "Counterfoil-Locator"
#define CF_FORM_FIELD "Counterfoil-M"

#endif
