/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_conf_check - checks of an option's value for the rows of its table: is
 * it what it names?
 *
 * Knows: files, users, addresses of this machine.   Does not know: tables.
 * All give CF_E_CONFIG and a sentence without the name of the option.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_CONF_CHECK_H
#define CF_COMMON_CONF_CHECK_H

#include "common/err.h"

enum cf_err cf_conf_check_secret_file(const char *value, struct cf_why *why);
enum cf_err cf_conf_check_readable(const char *value, struct cf_why *why);
enum cf_err cf_conf_check_directory(const char *value, struct cf_why *why);
/* Names of this machine; "" is none. */
enum cf_err cf_conf_check_user(const char *value, struct cf_why *why);
enum cf_err cf_conf_check_group(const char *value, struct cf_why *why);
/* https://host[:port], or http:// for loopback; no path, no final slash. */
enum cf_err cf_conf_check_service_url(const char *value, struct cf_why *why);
/* host:port of a listener; [::1]:port for IPv6. */
enum cf_err cf_conf_check_hostport(const char *value, struct cf_why *why);
/* The same, or unix:/path. */
enum cf_err cf_conf_check_metrics(const char *value, struct cf_why *why);

#endif
