/* SPDX-License-Identifier: Apache-2.0 */
/* cf_mconf - see mconf.h. */
#include "milter/gateway/mconf.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/network.h"
#include "common/proxy.h"
#include "milter/gateway/want.h"

#define CF_CONF_INTO cf_mconf
#include "common/conf_rows.h"
#include "milter/gateway/trigger.h"

#define OUTER_SUBJECT_MAX 200

static enum cf_err check_socket(const char *value, struct cf_why *why);
static enum cf_err check_octal(const char *value, struct cf_why *why);
static enum cf_err check_domain(const char *value, struct cf_why *why);
static enum cf_err check_pattern(const char *value, struct cf_why *why);
static enum cf_err check_options(const char *value, struct cf_why *why);
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
	SET(triggers, NULL, cf_triggers, LIVE,
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

/* It is made at the first start. */
static enum cf_err
check_ref_secret(const char *value, struct cf_why *why)
{
	if (cf_file_is_absent(value))
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

const char *
cf_mconf_mode(const struct cf_mconf *conf)
{
	return cf_conf_name(modes, conf->mode);
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

enum cf_err
cf_mconf_fail_at(const char *path, const char *key,
    const struct cf_why *sentence, struct cf_why *why)
{
	return cf_conf_fail_at(path, table, TABLE_LEN, key, why, "%s",
	    sentence->text);
}
