/* SPDX-License-Identifier: Apache-2.0 */
/* cf_mconf - see mconf.h. */
#include "milter/gateway/mconf.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/address.h"
#include "common/buf.h"
#include "common/link.h"
#include "common/mem.h"
#include "milter/gateway/budget.h"
#include "milter/gateway/rules.h"
#include "milter/store/store.h"

#define CF_CONF_INTO cf_mconf
#include "common/conf_rows.h"

#define REF_SECRET_LEN 32
#define API_TOKEN_LEN 32
#define OUTER_SUBJECT_MAX 200
#define USER_AGENT "counterfoil-milter"

static enum cf_err check_socket(const char *value, struct cf_why *why);
static enum cf_err check_octal(const char *value, struct cf_why *why);
static enum cf_err check_domain(const char *value, struct cf_why *why);
static enum cf_err check_pattern(const char *value, struct cf_why *why);
static enum cf_err check_options(const char *value, struct cf_why *why);
static enum cf_err check_trigger(const char *value, struct cf_why *why);
static enum cf_err check_tag(const char *value, struct cf_why *why);
static enum cf_err check_subject(const char *value, struct cf_why *why);
static enum cf_err check_ref_secret(const char *value, struct cf_why *why);

static const struct cf_conf_name modes[] = {
	{ "outbound", CF_MODE_OUTBOUND }, { "inbound", CF_MODE_INBOUND },
	{ "both", CF_MODE_BOTH }, { NULL, 0 },
};
static const struct cf_conf_name rules[] = {
	{ "refuse", CF_RULE_REFUSE }, { "seal", CF_RULE_SEAL }, { NULL, 0 },
};
static const struct cf_conf_name failures[] = {
	{ "tempfail", CF_FAILURE_TEMPFAIL }, { "pass", CF_FAILURE_PASS },
	{ NULL, 0 },
};

