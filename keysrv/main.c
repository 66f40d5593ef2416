/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil-keysrv - the key server: options, start, reload, stop.
 *
 * Order at start: configuration, master key, database, receipts, HTTP.  At
 * SIGTERM or SIGINT the same backwards: no new connections, requests
 * under way end, then the workers, then the mail under way.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/clock.h"
#include "common/httpd_tls.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics_http.h"
#include "common/privs.h"
#include "common/prog.h"
#include "config.h"
#include "keysrv/check.h"
#include "keysrv/counts.h"
#include "keysrv/health.h"
#include "keysrv/http/http.h"
#include "keysrv/http/kind.h"
#include "keysrv/http/queue.h"
#include "keysrv/key/match.h"
#include "keysrv/receipt/outbox.h"
#include "keysrv/settings.h"
#include "keysrv/upkeep.h"

#define CONFIG_FILE CF_SYSCONFDIR "/counterfoil-keysrv.conf"
#define DRAIN_MS 25000
#define UPKEEP_MS (10 * 60 * INT64_C(1000))
#define NAME "counterfoil-keysrv"

static const struct cf_prog prog = {
	.name = NAME,
	.usage = "usage: " NAME " [-fn] [-c file] [--print-config]\n"
	    "       " NAME " -V\n"
	    "  -c file         configuration (" CONFIG_FILE ")\n"
	    "  -n              check configuration, database, keys, "
	    "certificates and mail server,\n"
	    "                  then end\n"
	    "  --print-config  print the values in force, then end\n"
	    "  -f              stay in the foreground (always so)\n"
	    "  -V              print the version\n",
	.usage_status = 2,
};

struct server {
	const char *config;		/* the file */
	struct cf_settings settings;	/* as it started with them */
	char *signer;			/* registered value of the one in use */
	struct cf_vault *vault;
	struct cf_ks ks;
	struct cf_http *http;
	struct cf_outbox *outbox;
	struct cf_match_secrets secrets;
	struct cf_metrics_http *counters;	/* NULL: none are served */
	int64_t upkeep_ms;		/* when it is due */
};

static bool
is_held(void *arg)
{
	return cf_health_may_write(arg) != CF_OK;
}

static void
count_receipt(void *counts, const char *outcome)
{
	cf_counts_receipt(counts, outcome);
}

static struct cf_outbox_options
outbox_options(struct server *s, const struct cf_settings *c)
{
	return (struct cf_outbox_options){
		.database = c->database,
		.unsafe_database = c->unsafe_database,
		.held = is_held,
		.held_arg = s->ks.health,
		.counted = count_receipt,
		.counted_arg = s->ks.counts,
		.server_secret = &s->secrets.receipt,
		.mailer = { .server = c->smtp_server,
		    .tls = (enum cf_mailer_tls)c->smtp_tls,
		    .ca_file = c->smtp_ca_file, .helo = c->smtp_helo },
		.receipt_from = c->receipt_from,
		.signer_certificate = c->signer_certificate,
		.signer_key = c->signer_key,
		.poll_ms = c->outbox_poll_ms,
	};
}

static enum cf_err
start_outbox(struct server *s, struct cf_why *why)
{
	const struct cf_outbox_options options = outbox_options(s,
	    &s->settings);

	return s->settings.outbox ? cf_outbox_start(&options, &s->outbox,
	    why) : CF_OK;
}

static struct cf_db *
new_db(const struct cf_settings *settings)
{
	return cf_db_new(&(struct cf_db_options){
	    .conninfo = settings->database,
	    .role = "counterfoil_keysrv",
	    .unsafe_database = settings->unsafe_database });
}

static enum cf_err
upkeep(struct server *s, struct cf_why *why)
{
	CF_AUTO(cf_db_free) struct cf_db *db = new_db(&s->settings);
	enum cf_err rc;

	rc = cf_upkeep_partitions(db, why);
	if (rc == CF_OK)
		cf_upkeep_hour(db);
	return rc;
}

static enum cf_err
match_url(const struct server *s, struct cf_db *db, struct cf_why *why)
{
	CF_AUTO(cf_free) char *value = NULL;
	enum cf_err rc;

	rc = cf_match_value(CF_MATCH_SERVICE_URL, &s->settings, &value, why);
	return rc == CF_OK ? cf_match_registered(db, CF_MATCH_SERVICE_URL,
	    value, why) : rc;
}

/* The signer of `c`; the database is asked about another than before. */
static enum cf_err
match_signer(struct server *s, const struct cf_settings *c,
    struct cf_why *why)
{
	CF_AUTO(cf_db_free) struct cf_db *db = NULL;
	char *value = NULL;
	enum cf_err rc;

