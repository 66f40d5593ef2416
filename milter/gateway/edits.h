/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_edits - what a sealed message changes in its header, and how that is done
 * through a milter's hands.
 *
 * One place writes header fields: it knows about the blank behind the colon,
 * refuses line ends, NUL and 8-bit in values, folds long ones, and stops at
 * the first failure.
 * Knows: which fields stand outside P.   Does not know: libmilter.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_EDITS_H
#define CF_MILTER_EDITS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/composite.h"
#include "common/err.h"
#include "common/mform.h"

/*
 * One edit, to be done in the order of the list.  `index` counts from 1
 * among the fields of that name (any case) as they stand BEFORE all edits;
 * the list deletes from the highest index down, so it means the same to
 * Postfix and to Sendmail.  Values have no leading blank and no line end.
 */
enum cf_edit_kind {
	CF_EDIT_CHANGE,		/* set the value of the index-th `name` */
	CF_EDIT_DELETE,		/* remove it; value is NULL */
	CF_EDIT_ADD		/* append a field; index is 0 */
};

struct cf_edit {
	enum cf_edit_kind kind;
	const char *name;	/* lends: from the fields, or static */
	unsigned index;
	const char *value;	/* lends: from the list, or static */
};

struct cf_edits {
	struct cf_edit *item;
	size_t count;
	/* The header as it will be outside, in order; lends likewise. */
	struct cf_field *outer;
	size_t outer_count;
	char *content_type;	/* P's, with one leading blank */
};

/*
 * What must change in the outer header of the message with `fields`, so that
 * P stands behind it: the flag, Bcc, Resent-Bcc, Disposition-Notification-To,
 * Return-Receipt-To, DKIM-Signature and every Content-* field but one
 * Content-Type go;
 * MIME-Version, Content-Type and Counterfoil-Version are there once, with
 * P's values.  All else stays.  `boundary` is CF_BOUNDARY_LEN characters.
 * ret->outer is what cf_mform_head() wants as `outer`.
 * Fills *ret; free with cf_edits_free().  `fields` must live as long.
 */
void cf_edits_make(const struct cf_field *fields, size_t count,
    const char *boundary, struct cf_edits *ret);
void cf_edits_free(struct cf_edits *edits);

/* What a milter can do to a header; each true when it was told. */
struct cf_edit_ops {
	/* Set the index-th `name` (from 1), or delete it: value NULL. */
	bool (*change)(void *arg, const char *name, unsigned index,
	    const char *value);
	bool (*add)(void *arg, const char *name, const char *value);
	void *arg;
	bool leadspc;	/* the value is written with its leading blank */
};

/*
 * Check all values, then do the edits in order.
 * CF_E_INTERNAL  a value is not fit for a header; nothing was done
 * CF_E_NETWORK   an edit was not taken; the message must not go on
 */
CF_MUST_USE enum cf_err cf_edits_apply(const struct cf_edits *edits,
    const struct cf_edit_ops *ops, struct cf_why *why);

/*
 * Say that the message shall be called so outside: changes the first
 * Message-ID field, or adds one, here and in edits->outer.  `value` begins
 * with a blank, which is no part of it, and lives as long as `edits`.
 */
void cf_edits_set_message_id(struct cf_edits *edits, const char *value);
/*
 * Say what the Subject shall be outside: changes the first one, or adds it,
 * here and in edits->outer; `alone`: there is no other beside it.  `value` as
 * above; nothing behind its blank deletes the first Subject.
 */
void cf_edits_set_subject(struct cf_edits *edits, bool alone,
    const char *value);
/* Delete every field called `name` of `fields`, from the last one up. */
void cf_edits_delete_all(struct cf_edits *edits,
    const struct cf_field *fields, size_t count, const char *name);
/* The same where only their number is known. */
void cf_edits_delete_count(struct cf_edits *edits, size_t count,
    const char *name);

#endif
