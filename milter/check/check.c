/* SPDX-License-Identifier: Apache-2.0 */
/* cf_check - see check.h. */
#include "milter/check/check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

#define GROUPS_MAX 256

extern char **environ;

/* ---- the socket ---- */

struct who {
	uid_t uid;
	gid_t groups[GROUPS_MAX];
	int count;
};

static bool
may(const struct who *who, const struct stat *st, unsigned bits)
{
	unsigned mode = st->st_mode;
	int i;

	if (who->uid == 0)
		return true;
	if (st->st_uid == who->uid)
		return (mode >> 6 & bits) == bits;
	for (i = 0; i < who->count; i++)
		if (who->groups[i] == st->st_gid)
			return (mode >> 3 & bits) == bits;
	return (mode & bits) == bits;
}

/* The first part of the path that stops `who`, or NULL.  Gives. */
static char *
obstacle(const struct who *who, const char *path)
{
	CF_AUTO(cf_free) char *part = cf_strdup(path);
	struct stat st;
	size_t i;

	for (i = 1; path[i] != '\0'; i++) {
		if (path[i] != '/')
			continue;
		part[i] = '\0';
		if (stat(part, &st) != 0 || !may(who, &st, 1))
			return cf_strdup(part);
		part[i] = '/';
	}
	if (stat(path, &st) != 0 || !may(who, &st, 2))
		return cf_strdup(path);
	return NULL;
}

void
cf_check_socket(struct cf_check *check, const char *name)
{
	const char *socket = check->snapshot->conf.socket;
	const char *path = strchr(socket, ':') + 1;
	const struct passwd *pw = getpwnam(name);
	CF_AUTO(cf_free) char *stopped = NULL;
	struct who who = { 0 };
	struct stat st;

	if (strncmp(socket, "unix:", 5) != 0)
		return;
	if (pw == NULL) {
		cf_check_say(check, CF_FINDING_ERROR,
		    "there is no user named %s", name);
		return;
	}
	if (stat(path, &st) != 0 && errno == ENOENT && geteuid() == 0) {
		cf_check_say(check, CF_FINDING_WARNING, "%s is not there: "
		    "start the milter; mail waits until then", path);
		return;
	}
	if (stat(path, &st) != 0) {
		cf_check_say(check, CF_FINDING_WARNING, "%s: %s: whether %s "
		    "may use it cannot be seen; check again as root, when the "
		    "milter runs", path, strerrordesc_np(errno), name);
		return;
	}
	who.uid = pw->pw_uid;
	who.count = GROUPS_MAX;
	if (getgrouplist(name, pw->pw_gid, who.groups, &who.count) < 0)
		who.count = GROUPS_MAX;
	stopped = obstacle(&who, path);
	if (stopped == NULL)
		cf_check_say(check, CF_FINDING_OK, "user %s may use %s", name,
		    path);
	else
		cf_check_say(check, CF_FINDING_ERROR, "user %s may not use "
		    "%s because of %s; see socket_group and socket_mode, and "
		    "the mode of its directory", name, path, stopped);
}

/* ---- programs ---- */

/* A pipe holds INPUT_MAX bytes before anybody reads. */
#define INPUT_MAX 4096

static bool
spawn(const char *const *argv, int in, int out, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	bool good;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY,
	    0);
	/* The prototype is older than const. */
	good = posix_spawnp(ret_pid, argv[0], &actions, NULL,
	    (char *const *)(uintptr_t)argv, environ) == 0;
	posix_spawn_file_actions_destroy(&actions);
	return good;
}

static bool
run_start(const char *const *argv, const char *input, int *ret_fd,
    pid_t *ret_pid)
{
	size_t len = input == NULL ? 0 : strlen(input);
	int in[2], out[2];
	bool good;

	if (len > INPUT_MAX || pipe2(in, O_CLOEXEC) != 0)
		return false;
	if (pipe2(out, O_CLOEXEC) != 0) {
		close(in[0]);
		close(in[1]);
		return false;
	}
	good = (len == 0 || write(in[1], input, len) == (ssize_t)len) &&
	    spawn(argv, in[0], out[1], ret_pid);
	close(in[0]);
	close(in[1]);
	close(out[1]);
	if (good)
		*ret_fd = out[0];
	else
		close(out[0]);
	return good;
}

bool
cf_check_run(const char *const *argv, const char *input, struct cf_buf *out)
{
	int fd = -1, status = 0;
	bool good;
	pid_t pid;

	if (!run_start(argv, input, &fd, &pid))
		return false;
	good = cf_file_read_fd(fd, out, NULL) == CF_OK;
	close(fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
