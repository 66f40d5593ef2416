/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_store - sealed messages on disk, and the spool on the way there.
 *
 * The store is a directory with one file a message, named by its blob (22
 * characters of b64url, unguessable), below a subdirectory named by the
 * first two; counterfoil-reader serves them.  What is half written has no
 * name, or one that begins with a dot and so is no blob.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_STORE_H
#define CF_MILTER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/link.h"

/* ---- spool: bytes of one message, in memory up to a limit ---- */

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
/* All of it, contiguous, to read.  Lends until the spool changes. */
CF_MUST_USE enum cf_err cf_spool_map(struct cf_spool *spool,
    const void **ret_data, struct cf_why *why);
void cf_spool_free(struct cf_spool *spool);

/* ---- store ---- */

/* A fresh random blob name. */
void cf_store_name(char ret_blob[CF_BLOB_LEN + 1]);
/* directory/bl/blob; the name was checked before.  Gives. */
char *cf_store_path(const char *directory, const char *blob);
/*
 * Write head, spool and tail to the file `blob`: no name or a temporary one,
 * fsync, link into place, fsync of the directory.  When it returns CF_OK the
 * file outlives a power failure.  CF_E_IO, and no file is left.
 */
CF_MUST_USE enum cf_err cf_store_put(const char *directory, const char *blob,
    const struct cf_buf *head, const struct cf_spool *spool,
    const struct cf_buf *tail, struct cf_why *why);
/* Remove it again; for a message that did not go out after all. */
void cf_store_remove(const char *directory, const char *blob);
#endif