	rc = cf_match_value(CF_MATCH_SIGNER, c, &value, why);
	if (rc == CF_OK && (s->signer == NULL ||
	    strcmp(s->signer, value) != 0)) {
		db = new_db(&s->settings);
		rc = cf_db_connect(db, why);
		if (rc == CF_OK)
			rc = cf_match_registered(db, CF_MATCH_SIGNER, value,
			    why);
	}
	if (rc != CF_OK) {
		cf_free(&value);
		return rc;
	}
	cf_free(&s->signer);
	s->signer = value;
	return CF_OK;
}

/* Is all here that this database needs?  Nothing is served before. */
static enum cf_err
match(struct server *s, struct cf_why *why)
{
	CF_AUTO(cf_db_free) struct cf_db *db = new_db(&s->settings);
	enum cf_err rc;

	rc = cf_db_connect(db, why);
	if (rc == CF_OK)
		rc = cf_match_masters(db, s->vault, &s->settings, why);
	if (rc == CF_OK)
		rc = cf_match_secrets(db, s->vault, &s->secrets, why);
	if (rc == CF_OK)
		rc = match_url(s, db, why);
	if (rc == CF_OK && s->settings.outbox)
		rc = match_signer(s, &s->settings, why);
	return rc;
}

/* What is used as long as it runs; keys of messages live for moments. */
static void
keep_in_memory(const struct server *s)
{
	struct cf_why why = { "" };
	enum cf_err rc;

	rc = cf_vault_keep_in_memory(s->vault, &why);
	if (rc == CF_OK)
		rc = cf_secret_keep_in_memory(&s->secrets, sizeof s->secrets,
		    &why);
	if (rc != CF_OK)
		cf_log(CF_LOG_WARN, "the master keys may be written to swap: "
		    "%s", why.text);
}

static struct cf_metrics_place
place_of(const struct server *s)
{
	return (struct cf_metrics_place){ s->config, cf_settings_table,
	    cf_settings_count, s->settings.metrics_listen,
	    s->settings.metrics_public, NULL };
}

static enum cf_err
start_counters(struct server *s, struct cf_why *why)
{
	const struct cf_metrics_place place = place_of(s);
	enum cf_err rc;
	int fd;

	rc = cf_metrics_listen(&place, &fd, why);
	return rc == CF_OK ? cf_metrics_serve(&place, fd, cf_counts_write,
	    s->ks.counts, &s->counters, why) : rc;
}

static enum cf_err
start(struct server *s, struct cf_why *why)
{
	enum cf_err rc;

	rc = cf_vault_load(s->settings.masterkey_file, &s->vault, why);
	if (rc != CF_OK)
		return rc;
	s->ks.settings = &s->settings;
	s->ks.counts = cf_counts_new();
	cf_counts_certificates(s->ks.counts, s->settings.tls_certificate,
	    s->settings.signer_certificate);
	s->ks.vault = s->vault;
	rc = match(s, why);
	if (rc != CF_OK)
		return rc;
	keep_in_memory(s);
	s->ks.challenge_secret = &s->secrets.challenge;
	s->ks.form_secret = &s->secrets.form;
	rc = cf_health_start(&s->ks, cf_http_done, &s->ks.health, why);
	if (rc != CF_OK)
		return rc;
	s->ks.queue = cf_queue_new(cf_kinds, CF_KIND__COUNT,
	    (size_t)s->settings.queue_limit, cf_http_done);
	rc = cf_queue_start(s->ks.queue, &s->ks,
	    (size_t)s->settings.connections, why);
	if (rc == CF_OK)
		rc = upkeep(s, why);
	if (rc == CF_OK)
		rc = start_outbox(s, why);
	if (rc == CF_OK)
		rc = start_counters(s, why);
	if (rc == CF_OK)
		rc = cf_http_start(&s->ks, &s->http, why);
	return rc;
}

static void
stop(struct server *s)
{
	if (s->ks.health != NULL)
		cf_health_stop(s->ks.health);
	if (s->http != NULL)
		cf_http_drain(s->http, DRAIN_MS);
	/* Workers first: they answer what is left, so that none is waiting
	 * when the HTTP server ends. */
	if (s->ks.queue != NULL)
		cf_queue_stop(s->ks.queue);
	cf_http_stop(&s->http);
	cf_outbox_stop(&s->outbox);
	cf_queue_free(&s->ks.queue);
	cf_health_free(&s->ks.health);
	cf_match_secrets_wipe(&s->secrets);
	cf_free(&s->signer);
	cf_vault_free(&s->vault);
	cf_metrics_http_free(&s->counters);
	cf_counts_free(&s->ks.counts);
}

/* ---- SIGHUP ---- */

/*
 * Everything is loaded before anything is used: with one wrong file all stays
 * as it was.
 */
