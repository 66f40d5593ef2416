/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_visible - names, addresses and other text from outside, as people see it.
 *
 * One line in which every character can be seen: what would start a line,
 * turn the writing direction or hide is U+FFFD, a run of blanks of any width
 * is one blank, and none stands at the ends.  The cases that the page holds
 * to as well: tests/vectors/visible.json.
 *
 * Does not know: HTML, MIME, terminals.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_VISIBLE_H
#define CF_COMMON_VISIBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/*
 * Append the visible form of `text` (any bytes; those that are not UTF-8
 * count as hidden), but no more than it has after its first `max` bytes:
 * then "..." stands at its end.
 * Text with letters written from right to left is put between U+2068 and
 * U+2069, so that it cannot move what stands beside it.
 */
void cf_visible_add(struct cf_buf *out, const char *text, size_t max);
/* Does the character show, and take part in no trick?  No blank does. */
bool cf_visible_char(uint32_t point);
/*
 * The character at the first of `len` > 0 bytes: its length and code point,
 * or 0 if they are not UTF-8.
 */
size_t cf_utf8_char(const char *s, size_t len, uint32_t *ret_point);

#endif
