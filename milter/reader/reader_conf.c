/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reader_conf - see reader_conf.h. */
#include "milter/reader/reader_conf.h"

#include <string.h>

#include "common/link.h"
#include "common/listen.h"
#include "common/network.h"

#define CF_CONF_INTO cf_reader_conf
#include "common/conf_rows.h"

const struct cf_conf_opt cf_reader_options[] = {
	STR(listen, "127.0.0.1:8480", cf_conf_check_hostport, RESTART,
	    "Numeric address and port to listen on; without TLS files it must "
	    "be a loopback address."),
	STR(reader_url, NULL, cf_conf_check_service_url, RESTART,
	    "The address people reach this reader at, as the milter puts it "
	    "into links; required."),
	STR(tls_certificate, NULL, cf_conf_check_readable, LIVE,
	    "PEM file with the server's certificate and its chain."),
	STR(tls_key, NULL, cf_conf_check_secret_file, LIVE,
	    "PEM file with the certificate's private key, mode 0600."),
	STR(store_directory, CF_STATEDIR "/store", cf_conf_check_directory,
	    RESTART,
	    "Where the milter keeps sealed messages; only read here."),
	STR(page_directory, CF_DATADIR "/page", cf_conf_check_directory,
	    RESTART,
	    "Where the recipient's page is installed; read at start."),
	LIST(allowed_key_servers, NULL, cf_conf_check_service_url, RESTART,
	    "Key servers the page may ask, the same list as the milter's; at "
	    "least one."),
	INT(threads, "4", 1, 64, RESTART,
	    "Threads that serve connections."),
	INT(connection_limit, "1000", 4, 60000, RESTART,
	    "Connections served at the same time; more wait."),
	INT(connections_per_address, "64", 0, 60000, RESTART,
	    "Connections at the same time from one address that is no proxy "
	    "of ours; 0 is no limit."),
	LIST(proxies, NULL, cf_network_check, RESTART,
	    "Addresses or networks of our own proxies in front."),
	TIME(request_timeout_s, "30", 1, 3600, RESTART,
	    "Seconds for a client to send its request, and the longest "
	    "silence while it is answered."),
	TIME(answer_timeout_s, "900", 1, 86400, RESTART,
	    "Seconds after which an answer is broken off, however steadily "
	    "the client reads."),
	TIME(drain_s, "20", 0, 3600, RESTART,
	    "Seconds that answers under way get to finish when the program "
	    "is told to end."),
	METRICS_OPTIONS,
	STR(user, NULL, cf_conf_check_user, RESTART,
	    "User to become after start."),
	STR(group, NULL, cf_conf_check_group, RESTART,
	    "Group to become after start; the user's own if not given."),
	ENUM(log, "stderr", cf_conf_logs, RESTART,
	    "Where log lines go: stderr or syslog."),
	ENUM(log_level, "info", cf_conf_log_levels, LIVE,
	    "What is logged: error, warn, info (one line a request) or "
	    "debug."),
};
const size_t cf_reader_options_count =
    sizeof cf_reader_options / sizeof cf_reader_options[0];

#define FAIL_AT(path, key, why, ...) cf_conf_fail_at((path), \
	cf_reader_options, cf_reader_options_count, (key), (why), __VA_ARGS__)

static enum cf_err
check_whole(const char *path, struct cf_reader_conf *c, struct cf_why *why)
{
	struct cf_why inner = { "" };
	bool loopback = false;

	if (cf_listen_is_loopback(c->listen, &loopback, &inner) != CF_OK)
		return FAIL_AT(path, "listen", why, "%s", inner.text);
	if ((c->tls_certificate == NULL) != (c->tls_key == NULL))
		return FAIL_AT(path, c->tls_key == NULL ? "tls_certificate" :
		    "tls_key", why, "tls_certificate and tls_key go together; "
		    "one of them is missing");
	c->tls = c->tls_key != NULL;
	if (!c->tls && !loopback)
		return FAIL_AT(path, "listen", why,
		    "%s can be reached from other machines, so "
		    "tls_certificate and tls_key are needed; without them "
		    "only a loopback address is taken (for a web server on "
		    "the same machine)", c->listen);
	if (cf_listen_check(c->listen, &inner) != CF_OK)
		return FAIL_AT(path, "listen", why, "%s", inner.text);
	if (c->reader_url == NULL)
		return cf_fail(CF_E_CONFIG, why,
		    "%s: reader_url is not given", path);
	c->hsts = !cf_link_is_plain(c->reader_url);
	/* Given values were checked with their line, defaults were not. */
	if (cf_conf_check_directory(c->store_directory, &inner) != CF_OK)
		return FAIL_AT(path, "store_directory", why, "%s", inner.text);
	if (cf_conf_check_directory(c->page_directory, &inner) != CF_OK)
		return FAIL_AT(path, "page_directory", why, "%s", inner.text);
	if (c->allowed_key_servers.count == 0)
		return cf_fail(CF_E_CONFIG, why,
		    "%s: allowed_key_servers is not given; without one the "
		    "page can open nothing", path);
	return CF_OK;
}

enum cf_err
cf_reader_conf_load(const char *path, struct cf_reader_conf *conf,
    struct cf_why *why)
{
	enum cf_err rc;

	rc = cf_conf_load(path, cf_reader_options, cf_reader_options_count,
	    conf, why);
	if (rc != CF_OK)
		return rc;
	rc = check_whole(path, conf, why);
	if (rc != CF_OK)
		cf_reader_conf_free(conf);
	return rc;
}

void
cf_reader_conf_free(struct cf_reader_conf *conf)
{
	cf_conf_free(cf_reader_options, cf_reader_options_count, conf);
}
