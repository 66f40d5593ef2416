/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_store - sealed messages on disk.
 *
 * The store is a directory with one file a message, named by its blob (22
 * characters of b64url), below a subdirectory named by the first two;
 * counterfoil-reader serves them.  The blob is made of all of E and a secret
 * of the store: nobody can guess it, nobody can have the name of another's E,
 * and the same E is one file, however often it comes.  What is half written
 * has no name, or one that begins with a dot and so is no blob.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_STORE_H
#define CF_MILTER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/err.h"
#include "common/link.h"
#include "common/secret.h"
#include "milter/store/spool.h"

#define CF_STORE_SECRET "/.secret"	/* in the store's directory */
#define CF_STORE_SECRET_LEN 32

/* E on its way into the store.  Everything is lent. */
struct cf_blob {
	const char *directory;
	char name[CF_BLOB_LEN + 1];
	const struct cf_buf *head;	/* all three in this order are E */
	bool mapped;			/* `head` is a mapping of a file */
	const struct cf_spool *spool;	/* or NULL */
	const struct cf_buf *tail;	/* or NULL */
	long keep_s;			/* the option store_keep_s */
	int64_t end;			/* keep.h; 0: none of its own */
};

/*
 * The name of E: `head` is what stands in it before the ciphertext, `digest`
 * SHA-256(ciphertext || tag).  counterfoil-format(7) has the rule.
 */
void cf_store_name(const struct cf_secret *secret, const void *head,
    size_t head_len, const unsigned char digest[CF_DIGEST_LEN],
    char ret_name[CF_BLOB_LEN + 1]);
/* directory/bl/blob; the name was checked before.  Gives. */
char *cf_store_path(const char *directory, const char *blob);
/* How many bytes it has. */
uint64_t cf_store_size(const struct cf_blob *blob);
/*
 * If it is there already: keep it as if it came now.  *ret_there: it was, and
 * outlives a power failure.  CF_E_IO.
 */
CF_MUST_USE enum cf_err cf_store_renew(const struct cf_blob *blob,
    bool *ret_there, struct cf_why *why);
/*
 * Write it: no name or a temporary one, fsync, link into place, fsync of the
 * directory.  When it returns CF_OK the file outlives a power failure.  One
 * that is there by then is renewed instead.  *ret_made: the file is ours;
 * with an error, too, when nothing but the last step failed.
 * CF_E_IO, CF_E_FULL.
 */
CF_MUST_USE enum cf_err cf_store_put(const struct cf_blob *blob,
    bool *ret_made, struct cf_why *why);
/* Remove one that cf_store_put() made and nobody else can know yet. */
void cf_store_remove(const struct cf_blob *blob);
#endif
