/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_receipt - statements that record: events, releases, what happens
 * once, and the outbox rows that follow from them.
 */
#ifndef CF_KEYSRV_DB_RECEIPT_H
#define CF_KEYSRV_DB_RECEIPT_H

#include "keysrv/db/db.h"
#include "keysrv/db/db_key.h"
#include "keysrv/db/db_quota.h"
#include "keysrv/db/db_row.h"
#include "keysrv/receipt/record.h"

/* ---- events: rows are only ever added, their time is the database's ---- */

void cf_db_event_args(struct cf_db_args *args);
void cf_db_event_add(struct cf_db_args *args,
    const unsigned char event_id[CF_EVENT_ID_LEN], const char *type,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char *release_id, const struct cf_buf *record);
void cf_db_event_send(struct cf_db *db, const struct cf_db_args *args);

/* ---- things that happen once ---- */

/* Rows of (key id, kind, value, time). */
void cf_db_once_args(struct cf_db_args *args);
void cf_db_once_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], const char *kind,
    const void *value, size_t len, int64_t at_ms);
/* Which of them are there already?  Rows: their numbers and times. */
size_t cf_db_once_find(struct cf_db *db, const struct cf_db_args *args);
void cf_db_once_get(const struct cf_db *db, size_t result, size_t row,
    size_t *ret_number, int64_t *ret_at_ms);
/* Add them; one that is there fails the transaction. */
void cf_db_once_send(struct cf_db *db, const struct cf_db_args *args);

/* ---- releases ---- */

struct cf_new_release {
	const unsigned char *key_id, *release_id, *secret_sha256;
	const char *principal, *origin;
	enum cf_assurance assurance;
	int64_t at_ms;
	const struct cf_db_challenge *challenge;	/* that it used */
	struct cf_db_span network;			/* whence */
};
void cf_db_release_args(struct cf_db_args *args);
void cf_db_release_add(struct cf_db_args *args,
    const struct cf_new_release *release);
/* Add the rows; a challenge that was used before fails the transaction. */
void cf_db_release_send(struct cf_db *db, const struct cf_db_args *args);

/* Releases by key id and release id. */
struct cf_release_row {
	int64_t account_id;
	unsigned char message_ref[CF_REF_LEN];
	char *message_id, *sender, *recipient, *principal;
	enum cf_assurance assurance;
	unsigned char opening_key[CF_PUBLIC_KEY_LEN];
	unsigned char possession_key[CF_PUBLIC_KEY_LEN];
	unsigned char secret_sha256[CF_DIGEST_LEN];
	int64_t released_at_ms;
};
void cf_release_row_free(struct cf_release_row *row);	/* its strings */
void cf_db_release_find_args(struct cf_db_args *args);
void cf_db_release_find_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char release_id[CF_RELEASE_ID_LEN]);
size_t cf_db_release_find(struct cf_db *db, const struct cf_db_args *args);
void cf_db_release_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_release_row *ret);

/* First openings in the keys' state.  Columns: key id, time. */
void cf_db_opened_args(struct cf_db_args *args);
void cf_db_opened_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t at_ms);
void cf_db_opened_send(struct cf_db *db, const struct cf_db_args *args);

/* ---- telling the sender ---- */

/* One receipt mail: of a first release, or of a first opening. */
struct cf_notice_row {
	const unsigned char *event_id, *key_id, *message_ref;
	int64_t account_id;
	const char *sender, *recipient, *message_id, *principal;
	enum cf_assurance assurance;
	int64_t released_at_ms;
	int64_t opened_at_ms;		/* openings only */
	int64_t not_before_ms;
};
void cf_db_notice_args(struct cf_db_args *args);
void cf_db_notice_add(struct cf_db_args *args,
    const struct cf_notice_row *notice);
/*
 * First releases: note which attempt at the message was the first, and queue
 * a mail for it; siblings are silent.
 */
void cf_db_notice_released(struct cf_db *db, const struct cf_db_args *args);
/*
 * First openings: the waiting mail about the release tells of the opening
 * instead; where it has gone or is going out, a second one is queued.
 */
void cf_db_notice_opened(struct cf_db *db, const struct cf_db_args *args);

#endif
