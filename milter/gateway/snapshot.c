/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_snapshot - see snapshot.h.
 *
 * A message reads its snapshot without a lock: what is in one never changes,
 * and the count of its users says when it may go.  Only which one is current
 * needs the lock.  What can fail is tried while the new one is loaded, so a
 * reload that fails leaves the old one in force.
 */
#include "milter/gateway/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "milter/gateway/budget.h"
#include "milter/gateway/rules.h"
#include "milter/store/store.h"

#define REF_SECRET_LEN 32
#define API_TOKEN_LEN 32
#define USER_AGENT "counterfoil-milter"

static pthread_mutex_t current_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cf_snapshot *current;	/* holds one use */

static void
snapshot_free(struct cf_snapshot *s)
{
	cf_httpc_free(&s->http);
	cf_proxy_wipe(&s->proxy);
	cf_rules_free(&s->rules);
	cf_secret_wipe(&s->api_token);
	cf_secret_wipe(&s->ref_secret);
	cf_secret_wipe(&s->store_secret);
	free(s->networks);
	free(s->down_until_ms);
	cf_mconf_free(&s->conf);
	free(s);
}

void
cf_snapshot_put(struct cf_snapshot **snapshot)
{
	struct cf_snapshot *s = *snapshot;

	*snapshot = NULL;
	if (s != NULL && atomic_fetch_sub(&s->users, 1) == 1)
		snapshot_free(s);
}

static void
set_budgets(const struct cf_mconf *conf)
{
	cf_budget_set(CF_BUDGET_CONNECTIONS, conf->max_connections);
	cf_budget_set(CF_BUDGET_MESSAGES, conf->max_messages);
	cf_budget_set(CF_BUDGET_HEADERS, conf->header_total);
	cf_budget_set(CF_BUDGET_BODIES, conf->body_total);
}

void
cf_snapshot_swap(struct cf_snapshot *snapshot)
{
	struct cf_snapshot *before;

	pthread_mutex_lock(&current_lock);
	before = current;
	current = snapshot;
	pthread_mutex_unlock(&current_lock);
	if (snapshot != NULL)
		set_budgets(&snapshot->conf);
	cf_snapshot_put(&before);
}

struct cf_snapshot *
cf_snapshot_get(void)
{
	struct cf_snapshot *s;

	pthread_mutex_lock(&current_lock);
	s = current;
	if (s != NULL)
		atomic_fetch_add(&s->users, 1);
	pthread_mutex_unlock(&current_lock);
	return s;
}

/* ---- loading ---- */

static enum cf_err
snapshot_need(const void *value, const char *key, const struct cf_mconf *conf,
    struct cf_why *why)
{
	if (value != NULL)
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "%s must be set for mode %s", key,
	    cf_mconf_mode(conf));
}

/* The directory must be there, ours to write, and nobody else's. */
static enum cf_err
snapshot_check_directory(struct cf_snapshot *s, const char *key,
    const char *path, struct cf_why *why)
{
	struct stat st;

	s->wrong = key;
	if (stat(path, &st) != 0)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", path,
		    strerrordesc_np(errno));
	if (!S_ISDIR(st.st_mode))
		return cf_fail(CF_E_CONFIG, why, "%s: not a directory", path);
	if ((st.st_mode & 022) != 0)
		return cf_fail(CF_E_CONFIG, why,
		    "%s: mode is %04o, others could write into it", path,
		    (unsigned)st.st_mode & 07777);
	if (access(path, W_OK | X_OK) != 0)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", path,
		    strerrordesc_np(errno));
	s->wrong = NULL;
	return CF_OK;
}

static enum cf_err
snapshot_read_secret(struct cf_snapshot *s, const char *key, const char *path,
    size_t len, struct cf_secret *ret, struct cf_why *why)
{
	enum cf_err rc = cf_secret_read_file(path, len, ret, why);

	s->wrong = rc == CF_OK ? NULL : key;
	return rc;
}

static enum cf_err
load_ref_secret(struct cf_snapshot *s, bool check_only, struct cf_why *why)
{
	const char *path = s->conf.ref_secret_file;
	enum cf_err rc;

	if (check_only && cf_file_is_absent(path))
		return CF_OK;
	rc = cf_secret_read_or_make(path, REF_SECRET_LEN, &s->ref_secret,
	    &s->ref_secret_made, why);
	if (rc == CF_E_CONFIG)
		s->wrong = "ref_secret_file";
	return rc;
}

