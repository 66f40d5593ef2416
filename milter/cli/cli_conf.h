/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_cli_conf - counterfoil.conf(5), for the command.
 *
 * Threads: const after loading.   Logging: never.
 */
#ifndef CF_MILTER_CLI_CONF_H
#define CF_MILTER_CLI_CONF_H

#include "common/conf.h"

struct cf_cli_conf {
	struct cf_conf_list key_servers, allowed_key_servers;
	char *ca_file, *api_token_file, *proxy, *proxy_login_file;
	struct cf_conf_list proxy_except;
	long timeout_s, deadline_s, size_limit;
};

extern const struct cf_conf_opt cf_cli_options[];
extern const size_t cf_cli_options_count;

/*
 * Read `path`; NULL means the user's own file, else the site's, else the
 * defaults.  CF_E_CONFIG.  End with cf_cli_conf_free().
 */
CF_MUST_USE enum cf_err cf_cli_conf_load(const char *path,
    struct cf_cli_conf *conf, struct cf_why *why);
/* --key-server: this one and no other. */
CF_MUST_USE enum cf_err cf_cli_conf_only(struct cf_cli_conf *conf,
    const char *url, struct cf_why *why);
void cf_cli_conf_free(struct cf_cli_conf *conf);

#endif
