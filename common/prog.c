/* SPDX-License-Identifier: Apache-2.0 */
/* cf_prog - see prog.h. */
#include "common/prog.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/listen_unix.h"
#include "common/log.h"
#include "common/mem.h"
#include "config.h"

/* ---- arguments ---- */

/* One that all daemons have: how many words it takes, 0: it is none. */
static int
prog_take(const char *name, const char *value, const char **path,
    enum cf_prog_task *task)
{
	if (strcmp(name, "-c") == 0 && value != NULL) {
		*path = value;
		return 2;
	}
	if (strcmp(name, "-n") == 0)
		*task = CF_PROG_CHECK;
	else if (strcmp(name, "--print-config") == 0)
		*task = CF_PROG_PRINT;
	else if (strcmp(name, "-f") != 0)
		return 0;
	return 1;
}

static int
prog_end_of(const struct cf_prog *prog, const char *name)
{
	if (strcmp(name, "-V") == 0) {
		if (prog->print_versions != NULL)
			prog->print_versions();
		else
			printf("%s " PACKAGE_VERSION "\n", prog->name);
		return 0;
	}
	if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
		fputs(prog->usage, stdout);
		return 0;
	}
	fputs(prog->usage, stderr);
	return prog->usage_status;
}

int
cf_prog_arguments(const struct cf_prog *prog, int argc, char **argv,
    void *arg, const char **path, enum cf_prog_task *task)
{
	int i, n;

	for (i = 1; i < argc; i += n) {
		n = prog_take(argv[i], argv[i + 1], path, task);
		if (n == 0 && prog->take != NULL)
			n = prog->take(arg, argv[i], argv[i + 1], task);
		if (n == 0)
			return prog_end_of(prog, argv[i]);
	}
	return -1;
}

/* ---- the process ---- */

void
cf_prog_signals(sigset_t *ret, const int *more, size_t count)
{
	size_t i;

	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
	for (i = 0; i < count; i++)
		sigaddset(ret, more[i]);
	/* Threads inherit the mask: only main is told. */
	pthread_sigmask(SIG_BLOCK, ret, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

void
cf_prog_files(unsigned long need, const char *option)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < need)
		cf_log(CF_LOG_WARN, "at most %llu files may be open, "
		    "%s may need %lu", (unsigned long long)limit.rlim_max,
		    option, need);
}

void
cf_prog_check_root(void)
{
	if (geteuid() == 0)
		cf_log(CF_LOG_WARN, "runs as root; set the option \"user\"");
}

/* ---- waiting ---- */

/* sd_notify(3); nobody is told where nobody asked to be. */
static void
tell_manager(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t len;
	int fd;

	if (path == NULL || !cf_listen_unix_address(path, &address))
		return;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (const struct sockaddr *)(const void *)&address, len) < 0)
		cf_log(CF_LOG_WARN, "the service manager cannot be told of "
		    "%s: %s", state, strerrordesc_np(errno));
	close(fd);
}

int
cf_prog_wait(const sigset_t *set, void (*tick)(void *arg),
    void (*reload)(void *arg), void *arg)
{
	const struct timespec second = { 1, 0 };
	int sig;

	tell_manager("READY=1");
	for (;;) {
		sig = sigtimedwait(set, NULL, &second);
		if (sig == SIGHUP || sig == SIGUSR1)
			reload(arg);
		else if (sig > 0)
			break;
		else if (errno == EAGAIN)
			tick(arg);
	}
	if (sig == SIGTERM || sig == SIGINT)
		tell_manager("STOPPING=1");
	return sig;
}

/* ---- reload ---- */

void
cf_prog_reload_failed(const struct cf_why *why)
{
	cf_log(CF_LOG_ERROR, "reload failed, all stays as it was: %s",
	    why->text);
}

void
cf_prog_reloaded(const struct cf_conf_opt *table, size_t count,
    const void *before, const void *after, bool tls)
{
	CF_AUTO(cf_free) char *restart = cf_conf_changed(table, count, before,
	    after);

	cf_log(CF_LOG_INFO, "configuration reloaded");
	if (restart != NULL || tls)
		cf_log(CF_LOG_WARN, "changed, but only a restart makes it "
		    "count:%s%s", restart == NULL ? "" : restart,
		    tls ? " tls_certificate tls_key" : "");
}
