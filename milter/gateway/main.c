/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil-milter - seals flagged mail, rewrites sealed mail.
 *
 * main(): arguments, configuration, then daemon.h, or one of the other tasks.
 */
#include <curl/curl.h>
#include <gmime/gmime.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/composite.h"
#include "common/file.h"
#include "common/httpd.h"
#include "common/mem.h"
#include "common/metrics_http.h"
#include "common/privs.h"
#include "common/prog.h"
#include "config.h"
#include "milter/check/check_all.h"
#include "milter/gateway/daemon.h"
#include "milter/gateway/mf_callbacks.h"
#include "milter/gateway/snapshot.h"
#include "milter/gateway/sock.h"
#include "milter/gateway/tryout.h"

#define NAME "counterfoil-milter"
/*
 * Buffers of this size go back to the system when they are freed.  Left
 * alone, the C library takes the largest one ever freed for this limit and
 * keeps what is smaller, in each of its arenas: memory for ever after some
 * large messages.
 */
#define MMAP_FROM (256 * 1024)

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZERS "yes"
#endif
#endif
#ifndef SANITIZERS
#define SANITIZERS "no"
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

/* What the start would say of where it listens. */
static void
check_places(struct cf_check *findings, const char *path,
    const struct cf_mconf *conf, const char *user)
{
	const struct cf_metrics_place place = cf_daemon_place(path, conf);
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
		rc = cf_daemon_run(w->path, &conf, ret_status, why);
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
