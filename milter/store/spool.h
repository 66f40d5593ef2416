/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_spool - the bytes of one message while it comes in.
 *
 * They are in memory up to a limit, then in a file without a name, which may
 * become one of the store (store.h) as it is.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_SPOOL_H
#define CF_MILTER_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct cf_spool {
	struct cf_buf memory;
	int fd;			/* -1 while all is in memory */
	uint64_t len;
	uint64_t base;		/* where they begin in the file */
	uint64_t (*head_size)(uint64_t len);	/* of E, or NULL */
	bool linkable;		/* the file may become one of the store */
	size_t memory_limit;
	const char *directory;	/* lends */
	void *map;		/* cf_spool_map(), or NULL */
};

/* `directory` must live as long.  End with cf_spool_free(). */
void cf_spool_init(struct cf_spool *spool, const char *directory,
    size_t memory_limit);
/*
 * The bytes are to become the middle of a file of the store, in whose
 * directory the spool is: room is left for a head of head_size(length), and
 * cf_store_put() need not copy them.  At once after cf_spool_init().
 */
void cf_spool_for_store(struct cf_spool *spool,
    uint64_t (*head_size)(uint64_t len));
/* Append.  CF_E_IO; the spool is of no more use then. */
CF_MUST_USE enum cf_err cf_spool_add(struct cf_spool *spool, const void *data,
    size_t len, struct cf_why *why);
/* Write all of it to `fd`, from where that stands.  CF_E_IO. */
CF_MUST_USE enum cf_err cf_spool_copy(const struct cf_spool *spool, int fd,
    struct cf_why *why);
/* All of it, contiguous, to read.  Lends until the spool changes. */
CF_MUST_USE enum cf_err cf_spool_map(struct cf_spool *spool,
    const void **ret_data, struct cf_why *why);
void cf_spool_free(struct cf_spool *spool);

/* Can a file without a name get one?  By its place in /proc, which a bare
 * chroot lacks. */
bool cf_spool_can_link(void);

#endif
