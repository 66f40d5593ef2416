/* SPDX-License-Identifier: Apache-2.0 */
/* cf_pf_place - see postfix.h. */
#include "milter/check/postfix.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/mem.h"

static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	if (strcmp(a, b) == 0)
		return true;
	return stat(a, &x) == 0 && stat(b, &y) == 0 &&
	    x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* inet:PORT@HOST is ours, inet:HOST:PORT theirs. */
static bool
same_inet(const char *ours, const char *theirs)
{
	const char *port = strchr(ours, ':') + 1, *at = strchr(port, '@');
	CF_AUTO(cf_free) char *turned = cf_asprintf("inet:%s:%.*s", at + 1,
	    (int)(at - port), port);

	if (strcasecmp(turned, theirs) == 0)
		return true;
	return (strcmp(at + 1, "127.0.0.1") == 0 &&
	    strncasecmp(theirs, "inet:localhost:", 15) == 0 &&
	    strncmp(theirs + 15, port, (size_t)(at - port)) == 0 &&
	    theirs[15 + (at - port)] == '\0');
}

/* `ret_hidden`: it would be ours, but for the change of root. */
static bool
place_is_ours(const struct cf_pf *p, const struct cf_postfix_service *s,
    const char *address, bool *ret_hidden)
{
	const char *ours = p->check->snapshot->conf.socket;
	const char *queue = cf_pf_value(p, NULL, "queue_directory"), *path;

	*ret_hidden = false;
	if (strncmp(ours, "unix:", 5) != 0)
		return same_inet(ours, address);
	if (strncmp(address, "unix:", 5) != 0 &&
	    strncmp(address, "local:", 6) != 0)
		return false;
	path = strchr(address, ':') + 1;
	if (*path != '/' ||
	    (s != NULL && cf_postfix_is_chrooted(&p->conf, s))) {
		CF_AUTO(cf_free) char *inside = cf_asprintf("%s/%s", queue,
		    path + (*path == '/'));

		if (same_file(ours + 5, inside))
			return true;
		*ret_hidden = same_file(ours + 5, path);
		return false;
	}
	return same_file(ours + 5, path);
}

int
cf_pf_place(const struct cf_pf *p, const struct cf_postfix_service *s,
    const char *list, struct cf_postfix_milter *ret)
{
	bool hidden;
	int i;

	for (i = 0; cf_postfix_next_milter(&list, ret); i++) {
		if (place_is_ours(p, s, ret->address, &hidden))
			return i;
		if (hidden)
			cf_check_say(p->check, ERROR, "%s runs in a chroot, "
			    "where %s is not our socket; put n into the "
			    "chroot column of its line in master.cf, or the "
			    "socket below %s", s->name, ret->address,
			    cf_pf_value(p, NULL, "queue_directory"));
	}
	return -1;
}
