/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of an option table, for the files that have one.  Before it is
 * included, CF_CONF_INTO is the struct's name without `struct'; the option is
 * called as its field.  `when': LIVE, or RESTART where a reload does not make
 * it count.
 */
#ifndef CF_COMMON_CONF_ROWS_H
#define CF_COMMON_CONF_ROWS_H

#include <stddef.h>

#include "common/conf.h"
#include "common/conf_check.h"

#define LIVE false
#define RESTART true

#define CF_CONF_ROW(key, type, def, min, max, check, names, when, manual) \
	{ #key, type, offsetof(struct CF_CONF_INTO, key), def, min, max, \
	    check, names, when, manual }
#define STR(key, def, check, when, manual) \
	CF_CONF_ROW(key, CF_CONF_STR, def, 0, 0, check, NULL, when, manual)
#define LIST(key, def, check, when, manual) \
	CF_CONF_ROW(key, CF_CONF_LIST, def, 0, 0, check, NULL, when, manual)
/* `names`: a list of struct cf_conf_name. */
#define ENUM(key, def, names, when, manual) \
	CF_CONF_ROW(key, CF_CONF_ENUM, def, 0, 0, NULL, names, when, manual)
/* The same for any number of them. */
#define SET(key, def, names, when, manual) \
	CF_CONF_ROW(key, CF_CONF_SET, def, 0, 0, NULL, names, when, manual)
#define INT(key, def, min, max, when, manual) \
	CF_CONF_ROW(key, CF_CONF_INT, def, min, max, NULL, NULL, when, manual)
#define SIZE(key, def, min, max, when, manual) \
	CF_CONF_ROW(key, CF_CONF_SIZE, def, min, max, NULL, NULL, when, manual)
#define TIME(key, def, min, max, when, manual) \
	CF_CONF_ROW(key, CF_CONF_TIME_S, def, min, max, NULL, NULL, when, \
	    manual)
#define TIME_MS(key, def, min, max, when, manual) \
	CF_CONF_ROW(key, CF_CONF_TIME_MS, def, min, max, NULL, NULL, when, \
	    manual)
#define BOOL(key, def, when, manual) \
	CF_CONF_ROW(key, CF_CONF_BOOL, def, 0, 0, NULL, NULL, when, manual)

/* What common/metrics_http.h listens at. */
#define METRICS_OPTIONS \
	STR(metrics_listen, NULL, cf_conf_check_metrics, RESTART, \
	    "Where to serve counters for Prometheus, as ADDRESS:PORT or " \
	    "unix:PATH; unset serves none."), \
	BOOL(metrics_public, "false", RESTART, \
	    "Let metrics_listen be an address that other machines reach.")

/* How common/proxy.h leads to key servers. */
#define PROXY_OPTIONS \
	STR(proxy, NULL, cf_proxy_check, LIVE, \
	    "HTTP proxy by which key servers are reached, as " \
	    "http://HOST:PORT or https://HOST:PORT; unset goes straight, " \
	    "whatever the environment says."), \
	STR(proxy_login_file, NULL, cf_proxy_check_login, LIVE, \
	    "File (mode 0600) with the line USER:PASSWORD for a proxy that " \
	    "asks for them."), \
	LIST(proxy_except, NULL, cf_proxy_check_except, LIVE, \
	    "Hosts that are reached without the proxy: HOST, or .DOMAIN for " \
	    "all below it; this machine always is.")

#endif
