/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_file - whole files, durably.
 *
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_FILE_H
#define CF_COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/err.h"

/*
 * What errno says of `what`: CF_E_FULL when the disk or a quota is full, else
 * CF_E_IO.  The same wherever CF_E_IO stands below, and its likes.
 */
enum cf_err cf_file_fail(struct cf_why *why, const char *what);
/* `inner`, which may name no place, with the directory in front; gives `rc`. */
CF_MUST_USE enum cf_err cf_file_fail_in(const char *directory, enum cf_err rc,
    const struct cf_why *inner, struct cf_why *why);
/*
 * Write `len` bytes to a new file with `mode`: temporary name in the same
 * directory, fsync, link into place, fsync of the directory.  CF_E_IO if
 * `path` exists or anything fails; then no file of ours is left.
 */
CF_MUST_USE enum cf_err cf_file_write_new(const char *path, mode_t mode,
    const void *data, size_t len, struct cf_why *why);
/*
 * Put `len` bytes in place of what the file at `path` has; owner, group and
 * mode stay.  At any moment the old or the new is there, whole; so it is a new
 * file, by the old one's name.  CF_E_IO if anything fails.
 */
CF_MUST_USE enum cf_err cf_file_replace(const char *path, const void *data,
    size_t len, struct cf_why *why);
/*
 * Open `path` ("-" = standard input) for reading; the caller closes *ret_fd,
 * which is its own in any case.  CF_E_IO, with the path; so for a directory.
 */
CF_MUST_USE enum cf_err cf_file_open(const char *path, int *ret_fd,
    struct cf_why *why);
/*
 * Read all of `fd` or of `path` ("-" = standard input) into `buf`, up to its
 * ceiling.
 */
CF_MUST_USE enum cf_err cf_file_read_fd(int fd, struct cf_buf *buf,
    struct cf_why *why);
CF_MUST_USE enum cf_err cf_file_read(const char *path, struct cf_buf *buf,
    struct cf_why *why);
/* write(2) until all is written. */
CF_MUST_USE enum cf_err cf_file_write_all(int fd, const void *data, size_t len,
    struct cf_why *why);
/* Is there nothing of that name?  False if that cannot be seen. */
bool cf_file_is_absent(const char *path);
/*
 * See to it that `fd` has room for `len` bytes, which makes it so long.
 * CF_E_FULL or CF_E_IO, with `what`, if there is none; where nothing can be
 * promised, CF_OK.
 */
CF_MUST_USE enum cf_err cf_file_reserve(int fd, size_t len, const char *what,
    struct cf_why *why);
/* fsync the directory that holds `path`. */
CF_MUST_USE enum cf_err cf_file_sync_parent(const char *path,
    struct cf_why *why);
/* An unlinked 0600 temporary file in `dir` (O_TMPFILE or mkostemp+unlink). */
CF_MUST_USE enum cf_err cf_file_spool(const char *dir, int *ret_fd,
    struct cf_why *why);

#endif