static enum cf_err
use(struct server *s, const struct cf_settings *fresh, struct cf_why *why)
{
	CF_AUTO(cf_httpd_tls_free) struct cf_httpd_tls *tls = NULL;
	const struct cf_outbox_options options = outbox_options(s, fresh);
	enum cf_err rc = CF_OK;

	if (s->settings.tls_key != NULL && fresh->tls_key != NULL)
		rc = cf_httpd_tls_load(fresh->tls_certificate, fresh->tls_key,
		    &tls, why);
	if (rc == CF_OK && s->outbox != NULL) {
		rc = match_signer(s, fresh, why);
		if (rc == CF_OK)
			rc = cf_outbox_reload(s->outbox, &options, why);
	}
	if (rc != CF_OK)
		return rc;
	if (tls != NULL)
		cf_httpd_tls_use(&tls);
	cf_log_set_level((enum cf_log_level)fresh->log_level);
	return CF_OK;
}

static void
reload(void *arg)
{
	struct server *s = arg;
	struct cf_settings fresh;
	struct cf_why why = { "" };
	enum cf_err rc;
	bool tls;

	rc = cf_settings_load(s->config, &fresh, &why);
	if (rc == CF_OK)
		rc = use(s, &fresh, &why);
	cf_counts_reload(s->ks.counts, rc == CF_OK);
	if (rc != CF_OK) {
		cf_prog_reload_failed(&why);
	} else {
		tls = (s->settings.tls_key == NULL) != (fresh.tls_key == NULL);
		cf_counts_certificates(s->ks.counts, tls ?
		    s->settings.tls_certificate : fresh.tls_certificate,
		    fresh.signer_certificate);
		cf_prog_reloaded(cf_settings_table, cf_settings_count,
		    &s->settings, &fresh, tls);
	}
	cf_settings_free(&fresh);
}

/* Slow clients are cut off and the months move on. */
static void
tick(void *arg)
{
	struct server *s = arg;

	cf_http_sweep(s->http);
	cf_metrics_http_sweep(s->counters);
	cf_health_tick(s->ks.health);
	if (cf_clock_mono_ms() < s->upkeep_ms ||
	    cf_health_may_write(s->ks.health) != CF_OK)
		return;
	s->upkeep_ms = cf_clock_mono_ms() + UPKEEP_MS;
	/* It says in the log what went wrong; there is a default partition,
	 * so nothing is lost. */
	(void)upkeep(s, NULL);
}

static int
serve(struct server *s)
{
	struct cf_why why = { "" };
	sigset_t set;
	enum cf_err rc;

	cf_privs_core(false);
	cf_prog_files((unsigned long)(s->settings.connection_limit +
	    s->settings.connections) + 64, "connection_limit");
	cf_prog_signals(&set, NULL, 0);
	rc = start(s, &why);
	if (rc == CF_OK) {
		cf_log(CF_LOG_INFO, "ready: %s on %s, version %s",
		    s->settings.service_url, s->settings.listen,
		    PACKAGE_VERSION);
		s->upkeep_ms = cf_clock_mono_ms() + UPKEEP_MS;
		(void)cf_prog_wait(&set, tick, reload, s);
		cf_log(CF_LOG_INFO, "stopping");
	} else {
		cf_log(CF_LOG_ERROR, "cannot start: %s", why.text[0] == '\0'
		    ? cf_err_text(rc) : why.text);
	}
	stop(s);
	return rc == CF_OK ? 0 : 1;
}

static int
check_only(const struct server *s)
{
	const struct cf_metrics_place place = place_of(s);
	struct cf_findings findings = { .out = stdout };

	cf_check_all(&findings, &s->settings, &place);
	return findings.errors > 0 ? EX_CONFIG : 0;
}

static int
run(struct server *s, enum cf_prog_task task)
{
	if (task == CF_PROG_CHECK)
		return check_only(s);
	if (task == CF_PROG_RUN)
		return serve(s);
	cf_conf_print(cf_settings_table, cf_settings_count, &s->settings,
	    stdout);
	return 0;
}

int
main(int argc, char **argv)
{
	struct server server = { .config = CONFIG_FILE };
	enum cf_prog_task task = CF_PROG_RUN;
	struct cf_why why = { "" };
	int status;

	status = cf_prog_arguments(&prog, argc, argv, NULL, &server.config,
	    &task);
	if (status >= 0)
		return status;
	if (cf_settings_load(server.config, &server.settings, &why) != CF_OK) {
		fprintf(stderr, NAME ": %s\n", why.text);
		return task == CF_PROG_CHECK ? EX_CONFIG : 1;
	}
	cf_log_open(NAME, (enum cf_log_to)server.settings.log,
	    (enum cf_log_level)server.settings.log_level);
	status = run(&server, task);
	cf_settings_free(&server.settings);
	return status;
}