static const struct cf_conf_opt table[] = {
	ENUM(mode, "both", modes, LIVE,
	    "What to do: outbound seals flagged mail, inbound rewrites sealed "
	    "mail for its readers, both does both."),
	STR(socket, "unix:" CF_RUNDIR "/milter.sock", check_socket, RESTART,
	    "Where the mail server connects: unix:PATH or inet:PORT@HOST."),
	STR(socket_mode, "0660", check_octal, RESTART,
	    "Mode of the unix socket, octal."),
	STR(socket_group, NULL, cf_conf_check_group, RESTART,
	    "Group of the unix socket, so that the mail server can open it; "
	    "unset leaves it."),
	LIST(key_servers, NULL, cf_conf_check_service_url, LIVE,
	    "URLs of the key servers to get keys from, in this order."),
	STR(ca_file, NULL, cf_conf_check_readable, LIVE,
	    "PEM file of the authorities that key servers' certificates are "
	    "checked against; unset means the system's."),
	PROXY_OPTIONS,
	STR(api_token_file, NULL, cf_conf_check_secret_file, LIVE,
	    "File (mode 0600) with this gateway's API token at the key "
	    "server."),
	STR(ref_secret_file, CF_STATEDIR "/ref.secret", check_ref_secret, LIVE,
	    "File (mode 0600) with the secret that makes message references; "
	    "made at the first start."),
	STR(reader_url, NULL, cf_conf_check_service_url, LIVE,
	    "URL of this site's counterfoil-reader, which links point to."),
	STR(store_directory, CF_STATEDIR "/store", NULL, LIVE,
	    "Directory of the sealed messages that counterfoil-reader "
	    "serves."),
	STR(spool_directory, NULL, NULL, LIVE,
	    "Directory of the temporary files of large messages, which never "
	    "have a name; unset means store_directory."),
	TIME(store_keep_s, "34560000", 0, 3155760000, LIVE,
	    "Seconds that a sealed message is kept after it was last stored, "
	    "0 for ever; one with an end of its own is kept for 30 days after "
	    "that."),
	SIZE(store_limit, "0", 0, 1000000000000000, LIVE,
	    "Bytes that the store may take before sealed mail from outside is "
	    "not stored any more and passes as it came; 0 is no limit."),
	SIZE(store_reserve, "1073741824", 0, 1000000000000000, LIVE,
	    "Bytes that sealed mail from outside leaves free on the file "
	    "system of the store, for the mail that is sealed here; 0 leaves "
	    "none."),
	LIST(allowed_key_servers, NULL, cf_conf_check_service_url, LIVE,
	    "Key servers whose messages are rewritten inbound; others are "
	    "delivered as they came."),
	LIST(networks, "127.0.0.0/8 ::1/128", cf_network_check, LIVE,
	    "Clients in these networks may use the flag."),
	BOOL(trust_authenticated, "true", LIVE,
	    "Clients that have authenticated may use the flag."),
	BOOL(sender_is_login, "false", LIVE,
	    "Refuse the flag of a client that authenticated as another than "
	    "the sender: the login must be the sender's address, or its part "
	    "before the @ in one of local_domains."),
	LIST(entitled_daemons, NULL, NULL, LIVE,
	    "Mail that comes in by a daemon of one of these names (macro "
	    "daemon_name) may use the flag."),
	LIST(local_domains, NULL, check_domain, LIVE,
	    "Recipients in these domains are local: the flag of others is "
	    "removed from mail to them, and only their sealed mail is "
	    "rewritten."),
	ENUM(lists, "refuse", rules, LIVE,
	    "Flagged mail to a list (List-Id, Precedence list, bulk or junk, "
	    "or a recipient in list_addresses): refuse or seal."),
	ENUM(automatic, "refuse", rules, LIVE,
	    "Flagged mail that nobody wrote (Auto-Submitted other than no): "
	    "refuse or seal."),
	LIST(list_addresses, NULL, check_pattern, LIVE,
	    "Recipients that are lists: addresses, or @domain for all of a "
	    "domain."),
	STR(default_options, NULL, check_options, LIVE,
	    "What receipts are like when the message does not say, in the "
	    "words of the flag, such as expires=30d."),
	STR(policy_file, NULL, cf_conf_check_readable, LIVE,
	    "File with what domains and users want of receipts."),
	LIST(triggers, NULL, check_trigger, LIVE,
	    "What asks for a receipt beside the flag: "
	    "disposition-notification-to, return-receipt-to, subject-tag."),
	STR(subject_tag, "[receipt]", check_tag, LIVE,
	    "The tag of the trigger subject-tag, at the start of the "
	    "Subject."),
	BOOL(dry_run, "false", LIVE,
	    "Only log what triggers and rules would seal; the flag seals "
	    "all the same."),
	STR(outer_subject, "keep", check_subject, LIVE,
	    "The Subject that sealed mail shows outside: keep, or a text to "
	    "stand in its place."),
	ENUM(on_inbound_failure, "tempfail", failures, LIVE,
	    "Sealed mail that cannot be rewritten because of trouble here: "
	    "tempfail makes it wait, pass delivers it as it came."),
	SIZE(message_size_limit, "10240000", 0, 2000000000, LIVE,
	    "The mail server's limit for a message in bytes, 0 for none: what "
	    "would be larger when sealed is refused."),
	SIZE(memory_limit, "262144", 0, 1000000000, LIVE,
	    "Bytes of one message kept in memory; what is larger goes to "
	    "spool_directory, encrypted if it is to be sealed."),
	SIZE(header_limit, "1048576", 1024, 100000000, LIVE,
	    "Bytes of header fields that a message to be sealed may have."),
	/* More, with what is added on the way, nobody would open again. */
	INT(header_count, "5000", 10, 15000, LIVE,
	    "Number of header fields that a message to be sealed may have."),
	TIME(request_timeout_s, "15", 1, 300, LIVE,
	    "Seconds to wait for one answer of a key server."),
	TIME(deadline_s, "60", 1, 600, LIVE,
	    "Seconds that the work at the end of one message may take; then "
	    "it is deferred."),
	INT(max_key_requests, "64", 1, 10000, LIVE,
	    "Key requests under way at a time; others wait."),
	INT(max_connections, "1000", 1, 100000, LIVE,
	    "Connections of mail servers at a time; more are closed at once."),
	INT(max_messages, "500", 1, 100000, LIVE,
	    "Messages under way of which anything is kept; more are deferred "
	    "if they concern us."),
	SIZE(header_total, "268435456", 1024, 100000000000, LIVE,
	    "Bytes of headers and envelopes of all messages under way."),
	SIZE(body_total, "8000000000", 1024, 1000000000000, LIVE,
	    "Bytes of bodies of all messages under way, in memory and in "
	    "files."),
	TIME(drain_s, "30", 0, 600, LIVE,
	    "Seconds to wait at a stop for messages under way."),
	BOOL(log_passed, "true", LIVE,
	    "Log one line for mail that passes, too; false leaves out mail "
	    "that is neither flagged nor sealed."),
	METRICS_OPTIONS,
	STR(user, NULL, cf_conf_check_user, RESTART,
	    "User to run as when started by root; unset keeps the user."),
	STR(group, NULL, cf_conf_check_group, RESTART,
	    "Group to run as; unset means the user's."),
	BOOL(core_dumps, "false", RESTART,
	    "Allow core dumps and debuggers, which see what is in clear."),
	ENUM(log, "stderr", cf_conf_logs, RESTART,
	    "Where to log: stderr or syslog."),
	ENUM(log_level, "info", cf_conf_log_levels, LIVE,
	    "What to log: error, warn, info or debug."),
};

