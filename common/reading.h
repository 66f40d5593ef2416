/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_reading - E and L in whatever became of a sealed mail.
 *
 * Lists, gateways and mail programs put parts around P, write its header
 * fields anew, take some away and change encodings; people save the mail, the
 * part or its text.  None of them changes E and L, so these are found by what
 * they are and not by where they stand: no MIME structure is asked for, and
 * no label believed.  counterfoil-format(7) has the rule, which the page
 * follows too.
 *
 * Knows: how E, L and the encodings of mail look.
 * Does not know: the structure of P, what notices say, allow lists.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_READING_H
#define CF_COMMON_READING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/bulk.h"
#include "common/container.h"
#include "common/err.h"
#include "common/link.h"

#define CF_READING_PARTS 16	/* different E's in one file */

/* One E, and the L that was found for it. */
struct cf_sealed {
	struct cf_bulk bulk;			/* where it is kept */
	struct cf_buf e;			/* DER; lends from `bulk` */
	struct cf_container container;		/* lends from `e` */
	char handle[CF_HANDLE_LEN + 1];		/* its key id */
	bool has_link;
	struct cf_link link;			/* L; a secret */
};

/* What became of a link that does not help however it is copied. */
enum cf_reading_lost {
	CF_LOST_NONE,
	CF_LOST_OPAQUE,	/* a service's stands there: perhaps in its place */
	CF_LOST_CUT,	/* its end is missing */
	CF_LOST_ALIKE	/* its letters were made alike */
};

struct cf_reading {
	struct cf_sealed part[CF_READING_PARTS];	/* in their order */
	size_t count;		/* 1 or more */
	bool bare;		/* the file is E, but for blanks behind it */
	/* What was wrong with an L that stood there; "" = nothing did. */
	struct cf_why no_link;
	enum cf_reading_lost lost;
};

/* A file that may be large. */
struct cf_reading_file {
	const void *bytes;
	size_t len;
	bool mapped;		/* read-only: what was read may be dropped */
	/* Where E, and what is decoded on the way to it, go; NULL: memory. */
	const struct cf_bulk_place *place;
};

/*
 * Find every E in `file` (untrusted: a mail, an mbox, the attachment, or its
 * text) and for each the L with its key id, from a Counterfoil-Locator field
 * before one from the text of the notice.  The first E of a key id counts.
 * Fills *ret; free with cf_reading_free().  Untouched on failure.
 * CF_E_NOT_SEALED  there is no E
 * CF_E_CONTAINER   what is there is cut off, changed, or not of the one form
 * CF_E_FULL, CF_E_IO  the place
 */
CF_MUST_USE enum cf_err cf_reading_parse_file(
    const struct cf_reading_file *file, struct cf_reading *ret,
    struct cf_why *why);
/* The same for `len` bytes, all in memory. */
CF_MUST_USE enum cf_err cf_reading_parse(const void *file, size_t len,
    struct cf_reading *ret, struct cf_why *why);
void cf_reading_free(struct cf_reading *reading);	/* wipes */

#endif
