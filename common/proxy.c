/* SPDX-License-Identifier: Apache-2.0 */
/* cf_proxy - see proxy.h. */
#include "common/proxy.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/link.h"
#include "common/secret.h"

enum cf_err
cf_proxy_check(const char *value, struct cf_why *why)
{
	size_t n, scheme = strncmp(value, "http://", 7) == 0 ? 7 :
	    strncmp(value, "https://", 8) == 0 ? 8 : 0;
	const char *place = value + scheme;

	/* Before all others: none of the sentences shows a password. */
	if (strchr(value, '@') != NULL)
		return cf_fail(CF_E_CONFIG, why, "a user name and a password "
		    "do not belong here, where others can read them: write "
		    "USER:PASSWORD into a file of mode 0600, and name it in "
		    "proxy_login_file");
	if (scheme == 0)
		return cf_fail(CF_E_CONFIG, why, "must be http://HOST:PORT "
		    "or https://HOST:PORT, an HTTP proxy (no SOCKS)");
	if (strlen(value) > CF_SERVICE_MAX)
		return cf_fail(CF_E_CONFIG, why, "URL too long");
	n = cf_link_authority_len(place, why);
	if (n == 0)
		return CF_E_CONFIG;
	if (n == cf_link_host_len(place))
		return cf_fail(CF_E_CONFIG, why, "the port is missing, as in "
		    "http://proxy.example.org:3128");
	if (place[n] != '\0')
		return cf_fail(CF_E_CONFIG, why, "must end after the port, "
		    "without / or path");
	return CF_OK;
}

static enum cf_err
read_login(const char *path, char ret[CF_PROXY_LOGIN_MAX + 1],
    struct cf_why *why)
{
	enum cf_err rc;
	const char *p;

	rc = cf_secret_read_line(path, ret, CF_PROXY_LOGIN_MAX + 1, why);
	if (rc != CF_OK)
		return rc;
	for (p = ret; (unsigned char)*p >= ' ' && *p != 0x7f; p++)
		;
	if (*p == '\0' && strchr(ret, ':') != NULL && ret[0] != ':')
		return CF_OK;
	OPENSSL_cleanse(ret, CF_PROXY_LOGIN_MAX + 1);
	return cf_fail(CF_E_CONFIG, why, "%s: must hold one line, the user "
	    "name, a colon and the password", path);
}

enum cf_err
cf_proxy_check_login(const char *value, struct cf_why *why)
{
	char login[CF_PROXY_LOGIN_MAX + 1] = "";
	enum cf_err rc = read_login(value, login, why);

	OPENSSL_cleanse(login, sizeof login);
	return rc;
}

enum cf_err
cf_proxy_check_except(const char *value, struct cf_why *why)
{
	const char *host = value + (value[0] == '.');
	size_t n = cf_link_host_len(host);

	if (n > 0 && host[n] == '\0')
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "\"%s\" is neither a host, such as "
	    "keys.example.org, nor .example.org for all hosts below it "
	    "(lower-case letters, no port)", value);
}

enum cf_err
cf_proxy_load(const char *url, const char *login_file,
    const struct cf_conf_list *except, struct cf_proxy *ret,
    struct cf_why *why)
{
	CF_AUTO(cf_proxy_wipe) struct cf_proxy p = { .url = url,
	    .except = except };
	enum cf_err rc = CF_OK;

	if (url != NULL && login_file != NULL)
		rc = read_login(login_file, p.login, why);
	if (rc == CF_OK)
		*ret = p;
	return rc;
}

void
cf_proxy_wipe(struct cf_proxy *proxy)
{
	OPENSSL_cleanse(proxy, sizeof *proxy);
}

/* Of a name without the dot that may end it (RFC 3986 3.2.2). */
static size_t
name_len(const char *host, size_t len)
{
	return len > 1 && host[len - 1] == '.' ? len - 1 : len;
}

static bool
is_excepted(const char *item, const char *host, size_t len)
{
	size_t n = name_len(item, strlen(item));

	len = name_len(host, len);
	if (item[0] == '.')
		return len > n && memcmp(host + len - n, item, n) == 0;
	return len == n && memcmp(host, item, n) == 0;
}

bool
cf_proxy_carries(const struct cf_proxy *proxy, const char *service)
{
	const char *host = strstr(service, "//") + 2;
	size_t i, len = cf_link_host_len(host);

	if (proxy->url == NULL || cf_link_is_loopback(service))
		return false;
	for (i = 0; proxy->except != NULL && i < proxy->except->count; i++)
		if (is_excepted(proxy->except->item[i], host, len))
			return false;
	return true;
}

const char *
cf_proxy_of_environment(void)
{
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY",
	    "all_proxy", "ALL_PROXY" };
	const char *value;
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		value = getenv(names[i]);
		if (value != NULL && *value != '\0')
			return names[i];
	}
	return NULL;
}

const char *
cf_proxy_place(const struct cf_proxy *proxy)
{
	return strstr(proxy->url, "//") + 2;
}
