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
 * glibc marks what lies in a thread's list of free blocks by a random word in
 * the block's second word, and ends the program that frees it again.  Wiping
 * would remove the mark first, so the word is learnt at the start and what
 * bears it goes to glibc's free() as it is.
 *
 * Threads: any.   Logging: never.
 */
#include "config.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef CF_WIPE_FREED

void __libc_free(void *p);

static uintptr_t mark;	/* 0: this glibc has none */

/* Reads what was freed, on purpose; before there are threads. */
__attribute__((constructor)) static void
learn_mark(void)
{
	uintptr_t *p = calloc(2, sizeof *p);

	if (p == NULL)
		return;
	__libc_free(p);
	mark = ((volatile uintptr_t *)p)[1];
}

/* The smallest block of glibc's has three words. */
static bool
is_marked(const void *p)
{
	return mark != 0 && ((const volatile uintptr_t *)p)[1] == mark;
}

void
free(void *p)
{
	if (p == NULL)
		return;
	if (!is_marked(p))
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
