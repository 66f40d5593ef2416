/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_reader_conf - counterfoil-reader.conf(5).
 *
 * Threads: const after loading.   Logging: never.
 */
#ifndef CF_MILTER_READER_CONF_H
#define CF_MILTER_READER_CONF_H

#include "common/conf.h"

struct cf_reader_conf {
	char *listen;
	char *reader_url;
	char *tls_certificate, *tls_key;
	char *store_directory, *page_directory;
	struct cf_conf_list allowed_key_servers;
	long threads, connection_limit, connections_per_address;
	struct cf_conf_list proxies;
	long request_timeout_s, answer_timeout_s, drain_s;
	char *metrics_listen;
	bool metrics_public;
	char *user, *group;
	int log, log_level;	/* enum cf_log_to, enum cf_log_level */
	bool tls;	/* both TLS files are given */
	bool hsts;	/* people come by https */
};

extern const struct cf_conf_opt cf_reader_options[];
extern const size_t cf_reader_options_count;

/* Load and check what one option alone cannot say.  CF_E_CONFIG. */
CF_MUST_USE enum cf_err cf_reader_conf_load(const char *path,
    struct cf_reader_conf *conf, struct cf_why *why);
void cf_reader_conf_free(struct cf_reader_conf *conf);

#endif
