/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_log - leveled lines to standard error or syslog.
 *
 * One call is one line: CR, LF, other controls and bytes above 126 are
 * written as \xNN, so that text from outside cannot forge a line.  Takes no
 * secrets; there is no way to pass one.   Threads: safe.
 */
#ifndef CF_COMMON_LOG_H
#define CF_COMMON_LOG_H

#include "common/err.h"

enum cf_log_level {
	CF_LOG_ERROR,	/* somebody must look */
	CF_LOG_WARN,
	CF_LOG_INFO,	/* one line a message or a release */
	CF_LOG_DEBUG,
	CF_LOG__COUNT
};

enum cf_log_to {
	CF_LOG_STDERR,
	CF_LOG_SYSLOG
};

/* Start: `name` is the program's. */
void cf_log_open(const char *name, enum cf_log_to to,
    enum cf_log_level level);
void cf_log(enum cf_log_level level, const char *fmt, ...) CF_PRINTF(2, 3);
/* Any thread, at any time. */
void cf_log_set_level(enum cf_log_level level);

/* The peer broke the protocol; for lines that say "not our fault". */
#define cf_log_peer(...) cf_log(CF_LOG_WARN, "peer: " __VA_ARGS__)

#endif
