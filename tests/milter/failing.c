/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For LD_PRELOAD: calls to libmilter that fail.  The file named by
 * CF_FAILING holds `NAME COUNT`: the COUNT-th call of NAME from now fails,
 * once; then the file says `none 0`.  With CF_LATE_MS every answer that is
 * one letter goes to the mail server so many milliseconds later.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libmilter/mfapi.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool
fails(const char *name)
{
	const char *path = getenv("CF_FAILING");
	char wanted[40] = "";
	int count = 0;
	FILE *f;

	pthread_mutex_lock(&lock);
	f = path == NULL ? NULL : fopen(path, "r+");
	if (f != NULL && fscanf(f, "%39s %d", wanted, &count) == 2 &&
	    strcmp(wanted, name) == 0) {
		rewind(f);
		if (--count > 0)
			fprintf(f, "%s %d\n", name, count);
		else
			fprintf(f, "none 0\n%40s", "");
	} else {
		count = -1;
	}
	if (f != NULL)
		fclose(f);
	pthread_mutex_unlock(&lock);
	return count == 0;
}

#define WRAP(name, parameters, arguments) \
	int name parameters; \
	int \
	name parameters \
	{ \
		int (*real) parameters; \
		void *found = dlsym(RTLD_NEXT, #name); \
\
		memcpy(&real, &found, sizeof real); \
		return fails(#name) ? MI_FAILURE : real arguments; \
	}

ssize_t
writev(int fd, const struct iovec *part, int count)
{
	ssize_t (*real)(int, const struct iovec *, int);
	void *found = dlsym(RTLD_NEXT, "writev");
	const char *late_ms = getenv("CF_LATE_MS");
	size_t len = 0;
	int i;

	memcpy(&real, &found, sizeof real);
	for (i = 0; i < count; i++)
		len += part[i].iov_len;
	if (late_ms != NULL && len == 5)	/* its length, and the letter */
		(void)usleep((useconds_t)strtoul(late_ms, NULL, 10) * 1000);
	return real(fd, part, count);
}

WRAP(smfi_chgheader, (SMFICTX *c, char *n, int i, char *v), (c, n, i, v))
WRAP(smfi_addheader, (SMFICTX *c, char *n, char *v), (c, n, v))
WRAP(smfi_replacebody, (SMFICTX *c, unsigned char *b, int n), (c, b, n))
WRAP(smfi_progress, (SMFICTX *c), (c))
WRAP(smfi_setpriv, (SMFICTX *c, void *p), (c, p))
WRAP(smfi_setsymlist, (SMFICTX *c, int s, char *m), (c, s, m))
WRAP(smfi_setreply, (SMFICTX *c, char *r, char *x, char *t), (c, r, x, t))
