/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil-milter - seals flagged mail, rewrites sealed mail.
 *
 * main(): arguments, configuration, socket, privileges, then libmilter in a
 * thread of its own while this one waits for signals: HUP and USR1 reload,
 * TERM and INT stop when the messages under way are done.
 */
#include <curl/curl.h>
#include <gmime/gmime.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/composite.h"
#include "common/file.h"
#include "common/httpd.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics_http.h"
#include "common/privs.h"
#include "common/prog.h"
#include "config.h"
#include "milter/check/check_all.h"
#include "milter/gateway/budget.h"
#include "milter/gateway/flight.h"
#include "milter/gateway/metrics.h"
#include "milter/gateway/mf_callbacks.h"
#include "milter/gateway/snapshot.h"
#include "milter/gateway/sock.h"
#include "milter/gateway/tend.h"
#include "milter/gateway/tryout.h"
#include "milter/store/store.h"
#include "milter/store/sweep.h"

#define NAME "counterfoil-milter"
/* For libmilter, when nothing is under way, to send the last replies. */
#define REPLIES_WAIT_MS 10000
/* For libmilter to end, when they are sent; it may take longer. */
#define STOP_WAIT_S 1
/*
 * Buffers of this size go back to the system when they are freed.  Left
 * alone, the C library takes the largest one ever freed for this limit and
 * keeps what is smaller, in each of its arenas: memory for ever after some
 * large messages.
 */
#define MMAP_FROM (256 * 1024)

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
#ifdef CHECK_LEAKS
#define SANITIZERS "yes"
#else
#define SANITIZERS "no"
#define CHECK_LEAKS() ((void)0)
#endif
#ifndef STOP_LIBMILTER
#define STOP_LIBMILTER() cf_mf_stop()
#endif
#ifdef CF_FAULT_POINTS
#define FAULT_POINTS "yes, for tests only"
#else
#define FAULT_POINTS "no"
#endif

/* What the arguments say beside the task. */
struct wishes {
	const char *path;		/* of the configuration */
	struct cf_check_targets targets;
	const char *message;		/* -t */
	struct cf_tryout tryout;
};

#define SIGNAL_ENDED SIGUSR2	/* libmilter's thread tells us that it ended */

static void
print_versions(void)
{
	char milter[32];

	cf_mf_version(milter);
	printf(NAME " " PACKAGE_VERSION "\nlibmilter %s\n%s\nGMime %u.%u.%u\n"
	    "libmicrohttpd %s\nmilter protocol 2 to 6\nfault points: %s\n"
	    "sanitizers: %s\n", milter, curl_version(), gmime_major_version,
	    gmime_minor_version, gmime_micro_version,
	    cf_httpd_version(), FAULT_POINTS, SANITIZERS);
}

static void
add_target(struct cf_conf_list *list, char *item)
{
	list->item = cf_realloc(list->item, list->count + 1,
	    sizeof *list->item);
	list->item[list->count++] = item;
}

/* One with a value: where it goes; false: it is none of them. */
static bool
take_value(const char *name, char *value, struct wishes *w)
{
	if (strcmp(name, "--postfix") == 0) {
		add_target(&w->targets.postfix, value);
	} else if (strcmp(name, "--sendmail") == 0) {
		add_target(&w->targets.sendmail, value);
	} else if (strcmp(name, "--from") == 0) {
		w->tryout.sender = value;
	} else if (strcmp(name, "--to") == 0) {
		add_target(&w->tryout.recipients, value);
	} else if (strcmp(name, "--client") == 0) {
		w->tryout.client = value;
	} else if (strcmp(name, "--user") == 0) {
		w->tryout.user = value;
	} else if (strcmp(name, "--daemon") == 0) {
		w->tryout.daemon = value;
	} else {
		return false;
	}
	return true;
}

