/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_buf - a growing byte buffer born with its ceiling.
 *
 * Invariants: len < cap unless data is NULL; data[len] is always NUL; len
 * never exceeds `max`.  A refused append leaves the buffer as it was and
 * sets `full`, which stays set, so a run of appends is checked once.
 * Threads: no shared state.
 */
#ifndef CF_COMMON_BUF_H
#define CF_COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct cf_buf {
	char *data;	/* NULL until the first byte */
	size_t len;	/* bytes in use, without the NUL */
	size_t cap;	/* bytes allocated */
	size_t max;	/* the ceiling for len */
	bool full;	/* an append was refused */
	bool wipe;	/* holds secrets: cleansed on growth and on free */
};

#define CF_BUF_INIT(max_len) { NULL, 0, 0, (max_len), false, false }
#define CF_BUF_INIT_SECRET(max_len) { NULL, 0, 0, (max_len), false, true }

void cf_buf_add(struct cf_buf *buf, const void *data, size_t len);
void cf_buf_adds(struct cf_buf *buf, const char *s);
void cf_buf_addc(struct cf_buf *buf, char c);
void cf_buf_addf(struct cf_buf *buf, const char *fmt, ...) CF_PRINTF(2, 3);
/* Make room for `len` more bytes at once.  False if over the ceiling. */
bool cf_buf_reserve(struct cf_buf *buf, size_t len);
/* The text, never NULL.  Lends: until the next change. */
const char *cf_buf_str(const struct cf_buf *buf);
/* CF_OK, or CF_E_TOO_LARGE when an append was refused. */
CF_MUST_USE enum cf_err cf_buf_check(const struct cf_buf *buf,
    struct cf_why *why);
/* len = 0, full = false; the memory stays. */
void cf_buf_reset(struct cf_buf *buf);
/* Gives the bytes (NUL-ended) to the caller; the buffer is empty after. */
char *cf_buf_take(struct cf_buf *buf, size_t *ret_len);
/* Free the bytes, not the struct, which may be used again. */
void cf_buf_free(struct cf_buf *buf);

#endif
