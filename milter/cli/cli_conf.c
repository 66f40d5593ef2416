/* SPDX-License-Identifier: Apache-2.0 */
/* cf_cli_conf - see cli_conf.h. */
#include "milter/cli/cli_conf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/link.h"
#include "common/mem.h"
#include "common/proxy.h"

#define CF_CONF_INTO cf_cli_conf
#include "common/conf_rows.h"

const struct cf_conf_opt cf_cli_options[] = {
	LIST(key_servers, NULL, cf_conf_check_service_url, LIVE,
	    "Addresses of your own key server, for status; the next is asked "
	    "when one does not answer."),
	STR(ca_file, NULL, cf_conf_check_readable, LIVE,
	    "PEM file of the authorities that vouch for key servers, instead "
	    "of the system's."),
	PROXY_OPTIONS,
	STR(api_token_file, NULL, cf_conf_check_secret_file, LIVE,
	    "File with your API token, mode 0600; only status needs it."),
	LIST(allowed_key_servers, NULL, cf_conf_check_service_url, LIVE,
	    "Key servers that you believe, beside key_servers; open asks "
	    "another one only after a yes, and checks nothing it says."),
	TIME(timeout_s, "30", 1, 600, LIVE,
	    "Seconds to wait for one answer of a key server."),
	TIME(deadline_s, "60", 1, 3600, LIVE,
	    "Seconds after which a request that fails for the moment is not "
	    "repeated any more."),
	SIZE(size_limit, "536870912", 65536, 4294967295, LIVE,
	    "Bytes of the largest file that is read; it is held in memory."),
};
const size_t cf_cli_options_count =
    sizeof cf_cli_options / sizeof cf_cli_options[0];

#define SITE_FILE CF_SYSCONFDIR "/counterfoil.conf"

/* The user's own configuration file.  Gives; NULL if he has no home. */
static char *
own_path(void)
{
	const char *dir = getenv("XDG_CONFIG_HOME");

	if (dir != NULL && dir[0] == '/')
		return cf_asprintf("%s/counterfoil.conf", dir);
	dir = getenv("HOME");
	if (dir == NULL || dir[0] != '/')
		return NULL;
	return cf_asprintf("%s/.config/counterfoil.conf", dir);
}

static bool
is_there(const char *path)
{
	return path != NULL && access(path, F_OK) == 0;
}

enum cf_err
cf_cli_conf_load(const char *path, struct cf_cli_conf *conf,
    struct cf_why *why)
{
	CF_AUTO(cf_free) char *own = NULL;

	if (path == NULL) {
		own = own_path();
		path = is_there(own) ? own : is_there(SITE_FILE) ? SITE_FILE :
		    NULL;
	}
	if (path == NULL) {
		cf_conf_defaults(cf_cli_options, cf_cli_options_count, conf);
		return CF_OK;
	}
	return cf_conf_load(path, cf_cli_options, cf_cli_options_count, conf,
	    why);
}

static void
list_set(struct cf_conf_list *list, const char *item)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		free(list->item[i]);
	list->item = cf_realloc(list->item, 1, sizeof *list->item);
	list->item[0] = cf_strdup(item);
	list->count = 1;
}

enum cf_err
cf_cli_conf_only(struct cf_cli_conf *conf, const char *url,
    struct cf_why *why)
{
	struct cf_why inner = { "" };

	if (cf_link_check_service(url, &inner) != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "--key-server %s: %s", url,
		    inner.text);
	list_set(&conf->key_servers, url);
	list_set(&conf->allowed_key_servers, url);
	return CF_OK;
}

void
cf_cli_conf_free(struct cf_cli_conf *conf)
{
	cf_conf_free(cf_cli_options, cf_cli_options_count, conf);
}