static int
take(void *arg, const char *name, char *value, enum cf_prog_task *task)
{
	struct wishes *w = arg;

	if (value != NULL && strcmp(name, "-t") == 0) {
		*task = CF_PROG_OTHER;
		w->message = value;
		return 2;
	}
	if (value != NULL && take_value(name, value, w))
		return 2;
	if (strcmp(name, "--offline") == 0)
		w->targets.offline = true;
	else if (strcmp(name, "--no-mta") == 0)
		w->targets.no_mta = true;
	else
		return 0;
	return 1;
}

static const struct cf_prog prog = {
	.name = NAME,
	.usage = "usage: " NAME " [-fn] [-c file] [--print-config]\n"
	    "       " NAME " -n [-c file] [--offline] [--no-mta]"
	    " [--postfix directory]...\n"
	    "           [--sendmail file]...\n"
	    "       " NAME " -t message [-c file] [--from address]"
	    " [--to address]...\n"
	    "           [--client address] [--user name] [--daemon name]\n"
	    "       " NAME " -V\n"
	    "  -c file         configuration ("
	    CF_SYSCONFDIR "/counterfoil-milter.conf)\n"
	    "  -n              check configuration, files, key servers and "
	    "mail server, then end\n"
	    "  --offline       ask no key server\n"
	    "  --no-mta        do not look at the mail server\n"
	    "  --postfix directory, --sendmail file\n"
	    "                  look at the mail server with this "
	    "configuration\n"
	    "  -t message      print what would become of the message in "
	    "this file (- standard input)\n"
	    "  --from, --to, --client, --user, --daemon\n"
	    "                  as if it came so\n"
	    "  --print-config  print the values in force, then end\n"
	    "  -f              stay in the foreground (always so)\n"
	    "  -V              print versions\n",
	.usage_status = EX_USAGE,
	.print_versions = print_versions,
	.take = take,
};

/* ---- signals ---- */

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

static struct cf_metrics_place
place_of(const char *path, const struct cf_mconf *conf)
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
	const struct cf_metrics_place place = place_of(path, conf);
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

/* What the start would say of where it listens. */
static void
check_places(struct cf_check *findings, const char *path,
    const struct cf_mconf *conf, const char *user)
{
	const struct cf_metrics_place place = place_of(path, conf);
	struct cf_why inner = { "" }, whole = { "" };
	struct stat st;
	enum cf_err rc;

	findings->f.subject = "configuration";
	rc = cf_sock_check(conf->socket, user, &inner);
	/* A running one is no mistake in the configuration. */
	if (rc != CF_OK && rc != CF_E_BUSY) {
		(void)cf_mconf_fail_at(path, "socket", &inner, &whole);
		cf_check_say(findings, CF_FINDING_ERROR, "%s", whole.text);
		if (geteuid() == 0 && user == NULL &&
		    stat(conf->store_directory, &st) == 0 && st.st_uid == 0)
			cf_check_say(findings, CF_FINDING_ERROR,
			    "store_directory belongs to root: its owner is "
			    "taken for who the milter runs as; if that is "
			    "another user, give him %s with chown, or set "
			    "user", conf->store_directory);
	}
	cf_metrics_check(&place, user, &findings->f);
}

/* *ret_bad: there are errors, which were printed. */
static enum cf_err
check(const char *path, const struct cf_mconf *conf,
    const struct cf_check_targets *targets, bool *ret_bad,
    struct cf_why *why)
{
	struct cf_snapshot *snapshot = NULL;
	struct cf_check findings = { 0 };
	CF_AUTO(cf_free) char *user = cf_privs_user(conf->user,
	    conf->store_directory);
	enum cf_err rc;

