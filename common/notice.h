/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_notice - the text that a recipient reads before opening the message.
 *
 * For somebody who never heard of Counterfoil: who sent it, what opening it
 * records, the link, what to do if the link does not work.  It claims no
 * more than its maker knows.  The HTML has no image, no script, nothing to
 * load, and shows the link it leads to.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_NOTICE_H
#define CF_COMMON_NOTICE_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

#define CF_NOTICE_MAX 16384	/* bytes of one notice */

struct cf_notice {
	/* Address (untrusted) or ""; not named unless plain. */
	const char *sender;
	bool sender_known;	/* this gateway knows that it is the sender's */
	const char *service;	/* key server, "https://keys.example" */
	const char *link;	/* the reader link */
};

/*
 * Append both texts, UTF-8, lines end in LF.
 * CF_E_TOO_LARGE  over the ceiling of a buffer
 */
CF_MUST_USE enum cf_err cf_notice_build(const struct cf_notice *notice,
    struct cf_buf *text, struct cf_buf *html, struct cf_why *why);

#endif
