/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reader_check - see reader_check.h. */
#include "milter/reader/reader_check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crypto_cert.h"
#include "common/link.h"
#include "common/mem.h"

#define SHARD_LEN 2	/* characters of a subdirectory's name */

struct look {
	char *bad;	/* the path that stops us, or NULL */
	int bad_errno;
	size_t seen;	/* subdirectories with a message that we can read */
};

static void
note(struct look *look, const char *path)
{
	look->bad_errno = errno;
	look->bad = cf_strdup(path);
}

/* One message tells of all: they are made by the same hands. */
static void
look_into_shard(struct look *look, const char *shard)
{
	DIR *d = opendir(shard);
	const struct dirent *entry;
	int fd;

	if (d == NULL) {
		note(look, shard);
		return;
	}
	while ((entry = readdir(d)) != NULL)
		if (cf_link_is_blob(entry->d_name))
			break;
	if (entry != NULL) {
		CF_AUTO(cf_free) char *path = cf_asprintf("%s/%s", shard,
		    entry->d_name);

		/* As the reader; it must not wait for a FIFO either. */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
		    O_NONBLOCK);
		look->seen += fd >= 0;
		if (fd >= 0)
			close(fd);
		/* Just gone, or a link, which is none of ours. */
		else if (errno != ENOENT && errno != ELOOP)
			note(look, path);
	}
	closedir(d);
}

static void
look_into_store(struct look *look, const char *directory)
{
	DIR *d = opendir(directory);
	const struct dirent *entry;

	if (d == NULL) {
		note(look, directory);
		return;
	}
	while (look->bad == NULL && (entry = readdir(d)) != NULL) {
		if (strlen(entry->d_name) != SHARD_LEN ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		CF_AUTO(cf_free) char *shard = cf_asprintf("%s/%s", directory,
		    entry->d_name);
		look_into_shard(look, shard);
	}
	closedir(d);
}

static void
check_store(struct cf_findings *f, const char *directory)
{
	struct look look = { NULL, 0, 0 };

	f->subject = "store_directory";
	look_into_store(&look, directory);
	if (look.bad != NULL)
		cf_findings_say(f, CF_FINDING_ERROR, "%s: %s: its messages "
		    "cannot be opened by their links; run as the milter's "
		    "user, or as one of the directory's group", look.bad,
		    strerrordesc_np(look.bad_errno));
	else if (look.seen == 0)
		cf_findings_say(f, CF_FINDING_OK, "%s has no message yet",
		    directory);
	else
		cf_findings_say(f, CF_FINDING_OK, "the messages in %s can be "
		    "read", directory);
	free(look.bad);
}

void
cf_reader_check(const struct cf_reader_conf *conf, struct cf_findings *f)
{
	f->subject = "configuration";
	cf_findings_say(f, CF_FINDING_OK,
	    "it can be read, and so can the page");
	if (geteuid() != 0)
		cf_findings_say(f, CF_FINDING_OK, "it does not run as root");
	else
		cf_findings_say(f, CF_FINDING_WARNING, "looked at as root, "
		    "who may read everything; set user, or check again as the "
		    "user that the service manager lets it run as");
	if (conf->tls)
		cf_cert_check(f, conf->tls_certificate, conf->tls_key,
		    conf->reader_url, cf_clock_ms());
	else
		cf_findings_say(f, CF_FINDING_OK, "no TLS of its own: a web "
		    "server of this machine is expected before %s",
		    conf->listen);
	check_store(f, conf->store_directory);
	cf_findings_end(f);
}
