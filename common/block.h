/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_block - the header of a message as it stands in its bytes.
 *
 * A block is a run of fields "Name:value" with their folds, each line ended
 * by CR LF, without NUL and without any other CR or LF, names of visible
 * ASCII (RFC 5322 3.6.8, so no blank before the colon), up to an empty line.
 *
 * Knows: lines, folds, names.   Does not know: what any field means; fields
 * as a milter gives them (field.h).
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_BLOCK_H
#define CF_COMMON_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

/* A run of bytes, lent, not ended by anything. */
struct cf_span {
	const char *p;
	size_t len;
};

/*
 * Is the start of `m` a block?  Then *ret_len is the length of its fields,
 * without the empty line.
 */
bool cf_block_find(const char *m, size_t len, size_t *ret_len);
/* The first field of `name`, in any case, in a block; p is NULL: none. */
struct cf_span cf_block_field(const char *block, size_t len,
    const char *name);

/* Length of the field at `p` with its folds and last CRLF; 0 = no end. */
size_t cf_block_field_len(const char *p, size_t len);
/* Length of the name in front of the colon; 0 = no field. */
size_t cf_block_name_len(const char *p, size_t len);
/* Is it the field `name`, in any case? */
bool cf_block_name_is(const char *p, size_t len, const char *name);
/* No NUL, and CR and LF only together. */
bool cf_block_is_clean(const char *p, size_t len);

#endif
