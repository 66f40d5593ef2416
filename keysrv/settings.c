/* SPDX-License-Identifier: Apache-2.0 */
/* cf_settings - see settings.h. */
#include "keysrv/settings.h"

#include <string.h>

#include "common/link.h"
#include "common/mem.h"
#include "common/network.h"
#include "keysrv/receipt/mailer.h"

#define CF_CONF_INTO cf_settings
#include "common/conf_rows.h"

static const struct cf_conf_name switches[] = {
	{ "on", 1 }, { "off", 0 }, { NULL, 0 },
};

/* "password = x" anywhere, or "postgresql://user:x@host". */
static bool
has_password(const char *value)
{
	const char *p, *at;

	for (p = value; (p = strstr(p, "password")) != NULL; ) {
		p += strlen("password");
		if (p[strspn(p, " \t\r\n")] == '=')
			return true;
	}
	if (strncmp(value, "postgresql://", 13) != 0 &&
	    strncmp(value, "postgres://", 11) != 0)
		return false;
	p = strstr(value, "://") + 3;
	at = memchr(p, '@', strcspn(p, "/?"));
	return at != NULL && memchr(p, ':', (size_t)(at - p)) != NULL;
}

/* A password would stand in the process's environment and in backups. */
static enum cf_err
check_database(const char *value, struct cf_why *why)
{
	if (has_password(value))
		return cf_fail(CF_E_CONFIG, why, "put the password into a "
		    "password file (passfile=...), mode 0600");
	return CF_OK;
}

const struct cf_conf_opt cf_settings_table[] = {
	STR(listen, "127.0.0.1:8443", cf_conf_check_hostport, RESTART,
	    "Address and port to listen on."),
	STR(service_url, NULL, cf_conf_check_service_url, RESTART,
	    "The service's own URL as it stands in links; it names the "
	    "service, never one of its machines."),
	STR(tls_certificate, NULL, cf_conf_check_readable, LIVE,
	    "PEM file with the server's certificate chain; without one the "
	    "server speaks plain HTTP and listens on loopback only."),
	STR(tls_key, NULL, cf_conf_check_secret_file, LIVE,
	    "PEM file with the key of tls_certificate, mode 0600."),
	INT(threads, "2", 1, 64, RESTART,
	    "Threads that speak HTTP; they never wait for the database."),
	INT(connection_limit, "2000", 16, 60000, RESTART,
	    "HTTP connections at a time; more wait until one ends."),
	INT(connections_per_address, "64", 0, 60000, RESTART,
	    "HTTP connections at a time from one address that is no proxy of "
	    "ours and has shown no API token; 0 sets no limit beyond "
	    "connection_limit."),
	LIST(proxies, NULL, cf_network_check, RESTART,
	    "Addresses or networks of our own proxies in front, which say in "
	    "X-Forwarded-For who is behind them."),
	TIME(request_timeout_s, "30", 1, 600, RESTART,
	    "Seconds after which a client that has not sent its request, or "
	    "not taken its answer, is cut off."),
	STR(database, "dbname=counterfoil", check_database, RESTART,
	    "libpq connection string; a password belongs into a password "
	    "file."),
	INT(connections, "8", 1, 64, RESTART,
	    "Connections to the database, with one worker thread each."),
	INT(queue_limit, "4096", 1, 100000, RESTART,
	    "Requests that may wait for a worker; beyond it the answer is 503 "
	    "with Retry-After."),
	BOOL(unsafe_database, "false", RESTART,
	    "Accept a database that may lose committed receipts (fsync, "
	    "full_page_writes or synchronous_commit off); for tests only."),
	STR(masterkey_file, NULL, cf_conf_check_secret_file, RESTART,
	    "File with the master keys, mode 0600, made by "
	    "counterfoil-admin masterkey new; the same on every server."),
	TIME(challenge_lifetime_s, "300", 1, 3600, RESTART,
	    "Seconds for which a challenge may be answered."),
	TIME(receipt_delay_s, "60", 0, 86400, RESTART,
	    "Seconds after a release for which its receipt waits for the "
	    "proof of opening, to make one mail of both."),
	ENUM(outbox, "on", switches, RESTART,
	    "Whether this server sends the receipts: on or off; one server of "
	    "several is enough."),
	TIME_MS(outbox_poll_ms, "500", 10, 60000, LIVE,
	    "Milliseconds between two looks for receipts that are due."),
	STR(smtp_server, "127.0.0.1:25", cf_conf_check_hostport, LIVE,
	    "Mail server that takes the receipts, as host:port."),
	ENUM(smtp_tls, "off", cf_mailer_tls_names, LIVE,
	    "STARTTLS with the mail server: off, try or verify."),
	STR(smtp_ca_file, NULL, cf_conf_check_readable, LIVE,
	    "PEM bundle for smtp_tls = verify; without it the system's."),
	STR(smtp_helo, NULL, NULL, LIVE,
	    "Our name in EHLO; without it localhost."),
	STR(receipt_from, NULL, NULL, LIVE,
	    "Address in the From field of receipts."),
	STR(signer_certificate, NULL, cf_conf_check_readable, LIVE,
	    "PEM file with the S/MIME certificate of receipt_from, made by "
	    "counterfoil-admin signer new."),
	STR(signer_key, NULL, cf_conf_check_secret_file, LIVE,
	    "PEM file with the key of signer_certificate, mode 0600."),
	METRICS_OPTIONS,
	ENUM(log, "stderr", cf_conf_logs, RESTART,
	    "Where log lines go: stderr or syslog."),
	ENUM(log_level, "info", cf_conf_log_levels, LIVE,
	    "How much is logged: error, warn, info or debug."),
};
const size_t cf_settings_count =
    sizeof cf_settings_table / sizeof cf_settings_table[0];

