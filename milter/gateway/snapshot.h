/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_snapshot - the configuration that a message holds while it is under way:
 * the options, and what they name as it was loaded.
 *
 * A snapshot is const once made; a reload makes a new one and swaps it in.
 * Each message pins the one it began with, and the last to let go frees it.
 * Knows: secrets, directories, networks, rules, the way to key servers.
 * Does not know: messages.
 * Threads: get, put and swap are safe from all.   Logging: never.
 */
#ifndef CF_MILTER_SNAPSHOT_H
#define CF_MILTER_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/httpc.h"
#include "common/network.h"
#include "common/proxy.h"
#include "common/secret.h"
#include "milter/gateway/mconf.h"
#include "milter/gateway/want.h"

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

#endif
