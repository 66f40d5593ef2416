/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_mconf - the milter's options: their table, and what a file gives them.
 *
 * Knows: each value by itself.   Does not know: the files, directories and
 * networks that they name; snapshot.h loads those.
 * Threads: no shared state but that of common/conf.h.   Logging: never.
 */
#ifndef CF_MILTER_MCONF_H
#define CF_MILTER_MCONF_H

#include <stdbool.h>
#include <stdio.h>

#include "common/conf.h"
#include "common/err.h"

enum cf_mode {
	CF_MODE_OUTBOUND = 1,
	CF_MODE_INBOUND = 2,
	CF_MODE_BOTH = 3	/* the two bits together */
};

enum cf_rule {
	CF_RULE_REFUSE,
	CF_RULE_SEAL
};

enum cf_failure {
	CF_FAILURE_TEMPFAIL,
	CF_FAILURE_PASS
};

/* The options as written; one field a row of the table. */
struct cf_mconf {
	int mode;		/* enum cf_mode */
	char *socket, *socket_mode, *socket_group;
	struct cf_conf_list key_servers;
	char *ca_file, *api_token_file, *ref_secret_file, *reader_url;
	char *proxy, *proxy_login_file;
	struct cf_conf_list proxy_except;
	char *store_directory, *spool_directory;
	long store_keep_s, store_limit, store_reserve;
	struct cf_conf_list allowed_key_servers;
	struct cf_conf_list networks, entitled_daemons, local_domains;
	bool trust_authenticated, sender_is_login;
	int lists, automatic;	/* enum cf_rule */
	struct cf_conf_list list_addresses;
	int triggers;		/* enum cf_trigger */
	char *subject_tag, *outer_subject, *default_options, *policy_file;
	bool dry_run;
	int on_inbound_failure;	/* enum cf_failure */
	long message_size_limit, memory_limit, header_limit, header_count;
	long max_connections, max_messages, header_total, body_total;
	long request_timeout_s, deadline_s, max_key_requests, drain_s;
	char *metrics_listen;
	bool metrics_public, log_passed;
	char *user, *group;
	bool core_dumps;
	int log, log_level;	/* enum cf_log_to, enum cf_log_level */
};

/*
 * Read and check the file alone; touches no other file.  For --print-config,
 * and for what is needed before privileges are dropped.  Free with
 * cf_mconf_free().  CF_E_CONFIG, `why` names the place.
 */
CF_MUST_USE enum cf_err cf_mconf_load(const char *path, struct cf_mconf *ret,
    struct cf_why *why);
void cf_mconf_free(struct cf_mconf *conf);
/* As cf_conf_fail_at(), with the sentence of a failure before. */
enum cf_err cf_mconf_fail_at(const char *path, const char *key,
    const struct cf_why *sentence, struct cf_why *why);
/* The word for its mode.  Lends: static. */
const char *cf_mconf_mode(const struct cf_mconf *conf);
void cf_mconf_print(const struct cf_mconf *conf, FILE *out);
/* The rows, for the documents and their check. */
const struct cf_conf_opt *cf_mconf_table(size_t *ret_count);

#endif
