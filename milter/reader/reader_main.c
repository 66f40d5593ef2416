/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil-reader - serves the recipient's page and sealed messages.
 *
 * Start, wait for a signal, end.  See counterfoil-reader(8).
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/httpd_tls.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics_http.h"
#include "common/privs.h"
#include "common/prog.h"
#include "config.h"
#include "milter/reader/reader_check.h"
#include "milter/reader/reader_conf.h"
#include "milter/reader/reader_http.h"
#include "milter/reader/reader_metrics.h"

#define NAME "counterfoil-reader"

static const struct cf_prog prog = {
	.name = NAME,
	.usage = "usage: " NAME " [-fn] [-c file] [--print-config]\n"
	    "       " NAME " -V\n"
	    "  -c file         configuration ("
	    CF_SYSCONFDIR "/counterfoil-reader.conf)\n"
	    "  -n              check configuration, page, certificate and "
	    "store, then end\n"
	    "  --print-config  print the values in force, then end\n"
	    "  -f              stay in the foreground (always so)\n"
	    "  -V              print the version\n",
	.usage_status = 2,
};

/* Without a file, what the defaults are. */
static enum cf_err
print_config(const char *path, bool given, struct cf_why *why)
{
	struct cf_reader_conf conf = { 0 };
	enum cf_err rc = CF_OK;

	if (!given && access(path, F_OK) != 0)
		cf_conf_defaults(cf_reader_options, cf_reader_options_count,
		    &conf);
	else
		rc = cf_conf_load(path, cf_reader_options,
		    cf_reader_options_count, &conf, why);
	if (rc != CF_OK)
		return rc;
	cf_conf_print(cf_reader_options, cf_reader_options_count, &conf,
	    stdout);
	cf_reader_conf_free(&conf);
	return CF_OK;
}

/* What is made at the start. */
struct server {
	const char *path;		/* of the configuration */
	struct cf_reader_conf conf;
	struct cf_reader_metrics *metrics;
	struct cf_reader_http *http;
	struct cf_metrics_http *counters;	/* NULL: none are served */
};

static enum cf_err
use(const struct cf_reader_conf *conf, const struct cf_reader_conf *fresh,
    struct cf_why *why)
{
	enum cf_err rc = CF_OK;

	if (conf->tls && fresh->tls)
		rc = cf_httpd_tls_change(fresh->tls_certificate,
		    fresh->tls_key, why);
	if (rc != CF_OK)
		return rc;
	cf_log_set_level((enum cf_log_level)fresh->log_level);
	return CF_OK;
}

static void
reload(void *arg)
{
	CF_AUTO(cf_reader_conf_free) struct cf_reader_conf fresh = { 0 };
	struct server *s = arg;
	struct cf_why why = { "" };
	enum cf_err rc;

	rc = cf_reader_conf_load(s->path, &fresh, &why);
	if (rc == CF_OK)
		rc = use(&s->conf, &fresh, &why);
	cf_reader_metrics_reload(s->metrics, rc == CF_OK);
	if (rc != CF_OK) {
		cf_prog_reload_failed(&why);
		return;
	}
	if (s->conf.tls && fresh.tls)
		cf_reader_metrics_certificate(s->metrics,
		    fresh.tls_certificate);
	cf_prog_reloaded(cf_reader_options, cf_reader_options_count, &s->conf,
	    &fresh, s->conf.tls != fresh.tls);
}

static void
tick(void *arg)
{
	const struct server *s = arg;

	cf_reader_http_sweep(s->http);
	cf_metrics_http_sweep(s->counters);
}

static struct cf_metrics_place
place_of(const struct server *s)
{
	return (struct cf_metrics_place){ s->path, cf_reader_options,
	    cf_reader_options_count, s->conf.metrics_listen,
	    s->conf.metrics_public, s->conf.user };
}

/* What needs rights that we give up. */
static enum cf_err
open_places(const struct server *s, const struct cf_metrics_place *place,
    int *ret_fd, int *ret_metrics_fd, struct cf_why *why)
{
	const struct cf_reader_conf *conf = &s->conf;
	struct cf_why inner = { "" };
	enum cf_err rc;

	if (cf_listen_tcp(conf->listen, ret_fd, &inner) != CF_OK)
		return cf_conf_fail_at(s->path, cf_reader_options,
		    cf_reader_options_count, "listen", why, "%s", inner.text);
	rc = cf_metrics_listen(place, ret_metrics_fd, why);
	if (rc == CF_OK)
		rc = cf_privs_drop(conf->user, conf->group, why);
	if (rc != CF_OK)
		close(*ret_fd);
	return rc;
}

