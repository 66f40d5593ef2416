/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_proxy - the way out by an HTTP proxy: its options, and what goes by it.
 *
 * Knows: proxy, proxy_login_file and proxy_except of the programs that ask
 * key servers.   Does not know: HTTP; httpc.h asks the proxy.
 * Threads: const after cf_proxy_load().   Logging: never.
 */
#ifndef CF_COMMON_PROXY_H
#define CF_COMMON_PROXY_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"

#define CF_PROXY_LOGIN_MAX 255	/* bytes of USER:PASSWORD */

/* Zero: there is none.  Holds a secret: end it with cf_proxy_wipe(). */
struct cf_proxy {
	const char *url;			/* lent */
	const struct cf_conf_list *except;	/* lent */
	char login[CF_PROXY_LOGIN_MAX + 1];	/* "user:password", or "" */
};

/*
 * For option tables: http://HOST:PORT or https://HOST:PORT.  No user name, no
 * password: the file may be read by others, and --print-config shows it.
 */
enum cf_err cf_proxy_check(const char *value, struct cf_why *why);
/*
 * For option tables: a file as cf_secret_read_line() wants it with one line
 * of a user name without colon, a colon and a password (RFC 7617).
 */
enum cf_err cf_proxy_check_login(const char *value, struct cf_why *why);
/* For option tables: HOST, or .DOMAIN for all hosts below it. */
enum cf_err cf_proxy_check_except(const char *value, struct cf_why *why);

/*
 * From the three options, each checked before or NULL; `url` and `except` are
 * lent.  Without `url` there is no proxy, whatever the others say.
 * CF_E_CONFIG  the login file is not as it was
 */
CF_MUST_USE enum cf_err cf_proxy_load(const char *url, const char *login_file,
    const struct cf_conf_list *except, struct cf_proxy *ret,
    struct cf_why *why);
void cf_proxy_wipe(struct cf_proxy *proxy);

/*
 * Does what goes to this service (cf_link_check_service()) go by the proxy?
 * Not to this machine, whatever name it has, and not to the exceptions.
 */
bool cf_proxy_carries(const struct cf_proxy *proxy, const char *service);
/*
 * The name of a variable by which other programs would have found a proxy
 * for https:, or NULL.  For advice alone: it counts for nothing.
 */
const char *cf_proxy_of_environment(void);
/* "host:port", for sentences.  Lends. */
const char *cf_proxy_place(const struct cf_proxy *proxy);

#endif
