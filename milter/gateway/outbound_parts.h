/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_outbound - its inside: for outbound*.c alone.  See outbound.h.
 */
#ifndef CF_MILTER_OUTBOUND_PARTS_H
#define CF_MILTER_OUTBOUND_PARTS_H

#include "common/digest.h"
#include "common/issue.h"
#include "common/sealer.h"
#include "milter/gateway/outbound.h"
#include "milter/store/store.h"

struct cf_outbound {
	const struct cf_snapshot *snapshot;
	const char *sender, *recipient;
	const struct cf_decision *decision;
	struct cf_sealer *sealer;
	struct cf_spool cipher;
	struct cf_digest *digest;
	struct cf_edits edits;
	char boundary[CF_BOUNDARY_LEN + 1];
	/* Names as the mail server finds them: no blanks behind. */
	struct cf_field *named;
	struct cf_buf names;
	char message_id[CF_MESSAGE_ID_MAX + 1];	/* registered */
	char message_id_field[CF_MESSAGE_ID_MAX + 2];	/* made */
	bool made_message_id;
	struct cf_buf subject;		/* made, with its leading blank */
	uint64_t head_len;		/* of M */
	struct cf_issue_key key;
	struct cf_issue_answer answer;
	struct cf_buf head, tail;	/* of E */
	struct cf_blob blob;
	bool stored, kept;
	struct cf_buf text, html;	/* notice */
	char locator[CF_LINK_MAX + 1];
	struct cf_composite_parts parts;
	uint64_t size;
	int64_t key_server_ms;
};

/* ---- outbound_header.c ---- */

/*
 * The header's names as the mail server finds them, what stands outside, and
 * the digest of what goes into M: the fields in ret_kept, which has room for
 * `count`.  Gives their number.
 */
size_t cf_outbound_header(struct cf_outbound *o,
    const struct cf_field *fields, size_t count, struct cf_field *ret_kept);

/* ---- outbound_key.c ---- */

/* The key of the message that o->sealer has: o->key and o->answer. */
CF_MUST_USE enum cf_err cf_outbound_key(struct cf_outbound *o,
    struct cf_progress *progress, struct cf_why *why);

#endif
