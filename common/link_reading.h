/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_link_reading - a text as it may have been before programs on its way
 * changed the link in it.
 *
 * The page reads by the same rules (common/web/src/readings.ts).
 *
 * Knows: invisible characters, HTML, quoted-printable, Markdown, JSON, and
 * the services that rewrite links.   Does not know: what a link is.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_LINK_READING_H
#define CF_COMMON_LINK_READING_H

#include <stdbool.h>

#include "common/buf.h"

#define CF_LINK_READING_MAX 16384	/* bytes of a text; the rest is cut */

/*
 * Take out what programs put into a text: escapes, invisible characters, what
 * keeps a link from being clicked.  `joined`: white space within it, too.
 * `text` is a secret buffer, written anew.  False: nothing was in it, and it
 * is as it was.
 */
bool cf_link_reading_clean(struct cf_buf *text, bool joined);
/* One step back of what rewriters do; a text may need several.  False: none. */
bool cf_link_reading_undo(struct cf_buf *text);

#endif
