/* SPDX-License-Identifier: Apache-2.0 */
/* cf_sweep - see sweep.h. */
#include "milter/sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"

/* ".new.XXXXXX" of store.c, ".spool.XXXXXX" of common/file.c. */
static bool
is_name(const char *name)
{
	return (strncmp(name, ".new.", 5) == 0 && strlen(name) == 11) ||
	    (strncmp(name, ".spool.", 7) == 0 && strlen(name) == 13);
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
