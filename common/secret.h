/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_secret - up to 64 bytes of key material that wipe themselves.
 *
 * A plain struct, so that it lives on the stack or inside a context; every
 * owner ends it with cf_secret_wipe() (CF_AUTO works).  Never printed, never
 * logged: nothing in log.h takes one.
 */
#ifndef CF_COMMON_SECRET_H
#define CF_COMMON_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define CF_SECRET_MAX 64

struct cf_secret {
	unsigned char bytes[CF_SECRET_MAX];
	size_t len;	/* 0 = empty */
};

#define CF_SECRET_EMPTY { { 0 }, 0 }

void cf_secret_wipe(struct cf_secret *s);
/* Copy `len` (<= CF_SECRET_MAX) bytes in; the source is the caller's. */
void cf_secret_set(struct cf_secret *s, const void *bytes, size_t len);
/* `len` fresh bytes from the private random generator; aborts if it fails. */
void cf_secret_random(struct cf_secret *s, size_t len);
/*
 * Fresh bytes that everybody may see (ids, nonces, salts), of a generator
 * whose output tells nothing of that of secrets; aborts if it fails.
 */
void cf_random(void *ret, size_t len);
/* Constant-time comparison. */
bool cf_secret_equal(const struct cf_secret *a, const struct cf_secret *b);
/*
 * b64url text <-> secret.  `text` need not be NUL-terminated.  The decoded
 * length must be `want_len`.  CF_E_SYNTAX otherwise; never echoes the text.
 */
CF_MUST_USE enum cf_err cf_secret_from_b64url(const char *text,
    size_t text_len, size_t want_len, struct cf_secret *ret,
    struct cf_why *why);
/* `out` takes CF_B64URL_LEN(s->len) + 1 bytes; the caller cleanses it. */
void cf_secret_to_b64url(const struct cf_secret *s, char *out);
/*
 * Read a one-line secret file: b64url of `want_len` bytes, optional final
 * newline.  Refuses (CF_E_CONFIG, `why` names the file) a file that others
 * than its owner can read or write, that is not regular, or that is owned
 * by somebody other than root or the running user (root itself may look at
 * everybody's: it does so before it becomes the user of a daemon).
 */
CF_MUST_USE enum cf_err cf_secret_read_file(const char *path,
    size_t want_len, struct cf_secret *ret, struct cf_why *why);
/*
 * Read a file with other text than that, by the same rules: its one line,
 * without its end, into `out` of `cap` bytes, with a NUL; `out` is all zero
 * on failure, else the caller cleanses it.  CF_E_CONFIG, also when the line is
 * longer, not the only one, or has a NUL.
 */
CF_MUST_USE enum cf_err cf_secret_read_line(const char *path, char *out,
    size_t cap, struct cf_why *why);
/*
 * Write such a file, 0600, fsynced and renamed into place.  An existing file
 * is not overwritten (CF_E_IO).
 */
CF_MUST_USE enum cf_err cf_secret_write_file(const char *path,
    const struct cf_secret *s, struct cf_why *why);
/*
 * Read such a file; when there is none, make one with a fresh secret, and set
 * *ret_made (else false).  Of several processes that do so at the same time
 * all get the same secret.  CF_E_CONFIG; CF_E_IO and CF_E_FULL: it could not
 * be made.
 */
CF_MUST_USE enum cf_err cf_secret_read_or_make(const char *path, size_t len,
    struct cf_secret *ret, bool *ret_made, struct cf_why *why);
/*
 * Keep the pages with these `len` bytes, which hold secrets for long, out of
 * swap.  CF_E_CONFIG: it is not allowed, `why` says what to do; they serve as
 * well without.
 */
CF_MUST_USE enum cf_err cf_secret_keep_in_memory(const void *p, size_t len,
    struct cf_why *why);
/* The permission check alone, for key files in other formats (PEM). */
CF_MUST_USE enum cf_err cf_secret_check_file(const char *path,
    struct cf_why *why);

#endif
