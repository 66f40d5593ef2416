/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_pages - to go through a mapped file with little of it resident.
 *
 * What was touched of a mapping counts as our memory until it is given back.
 * Whoever goes through one tells how far he is, and what lies behind goes; it
 * may be looked at again, from the file.
 *
 * Knows: mappings that are only read.   Does not know: files.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_PAGES_H
#define CF_COMMON_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#define CF_PAGES_WINDOW ((size_t)1 << 20)	/* bytes that may stay */

struct cf_pages {
	bool mapped;		/* else it is memory, and stays */
	const char *begin;
	const char *from;	/* what lies before it was given back */
};

/* On the way through `mapped` bytes from `p` on, a mapping's or memory's. */
struct cf_pages cf_pages_begin(const void *p, bool mapped);
/* For cf_pages_pass(): not to be called elsewhere. */
void cf_pages_drop(struct cf_pages *pages, const char *at);

/* All before `at` has been read.  To go back, and on from there, is fine. */
static inline void
cf_pages_pass(struct cf_pages *pages, const char *at)
{
	/* Behind `from` the difference is larger than any window. */
	if (pages->mapped && (size_t)(at - pages->from) >= CF_PAGES_WINDOW)
		cf_pages_drop(pages, at);
}

/* memchr(3) from `p` to `end`, which passes what it reads. */
const char *cf_pages_chr(struct cf_pages *pages, const char *p,
    const char *end, char c);

#endif
