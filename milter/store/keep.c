/* SPDX-License-Identifier: Apache-2.0 */
/* cf_keep - see keep.h. */
#include "milter/store/keep.h"

/* Clocks of machines that share a store differ, by less than this. */
#define AHEAD_S 86400

static int64_t
kept_until(int64_t mtime, int64_t ctime, long keep_s)
{
	if (mtime > ctime + AHEAD_S)
		return mtime;
	return keep_s == 0 ? INT64_MAX : mtime + keep_s;
}

bool
cf_keep_is_over(int64_t mtime, int64_t ctime, long keep_s, int64_t now)
{
	return keep_s != 0 && now >= kept_until(mtime, ctime, keep_s);
}

int64_t
cf_keep_again(int64_t mtime, int64_t ctime, long keep_s, int64_t end,
    int64_t now)
{
	int64_t wanted = end != 0 ? end : now;

	if (end == 0)
		end = keep_s == 0 ? INT64_MAX : now + keep_s;
	return end >= kept_until(mtime, ctime, keep_s) ? wanted : mtime;
}
