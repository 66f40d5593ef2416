/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_record - the text of an event, line by line.
 *
 *   counterfoil-event/v1
 *   type released
 *   id <22 characters> ...
 *
 * What goes in is what is signed for later: exact bytes, one value a line,
 * LF at each end.  Text from outside is percent-encoded wherever it is not
 * printable ASCII, and '%' is; so no value can hold a line end.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_RECORD_H
#define CF_KEYSRV_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/link.h"
#include "common/proofs.h"
#include "common/wire.h"
#include "keysrv/key/quota.h"

#define CF_EVENT_ID_LEN 16
#define CF_RECORD_MAX 200000	/* 100 recipients, encoded */

/* The lines that every record begins with. */
void cf_record_begin(struct cf_buf *rec, const char *type,
    const unsigned char event_id[CF_EVENT_ID_LEN],
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char message_ref[CF_REF_LEN], int64_t at_ms);
/* All of a refusal that stands for those of an hour that are no events. */
void cf_record_repeated(struct cf_buf *rec,
    const unsigned char event_id[CF_EVENT_ID_LEN],
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char message_ref[CF_REF_LEN], int64_t at_ms,
    const struct cf_quota_rest *rest);
void cf_record_text(struct cf_buf *rec, const char *name, const char *text);
void cf_record_bytes(struct cf_buf *rec, const char *name, const void *bytes,
    size_t len);
/* What was registered of a key and its message: the end of some records. */
void cf_record_registered(struct cf_buf *rec,
    const unsigned char opening_key[CF_PUBLIC_KEY_LEN],
    const unsigned char possession_key[CF_PUBLIC_KEY_LEN],
    const unsigned char key_commitment[CF_COMMITMENT_LEN]);

#endif