static enum cf_err
serve(struct server *s, struct cf_why *why)
{
	const struct cf_reader_conf *conf = &s->conf;
	const struct cf_metrics_place place = place_of(s);
	int fd = -1, metrics_fd = -1;
	enum cf_err rc;
	sigset_t set;

	cf_prog_signals(&set, NULL, 0);
	rc = open_places(s, &place, &fd, &metrics_fd, why);
	if (rc != CF_OK)
		return rc;
	/* A socket, and a file while it gets a message. */
	cf_prog_files(2 * (unsigned long)conf->connection_limit + 64,
	    "connection_limit");
	cf_prog_check_root();
	rc = cf_reader_http_start(s->http, fd, why);
	if (rc == CF_OK)
		rc = cf_metrics_serve(&place, metrics_fd,
		    cf_reader_metrics_write, s->metrics, &s->counters, why);
	if (rc != CF_OK)
		return rc;
	cf_log(CF_LOG_INFO, "version " PACKAGE_VERSION " serves %s on %s://%s",
	    conf->reader_url, conf->tls ? "https" : "http", conf->listen);
	cf_log(CF_LOG_INFO, "%s: ending", strsignal(cf_prog_wait(&set, tick,
	    reload, s)));
	cf_reader_http_stop(s->http);
	cf_metrics_http_free(&s->counters);
	cf_log(CF_LOG_INFO, "ended");
	return CF_OK;
}

/* *ret_bad: there are errors, which were printed. */
static enum cf_err
check(const struct server *s, bool *ret_bad, struct cf_why *why)
{
	const struct cf_metrics_place place = place_of(s);
	struct cf_findings findings = { stdout, "configuration", 0, 0 };
	CF_AUTO(cf_free) char *user = cf_privs_user(s->conf.user,
	    s->conf.store_directory);
	enum cf_err rc;

	cf_metrics_check(&place, user, &findings);
	rc = cf_privs_drop(user, s->conf.group, why);
	if (rc != CF_OK)
		return rc;
	cf_reader_check(&s->conf, &findings);
	*ret_bad = findings.errors > 0;
	return CF_OK;
}

static void
server_free(struct server *s)
{
	cf_metrics_http_free(&s->counters);
	cf_reader_http_free(&s->http);
	cf_reader_metrics_free(&s->metrics);
	cf_reader_conf_free(&s->conf);
}

static enum cf_err
run(const char *path, enum cf_prog_task task, bool *ret_bad, struct cf_why *why)
{
	CF_AUTO(server_free) struct server s = { .path = path };
	enum cf_err rc;

	s.metrics = cf_reader_metrics_new();
	rc = cf_reader_conf_load(path, &s.conf, why);
	if (rc == CF_OK)
		rc = cf_reader_http_new(&s.conf, s.metrics, &s.http, why);
	if (rc != CF_OK)
		return rc;
	if (task == CF_PROG_CHECK)
		return check(&s, ret_bad, why);
	cf_reader_metrics_certificate(s.metrics, s.conf.tls_certificate);
	cf_log_open(NAME, (enum cf_log_to)s.conf.log,
	    (enum cf_log_level)s.conf.log_level);
	return serve(&s, why);
}

int
main(int argc, char **argv)
{
	const char *path = NULL;
	struct cf_why why = { "" };
	enum cf_prog_task task = CF_PROG_RUN;
	bool given, bad = false;
	enum cf_err rc;
	int status;

	status = cf_prog_arguments(&prog, argc, argv, NULL, &path, &task);
	if (status >= 0)
		return status;
	given = path != NULL;
	if (!given)
		path = CF_SYSCONFDIR "/counterfoil-reader.conf";
	cf_log_open(NAME, CF_LOG_STDERR, CF_LOG_INFO);
	rc = task == CF_PROG_PRINT ? print_config(path, given, &why) :
	    run(path, task, &bad, &why);
	if (rc != CF_OK) {
		fprintf(stderr, NAME ": %s\n", why.text);
		return 1;
	}
	return bad ? 1 : 0;
}
