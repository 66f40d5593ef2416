/* SPDX-License-Identifier: Apache-2.0 */
/* cf_daemon - see daemon.h. */
#include "milter/gateway/daemon.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/prog.h"
#include "config.h"
#include "milter/gateway/budget.h"
#include "milter/gateway/flight.h"
#include "milter/gateway/metrics.h"
#include "milter/gateway/mf_callbacks.h"
#include "milter/gateway/snapshot.h"
#include "milter/gateway/sock.h"
#include "milter/gateway/tend.h"
#include "milter/store/store.h"
#include "milter/store/sweep.h"

#define NAME "counterfoil-milter"
/* For libmilter, when nothing is under way, to send the last replies. */
#define REPLIES_WAIT_MS 10000
/* For libmilter to end, when they are sent; it may take longer. */
#define STOP_WAIT_S 1

/* stop() leaves without exit(), where LeakSanitizer would look by itself. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define CHECK_LEAKS() __lsan_do_leak_check()
#endif
#endif
#ifdef __has_feature
/* libmilter's end uses locks it has destroyed, which is not ours to mend. */
#if __has_feature(thread_sanitizer)
#define STOP_LIBMILTER() ((void)0)
#endif
#endif
#ifndef CHECK_LEAKS
#define CHECK_LEAKS() ((void)0)
#endif
#ifndef STOP_LIBMILTER
#define STOP_LIBMILTER() cf_mf_stop()
#endif

#define SIGNAL_ENDED SIGUSR2	/* libmilter's thread tells us that it ended */

static void *
run_milter(void *arg)
{
	(void)arg;
	(void)cf_mf_run();
	(void)kill(getpid(), SIGNAL_ENDED);
	return NULL;
}

/* ---- what the signals ask for ---- */

/* What is used as long as it runs; keys of messages live for moments. */
static void
keep_in_memory(const struct cf_snapshot *snapshot)
{
	struct cf_why why = { "" };

	if (cf_secret_keep_in_memory(snapshot, sizeof *snapshot, &why) !=
	    CF_OK)
		cf_log(CF_LOG_WARN, "the API token and the reference secret "
		    "may be written to swap: %s", why.text);
}

/* A new gateway, or one that lost its file: flagged mail may wait. */
static void
tell_of_secrets(const struct cf_snapshot *s)
{
	if (s->ref_secret_made)
		cf_log(CF_LOG_WARN, "made a new reference secret, as there "
		    "was no file %s; back it up.  If the account of this "
		    "gateway has one already, bring that file back, or "
		    "flagged mail waits (cause reference-secret) until "
		    "counterfoil-admin gateway reference accepts the new one",
		    s->conf.ref_secret_file);
	if (s->store_secret_unsaved)
		cf_log(CF_LOG_WARN, "there is no room for %s" CF_STORE_SECRET
		    ": sealed mail that is stored again will be stored twice, "
		    "until a start or a reload finds room",
		    s->conf.store_directory);
}

static void
reload(void *arg)
{
	const char *path = *(const char *const *)arg;
	struct cf_snapshot *fresh = NULL, *before;
	const struct cf_conf_opt *table;
	struct cf_why why = { "" };
	size_t count;

	if (cf_snapshot_load(path, false, &fresh, &why) != CF_OK) {
		cf_prog_reload_failed(&why);
		cf_metrics_reload(false);
		return;
	}
	keep_in_memory(fresh);
	tell_of_secrets(fresh);
	cf_log_set_level((enum cf_log_level)fresh->conf.log_level);
	before = cf_snapshot_get();
	cf_snapshot_swap(fresh);
	cf_tend_wake();
	cf_metrics_reload(true);
	/* Nobody else swaps, so it is still there. */
	table = cf_mconf_table(&count);
	cf_prog_reloaded(table, count, &before->conf, &fresh->conf, false);
	cf_snapshot_put(&before);
}

static void *
stop_milter(void *arg)
{
	(void)arg;
	STOP_LIBMILTER();
	return NULL;
}

static struct cf_metrics_http *metrics;	/* NULL: none served */

/*
 * A message is done when its callback has ended; its reply goes out behind
 * that.  Whoever writes it comes to read again, finds the end, and closes.
 */
static void
wait_for_replies(void)
{
	const struct timespec step = { 0, 10 * 1000000L };
	int64_t end = cf_clock_mono_ms() + REPLIES_WAIT_MS;

	while (cf_budget_held(CF_BUDGET_CONNECTIONS) > 0 &&
	    cf_clock_mono_ms() < end) {
		cf_sock_hang_up();
		cf_sock_nudge();
		nanosleep(&step, NULL);
	}
}

