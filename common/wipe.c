/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever is freed is wiped, by all of the program and its libraries.
 *
 * Links and keys pass through libcurl, GMime, libpq and others, which copy
 * them and free the copies as they are; in a daemon they would stay for weeks
 * where a fault that lets memory out finds them.  So free() and realloc() of
 * the programs are these, in front of glibc's own.  What is large comes from
 * mmap(2) and goes back to the kernel; wiping it costs what memset(3) costs.
 * The sanitizers have an allocator of their own, which stays.
 *
 * Threads: any.   Logging: never.
 */
#include "config.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#ifdef CF_WIPE_FREED

void __libc_free(void *p);

void
free(void *p)
{
	if (p == NULL)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
}

/* glibc's would free what it has copied without a look at our free(). */
void *
realloc(void *p, size_t size)
{
	size_t have;
	void *bigger;

	if (p == NULL)
		return malloc(size);
	if (size == 0) {
		free(p);
		return NULL;
	}
	have = malloc_usable_size(p);
	if (size <= have && size >= have / 2)
		return p;
	bigger = malloc(size);
	if (bigger == NULL)
		return NULL;
	memcpy(bigger, p, size < have ? size : have);
	free(p);
	return bigger;
}

#endif
