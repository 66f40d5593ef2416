/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_mconf - the milter's configuration: the option table, and the snapshot
 * that messages hold while they are under way.
 *
 * A snapshot is const once made; a reload makes a new one and swaps it in.
 * Each message pins the one it began with, and the last to let go frees it.
 * Threads: get, put and swap are safe from all.   Logging: never.
 */
#ifndef CF_MILTER_MCONF_H
#define CF_MILTER_MCONF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/httpc.h"
#include "common/network.h"
#include "common/proxy.h"
#include "common/secret.h"
#include "milter/gateway/want.h"

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
	struct cf_conf_list list_addresses, triggers;
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

struct cf_rules;

struct cf_snapshot {
	atomic_uint users;
	const char *wrong;	/* option that kept it from loading, or NULL */
	bool trial;		/* keys are made up, nothing is stored */
	struct cf_mconf conf;
	enum cf_mode mode;
	struct cf_network *networks;
	size_t network_count;
	struct cf_want defaults;	/* default_options */
	struct cf_rules *rules;		/* NULL: no policy_file */
	struct cf_proxy proxy;		/* the way out, for all of them */
	struct cf_httpc *http;		/* NULL when inbound only */
	struct cf_secret api_token;	/* empty: none configured */
	struct cf_secret ref_secret;
	bool ref_secret_made;	/* by this load */
	struct cf_secret store_secret;
	bool store_secret_unsaved;	/* no room for it */
	/* Per key server: not asked before this time (monotonic ms). */
	_Atomic int64_t *down_until_ms;
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
void cf_mconf_print(const struct cf_mconf *conf, FILE *out);
/* The rows, for the documents and their check. */
const struct cf_conf_opt *cf_mconf_table(size_t *ret_count);

/*
 * Load `path` and everything it names: secrets, directories, networks.  Runs
 * under the user that serves mail.  Makes ref_secret_file when it is absent,
 * unless `check_only`.  Gives *ret with one user.  CF_E_CONFIG.
 */
CF_MUST_USE enum cf_err cf_snapshot_load(const char *path, bool check_only,
    struct cf_snapshot **ret, struct cf_why *why);
void cf_snapshot_put(struct cf_snapshot **snapshot);
/* Make `snapshot` the current one (takes it); the one before is let go. */
void cf_snapshot_swap(struct cf_snapshot *snapshot);
/* Pin the current one.  Give back with cf_snapshot_put(). */
struct cf_snapshot *cf_snapshot_get(void);

/* Is the address in `networks`?  False for families other than IP. */
bool cf_snapshot_listed(const struct cf_snapshot *snapshot,
    const struct sockaddr *address);
/* May this client use the flag?  `user` and `daemon` may be NULL. */
bool cf_snapshot_entitled(const struct cf_snapshot *snapshot,
    const struct sockaddr *client, const char *user, const char *daemon);
/*
 * May who authenticated as `login` send as `sender`, a bare address?  It is
 * the login, or the login at one of local_domains.
 */
bool cf_snapshot_is_login_of(const struct cf_snapshot *snapshot,
    const char *login, const char *sender);
/* Is the address's domain in local_domains?  One without @ is local. */
bool cf_snapshot_is_local(const struct cf_snapshot *snapshot,
    const char *address);
/* Is the address in list_addresses, itself or by its domain? */
bool cf_snapshot_is_list(const struct cf_snapshot *snapshot,
    const char *address);

#endif
