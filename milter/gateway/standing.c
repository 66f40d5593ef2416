/* SPDX-License-Identifier: Apache-2.0 */
/* cf_standing - see standing.h. */
#include "milter/gateway/standing.h"

#include <string.h>
#include <strings.h>

/* Is the address in `networks`?  False for families other than IP. */
static bool
is_listed(const struct cf_snapshot *snapshot,
    const struct sockaddr *address)
{
	struct cf_network client;

	return cf_network_of(address, &client) && cf_network_in(
	    snapshot->networks, snapshot->network_count, &client);
}

bool
cf_standing_entitled(const struct cf_snapshot *snapshot,
    const struct sockaddr *client, const char *user, const char *daemon)
{
	const struct cf_mconf *conf = &snapshot->conf;

	return is_listed(snapshot, client) ||
	    (conf->trust_authenticated && user != NULL && *user != '\0') ||
	    (daemon != NULL &&
	    cf_conf_list_has(&conf->entitled_daemons, daemon));
}

bool
cf_standing_is_login_of(const struct cf_snapshot *snapshot, const char *login,
    const char *sender)
{
	const char *at = strrchr(sender, '@');
	size_t len = strlen(login);

	if (strcasecmp(login, sender) == 0)
		return true;
	return at != NULL && strchr(login, '@') == NULL &&
	    (size_t)(at - sender) == len &&
	    strncasecmp(login, sender, len) == 0 &&
	    cf_standing_is_local(snapshot, sender);
}

bool
cf_standing_is_local(const struct cf_snapshot *snapshot, const char *address)
{
	const struct cf_conf_list *domains = &snapshot->conf.local_domains;
	const char *at = strrchr(address, '@');
	size_t i;

	if (at == NULL)
		return true;
	for (i = 0; i < domains->count; i++)
		if (strcasecmp(at + 1, domains->item[i]) == 0)
			return true;
	return false;
}

bool
cf_standing_is_list(const struct cf_snapshot *snapshot, const char *address)
{
	const struct cf_conf_list *lists = &snapshot->conf.list_addresses;
	const char *at = strrchr(address, '@');
	size_t i;

	for (i = 0; i < lists->count; i++)
		if (strcasecmp(lists->item[i], address) == 0 || (at != NULL &&
		    strcasecmp(lists->item[i], at) == 0))
			return true;
	return false;
}
