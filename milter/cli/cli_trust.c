/* SPDX-License-Identifier: Apache-2.0 */
/* cf_cli_trust - see cli_trust.h. */
#include "milter/cli/cli_trust.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "milter/cli/cli.h"

bool
cf_cli_is_listed(const struct cf_cli_conf *conf, const char *service)
{
	return cf_conf_list_has(&conf->allowed_key_servers, service) ||
	    cf_conf_list_has(&conf->key_servers, service);
}

/* "https://keys.example" or "keys.example". */
static bool
is_named(const char *service, const char *host)
{
	const char *slashes = strstr(service, "://");

	return strcasecmp(host, service) == 0 ||
	    (slashes != NULL && strcasecmp(host, slashes + 3) == 0);
}

/* The first line of the answer, and no byte behind it: --link - may follow. */
static bool
read_yes(void)
{
	char line[8] = "", c;
	size_t len = 0;

	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		if (len + 1 < sizeof line)
			line[len++] = c;
	return strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0;
}

static bool
ask_person(const char *service)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	fputs("This message names the key server ", stderr);
	cf_cli_put(service, stderr);
	fputs(",\nwhich is not on your list.  It can say anything about who "
	    "sent the message,\nand it learns from being asked that you have "
	    "it, when, and from which address\nof the network.\n"
	    "Ask it? [y/N] ", stderr);
	return read_yes();
}

enum cf_err
cf_cli_consent(const struct cf_cli_conf *conf, const char *service,
    const char *allowed_host, struct cf_why *why)
{
	if (cf_cli_is_listed(conf, service))
		return CF_OK;
	if (allowed_host == NULL ? ask_person(service) :
	    is_named(service, allowed_host))
		return CF_OK;
	return cf_fail(CF_E_UNLISTED, why, "%s; it was not asked", service);
}
