/* SPDX-License-Identifier: Apache-2.0 */
/* What every daemon's main() does. */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/prog.h"
#include "tests/unit/fixture.h"

/* ---- arguments ---- */

static int
take(void *arg, const char *name, char *value, enum cf_prog_task *task)
{
	const char **word = arg;

	if (strcmp(name, "--word") == 0 && value != NULL) {
		*word = value;
		return 2;
	}
	if (strcmp(name, "--try") != 0)
		return 0;
	*task = CF_PROG_OTHER;
	return 1;
}

static const struct cf_prog plain = { "x", "usage: x\n", 2, NULL, NULL };
static const struct cf_prog rich = { "x", "usage: x\n", 64, NULL, take };

/* Words by blanks; what came of them. */
static int
read_words(const struct cf_prog *prog, const char *text, const char **path,
    enum cf_prog_task *task, const char **word)
{
	static char copy[200];
	char *argv[20] = { copy };
	int argc = 0;
	char *save = NULL, *w;

	(void)snprintf(copy, sizeof copy, "x %s", text);
	for (w = strtok_r(copy, " ", &save); w != NULL;
	    w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	*path = *word = "-";
	*task = CF_PROG_RUN;
	return cf_prog_arguments(prog, argc, argv, word, path, task);
}

static void
t_arguments_are_read(void **state)
{
	static const struct {
		const struct cf_prog *prog;
		const char *text;
		int status;
		const char *path;
		enum cf_prog_task task;
		const char *word;
	} rows[] = {
		{ &plain, "", -1, "-", CF_PROG_RUN, "-" },
		{ &plain, "-f", -1, "-", CF_PROG_RUN, "-" },
		{ &plain, "-c a -n", -1, "a", CF_PROG_CHECK, "-" },
		{ &plain, "-n -c a -f", -1, "a", CF_PROG_CHECK, "-" },
		{ &plain, "--print-config", -1, "-", CF_PROG_PRINT, "-" },
		{ &plain, "-c -n", -1, "-n", CF_PROG_RUN, "-" },
		{ &plain, "-c", 2, "-", CF_PROG_RUN, "-" },
		{ &plain, "-x", 2, "-", CF_PROG_RUN, "-" },
		{ &plain, "word", 2, "-", CF_PROG_RUN, "-" },
		{ &plain, "--try", 2, "-", CF_PROG_RUN, "-" },
		{ &plain, "-V -x", 0, "-", CF_PROG_RUN, "-" },
		{ &plain, "-h", 0, "-", CF_PROG_RUN, "-" },
		{ &plain, "--help", 0, "-", CF_PROG_RUN, "-" },
		{ &rich, "--word w -c a", -1, "a", CF_PROG_RUN, "w" },
		{ &rich, "--try --word w", -1, "-", CF_PROG_OTHER, "w" },
		{ &rich, "--word", 64, "-", CF_PROG_RUN, "-" },
		{ &rich, "-x", 64, "-", CF_PROG_RUN, "-" },
	};
	enum cf_prog_task task;
	const char *path, *word;
	size_t i;
	int status;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		status = read_words(rows[i].prog, rows[i].text, &path, &task,
		    &word);
		if (status != rows[i].status || task != rows[i].task ||
		    strcmp(path, rows[i].path) != 0 ||
		    strcmp(word, rows[i].word) != 0)
			fail_msg("\"%s\": %d, task %d, \"%s\", \"%s\"",
			    rows[i].text, status, task, path, word);
	}
}

/* ---- waiting ---- */

/* Signals wait blocked, so their order is that of sending one by one. */
struct waiting {
	int ticks, reloads;
};

static void
tick(void *arg)
{
	struct waiting *w = arg;

	w->ticks++;
	kill(getpid(), SIGTERM);
}

static void
reload(void *arg)
{
	struct waiting *w = arg;

	w->reloads++;
	if (w->reloads == 1)
		kill(getpid(), SIGUSR1);
}

/* What the service manager is told next. */
static void
expect_told(int fd, const char *want)
{
	char text[100];
	ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	text[n < 0 ? 0 : n] = '\0';
	assert_string_equal(text, want);
}

static int
listen_as_manager(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)
	    &address, sizeof address), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	return fd;
}

static void
t_wait_reloads_ticks_and_ends(void **state)
{
	static const int more[] = { SIGUSR1, SIGUSR2 };
	char folder[] = "/tmp/prog_test.XXXXXX", path[100];
	struct waiting w = { 0, 0 };
	sigset_t set;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/s", folder);
	fd = listen_as_manager(path);
	cf_prog_signals(&set, more, 2);
	kill(getpid(), SIGHUP);
	assert_int_equal(cf_prog_wait(&set, tick, reload, &w), SIGTERM);
	assert_int_equal(w.reloads, 2);
	assert_int_equal(w.ticks, 1);
	expect_told(fd, "READY=1");
	expect_told(fd, "STOPPING=1");
	kill(getpid(), SIGUSR2);
	assert_int_equal(cf_prog_wait(&set, tick, reload, &w), SIGUSR2);
	expect_told(fd, "READY=1");
	expect_told(fd, "");
	/* Nobody asked to be told, or nobody is there: no harm. */
	(void)close(fd);
	(void)unlink(path);
	kill(getpid(), SIGINT);
	assert_int_equal(cf_prog_wait(&set, tick, reload, &w), SIGINT);
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	kill(getpid(), SIGINT);
	assert_int_equal(cf_prog_wait(&set, tick, reload, &w), SIGINT);
	(void)rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_arguments_are_read),
		cmocka_unit_test(t_wait_reloads_ticks_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