#define TABLE_LEN (sizeof table / sizeof table[0])

const struct cf_conf_opt *
cf_mconf_table(size_t *ret_count)
{
	*ret_count = TABLE_LEN;
	return table;
}

/* user@domain or @domain. */
static enum cf_err
check_pattern(const char *value, struct cf_why *why)
{
	const char *at = strrchr(value, '@');

	if (at == NULL || at[1] == '\0' || strpbrk(value, " \t<>") != NULL)
		return cf_fail(CF_E_CONFIG, why,
		    "\"%s\" is neither an address nor @domain", value);
	return CF_OK;
}

static enum cf_err
check_options(const char *value, struct cf_why *why)
{
	struct cf_want want;

	return cf_want_parse(value, CF_WANT_IN_DEFAULTS, &want, why) == CF_OK ?
	    CF_OK : CF_E_CONFIG;
}

static enum cf_err
check_trigger(const char *value, struct cf_why *why)
{
	if (strcmp(value, "disposition-notification-to") == 0 ||
	    strcmp(value, "return-receipt-to") == 0 ||
	    strcmp(value, "subject-tag") == 0)
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "\"%s\" is no trigger: there are "
	    "disposition-notification-to, return-receipt-to and subject-tag",
	    value);
}

/* As a word that people type, and that no encoding takes apart. */
static enum cf_err
check_tag(const char *value, struct cf_why *why)
{
	size_t i;

	for (i = 0; value[i] > ' ' && value[i] <= '~'; i++)
		;
	if (value[i] == '\0' && i >= 3 && i <= 30 &&
	    strstr(value, "=?") == NULL)
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "must be 3 to 30 characters of "
	    "ASCII, without blanks and \"=?\"");
}

static enum cf_err
check_subject(const char *value, struct cf_why *why)
{
	const char *p;

	for (p = value; (unsigned char)*p >= ' ' && *p != 0x7f; p++)
		;
	if (*p == '\0' && value[strspn(value, " ")] != '\0' &&
	    strlen(value) <= OUTER_SUBJECT_MAX)
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "must be keep, or one line of at "
	    "most %d bytes", OUTER_SUBJECT_MAX);
}

static bool
is_absent(const char *path)
{
	return access(path, F_OK) != 0 && errno == ENOENT;
}

/* It is made at the first start. */
static enum cf_err
check_ref_secret(const char *value, struct cf_why *why)
{
	if (is_absent(value))
		return CF_OK;
	return cf_conf_check_secret_file(value, why);
}

static enum cf_err
check_socket(const char *value, struct cf_why *why)
{
	const char *port;
	char *end;
	long n;

	if (strncmp(value, "unix:/", 6) == 0 && strlen(value) <= 5 + 100)
		return CF_OK;
	if (strncmp(value, "inet:", 5) != 0 && strncmp(value, "inet6:", 6) != 0)
		return cf_fail(CF_E_CONFIG, why,
		    "must be unix:/PATH (at most 100 characters) or "
		    "inet:PORT@HOST");
	port = strchr(value, ':') + 1;
	n = strtol(port, &end, 10);
	if (end == port || *end != '@' || end[1] == '\0' || n < 1 || n > 65535)
		return cf_fail(CF_E_CONFIG, why,
		    "must be inet:PORT@HOST (Postfix writes inet:HOST:PORT)");
	return CF_OK;
}

static enum cf_err
check_octal(const char *value, struct cf_why *why)
{
	char *end;
	long n = strtol(value, &end, 8);

	if (*value == '\0' || *end != '\0' || n < 0 || n > 0777)
		return cf_fail(CF_E_CONFIG, why,
		    "must be an octal mode such as 0660");
	if ((n & 02) != 0)
		return cf_fail(CF_E_CONFIG, why,
		    "would let every user in; use socket_group");
	return CF_OK;
}

static enum cf_err
check_domain(const char *value, struct cf_why *why)
{
	CF_AUTO(cf_free) char *address = cf_asprintf("x@%s", value);

	if (!cf_address_registrable(address))
		return cf_fail(CF_E_CONFIG, why, "\"%s\" is not a domain, "
		    "such as example.org", value);
	return CF_OK;
}

