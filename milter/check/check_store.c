/* SPDX-License-Identifier: Apache-2.0 */
/* cf_check_store - see check_parts.h. */
#include <sys/statvfs.h>

#include "milter/check/check_parts.h"
#include "milter/store/room.h"

#define DAY_S 86400
#define FULL 65536	/* bytes left in which no message fits */
#define KEEP_SHORT_S (7 * DAY_S)	/* people are away for as long */

static void
check_keep(struct cf_check *check)
{
	const struct cf_mconf *conf = &check->snapshot->conf;

	if (conf->store_keep_s > 0 && conf->store_keep_s < KEEP_SHORT_S)
		cf_check_say(check, CF_FINDING_WARNING, "store_keep_s is %ld, "
		    "which is %.1f days: after that, links in mail open "
		    "nothing; it counts seconds, or write 400d",
		    conf->store_keep_s,
		    (double)conf->store_keep_s / DAY_S);
}

static void
check_limit(struct cf_check *check)
{
	const struct cf_mconf *conf = &check->snapshot->conf;
	char limit[CF_ROOM_TEXT_MAX], size[CF_ROOM_TEXT_MAX];

	cf_room_text((uint64_t)conf->store_limit, limit);
	cf_room_text((uint64_t)conf->message_size_limit, size);
	if (conf->store_limit == 0 && conf->store_reserve == 0)
		cf_check_say(check, CF_FINDING_WARNING, "store_limit and "
		    "store_reserve are both 0: sealed mail of anybody may "
		    "fill the disk, and then mail that is sealed here waits");
	else if (conf->store_limit > 0 &&
	    conf->store_limit < conf->message_size_limit)
		cf_check_say(check, CF_FINDING_WARNING, "store_limit is %s, "
		    "less than one message of message_size_limit, %s: large "
		    "ones are never stored", limit, size);
}

static void
check_room(struct cf_check *check)
{
	const struct cf_mconf *conf = &check->snapshot->conf;
	char all[CF_ROOM_TEXT_MAX], left[CF_ROOM_TEXT_MAX];
	char reserve[CF_ROOM_TEXT_MAX];
	bool inbound = check->snapshot->mode & CF_MODE_INBOUND;
	uint64_t whole, rest, kept = (uint64_t)conf->store_reserve;
	struct statvfs fs;

	if (statvfs(conf->store_directory, &fs) != 0)
		return;
	whole = (uint64_t)fs.f_blocks * fs.f_frsize;
	rest = (uint64_t)fs.f_bavail * fs.f_frsize;
	cf_room_text(whole, all);
	cf_room_text(rest, left);
	cf_room_text(kept, reserve);
	if (rest < FULL)
		cf_check_say(check, CF_FINDING_ERROR, "its file system is "
		    "full, with %s left: mail to be sealed waits, and sealed "
		    "mail from outside passes as it came; make room", left);
	else if (inbound && whole <= kept)
		cf_check_say(check, CF_FINDING_WARNING, "its file system has "
		    "%s in all, and store_reserve is %s: no sealed mail from "
		    "outside is ever stored, all of it passes as it came; "
		    "lower store_reserve", all, reserve);
	else if (inbound && rest < kept)
		cf_check_say(check, CF_FINDING_WARNING, "its file system has "
		    "%s left, and store_reserve is %s: sealed mail from "
		    "outside is not stored and passes as it came; make room, "
		    "or lower store_reserve", left, reserve);
	else
		cf_check_say(check, CF_FINDING_OK, "its file system has %s "
		    "left", left);
}

void
cf_check_store(struct cf_check *check)
{
	check->f.subject = "store_directory";
	check_keep(check);
	if (check->snapshot->mode & CF_MODE_INBOUND)
		check_limit(check);
	check_room(check);
}
