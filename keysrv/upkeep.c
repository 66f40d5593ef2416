/* SPDX-License-Identifier: Apache-2.0 */
/* cf_upkeep - see upkeep.h. */
#include "keysrv/upkeep.h"

#include "common/secret.h"
#include "keysrv/db/db_quota.h"
#include "keysrv/db/db_receipt.h"
#include "keysrv/db/db_upkeep.h"

#define RESTS_MAX 200	/* events in one transaction */

static enum cf_err
make(struct cf_db *db, void *arg, struct cf_why *why)
{
	(void)arg;
	cf_db_make_partitions(db);
	return cf_db_flush(db, why);
}

enum cf_err
cf_upkeep_partitions(struct cf_db *db, struct cf_why *why)
{
	return cf_db_run(db, CF_DB_READ, "partitions", make, NULL, why);
}

static enum cf_err
drop(struct cf_db *db, void *arg, struct cf_why *why)
{
	(void)arg;
	cf_db_drop_challenges(db);
	return cf_db_flush(db, why);
}

static void
upkeep_add(struct cf_db_args *event, struct cf_db_args *state,
    struct cf_buf *rec, const struct cf_db_rest *r, int64_t now_ms)
{
	static const struct cf_quota nothing = { .hour_at_ms = -1 };
	unsigned char id[CF_EVENT_ID_LEN];

	cf_random(id, sizeof id);
	cf_record_repeated(rec, id, r->key_id, r->message_ref, now_ms,
	    &r->rest);
	cf_db_event_add(event, id, "refused", r->key_id, NULL, rec);
	cf_db_state_add(state, r->key_id, 0, -1, &nothing);
}

/* *arg: how many there were. */
static enum cf_err
record_rests(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct cf_buf rec = CF_BUF_INIT(CF_RECORD_MAX);
	struct cf_db_args event, state;
	size_t *ret_count = arg, rests, now, i;
	struct cf_db_rest rest;
	enum cf_err rc;

	*ret_count = 0;
	rests = cf_db_rest_send(db, RESTS_MAX);
	now = cf_db_now_send(db);
	rc = cf_db_flush(db, why);
	if (rc != CF_OK || cf_db_rows(db, rests) == 0)
		return rc;
	cf_db_event_args(&event);
	cf_db_state_args(&state);
	for (i = 0; i < cf_db_rows(db, rests); i++) {
		cf_db_rest_get(db, rests, i, &rest);
		upkeep_add(&event, &state, &rec, &rest, cf_db_now_get(db, now));
	}
	*ret_count = i;
	cf_db_event_send(db, &event);
	cf_db_state_send(db, &state);
	rc = cf_db_flush(db, why);
	cf_db_args_free(&event);
	cf_db_args_free(&state);
	cf_buf_free(&rec);
	return rc;
}

void
cf_upkeep_hour(struct cf_db *db)
{
	enum cf_err rc;
	size_t count = 0;

	rc = cf_db_run(db, CF_DB_READ, "challenges", drop, NULL, NULL);
	if (rc == CF_OK || cf_db_connected(db))
		do
			rc = cf_db_run(db, CF_DB_WRITE, "refusals",
			    record_rests, &count, NULL);
		while (rc == CF_OK && count == RESTS_MAX);
}
