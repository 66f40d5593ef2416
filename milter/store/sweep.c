/* SPDX-License-Identifier: Apache-2.0 */
/* cf_sweep - see sweep.h. */
#include "milter/store/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/link.h"
#include "milter/store/keep.h"

#define SHARD_LEN 2	/* characters of a subdirectory's name */
#define BLOCK 512	/* st_blocks counts these */

/*
 * ".new.XXXXXX" of store.c, ".spool.XXXXXX" of common/file.c, and what becomes
 * the secret of the store.
 */
static bool
is_name(const char *name)
{
	return (strncmp(name, ".new.", 5) == 0 && strlen(name) == 11) ||
	    (strncmp(name, ".spool.", 7) == 0 && strlen(name) == 13) ||
	    (strncmp(name, ".secret.", 8) == 0 && strlen(name) == 14);
}

/* Old, a plain file, and nobody holds it: remove it. */
static bool
sweep_one(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK);
	bool removed = false;
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    cf_clock_ms() / 1000 - st.st_mtim.tv_sec >= CF_SWEEP_AGE_S &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0)
		removed = unlinkat(dir, name, 0) == 0;
	close(fd);
	return removed;
}

size_t
cf_sweep(const char *directory)
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;
	size_t count = 0;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		if (is_name(entry->d_name))
			count += sweep_one(dirfd(dir), entry->d_name);
	closedir(dir);
	return count;
}

/* ---- messages ---- */

static bool
is_over(const struct stat *st, long keep_s)
{
	return cf_keep_is_over(st->st_mtim.tv_sec, st->st_ctim.tv_sec, keep_s,
	    cf_clock_ms() / 1000);
}

/*
 * Under the lock of cf_store_renew(), which may have come first: then its
 * time is not over, or another file has the name by now.
 */
static bool
remove_locked(int dir, const char *name, int fd, long keep_s)
{
	struct stat st, named;

	if (fstat(fd, &st) != 0 || !is_over(&st, keep_s) ||
	    fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
	    named.st_dev != st.st_dev || named.st_ino != st.st_ino) {
		errno = 0;
		return false;
	}
	return unlinkat(dir, name, 0) == 0;
}

/* False with errno 0: somebody has it in hand. */
static bool
remove_message(int dir, const char *name, long keep_s)
{
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK);
	bool removed = false;
	int why;

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		removed = remove_locked(dir, name, fd, keep_s);
	else if (errno == EWOULDBLOCK)
		errno = 0;
	why = errno;
	close(fd);
	errno = why;
	return removed;
}

static void
look_at(int dir, const char *name, long keep_s, struct cf_sweep_tally *tally)
{
	struct stat st;

	if (!cf_link_is_blob(name) ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return;
	if (is_over(&st, keep_s)) {
		if (remove_message(dir, name, keep_s)) {
			tally->removed++;
			return;
		}
		/* Another milter of the store was faster. */
		if (errno == ENOENT)
			return;
		if (errno != 0) {
			tally->failed++;
			tally->last_errno = errno;
		}
	}
	tally->messages++;
	tally->bytes += (int64_t)st.st_blocks * BLOCK;
}

static void
look_into_shard(int store, const char *name, long keep_s,
    struct cf_sweep_tally *tally)
{
	int fd = openat(store, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
	    O_NOFOLLOW);
	const struct dirent *entry;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, name, SHARD_LEN) == 0)
			look_at(fd, entry->d_name, keep_s, tally);
	closedir(dir);
}

bool
cf_sweep_messages(const char *directory, long keep_s,
    bool (*rest)(void *arg, int64_t took_ms), void *arg,
    struct cf_sweep_tally *ret)
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;
	bool go_on = true;
	int64_t began;

	memset(ret, 0, sizeof *ret);
	if (dir == NULL)
		return false;
	while (go_on && (entry = readdir(dir)) != NULL) {
		if (strlen(entry->d_name) != SHARD_LEN ||
		    entry->d_name[0] == '.')
			continue;
		began = cf_clock_mono_ms();
		look_into_shard(dirfd(dir), entry->d_name, keep_s, ret);
		go_on = rest(arg, cf_clock_mono_ms() - began);
	}
	closedir(dir);
	return go_on;
}
