/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_b64 - base64 in lines, as a mail carries it (RFC 2045 6.8).
 *
 * For links, JSON and files there is b64url.h.
 * Threads: no shared state; a table is only read.   Logging: never.
 */
#ifndef CF_COMMON_B64_H
#define CF_COMMON_B64_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define CF_B64_LINE_IN 57	/* bytes make one full line */
#define CF_B64_LINE_OUT 78	/* of 76 characters and CRLF */
#define CF_B64_PAIRS 4096

/* What speeds up a long text: the characters of each twelve bits. */
struct cf_b64_table {
	char pair[CF_B64_PAIRS][2];
};

void cf_b64_fill(struct cf_b64_table *table);
/*
 * One line of `len` (at most CF_B64_LINE_IN) bytes, with its CRLF, to `out`,
 * which takes CF_B64_LINE_OUT bytes.  How many it had.
 */
size_t cf_b64_line(const struct cf_b64_table *table, const void *bytes,
    size_t len, unsigned char *out);
/* Append `len` bytes in lines, the last one with its CRLF, too. */
void cf_b64_add(struct cf_buf *out, const void *bytes, size_t len);
/* How many characters that are. */
uint64_t cf_b64_size(uint64_t len);

#endif
