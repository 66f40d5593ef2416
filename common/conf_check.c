/* SPDX-License-Identifier: Apache-2.0 */
/* cf_conf_check - see conf_check.h. */
#include "common/conf_check.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/link.h"
#include "common/listen_unix.h"
#include "common/secret.h"

#define ENTRY_MAX 4096	/* bytes of a user or group, with its members */

enum cf_err
cf_conf_check_secret_file(const char *value, struct cf_why *why)
{
	return cf_secret_check_file(value, why);
}

enum cf_err
cf_conf_check_readable(const char *value, struct cf_why *why)
{
	if (access(value, R_OK) != 0)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", value,
		    strerrordesc_np(errno));
	return CF_OK;
}

enum cf_err
cf_conf_check_directory(const char *value, struct cf_why *why)
{
	struct stat st;

	if (stat(value, &st) != 0)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", value,
		    strerrordesc_np(errno));
	if (!S_ISDIR(st.st_mode))
		return cf_fail(CF_E_CONFIG, why, "%s: not a directory", value);
	return CF_OK;
}

enum cf_err
cf_conf_check_user(const char *value, struct cf_why *why)
{
	struct passwd pw, *found = NULL;
	char text[ENTRY_MAX];

	/* One too large for us is there. */
	if (*value != '\0' && getpwnam_r(value, &pw, text, sizeof text,
	    &found) == 0 && found == NULL)
		return cf_fail(CF_E_CONFIG, why, "there is no user named %s",
		    value);
	return CF_OK;
}

enum cf_err
cf_conf_check_group(const char *value, struct cf_why *why)
{
	struct group gr, *found = NULL;
	char text[ENTRY_MAX];

	if (*value != '\0' && getgrnam_r(value, &gr, text, sizeof text,
	    &found) == 0 && found == NULL)
		return cf_fail(CF_E_CONFIG, why, "there is no group named %s",
		    value);
	return CF_OK;
}

enum cf_err
cf_conf_check_service_url(const char *value, struct cf_why *why)
{
	return cf_link_check_service(value, why);
}

enum cf_err
cf_conf_check_hostport(const char *value, struct cf_why *why)
{
	const char *colon = strrchr(value, ':');
	char *end;
	long port;

	if (colon != NULL && colon != value && colon[1] >= '0' &&
	    colon[1] <= '9') {
		port = strtol(colon + 1, &end, 10);
		if (*end == '\0' && port >= 1 && port <= 65535)
			return CF_OK;
	}
	return cf_fail(CF_E_CONFIG, why, "must be address:port");
}

enum cf_err
cf_conf_check_metrics(const char *value, struct cf_why *why)
{
	struct sockaddr_un address;

	if (strncmp(value, "unix:/", 6) == 0 ?
	    cf_listen_unix_address(value + 5, &address) :
	    cf_conf_check_hostport(value, NULL) == CF_OK)
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "must be ADDRESS:PORT or unix:/PATH "
	    "of at most %zu characters", sizeof address.sun_path - 1);
}
