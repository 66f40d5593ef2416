/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_scan - one file that cf_reading_parse() takes apart, and what was found
 * in it so far.  For common/reading.c and common/scan_*.c alone.
 *
 * The file is a text with others in it, in encodings; each is looked through
 * by cf_scan_text(), for E, for L, and for encodings.
 *
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_SCAN_H
#define CF_COMMON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/bulk.h"
#include "common/pages.h"
#include "common/reading.h"

/* What a hostile file can make us do; counterfoil-format(7) has them too. */
#define CF_SCAN_DEPTH_MAX 8	/* encodings around one another */
#define CF_SCAN_LAYERS_MAX 1000	/* decoded texts in all */
#define CF_SCAN_GROWTH_MAX 4	/* times the file: their bytes in all */
#define CF_SCAN_ATTEMPTS_MAX 32	/* E's that are decoded whole and are none */
#define CF_SCAN_LINKS_MAX 256	/* different L's */
#define CF_SCAN_WORDS_MAX (512 * 1024)	/* bytes of words, and of fields,
					 * with an L */
#define CF_SCAN_B64_LINE 60	/* a longer line of base64 is no text */

struct cf_scan_link {
	struct cf_link link;
	bool in_field;
};

struct cf_scan {
	struct cf_reading reading;
	const struct cf_bulk_place *place;	/* of what is decoded */
	enum cf_err failed;
	struct cf_why failure;
	bool begins;		/* the file, with E as it is */
	struct cf_scan_link *link;
	size_t link_count;
	size_t attempts, layers;
	size_t words, fields;	/* their bytes, so far */
	size_t left;		/* bytes that may still be decoded */
	struct cf_why damage;	/* of what looked like E */
	bool packed, packed_whole;	/* zip or the like: in it; all of it */
};

/* One text, of the file or decoded.  Whoever reads on in it says so. */
struct cf_scan_text {
	const char *p, *end;
	int depth;		/* how many others it lies within */
	struct cf_pages pages;
	/* The most lines of base64 that are E, and nothing but that. */
	const char *e_lines, *e_lines_end;
};

static inline void
cf_scan_pass(struct cf_scan_text *text, const char *at)
{
	cf_pages_pass(&text->pages, at);
}

/*
 * Where to go on at the beginning of a line: behind the lines of E.  Each has
 * CF_SCAN_B64_LINE characters or more, all of base64, so that whoever looks for
 * words, fields or encodings would find nothing there.
 */
static inline const char *
cf_scan_over(const struct cf_scan_text *text, const char *line)
{
	return line == text->e_lines ? text->e_lines_end : line;
}

/* reading.c: all there is in one text. */
void cf_scan_text(struct cf_scan *s, struct cf_scan_text *text);
/* The first error of writing to a file; it ends the scan. */
void cf_scan_fail(struct cf_scan *s, const struct cf_bulk *bulk);

/* scan_sealed.c: every E, as it is and in base64. */
void cf_scan_sealed(struct cf_scan *s, struct cf_scan_text *text);
/* The length of the E that begins with this base64, 0 = none does. */
size_t cf_scan_b64_total(const char *p, const char *end);
/* A character's value + 1; 0: it is none of base64. */
extern const unsigned char cf_scan_b64_value[256];
/*
 * Decode up to `want` bytes of base64 from `p` on and add them to `out`, over
 * all that is none (RFC 2045 6.8), to a line that begins with "--": there the
 * part ends.  Padding ends a piece, and another may follow.  Gives the place
 * behind.
 */
const char *cf_scan_b64(struct cf_scan_text *text, const char *p,
    const char *end, size_t want, struct cf_bulk *out);

/* scan_links.c: every L, in fields and in words. */
void cf_scan_links(struct cf_scan *s, struct cf_scan_text *text);
/* Each E gets the L with its key id. */
void cf_scan_match_links(struct cf_scan *s);

/* scan_layers.c: what is written in another encoding, each as a text. */
void cf_scan_layers(struct cf_scan *s, struct cf_scan_text *text);

#endif
