/* SPDX-License-Identifier: Apache-2.0 */
/* cf_check_store - see check_parts.h. */
#include <sys/statvfs.h>

#include "milter/check_parts.h"

#define DAY_S 86400
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

	if (conf->store_limit == 0 && conf->store_reserve == 0)
		cf_check_say(check, CF_FINDING_WARNING, "store_limit and "
		    "store_reserve are both 0: sealed mail of anybody may "
		    "fill the disk, and then mail that is sealed here waits");
	else if (conf->store_limit > 0 &&
	    conf->store_limit < conf->message_size_limit)
		cf_check_say(check, CF_FINDING_WARNING, "store_limit is %ld, "
		    "less than one message of message_size_limit, %ld: large "
		    "ones are never stored", conf->store_limit,
		    conf->message_size_limit);
}

static void
check_room(struct cf_check *check)
{
	const struct cf_mconf *conf = &check->snapshot->conf;
	unsigned long long all, left;
	struct statvfs fs;

	if (statvfs(conf->store_directory, &fs) != 0)
		return;
	all = (unsigned long long)fs.f_blocks * fs.f_frsize;
	left = (unsigned long long)fs.f_bavail * fs.f_frsize;
	if (all <= (unsigned long long)conf->store_reserve)
		cf_check_say(check, CF_FINDING_WARNING, "its file system has "
		    "%llu bytes in all, and store_reserve is %ld: no sealed "
		    "mail from outside is ever stored; lower store_reserve",
		    all, conf->store_reserve);
	else if (left < (unsigned long long)conf->store_reserve)
		cf_check_say(check, CF_FINDING_WARNING, "its file system has "
		    "%llu bytes left, and store_reserve is %ld: sealed mail "
		    "from outside is not stored; make room, or lower "
		    "store_reserve", left, conf->store_reserve);
	else
		cf_check_say(check, CF_FINDING_OK, "its file system has %llu "
		    "bytes left", left);
}

void
cf_check_store(struct cf_check *check)
{
	check->f.subject = "store_directory";
	check_keep(check);
	if (!(check->snapshot->mode & CF_MODE_INBOUND))
		return;
	check_limit(check);
	check_room(check);
}
