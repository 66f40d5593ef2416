/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_quota - see db_quota.h. */
#include "keysrv/db/db_quota.h"

/* ---- challenges ---- */

int64_t
cf_db_challenge_slot(const struct cf_db_challenge *challenge)
{
	return challenge->made_at_s / 3600 % 4;
}

struct used {
	const unsigned char *key_id, *random;
	int64_t slot;
};

void
cf_db_used_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct used, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
		{ "slot", CF_DB_INT, AT(slot), 0 },
		{ "random", CF_DB_BYTES_AT, AT(random),
		    CF_CHALLENGE_RANDOM_LEN },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_used_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const struct cf_db_challenge *challenge)
{
	const struct used used = { key_id, challenge->random,
	    cf_db_challenge_slot(challenge) };

	cf_db_args_add(args, &used);
}

size_t
cf_db_used_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "used_find",
	    "SELECT q.n FROM unnest($values) WITH ORDINALITY "
	    "AS q ($columns, n) "
	    "JOIN counterfoil.challenge_used c "
	    "ON c.key_id = q.key_id AND c.random = q.random "
	    "AND c.slot = q.slot::smallint" };

	return cf_db_send(db, &stmt, args);
}

struct network {
	const unsigned char *key_id;
	struct cf_db_span network;
	int64_t since_ms;
};

void
cf_db_network_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct network, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
		{ "network", CF_DB_SPAN, AT(network), 0 },
		{ "since", CF_DB_TIME, AT(since_ms), 0 },
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_network_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], const unsigned char *network,
    size_t network_len, int64_t since_ms)
{
	const struct network row = { key_id, { network, network_len },
	    since_ms };

	cf_db_args_add(args, &row);
}

size_t
cf_db_network_find(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "network_find",
	    "SELECT q.n FROM unnest($values) WITH ORDINALITY "
	    "AS q ($columns, n) "
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

struct state {
	const unsigned char *key_id;
	int64_t releases, released_at_ms;
	struct cf_quota quota;
};

void
cf_db_state_args(struct cf_db_args *args)
{
#define AT(member) offsetof(struct state, member)
	static const struct cf_db_column columns[] = {
		{ "key_id", CF_DB_BYTES_AT, AT(key_id), CF_KEY_ID_LEN },
		{ "releases", CF_DB_INT, AT(releases), 0 },
		{ "released_at", CF_DB_TIME, AT(released_at_ms), 0 },
		CF_DB_QUOTA_COLUMNS,
	};
#undef AT

	CF_DB_ARGS_ROWS(args, columns);
}

void
cf_db_state_add(struct cf_db_args *args,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t releases,
    int64_t released_at_ms, const struct cf_quota *quota)
{
	const struct state state = { key_id, releases,
	    releases > 0 ? released_at_ms : -1, *quota };

	cf_db_args_add(args, &state);
}

void
cf_db_state_send(struct cf_db *db, const struct cf_db_args *args)
{
	static const struct cf_db_stmt stmt = { "state_update",
	    "UPDATE counterfoil.key_state s "
	    "SET release_count = s.release_count + q.releases::integer, "
	    "first_released_at = "
	    "coalesce(s.first_released_at, q.released_at), "
	    "hour_at = q.hour_at, hour_refused = q.hour_refused::integer, "
	    "hour_held = q.hour_held::integer, hour_more = q.hour_more, "
	    "hour_released = q.hour_released::integer "
	    "FROM unnest($values) AS q ($columns) "
	    "WHERE s.key_id = q.key_id" };

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
