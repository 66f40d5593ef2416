/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_evidence - what a receipt mail carries for whoever checks it: the part
 * application/vnd.counterfoil.receipt.
 *
 *   counterfoil-receipt/v1
 *   service <URL of the key server>
 *
 *   event
 *   salt <43 characters>
 *   <the record>
 *
 *   note <683 characters>
 *
 * Blocks of lines, each line ended by LF, one empty line between two blocks;
 * one event or more, of one key, by their seq; then the sender's note, where
 * there is one.
 *
 * Knows: this text and the leaf of an event.
 * Does not know: mail around it, what the events prove.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_EVIDENCE_H
#define CF_COMMON_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/crypto_note.h"
#include "common/err.h"
#include "common/evidence_record.h"
#include "common/merkle.h"
#include "common/wire.h"

#define CF_EVIDENCE_TYPE "application/vnd.counterfoil.receipt"
#define CF_EVIDENCE_MAX ((size_t)4 << 20)	/* bytes */
#define CF_EVIDENCE_EVENTS_MAX 1000
#define CF_LEAF_SALT_LEN 32

struct cf_evidence_event {
	unsigned char salt[CF_LEAF_SALT_LEN];
	struct cf_rec rec;
	struct cf_hash entry;	/* what the log has: cf_evidence_entry() */
};

struct cf_evidence {
	char *service;
	size_t count;
	struct cf_evidence_event *event;	/* by seq */
	bool has_note;
	unsigned char note[CF_NOTE_LEN];
};

/* SHA-256("counterfoil leaf v1" 00 || salt || record): the log's entry. */
struct cf_hash cf_evidence_entry(
    const unsigned char salt[CF_LEAF_SALT_LEN], const char *record,
    size_t len);

/*
 * Read all of a part, decoded.  *ret is the caller's also after failure;
 * cf_evidence_free().
 * CF_E_SYNTAX: `why` says what is wrong.
 */
CF_MUST_USE enum cf_err cf_evidence_read(const char *text, size_t len,
    struct cf_evidence *ret, struct cf_why *why);
void cf_evidence_free(struct cf_evidence *evidence);

/* Writing: the first block, then events by their seq, then the note. */
void cf_evidence_begin(struct cf_buf *out, const char *service);
void cf_evidence_add_event(struct cf_buf *out,
    const unsigned char salt[CF_LEAF_SALT_LEN], const char *record);
void cf_evidence_add_note(struct cf_buf *out,
    const unsigned char note[CF_NOTE_LEN]);

#endif
