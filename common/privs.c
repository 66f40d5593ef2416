/* SPDX-License-Identifier: Apache-2.0 */
/* cf_privs - see privs.h. */
#include "common/privs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

void
cf_privs_core(bool wanted)
{
	struct rlimit limit = { 0, 0 };

	if (getrlimit(RLIMIT_CORE, &limit) == 0) {
		limit.rlim_cur = wanted ? limit.rlim_max : 0;
		(void)setrlimit(RLIMIT_CORE, &limit);
	}
	(void)prctl(PR_SET_DUMPABLE, wanted, 0, 0, 0);
}

void
cf_privs_standard_files(void)
{
	int fd;

	/* The lowest that is free is given out. */
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static enum cf_err
change_ids(const char *user, uid_t uid, gid_t gid, struct cf_why *why)
{
	/* Already that user, started so by a service manager. */
	if (geteuid() == uid && getuid() == uid)
		return CF_OK;
	if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return cf_fail(CF_E_CONFIG, why, "cannot become user %s: %s",
		    user, strerrordesc_np(errno));
	if (uid != 0 && setuid(0) == 0)
		cf_bug("root came back");
	return CF_OK;
}

enum cf_err
cf_privs_drop(const char *user, const char *group, struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	struct passwd *pw;
	struct group *gr;
	gid_t gid;

	if (user != NULL && *user != '\0') {
		pw = getpwnam(user);
		if (pw == NULL)
			return cf_fail(CF_E_CONFIG, why,
			    "there is no user named %s", user);
		gid = pw->pw_gid;
		if (group != NULL && *group != '\0') {
			gr = getgrnam(group);
			if (gr == NULL)
				return cf_fail(CF_E_CONFIG, why,
				    "there is no group named %s", group);
			gid = gr->gr_gid;
		}
		rc = change_ids(user, pw->pw_uid, gid, why);
	}
	cf_privs_core(false);
	return rc;
}

char *
cf_privs_user(const char *user, const char *directory)
{
	const struct passwd *pw;
	struct stat st;

	if (user != NULL)
		return cf_strdup(user);
	if (geteuid() != 0 || stat(directory, &st) != 0 || st.st_uid == 0)
		return NULL;
	pw = getpwuid(st.st_uid);
	return pw == NULL ? NULL : cf_strdup(pw->pw_name);
}
