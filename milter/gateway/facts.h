/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_facts - what a message shows before its body, as far as the flag goes.
 *
 * Knows: fields that say who wrote a message, for whom, and what it asks for.
 * Does not know: what is done about it (flag.h).
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_FACTS_H
#define CF_MILTER_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/field.h"
#include "milter/gateway/nearflag.h"
#include "milter/gateway/snapshot.h"
#include "milter/gateway/want.h"

/* All zero at the beginning; the envelope is noted by whoever sees it. */
struct cf_facts {
	bool entitled;		/* the client may use the flag */
	bool other_login;	/* authenticated as another than the sender */
	bool null_sender;
	size_t recipients;	/* in the transaction */
	size_t local;		/* of these, in local_domains */
	size_t flags;		/* number of flag fields */
	/* Of the first, trimmed; one more than may be, to tell. */
	char flag_value[CF_WANT_MAX + 2];
	const char *sender, *recipient;		/* the first; lends */
	int asks;		/* enum cf_trigger, of those that are on */
	int off;		/* another that asks and is off, or 0 */
	size_t subjects;	/* number of Subject fields so far */
	bool ruled;		/* a rule for a recipient says receipt=always */
	bool sealed_type;	/* Content-Type is that of our sealed mail */
	size_t markers;		/* number of Counterfoil-Version fields */
	bool marker_known;	/* the first says version 1 */
	bool report;		/* Content-Type: a DSN or MDN */
	const char *list;	/* what says that it is list mail, or NULL */
	bool automatic;		/* Auto-Submitted, and not no */
	bool header_over;	/* more than header_limit or header_count */
	bool field_cut;		/* one is so long that its end may be missing */
	struct cf_near_header near;	/* a flag that is none */
};

/* Note one field of the header. */
void cf_facts_note(const struct cf_snapshot *snapshot, struct cf_facts *facts,
    const struct cf_field *field);

#endif
