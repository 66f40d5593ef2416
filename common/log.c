/* SPDX-License-Identifier: Apache-2.0 */
/* cf_log - see log.h. */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/clock.h"

#define LINE_MAX_LEN 2000

static const char *const level_names[CF_LOG__COUNT] = {
	"error", "warn", "info", "debug"
};

static _Atomic enum cf_log_level max_level = CF_LOG_INFO;
/* Set once by cf_log_open() before any thread starts. */
static bool to_syslog;
static char program[32] = "counterfoil";

void
cf_log_open(const char *name, enum cf_log_to to, enum cf_log_level level)
{
	(void)snprintf(program, sizeof program, "%s", name);
	to_syslog = to == CF_LOG_SYSLOG;
	max_level = level;
	if (to_syslog)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void
cf_log_set_level(enum cf_log_level level)
{
	max_level = level;
}

static size_t
log_escape(const char *in, char *out, size_t cap)
{
	size_t n = 0;

	for (; *in != '\0' && n + 5 < cap; in++) {
		unsigned char c = (unsigned char)*in;

		if (c >= ' ' && c <= '~')
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, cap - n, "\\x%02x", c);
	}
	out[n] = '\0';
	return n;
}

void
cf_log(enum cf_log_level level, const char *fmt, ...)
{
	static const int priority[CF_LOG__COUNT] = {
		LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG
	};
	char raw[LINE_MAX_LEN], line[2 * LINE_MAX_LEN], out[3 * LINE_MAX_LEN];
	char now[CF_TIME_LEN + 1];
	va_list ap;
	int n;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	log_escape(raw, line, sizeof line);
	if (to_syslog) {
		syslog(priority[level], "%s: %s", level_names[level], line);
		return;
	}
	cf_clock_format(cf_clock_ms(), now);
	n = snprintf(out, sizeof out, "%s %s[%ld]: %s: %s\n", now, program,
	    (long)getpid(), level_names[level], line);
	/* One write(2): lines of threads do not mix. */
	if (n > 0 && write(STDERR_FILENO, out, (size_t)n) < 0)
		return;
}