enum cf_err
cf_mconf_load(const char *path, struct cf_mconf *ret, struct cf_why *why)
{
	return cf_conf_load(path, table, TABLE_LEN, ret, why);
}

void
cf_mconf_free(struct cf_mconf *conf)
{
	cf_conf_free(table, TABLE_LEN, conf);
}

void
cf_mconf_print(const struct cf_mconf *conf, FILE *out)
{
	cf_conf_print(table, TABLE_LEN, conf, out);
}

/* ---- snapshot ---- */

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

enum cf_err
cf_mconf_fail_at(const char *path, const char *key,
    const struct cf_why *sentence, struct cf_why *why)
{
	return cf_conf_fail_at(path, table, TABLE_LEN, key, why, "%s",
	    sentence->text);
}

static enum cf_err
need(const void *value, const char *key, int mode, struct cf_why *why)
{
	if (value != NULL)
		return CF_OK;
	return cf_fail(CF_E_CONFIG, why, "%s must be set for mode %s", key,
	    cf_conf_name(modes, mode));
}

/* The directory must be there, ours to write, and nobody else's. */
static enum cf_err
check_directory(struct cf_snapshot *s, const char *key, const char *path,
    struct cf_why *why)
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
read_secret(struct cf_snapshot *s, const char *key, const char *path,
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

	if (check_only && is_absent(path))
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

	if (!check_only || !is_absent(path))
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

	rc = need(s->conf.key_servers.item, "key_servers", s->conf.mode, why);
	if (rc == CF_OK)
		rc = need(s->conf.api_token_file, "api_token_file",
		    s->conf.mode, why);
	if (rc == CF_OK)
		rc = read_secret(s, "api_token_file", s->conf.api_token_file,
		    API_TOKEN_LEN, &s->api_token, why);
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
complete(struct cf_snapshot *s, bool check_only, struct cf_why *why)
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
		rc = need(s->conf.reader_url, "reader_url", s->conf.mode, why);
	if (rc == CF_OK && (s->mode & CF_MODE_INBOUND))
		rc = need(s->conf.allowed_key_servers.item,
		    "allowed_key_servers", s->conf.mode, why);
	if (rc == CF_OK)
		rc = check_directory(s, "store_directory",
		    s->conf.store_directory, why);
	if (rc == CF_OK)
		rc = load_store_secret(s, check_only, why);
	if (rc == CF_OK && s->conf.spool_directory != NULL)
		rc = check_directory(s, "spool_directory",
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
		rc = complete(s, check_only, &inner);
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

bool
cf_snapshot_listed(const struct cf_snapshot *snapshot,
    const struct sockaddr *address)
{
	struct cf_network client;
	size_t i;

	if (!cf_network_of(address, &client))
		return false;
	for (i = 0; i < snapshot->network_count; i++)
		if (cf_network_has(&snapshot->networks[i], &client))
			return true;
	return false;
}

bool
cf_snapshot_entitled(const struct cf_snapshot *snapshot,
    const struct sockaddr *client, const char *user, const char *daemon)
{
	const struct cf_mconf *conf = &snapshot->conf;

	return cf_snapshot_listed(snapshot, client) ||
	    (conf->trust_authenticated && user != NULL && *user != '\0') ||
	    (daemon != NULL &&
	    cf_conf_list_has(&conf->entitled_daemons, daemon));
}

bool
cf_snapshot_is_login_of(const struct cf_snapshot *snapshot, const char *login,
    const char *sender)
{
	const char *at = strrchr(sender, '@');
	size_t len = strlen(login);

	if (strcasecmp(login, sender) == 0)
		return true;
	return at != NULL && strchr(login, '@') == NULL &&
	    (size_t)(at - sender) == len &&
	    strncasecmp(login, sender, len) == 0 &&
	    cf_snapshot_is_local(snapshot, sender);
}

bool
cf_snapshot_is_local(const struct cf_snapshot *snapshot, const char *address)
{
	const struct cf_conf_list *domains = &snapshot->conf.local_domains;
	const char *at = strrchr(address, '@');
	size_t i;

	if (at == NULL)
		return true;
	for (i = 0; i < domains->count; i++)
		if (strcasecmp(at + 1, domains->item[i]) == 0)
			return true;
	return false;
}

bool
cf_snapshot_is_list(const struct cf_snapshot *snapshot, const char *address)
{
	const struct cf_conf_list *lists = &snapshot->conf.list_addresses;
	const char *at = strrchr(address, '@');
	size_t i;

	for (i = 0; i < lists->count; i++)
		if (strcasecmp(lists->item[i], address) == 0 || (at != NULL &&
		    strcasecmp(lists->item[i], at) == 0))
			return true;
	return false;
}
