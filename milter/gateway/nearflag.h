/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_near - a flag that the mail server does not take for a header field.
 *
 * Its sender wants a receipt, and without a word the message would go out in
 * clear.  Postfix and Sendmail take for a field what begins a line with
 * printable ASCII without blanks, then blanks or none, then a colon.  A line
 * that is neither that nor a fold ends the header: it and all fields behind
 * it are the beginning of the body.  So a flag can be seen in three places:
 * a field of nearly that name, a fold of the field before, and a run of
 * fields at the beginning of the body.
 *
 * Only the way it is written makes a flag a near one: what stands between,
 * before or behind the letters of its name, letters that only look like
 * them, the two that people mix up in "receipt"; and in the name of a field
 * one or two letters that are wrong.  Any other name is another field.
 *
 * Knows: the flag's name and grammar.   Does not know: who may use it.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_NEARFLAG_H
#define CF_MILTER_NEARFLAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/mform.h"
#include "milter/gateway/want.h"

/* Fields that nearly every mail program writes. */
enum cf_near_usual {
	CF_HAS_FROM = 1, CF_HAS_TO = 2, CF_HAS_CC = 4, CF_HAS_SUBJECT = 8,
	CF_HAS_DATE = 16, CF_HAS_MESSAGE_ID = 32, CF_HAS_MIME = 64,
	CF_HAS_TYPE = 128
};

#define CF_NEAR_SHOWN 60	/* bytes of what was found, for the reply */
#define CF_NEAR_LINE (CF_WANT_MAX + 200)	/* of a line looked at */

enum cf_near {
	CF_NEAR_NONE,
	CF_NEAR_UNDECIDED,	/* the beginning of the body goes on */
	CF_NEAR_NAME,		/* a field of a name that is nearly it */
	CF_NEAR_FOLD,		/* a fold of another field */
	CF_NEAR_BODY,		/* behind the end of the header */
	CF_NEAR__COUNT
};

/* What a header showed; all zero at its beginning. */
struct cf_near_header {
	uint32_t fields;	/* usual fields that it has, one bit each */
	bool is_message;	/* the body is said to be a header itself */
	enum cf_near found;	/* NONE, NAME or FOLD */
	char shown[CF_NEAR_SHOWN + 1];	/* the first: its name or field */
};

/* The beginning of a body, line by line. */
struct cf_near_body {
	uint32_t header, run;	/* usual fields: of the header, of this */
	size_t lines;		/* folds not counted */
	bool in_line;		/* behind the first byte of one */
	bool first;		/* the first line is a flag */
	bool flag;		/* there is one with a value of its grammar */
	bool named;		/* one with any value */
	bool ender;		/* the first line is no field: it may have */
	bool broken;		/* ended the header; and it looks like one */
	size_t len;		/* of the line so far; may be more than kept */
	char line[CF_NEAR_LINE + 1];
};

/* The length of the field's name that a line begins with; 0: mail servers see
 * no field there. */
size_t cf_near_field_name(const char *line);
/* The bit of a field that nearly every mail program writes, or 0. */
uint32_t cf_near_usual_bit(const char *name, size_t len);
/* A field that mail programs write, if not all of them? */
bool cf_near_is_known(const char *name, size_t len);

/* Note a field that is not the flag itself. */
void cf_near_note(struct cf_near_header *header,
    const struct cf_field *field);

/*
 * Does the body go on with a header that ended too early, and is the flag in
 * it?  `len` bytes at a time, cut anywhere; UNDECIDED asks for more, any
 * other answer is the last.  After the last byte cf_near_body_end() decides.
 */
void cf_near_body_begin(struct cf_near_body *body,
    const struct cf_near_header *header);
enum cf_near cf_near_body_feed(struct cf_near_body *body, const void *data,
    size_t len);
enum cf_near cf_near_body_end(struct cf_near_body *body);

#endif
