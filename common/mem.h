/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_mem - memory or exit.
 *
 * Sizes that come from outside are capped before they get here, so running
 * out means the machine is out: the process logs and exits 75, and the MTA
 * defers.   Threads: safe.
 */
#ifndef CF_COMMON_MEM_H
#define CF_COMMON_MEM_H

#include <stddef.h>

/* Zeroed memory for n * size bytes; never NULL.  Gives; free with free(). */
void *cf_calloc(size_t n, size_t size);
/* As realloc(); never NULL.  New bytes are not zeroed. */
void *cf_realloc(void *p, size_t n, size_t size);
char *cf_strdup(const char *s);			/* Gives. */
char *cf_strndup(const char *s, size_t len);	/* Gives. */
/* printf into fresh memory.  Gives. */
char *cf_asprintf(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
/* For CF_AUTO: free(*p), *p = NULL.  `p` is the address of any pointer. */
void cf_free(void *p);

#endif
