/* SPDX-License-Identifier: Apache-2.0 */
/* cf_pages - see pages.h. */
#include "common/pages.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLICE (CF_PAGES_WINDOW / 4)	/* searched at once */

struct cf_pages
cf_pages_begin(const void *p, bool mapped)
{
	struct cf_pages pages = { mapped, p, p };

	return pages;
}

void
cf_pages_drop(struct cf_pages *pages, const char *at)
{
	uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = (uintptr_t)pages->begin / size * size;
	uintptr_t to = (uintptr_t)at / size * size;

	/*
	 * From the beginning: the system maps what is around a byte, too, a
	 * megabyte and more, and so brings back what had gone.  When it fails
	 * it does no harm.
	 */
	if (at > pages->from)
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
	pages->from = at;
}

const char *
cf_pages_chr(struct cf_pages *pages, const char *p, const char *end, char c)
{
	const char *at;
	size_t n;

	for (; p < end; p += n) {
		n = (size_t)(end - p);
		n = pages->mapped && n > SLICE ? SLICE : n;
		cf_pages_pass(pages, p);
		at = memchr(p, c, n);
		if (at != NULL)
			return at;
	}
	return NULL;
}
