/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_near_is_name - is something that is written nearly the flag?
 *
 * Knows: the flag's name, how people and programs spell it wrong, and the
 * grammar of its value.   Does not know: header and body.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_NEARNAME_H
#define CF_MILTER_NEARNAME_H

#include <stdbool.h>
#include <stddef.h>

static inline bool
cf_near_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
cf_near_is_wide(char c)
{
	return (unsigned char)c >= 0x80;
}

/* Neither seen nor said: a blank, a control character, a byte of 8 bits. */
static inline bool
cf_near_is_unseen(char c)
{
	return (c != '\0' && c <= ' ') || c == 0x7f || cf_near_is_wide(c);
}

static inline bool
cf_near_is_junk(char c)
{
	return c != '\0' && !cf_near_is_letter(c) && !(c >= '0' && c <= '9');
}

/* A field's name that is none of the flag, but meant to be it? */
bool cf_near_is_name(const char *name);
/* A line with nearly its name, a colon or none, and a value of the flag? */
bool cf_near_is_flag(const char *line);
/*
 * A field whose name, the first `name_length` bytes of the line, is its with
 * a slip or two, and a value of the flag behind it?
 */
bool cf_near_is_mistyped_field(const char *line, size_t name_length);
/* Its name with a colon somewhere in the text? */
bool cf_near_has_name(const char *text);

#endif
