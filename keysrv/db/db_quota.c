/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_quota - see db_quota.h. */
#include "keysrv/db/db_quota.h"

/* ---- challenges ---- */

int64_t
cf_db_challenge_slot(const struct cf_db_challenge *challenge)
{
	return challenge->made_at_s / 3600 % 4;
}

void
cf_db_used_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "bib");
}

void
cf_db_used_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const struct cf_db_challenge *challenge)
{
	cf_db_bytes(args, 0, key_id, CF_KEY_ID_LEN);
	cf_db_int(args, 1, cf_db_challenge_slot(challenge));
	cf_db_bytes(args, 2, challenge->random, sizeof challenge->random);
}

size_t
cf_db_used_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "used_find",
	    "SELECT q.n FROM unnest($1, $2, $3) WITH ORDINALITY "
	    "AS q (key_id, slot, random, n) "
	    "JOIN counterfoil.challenge_used c "
	    "ON c.key_id = q.key_id AND c.random = q.random "
	    "AND c.slot = q.slot::smallint" };

	return cf_db_send(db, &stmt, args);
}

void
cf_db_network_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "bbz");
}

void
cf_db_network_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], const unsigned char *network,
    size_t network_len, int64_t since_ms)
{
	cf_db_bytes(args, 0, key_id, CF_KEY_ID_LEN);
	cf_db_bytes(args, 1, network, network_len);
	cf_db_time(args, 2, since_ms);
}

size_t
cf_db_network_find(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "network_find",
	    "SELECT q.n FROM unnest($1, $2, $3) WITH ORDINALITY "
	    "AS q (key_id, network, since, n) "
	    "WHERE EXISTS (SELECT FROM counterfoil.challenge_used c "
	    "WHERE c.key_id = q.key_id AND c.network = q.network "
	    "AND c.at >= q.since)" };

	return cf_db_send(db, &stmt, args);
}

void
cf_db_drop_challenges(struct cf_db *db)
{
	static const struct cf_db_stmt stmt = { "drop_challenges",
	    "SELECT counterfoil.drop_challenges()" };

	(void)cf_db_send(db, &stmt, NULL);
}

/* ---- the hour ---- */

void
cf_db_state_args(struct cf_db_args *args)
{
	cf_db_args_init(args, "bizziiii");
}

static void
add_time(struct cf_db_args *args, size_t col, int64_t ms)
{
	if (ms < 0)
		cf_db_null(args, col);
	else
		cf_db_time(args, col, ms);
}

void
cf_db_state_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t releases,
    int64_t released_at_ms, const struct cf_quota *quota)
{
	cf_db_bytes(args, 0, key_id, CF_KEY_ID_LEN);
	cf_db_int(args, 1, releases);
	add_time(args, 2, releases > 0 ? released_at_ms : -1);
	add_time(args, 3, quota->hour_at_ms);
	cf_db_int(args, 4, quota->refused);
	cf_db_int(args, 5, quota->held);
	cf_db_int(args, 6, quota->more);
	cf_db_int(args, 7, quota->released);
}

void
cf_db_state_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "state_update",
	    "UPDATE counterfoil.key_state s "
	    "SET release_count = s.release_count + q.b::integer, "
	    "first_released_at = coalesce(s.first_released_at, q.c), "
	    "hour_at = q.d, hour_refused = q.e::integer, "
	    "hour_held = q.f::integer, hour_more = q.g, "
	    "hour_released = q.h::integer "
	    "FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) "
	    "AS q (a, b, c, d, e, f, g, h) WHERE s.key_id = q.a" };

	(void)cf_db_send(db, &stmt, args);
}

size_t
cf_db_rest_send(struct cf_db *db, int64_t max)
{
	static const struct cf_db_stmt stmt = { "rest_find",
	    "SELECT s.key_id, i.message_ref, s.hour_at, s.hour_more "
	    "FROM counterfoil.key_state s "
	    "JOIN counterfoil.key_issue i USING (key_id) "
	    "WHERE s.hour_more > 0 "
	    "AND s.hour_at <= clock_timestamp() - interval '1 hour' "
	    "ORDER BY s.key_id LIMIT $1 FOR UPDATE OF s SKIP LOCKED" };
	struct cf_db_args args;
	size_t result;

	cf_db_args_init(&args, "I");
	cf_db_int(&args, 0, max);
	result = cf_db_send(db, &stmt, &args);
	cf_db_args_free(&args);
	return result;
}

void
cf_db_rest_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_db_rest *ret)
{
#define AT(member) offsetof(struct cf_db_rest, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES, AT(key_id), CF_KEY_ID_LEN },
		{ "message_ref", CF_DB_BYTES, AT(message_ref), CF_REF_LEN },
		{ "hour_at", CF_DB_TIME, AT(rest.since_ms), 0 },
		{ "hour_more", CF_DB_INT, AT(rest.count), 0 },
	};
#undef AT

	CF_DB_ROW(db, result, row, columns, ret);
}
