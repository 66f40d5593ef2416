/* SPDX-License-Identifier: Apache-2.0 */
/* cf_mem - see mem.h. */
#include "common/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static void *
or_exit(void *p)
{
	static const char msg[] = "counterfoil: fatal: out of memory\n";

	if (p == NULL) {
		ssize_t n = write(STDERR_FILENO, msg, sizeof msg - 1);

		(void)n;
		_exit(EX_TEMPFAIL);
	}
	return p;
}

void *
cf_calloc(size_t n, size_t size)
{
	return or_exit(calloc(n == 0 ? 1 : n, size == 0 ? 1 : size));
}

void *
cf_realloc(void *p, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return or_exit(NULL);
	return or_exit(realloc(p, n * size == 0 ? 1 : n * size));
}

char *
cf_strdup(const char *s)
{
	return cf_strndup(s, strlen(s));
}

char *
cf_strndup(const char *s, size_t len)
{
	char *p = cf_calloc(len + 1, 1);

	if (len > 0)
		memcpy(p, s, len);
	return p;
}

char *
cf_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return or_exit(NULL);
	p = cf_calloc((size_t)n + 1, 1);
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void
cf_free(void *p)
{
	void *q;

	memcpy(&q, p, sizeof q);
	free(q);
	q = NULL;
	memcpy(p, &q, sizeof q);
}