/* Only names hang on it: without a file of it, mail goes on all the same. */
static enum cf_err
load_store_secret(struct cf_snapshot *s, bool check_only, struct cf_why *why)
{
	CF_AUTO(cf_free) char *path = cf_asprintf("%s" CF_STORE_SECRET,
	    s->conf.store_directory);
	enum cf_err rc = CF_OK;
	bool made;

	if (!check_only || !cf_file_is_absent(path))
		rc = cf_secret_read_or_make(path, CF_STORE_SECRET_LEN,
		    &s->store_secret, &made, why);
	s->store_secret_unsaved = rc == CF_E_FULL;
	if (rc != CF_OK && rc != CF_E_FULL) {
		s->wrong = "store_directory";
		return rc;
	}
	if (s->store_secret.len == 0)
		cf_secret_random(&s->store_secret, CF_STORE_SECRET_LEN);
	return CF_OK;
}

static enum cf_err
load_outbound(struct cf_snapshot *s, bool check_only, struct cf_why *why)
{
	struct cf_httpc_options options = { 0 };
	enum cf_err rc;

	rc = snapshot_need(s->conf.key_servers.item, "key_servers", &s->conf,
	    why);
	if (rc == CF_OK)
		rc = snapshot_need(s->conf.api_token_file, "api_token_file",
		    &s->conf, why);
	if (rc == CF_OK)
		rc = snapshot_read_secret(s, "api_token_file",
		    s->conf.api_token_file, API_TOKEN_LEN, &s->api_token,
		    why);
	if (rc == CF_OK)
		rc = load_ref_secret(s, check_only, why);
	if (rc != CF_OK)
		return rc;
	s->down_until_ms = cf_calloc(s->conf.key_servers.count,
	    sizeof *s->down_until_ms);
	options.ca_file = s->conf.ca_file;
	options.proxy = &s->proxy;
	options.connect_timeout_ms = 10000;
	options.user_agent = USER_AGENT;
	return cf_httpc_new(&options, &s->http, why);
}

static enum cf_err
load_proxy(struct cf_snapshot *s, struct cf_why *why)
{
	const struct cf_mconf *conf = &s->conf;
	enum cf_err rc = cf_proxy_load(conf->proxy, conf->proxy_login_file,
	    &conf->proxy_except, &s->proxy, why);

	s->wrong = rc == CF_OK ? NULL : "proxy_login_file";
	return rc;
}

static enum cf_err
snapshot_complete(struct cf_snapshot *s, bool check_only, struct cf_why *why)
{
	const struct cf_conf_list *nets = &s->conf.networks;
	enum cf_err rc;
	size_t i;

	s->mode = (enum cf_mode)s->conf.mode;
	s->networks = cf_calloc(nets->count, sizeof *s->networks);
	for (i = 0; i < nets->count; i++)
		if (!cf_network_parse(nets->item[i], &s->networks[i]))
			cf_bug("network was checked");
	s->network_count = nets->count;
	if (s->conf.default_options != NULL && cf_want_parse(
	    s->conf.default_options, CF_WANT_IN_DEFAULTS, &s->defaults,
	    NULL) != CF_OK)
		cf_bug("default_options were checked");
	if (s->conf.policy_file != NULL) {
		rc = cf_rules_load(s->conf.policy_file, &s->rules, why);
		if (rc != CF_OK)
			return rc;
	}
	rc = load_proxy(s, why);
	if (rc == CF_OK)
		rc = snapshot_need(s->conf.reader_url, "reader_url", &s->conf,
		    why);
	if (rc == CF_OK && (s->mode & CF_MODE_INBOUND))
		rc = snapshot_need(s->conf.allowed_key_servers.item,
		    "allowed_key_servers", &s->conf, why);
	if (rc == CF_OK)
		rc = snapshot_check_directory(s, "store_directory",
		    s->conf.store_directory, why);
	if (rc == CF_OK)
		rc = load_store_secret(s, check_only, why);
	if (rc == CF_OK && s->conf.spool_directory != NULL)
		rc = snapshot_check_directory(s, "spool_directory",
		    s->conf.spool_directory, why);
	if (rc == CF_OK && (s->mode & CF_MODE_OUTBOUND))
		rc = load_outbound(s, check_only, why);
	return rc;
}

enum cf_err
cf_snapshot_load(const char *path, bool check_only, struct cf_snapshot **ret,
    struct cf_why *why)
{
	struct cf_snapshot *s = cf_calloc(1, sizeof *s);
	struct cf_why inner = { "" };
	enum cf_err rc;

	atomic_init(&s->users, 1);
	rc = cf_mconf_load(path, &s->conf, why);
	if (rc == CF_OK) {
		rc = snapshot_complete(s, check_only, &inner);
		if (rc != CF_OK && s->wrong != NULL)
			rc = cf_mconf_fail_at(path, s->wrong, &inner, why);
		else if (rc != CF_OK)
			rc = cf_fail(CF_E_CONFIG, why, "%s: %s", path,
			    inner.text);
	}
	if (rc != CF_OK) {
		cf_snapshot_put(&s);
		return rc;
	}
	*ret = s;
	return CF_OK;
}
