/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_subject - the Subject as a place for a tag, and as it stands outside.
 *
 * A tag counts at the very start of the Subject, so that neither a reply
 * ("Re: [receipt] ...") nor a quotation asks again; there in any case, and
 * within an encoded word (RFC 2047), too.
 * What is given for the outside is one line of printable ASCII.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_SUBJECT_H
#define CF_MILTER_SUBJECT_H

#include <stdbool.h>

#include "common/buf.h"

#define CF_SUBJECT_MAX 900	/* characters of one that we write */

/* `value`: of a Subject field, as the milter was shown it. */
bool cf_subject_has_tag(const char *value, const char *tag);
/* Append the value without the tag that it has, and the blanks behind. */
void cf_subject_untag(const char *value, const char *tag, struct cf_buf *ret);
/* Append any text as the value of a Subject field. */
void cf_subject_write(const char *text, struct cf_buf *ret);

#endif
