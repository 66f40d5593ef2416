/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_rec - an event's record, read: lines of text, each of them checked.
 *
 *   counterfoil-event/v1
 *   type <word>
 *   ...	lines "name value", those that the type has, in their order
 *
 * Every record has one text only: names and order are fixed, a value is
 * printable ASCII in which '%' and two hexadecimal digits in capitals stand
 * for each other byte and for '%', b64url has no spare bits.  So what was
 * signed and hashed is what is read.
 *
 * Knows: the types of counterfoil-format(7) and their lines.
 * Does not know: what follows from them; HTTP, mail, SQL.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_EVIDENCE_RECORD_H
#define CF_COMMON_EVIDENCE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define CF_REC_MAX 200000		/* bytes: 100 recipients, encoded */
#define CF_REC_LINES_MAX 128

struct cf_rec_line {
	const char *name;
	const char *value;	/* as it stands there, encoded */
};

struct cf_rec {
	char *text;		/* what the lines point into */
	size_t count;
	struct cf_rec_line line[CF_REC_LINES_MAX];
};

/*
 * Read `len` bytes that must be one record, to the last LF.  *ret is the
 * caller's also after failure; cf_rec_free().
 * CF_E_SYNTAX: `why` says what is wrong.  Also a type that format(7) does not
 * have: a newer program is needed.
 */
CF_MUST_USE enum cf_err cf_rec_read(const char *text, size_t len,
    struct cf_rec *ret, struct cf_why *why);
void cf_rec_free(struct cf_rec *rec);

/* The value of the first line `name`, encoded; NULL: there is none. */
const char *cf_rec_value(const struct cf_rec *rec, const char *name);
/* Does the record's text of that name say just this?  Not encoded. */
bool cf_rec_says(const struct cf_rec *rec, const char *name,
    const char *text);
/* Does it have these bytes there, as b64url? */
bool cf_rec_has(const struct cf_rec *rec, const char *name,
    const void *bytes, size_t len);
/* Decode it; false: no such line, or not of that length. */
bool cf_rec_bytes(const struct cf_rec *rec, const char *name, void *ret,
    size_t len);
/* The time at which the key server says that it happened. */
int64_t cf_rec_time_ms(const struct cf_rec *rec);
/* Which event of its key it is, from 1. */
int64_t cf_rec_seq(const struct cf_rec *rec);
/*
 * The value's bytes, %-encoding undone.  Gives; NUL-terminated, and may hold
 * NULs, bytes that are no UTF-8, and whatever else somebody sent.
 */
char *cf_rec_decode(const char *value, size_t *ret_len);

#endif
