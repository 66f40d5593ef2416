/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_db_quota - statements on what a key may be used for: its challenges, and
 * the counts of its hour.
 */
#ifndef CF_KEYSRV_DB_QUOTA_H
#define CF_KEYSRV_DB_QUOTA_H

#include "common/proofs.h"
#include "keysrv/db/db.h"
#include "keysrv/db/db_row.h"
#include "keysrv/key/quota.h"
#include "keysrv/receipt/record.h"

#define CF_NETWORK_MAX 8	/* bytes of a client's network */

/* The columns of a key's hour; AT(member) gives the offset of `quota`. */
#define CF_DB_QUOTA_COLUMNS \
	{ "hour_at", CF_DB_TIME, AT(quota.hour_at_ms), 0 }, \
	{ "hour_refused", CF_DB_INT, AT(quota.refused), 0 }, \
	{ "hour_held", CF_DB_INT, AT(quota.held), 0 }, \
	{ "hour_more", CF_DB_INT, AT(quota.more), 0 }, \
	{ "hour_released", CF_DB_INT, AT(quota.released), 0 }

/* A challenge as challenge_used knows it. */
struct cf_db_challenge {
	int64_t made_at_s;
	unsigned char random[CF_CHALLENGE_RANDOM_LEN];
};
/* The partition that it belongs into, by the hour it was made in. */
int64_t cf_db_challenge_slot(const struct cf_db_challenge *challenge);

/*
 * Under the key's lock: which of these challenges served a release?  Rows:
 * their numbers.
 */
void cf_db_used_args(struct cf_db_args *args);
void cf_db_used_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const struct cf_db_challenge *challenge);
size_t cf_db_used_send(struct cf_db *db, const struct cf_db_args *args);

/* Which of these networks had a release of the key since?  Rows: numbers. */
void cf_db_network_args(struct cf_db_args *args);
void cf_db_network_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], const unsigned char *network,
    size_t network_len, int64_t since_ms);
size_t cf_db_network_find(struct cf_db *db, const struct cf_db_args *args);

/* How keys, which are locked, stand now.  One row a key. */
void cf_db_state_args(struct cf_db_args *args);
void cf_db_state_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t releases,
    int64_t released_at_ms, const struct cf_quota *quota);
void cf_db_state_send(struct cf_db *db, const struct cf_db_args *args);

/*
 * Keys whose hour is over and whose further refusals are not yet an event,
 * locked, at most `max` and none that another holds.
 */
struct cf_db_rest {
	unsigned char key_id[CF_KEY_ID_LEN];
	unsigned char message_ref[CF_REF_LEN];
	struct cf_quota_rest rest;
};
size_t cf_db_rest_send(struct cf_db *db, int64_t max);
void cf_db_rest_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_db_rest *ret);

/* Empty the table of used challenges where they are void. */
void cf_db_drop_challenges(struct cf_db *db);

#endif