static bool
listens_on_loopback(const char *listen)
{
	char *url = cf_asprintf("http://%s", listen);
	bool loopback = cf_link_check_service(url, NULL) == CF_OK;

	cf_free(&url);
	return loopback;
}

static enum cf_err
check_together(const struct cf_settings *s, const char *path,
    struct cf_why *why)
{
	if (s->service_url == NULL)
		return cf_fail(CF_E_CONFIG, why, "%s: service_url is not set",
		    path);
	if (s->masterkey_file == NULL)
		return cf_fail(CF_E_CONFIG, why, "%s: masterkey_file is not "
		    "set; make one with: counterfoil-admin masterkey new FILE",
		    path);
	if ((s->tls_certificate == NULL) != (s->tls_key == NULL))
		return cf_conf_fail_at(path, cf_settings_table,
		    cf_settings_count, s->tls_key == NULL ? "tls_certificate" :
		    "tls_key", why, "tls_certificate and tls_key belong "
		    "together");
	if (s->tls_key == NULL && !listens_on_loopback(s->listen))
		return cf_conf_fail_at(path, cf_settings_table,
		    cf_settings_count, "listen", why, "without "
		    "tls_certificate the server listens on loopback only, not "
		    "on %s", s->listen);
	if (s->outbox && (s->receipt_from == NULL ||
	    s->signer_certificate == NULL || s->signer_key == NULL))
		return cf_fail(CF_E_CONFIG, why, "%s: receipts need "
		    "receipt_from, signer_certificate and signer_key; see "
		    "counterfoil-admin signer new", path);
	return CF_OK;
}

enum cf_err
cf_settings_load(const char *path, struct cf_settings *s, struct cf_why *why)
{
	enum cf_err rc;

	rc = cf_conf_load(path, cf_settings_table, cf_settings_count, s, why);
	if (rc != CF_OK)
		return rc;
	rc = check_together(s, path, why);
	if (rc != CF_OK)
		cf_settings_free(s);
	return rc;
}

void
cf_settings_free(struct cf_settings *s)
{
	cf_conf_free(cf_settings_table, cf_settings_count, s);
}