	findings.f.out = stdout;
	check_places(&findings, path, conf, user);
	rc = cf_snapshot_load(path, true, &snapshot, why);
	if (rc == CF_OK) {
		findings.snapshot = snapshot;
		cf_check_mail_servers(&findings, targets);
		cf_snapshot_put(&snapshot);
		/* Before the other user's findings follow. */
		fflush(stdout);
		rc = cf_privs_drop(user, conf->group, why);
	}
	if (rc == CF_OK)
		rc = cf_snapshot_load(path, true, &snapshot, why);
	if (rc == CF_OK) {
		findings.snapshot = snapshot;
		cf_check_report(&findings, targets);
		*ret_bad = findings.f.errors > 0;
	}
	cf_snapshot_put(&snapshot);
	return rc;
}

static char default_recipient[] = "recipient@example.net";

static enum cf_err
try_out(const struct cf_mconf *conf, struct wishes *w, int *ret_status,
    struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf message =
	    CF_BUF_INIT(CF_TRYOUT_MAX);
	struct cf_snapshot *snapshot = NULL;
	enum cf_err rc;

	if (w->tryout.recipients.count == 0)
		add_target(&w->tryout.recipients, default_recipient);
	/* Whoever asks may read it, who we become may not. */
	rc = cf_file_read(w->message, &message, why);
	if (rc == CF_OK)
		rc = cf_privs_drop(conf->user, conf->group, why);
	if (rc == CF_OK)
		rc = cf_snapshot_load(w->path, true, &snapshot, why);
	if (rc != CF_OK)
		return rc;
	snapshot->trial = true;
	cf_snapshot_swap(snapshot);
	*ret_status = cf_tryout_run(&w->tryout, &message, stderr, stdout);
	cf_snapshot_swap(NULL);
	return CF_OK;
}

static enum cf_err
run_daemon(const struct wishes *w, const struct cf_mconf *conf,
    int *ret_status, struct cf_why *why)
{
	static const int more[] = { SIGUSR1, SIGNAL_ENDED };
	sigset_t signals;
	enum cf_err rc;

	cf_log_open(NAME, (enum cf_log_to)conf->log,
	    (enum cf_log_level)conf->log_level);
	/* libmilter's own thread for signals is kept from them in
	 * mf_callbacks.c. */
	cf_prog_signals(&signals, more, sizeof more / sizeof more[0]);
	rc = start(w->path, conf, why);
	if (rc == CF_OK)
		*ret_status = serve(w->path, conf, &signals);
	return rc;
}

static enum cf_err
run(enum cf_prog_task task, struct wishes *w, int *ret_status,
    struct cf_why *why)
{
	struct cf_mconf conf = { 0 };
	bool bad = false;
	enum cf_err rc;

	rc = cf_mconf_load(w->path, &conf, why);
	if (rc != CF_OK)
		return rc;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	cf_composite_init();
	switch (task) {
	case CF_PROG_PRINT:
		cf_mconf_print(&conf, stdout);
		break;
	case CF_PROG_CHECK:
		rc = check(w->path, &conf, &w->targets, &bad, why);
		*ret_status = bad ? EX_CONFIG : EX_OK;
		break;
	case CF_PROG_OTHER:
		rc = try_out(&conf, w, ret_status, why);
		break;
	case CF_PROG_RUN:
		rc = run_daemon(w, &conf, ret_status, why);
		break;
	}
	cf_mconf_free(&conf);
	return rc;
}

int
main(int argc, char **argv)
{
	struct wishes w = { .path = CF_SYSCONFDIR "/counterfoil-milter.conf",
	    .tryout = { .sender = "sender@example.org",
	    .client = "127.0.0.1" } };
	struct cf_why why = { "" };
	enum cf_prog_task task = CF_PROG_RUN;
	int status = cf_prog_arguments(&prog, argc, argv, &w, &w.path, &task);

	(void)mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
	if (status < 0) {
		status = EX_OK;
		if (run(task, &w, &status, &why) != CF_OK) {
			fprintf(stderr, NAME ": %s\n", why.text);
			status = EX_CONFIG;
		}
	}
	free(w.targets.postfix.item);
	free(w.targets.sendmail.item);
	free(w.tryout.recipients.item);
	return status;
}
