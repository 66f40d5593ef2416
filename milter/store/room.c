/* SPDX-License-Identifier: Apache-2.0 */
/* cf_room - see room.h. */
#include "milter/store/room.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "common/clock.h"
#include "common/log.h"

#define TELL_EVERY_MS (24 * 3600 * 1000)	/* while it lasts */
#define TELL_AGAIN_MS (3600 * 1000)		/* when it comes back */
#define BLOCK 4096	/* a file takes a whole number of these */
/* Room again: so much more than what was too much, not a byte. */
#define AGAIN (1 << 20)
/* Of mail that is sealed here: a state of its own beside the reasons. */
#define HERE CF_ROOM__COUNT
#define STATES (CF_ROOM__COUNT + 1)
#define TEXT_EXACT (10 << 20)	/* from here on one decimal will do */

static const struct {
	const char *name;
	const char *todo;
} reasons[CF_ROOM__COUNT] = {
	[CF_ROOM_LIMIT] = { "store_limit",
	    "raise store_limit, or lower store_keep_s" },
	[CF_ROOM_RESERVE] = { "store_reserve",
	    "make room on its file system, lower store_keep_s, or set "
	    "store_limit" },
	[CF_ROOM_DISK] = { "disk",
	    "make room on its file system, or raise the quota" },
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool full, told;
	int64_t told_ms;	/* monotonic */
	uint64_t refused;
	uint64_t settled;	/* `refused` at the last count */
} state[STATES];
static bool told_any;		/* and not yet that there is room again */
static bool counted;
static int64_t messages, bytes;	/* as counted; bytes with what was added */
static int64_t added;		/* since the start */

const char *
cf_room_reason_name(enum cf_room_reason reason)
{
	return reasons[reason].name;
}

void
cf_room_text(uint64_t n, char ret[CF_ROOM_TEXT_MAX])
{
	static const char units[] = "GMk";
	unsigned shift = 30, i;

	for (i = 0; i < 3; i++, shift -= 10) {
		uint64_t unit = UINT64_C(1) << shift;

		if (n > 0 && n % unit == 0) {
			(void)snprintf(ret, CF_ROOM_TEXT_MAX, "%llu%c",
			    (unsigned long long)(n / unit), units[i]);
			return;
		}
		if (n >= TEXT_EXACT && n >= unit) {
			(void)snprintf(ret, CF_ROOM_TEXT_MAX, "%.1f%c",
			    (double)n / (double)unit, units[i]);
			return;
		}
	}
	(void)snprintf(ret, CF_ROOM_TEXT_MAX, "%llu bytes",
	    (unsigned long long)n);
}

/* Note that there was none; gives whether to tell of it. */
static bool
note(int reason)
{
	int64_t now = cf_clock_mono_ms();
	bool tell;

	pthread_mutex_lock(&lock);
	tell = !state[reason].told || now - state[reason].told_ms >=
	    (state[reason].full ? TELL_EVERY_MS : TELL_AGAIN_MS);
	state[reason].refused++;
	state[reason].full = true;
	if (tell) {
		state[reason].told = told_any = true;
		state[reason].told_ms = now;
	}
	pthread_mutex_unlock(&lock);
	return tell;
}

/* One line when it begins; the message has its own. */
static enum cf_err
refuse(enum cf_room_reason reason, const struct cf_why *why)
{
	if (note((int)reason))
		cf_log(CF_LOG_WARN, "no room to store sealed mail from "
		    "outside, which passes as it came: %s; %s", why->text,
		    reasons[reason].todo);
	return CF_E_FULL;
}

static uint64_t
whole_blocks(uint64_t size)
{
	return (size + BLOCK - 1) / BLOCK * BLOCK;
}

/* Bytes that the file system of the store has for us; false: not known. */
static bool
free_bytes(const struct cf_mconf *conf, uint64_t *ret)
{
	struct statvfs fs;

	if (statvfs(conf->store_directory, &fs) != 0)
		return false;
	*ret = (uint64_t)fs.f_bavail * fs.f_frsize;
	return true;
}

/* Would `size` more be over the limit?  Before the first count nobody knows. */
static bool
over_limit(const struct cf_mconf *conf, uint64_t size, int64_t *ret_bytes)
{
	pthread_mutex_lock(&lock);
	*ret_bytes = counted ? bytes : 0;
	pthread_mutex_unlock(&lock);
	return conf->store_limit > 0 && *ret_bytes + (int64_t)size >
	    conf->store_limit;
}

