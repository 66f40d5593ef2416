/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_prog - what the main() of each daemon does: arguments, signals, waiting,
 * what is said of a reload.
 *
 * Knows: the service manager's readiness protocol.   Does not know: what is
 * served.
 * Threads: for main() alone; signals are kept from all threads begun later.
 * Logging: as said below.
 */
#ifndef CF_COMMON_PROG_H
#define CF_COMMON_PROG_H

#include <signal.h>
#include <stdbool.h>

#include "common/conf.h"

enum cf_prog_task {
	CF_PROG_RUN,
	CF_PROG_CHECK,		/* -n */
	CF_PROG_PRINT,		/* --print-config */
	CF_PROG_OTHER		/* one of the program's own */
};

struct cf_prog {
	const char *name;
	const char *usage;	/* what -h prints, line ends included */
	int usage_status;	/* for wrong arguments */
	void (*print_versions)(void);	/* NULL: name and version */
	/*
	 * An argument that all daemons do not have; `value` is the next one
	 * or NULL.  Gives how many it took, 0 to 2.  NULL: there is none.
	 */
	int (*take)(void *arg, const char *name, char *value,
	    enum cf_prog_task *task);
};

/*
 * Read -c FILE, -n, --print-config, -V, -h, --help and -f (which is always
 * so), and the program's own; `arg` goes to its take().  *path and *task stay
 * as they are without an argument for them.  -1: go on; else the exit status,
 * and all is said.
 */
int cf_prog_arguments(const struct cf_prog *prog, int argc, char **argv,
    void *arg, const char **path, enum cf_prog_task *task);
/*
 * Keep TERM, INT, HUP and `more` (0: none) from all threads, for
 * cf_prog_wait(); ignore PIPE.  Before threads start.
 */
void cf_prog_signals(sigset_t *ret, const int *more, size_t count);
/*
 * Many connections need many descriptors: as many as are allowed.  Warns in
 * the log if `need` is more; `option` may be lowered.
 */
void cf_prog_files(unsigned long need, const char *option);
/* Warn in the log of a daemon that goes on as root and has an option for it. */
void cf_prog_check_root(void);

/*
 * Tell the service manager that all is ready, then wait: tick() runs about
 * each second, reload() at HUP and, if it is in `set`, USR1.  Gives the signal
 * that is neither; if it ends the program, the service manager was told.
 */
int cf_prog_wait(const sigset_t *set, void (*tick)(void *arg),
    void (*reload)(void *arg), void *arg);

/*
 * What is logged of a reload: that it failed, with all as it was; or what of
 * the new values needs a restart.  `tls`: TLS came or went.
 */
void cf_prog_reload_failed(const struct cf_why *why);
void cf_prog_reloaded(const struct cf_conf_opt *table, size_t count,
    const void *before, const void *after, bool tls);

#endif