static int
stop(pthread_t milter)
{
	struct cf_snapshot *s = cf_snapshot_get();
	long drain_s = s->conf.drain_s;
	struct timespec until;
	pthread_t stopper;
	size_t left;

	cf_snapshot_put(&s);
	cf_sock_hide();
	left = cf_flight_stop();
	if (left > 0) {
		cf_log(CF_LOG_INFO, "stopping; %zu messages under way", left);
		left = cf_flight_wait(drain_s * 1000);
	}
	if (left > 0)
		cf_log(CF_LOG_WARN, "%zu messages were not done after %ld s; "
		    "their senders will try again", left, drain_s);
	else
		wait_for_replies();
	/* It waits for the listener, and the listener for a connection. */
	if (pthread_create(&stopper, NULL, stop_milter, NULL) == 0)
		cf_sock_nudge();
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_S;
	(void)pthread_timedjoin_np(milter, NULL, &until);
	cf_sock_remove();
	cf_tend_stop();
	cf_metrics_http_free(&metrics);
	cf_log(CF_LOG_INFO, "stopped");
	if (left == 0)
		CHECK_LEAKS();
	/* Its other threads may still hold what exit() would free. */
	_exit(left > 0 ? EX_TEMPFAIL : EX_OK);
}

static void
tick(void *arg)
{
	(void)arg;
	cf_metrics_http_sweep(metrics);
}

static int
serve(const char *path, const struct cf_mconf *conf, const sigset_t *set)
{
	pthread_t milter;

	if (pthread_create(&milter, NULL, run_milter, NULL) != 0)
		return EX_OSERR;
	cf_log(CF_LOG_INFO, "version " PACKAGE_VERSION " serves on %s",
	    conf->socket);
	if (cf_prog_wait(set, tick, reload, &path) != SIGNAL_ENDED)
		return stop(milter);
	cf_log(CF_LOG_ERROR, "libmilter ended by itself");
	return EX_SOFTWARE;
}

/* ---- start ---- */

static enum cf_err
open_socket(const struct cf_mconf *conf, struct cf_why *why)
{
	mode_t before;
	enum cf_err rc;

	rc = cf_sock_check(conf->socket, conf->user, why);
	if (rc != CF_OK)
		return rc;
	/* Nobody else before cf_sock_grant() says who. */
	before = umask(0177);
	rc = cf_mf_open(conf->socket, why);
	umask(before);
	if (rc != CF_OK)
		return rc;
	rc = cf_sock_grant(conf->socket, conf->socket_mode, conf->user,
	    conf->socket_group, why);
	return rc != CF_OK ? rc : cf_sock_set_nudge(conf->socket, why);
}

static void
sweep(const char *directory)
{
	size_t n = directory == NULL ? 0 : cf_sweep(directory);

	if (n > 0)
		cf_log(CF_LOG_INFO, "removed %zu half-written files from %s",
		    n, directory);
}

struct cf_metrics_place
cf_daemon_place(const char *path, const struct cf_mconf *conf)
{
	struct cf_metrics_place place = { .path = path,
	    .listen = conf->metrics_listen, .public = conf->metrics_public,
	    .user = conf->user };

	place.table = cf_mconf_table(&place.count);
	return place;
}

static enum cf_err
start(const char *path, const struct cf_mconf *conf, struct cf_why *why)
{
	struct cf_snapshot *snapshot = NULL;
	struct cf_why inner = { "" };
	const struct cf_metrics_place place = cf_daemon_place(path, conf);
	int metrics_fd = -1;
	enum cf_err rc;

	umask(027);
	cf_metrics_begin();
	if (open_socket(conf, &inner) != CF_OK)
		return cf_mconf_fail_at(path, "socket", &inner, why);
	rc = cf_metrics_listen(&place, &metrics_fd, why);
	if (rc == CF_OK)
		rc = cf_privs_drop(conf->user, conf->group, why);
	if (rc == CF_OK && conf->core_dumps)
		cf_privs_core(true);
	if (rc == CF_OK)
		rc = cf_snapshot_load(path, false, &snapshot, why);
	if (rc == CF_OK)
		rc = cf_metrics_serve(&place, metrics_fd, cf_metrics_write,
		    NULL, &metrics, why);
	if (rc != CF_OK) {
		cf_snapshot_put(&snapshot);
		return rc;
	}
	keep_in_memory(snapshot);
	tell_of_secrets(snapshot);
	cf_snapshot_swap(snapshot);
	sweep(conf->store_directory);
	sweep(conf->spool_directory);
	if (geteuid() == 0)
		cf_log(CF_LOG_WARN, "runs as root; set the option \"user\"");
	return cf_tend_start(why);
}

enum cf_err
cf_daemon_run(const char *path, const struct cf_mconf *conf, int *ret_status,
    struct cf_why *why)
{
	static const int more[] = { SIGUSR1, SIGNAL_ENDED };
	sigset_t signals;
	enum cf_err rc;

	cf_log_open(NAME, (enum cf_log_to)conf->log,
	    (enum cf_log_level)conf->log_level);
	/* libmilter's own thread for signals is kept from them in
	 * mf_callbacks.c. */
	cf_prog_signals(&signals, more, sizeof more / sizeof more[0]);
	rc = start(path, conf, why);
	if (rc == CF_OK)
		*ret_status = serve(path, conf, &signals);
	return rc;
}