static bool
in_reserve(const struct cf_mconf *conf, uint64_t size, uint64_t *ret_free)
{
	return conf->store_reserve > 0 && free_bytes(conf, ret_free) &&
	    *ret_free < (uint64_t)conf->store_reserve + size;
}

static enum cf_err
ask_reserve(const struct cf_mconf *conf, uint64_t size, struct cf_why *why)
{
	char has[CF_ROOM_TEXT_MAX], reserve[CF_ROOM_TEXT_MAX];
	uint64_t left = 0;

	if (!in_reserve(conf, size, &left))
		return CF_OK;
	cf_room_text(left, has);
	cf_room_text((uint64_t)conf->store_reserve, reserve);
	(void)cf_fail(CF_E_FULL, why, "the file system of %s has %s left, and "
	    "store_reserve is %s", conf->store_directory, has, reserve);
	return refuse(CF_ROOM_RESERVE, why);
}

enum cf_err
cf_room_ask(const struct cf_mconf *conf, uint64_t size, struct cf_why *why)
{
	char has_text[CF_ROOM_TEXT_MAX], limit[CF_ROOM_TEXT_MAX];
	int64_t has;

	size = whole_blocks(size);
	if (!over_limit(conf, size, &has))
		return ask_reserve(conf, size, why);
	cf_room_text((uint64_t)has, has_text);
	cf_room_text((uint64_t)conf->store_limit, limit);
	(void)cf_fail(CF_E_FULL, why, "%s has %s, and store_limit is %s",
	    conf->store_directory, has_text, limit);
	return refuse(CF_ROOM_LIMIT, why);
}

enum cf_err
cf_room_ask_spool(const struct cf_mconf *conf, struct cf_why *why)
{
	return ask_reserve(conf, 0, why);
}

void
cf_room_is_full(const struct cf_why *why)
{
	(void)refuse(CF_ROOM_DISK, why);
}

void
cf_room_is_full_here(const struct cf_why *why)
{
	if (note(HERE))
		cf_log(CF_LOG_WARN, "no room to seal mail, which waits: %s; "
		    "make room on its file system, or raise the quota",
		    why->text);
}

void
cf_room_add(int64_t more)
{
	int64_t whole = (int64_t)whole_blocks((uint64_t)(more < 0 ? -more :
	    more));

	whole = more < 0 ? -whole : whole;
	pthread_mutex_lock(&lock);
	added += whole;
	bytes += whole;
	pthread_mutex_unlock(&lock);
}

int64_t
cf_room_mark(void)
{
	int64_t mark;

	pthread_mutex_lock(&lock);
	mark = added;
	pthread_mutex_unlock(&lock);
	return mark;
}

/* Ended for a reason that has gone since? */
static void
settle(const struct cf_mconf *conf)
{
	uint64_t left = 0;
	int64_t has;
	bool again[STATES], ended;
	int r;

	again[CF_ROOM_LIMIT] = !over_limit(conf, AGAIN, &has);
	again[CF_ROOM_RESERVE] = !in_reserve(conf, AGAIN, &left);
	pthread_mutex_lock(&lock);
	/* Of a quota only messages can tell. */
	again[CF_ROOM_DISK] = state[CF_ROOM_DISK].refused ==
	    state[CF_ROOM_DISK].settled;
	again[HERE] = state[HERE].refused == state[HERE].settled;
	/* One reason may end as another begins, by a reload: no word of it. */
	ended = told_any;
	for (r = 0; r < STATES; r++) {
		ended = ended && again[r];
		state[r].full = state[r].full && !again[r];
		state[r].settled = state[r].refused;
	}
	told_any = told_any && !ended;
	pthread_mutex_unlock(&lock);
	if (ended)
		cf_log(CF_LOG_INFO, "there is room to store sealed mail "
		    "again");
}

void
cf_room_counted(const struct cf_mconf *conf, int64_t mark, int64_t n,
    int64_t size)
{
	pthread_mutex_lock(&lock);
	counted = true;
	messages = n;
	/* What came meanwhile may be in it already: rather twice than not. */
	bytes = size + (added > mark ? added - mark : 0);
	pthread_mutex_unlock(&lock);
	settle(conf);
}

void
cf_room_facts(struct cf_room_facts *ret)
{
	int r;

	pthread_mutex_lock(&lock);
	ret->counted = counted;
	ret->messages = messages;
	ret->bytes = bytes;
	for (r = 0; r < CF_ROOM__COUNT; r++)
		ret->refused[r] = state[r].refused;
	pthread_mutex_unlock(&lock);
}
