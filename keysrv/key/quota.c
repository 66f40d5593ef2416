/* SPDX-License-Identifier: Apache-2.0 */
/* cf_quota - see quota.h. */
#include "keysrv/key/quota.h"

#define HOUR_MS (3600 * INT64_C(1000))

static const struct cf_quota nothing = { .hour_at_ms = -1 };

bool
cf_quota_turn(struct cf_quota *quota, int64_t now_ms,
    struct cf_quota_rest *ret)
{
	const struct cf_quota had = *quota;

	/* A clock that was put back far ends it, too. */
	if (had.hour_at_ms < 0 || (now_ms - had.hour_at_ms < HOUR_MS &&
	    had.hour_at_ms - now_ms < HOUR_MS))
		return false;
	*quota = nothing;
	if (had.more == 0)
		return false;
	*ret = (struct cf_quota_rest){ had.hour_at_ms, had.more };
	return true;
}

static void
begin(struct cf_quota *quota, int64_t now_ms)
{
	if (quota->hour_at_ms < 0)
		quota->hour_at_ms = now_ms;
}

bool
cf_quota_refuse(struct cf_quota *quota, bool held, int64_t now_ms)
{
	int64_t *count = held ? &quota->held : &quota->refused;

	begin(quota, now_ms);
	if (*count < (held ? CF_QUOTA_HELD : CF_QUOTA_REFUSED)) {
		++*count;
		return true;
	}
	quota->more++;
	return false;
}

bool
cf_quota_is_spent(const struct cf_quota *quota)
{
	return quota->released >= CF_QUOTA_RELEASED;
}

void
cf_quota_release(struct cf_quota *quota, int64_t now_ms)
{
	begin(quota, now_ms);
	quota->released++;
}

int64_t
cf_quota_wait_s(const struct cf_quota *quota, int64_t now_ms)
{
	int64_t left = quota->hour_at_ms + HOUR_MS - now_ms;

	if (left > HOUR_MS)
		left = HOUR_MS;
	return left < 1000 ? 1 : (left + 999) / 1000;
}
