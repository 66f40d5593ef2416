/* SPDX-License-Identifier: Apache-2.0 */
/* cf_listen_unix - see listen_unix.h. */
#include "common/listen_unix.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"

#define BACKLOG 16

static enum cf_err
place_fail(struct cf_why *why, const char *path)
{
	return cf_fail(CF_E_CONFIG, why, "%s: %s", path,
	    strerrordesc_np(errno));
}

static bool
is_trusted(uid_t uid, const char *user)
{
	struct passwd *pw;

	if (uid == 0 || uid == geteuid())
		return true;
	pw = user == NULL ? NULL : getpwnam(user);
	return pw != NULL && pw->pw_uid == uid;
}

static enum cf_err
check_directory(const char *dir, const char *user, struct cf_why *why)
{
	struct stat st;

	if (stat(dir, &st) != 0)
		return place_fail(why, dir);
	if ((st.st_mode & 022) != 0)
		return cf_fail(CF_E_CONFIG, why, "%s: mode is %04o, "
		    "others could put a socket of theirs there", dir,
		    (unsigned)st.st_mode & 07777);
	if (!is_trusted(st.st_uid, user))
		return cf_fail(CF_E_CONFIG, why, "%s belongs to user "
		    "%u, who is neither root nor who we run as", dir,
		    (unsigned)st.st_uid);
	return CF_OK;
}

/* Who owns a directory may move what is in it, a sticky one, too. */
static enum cf_err
check_above(char *dir, const char *user, struct cf_why *why)
{
	struct stat st;
	char *slash;

	while ((slash = strrchr(dir, '/')) != NULL && slash != dir) {
		*slash = '\0';
		if (stat(dir, &st) != 0)
			return place_fail(why, dir);
		if ((st.st_mode & 022) != 0 && (st.st_mode & S_ISVTX) == 0)
			return cf_fail(CF_E_CONFIG, why,
			    "%s: mode is %04o, others could move what "
			    "is below it", dir, (unsigned)st.st_mode & 07777);
		if (!is_trusted(st.st_uid, user))
			return cf_fail(CF_E_CONFIG, why, "%s belongs "
			    "to user %u, who could move what is below it", dir,
			    (unsigned)st.st_uid);
	}
	return CF_OK;
}

bool
cf_listen_unix_address(const char *path, struct sockaddr_un *address)
{
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof address->sun_path)
		return false;
	memcpy(address->sun_path, path, strlen(path) + 1);
	return true;
}

static bool
connects(const char *path)
{
	struct sockaddr_un address;
	bool there;
	int fd;

	if (!cf_listen_unix_address(path, &address))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	there = connect(fd, (const struct sockaddr *)(const void *)&address,
	    sizeof address) == 0;
	close(fd);
	return there;
}

enum cf_err
cf_listen_unix_check(const char *path, const char *user, struct cf_why *why)
{
	CF_AUTO(cf_free) char *dir = NULL;
	CF_AUTO(cf_free) char *real = NULL;
	struct stat st;
	enum cf_err rc;

	dir = cf_strdup(path);
	*strrchr(dir, '/') = '\0';
	rc = check_directory(*dir == '\0' ? "/" : dir, user, why);
	/* Where it really is, and where a link on the way to it stands. */
	real = realpath(*dir == '\0' ? "/" : dir, NULL);
	if (rc == CF_OK && real == NULL)
		rc = place_fail(why, dir);
	if (rc == CF_OK)
		rc = check_above(real, user, why);
	if (rc == CF_OK)
		rc = check_above(dir, user, why);
	if (rc != CF_OK)
		return rc;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? CF_OK : place_fail(why, path);
	if (!S_ISSOCK(st.st_mode))
		return cf_fail(CF_E_CONFIG, why,
		    "%s is there and is not a socket", path);
	if (connects(path))
		return cf_fail(CF_E_BUSY, why,
		    "another program listens on %s", path);
	return CF_OK;
}

enum cf_err
cf_listen_unix(const char *path, int *ret_fd, struct cf_why *why)
{
	struct sockaddr_un address;
	enum cf_err rc;
	mode_t before;
	int fd, bound;

	if (!cf_listen_unix_address(path, &address))
		return cf_fail(CF_E_CONFIG, why, "%s: the path is too long",
		    path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return cf_fail(CF_E_CONFIG, why, "socket: %s",
		    strerrordesc_np(errno));
	/* Of a process that was killed: nobody listens there. */
	(void)unlink(path);
	before = umask(0177);
	bound = bind(fd, (const struct sockaddr *)(const void *)&address,
	    sizeof address);
	umask(before);
	if (bound != 0 || listen(fd, BACKLOG) != 0) {
		rc = place_fail(why, path);
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return CF_OK;
}

enum cf_err
cf_listen_unix_grant(const char *path, const char *mode, const char *user,
    const char *group, struct cf_why *why)
{
	struct passwd *pw;
	struct group *gr;

	if (user != NULL && *user != '\0') {
		pw = getpwnam(user);
		if (pw == NULL)
			return cf_fail(CF_E_CONFIG, why,
			    "there is no user named %s", user);
		if (lchown(path, pw->pw_uid, (gid_t)-1) != 0)
			return place_fail(why, path);
	}
	if (group != NULL && *group != '\0') {
		gr = getgrnam(group);
		if (gr == NULL)
			return cf_fail(CF_E_CONFIG, why,
			    "there is no group named %s", group);
		if (lchown(path, (uid_t)-1, gr->gr_gid) != 0)
			return place_fail(why, path);
	}
	if (chmod(path, (mode_t)strtol(mode, NULL, 8)) != 0)
		return place_fail(why, path);
	return CF_OK;
}
