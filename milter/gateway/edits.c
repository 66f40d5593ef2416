/* SPDX-License-Identifier: Apache-2.0 */
/* cf_edits - see edits.h. */
#include "milter/gateway/edits.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/wire.h"

#define FOLD_AT 76	/* columns of a line, if there is a blank to fold at */

/* Fields that stand outside exactly once, with a value of ours. */
enum fixed { FIXED_MIME, FIXED_TYPE, FIXED_VERSION, FIXED__COUNT };

static const char *const fixed_name[FIXED__COUNT] = {
	"MIME-Version", "Content-Type", CF_VERSION_FIELD
};

static enum fixed
fixed_of(const char *name)
{
	int i = 0;

	while (i < FIXED__COUNT && !cf_field_is(name, fixed_name[i]))
		i++;
	return (enum fixed)i;
}

static bool
goes(const char *name)
{
	return cf_mform_drops(name) || cf_mform_is_structural(name) ||
	    cf_field_is(name, "Disposition-Notification-To") ||
	    cf_field_is(name, "Return-Receipt-To") ||
	    /* Of the body that goes; a signer behind us makes a new one. */
	    cf_field_is(name, "DKIM-Signature");
}

/* Which one of its name fields[i] is, from 1. */
static unsigned
instance(const struct cf_field *fields, size_t i)
{
	unsigned n = 1;
	size_t k;

	for (k = 0; k < i; k++)
		if (strcasecmp(fields[k].name, fields[i].name) == 0)
			n++;
	return n;
}

static void
add_edit(struct cf_edits *list, enum cf_edit_kind kind, const char *name,
    unsigned index, const char *value)
{
	struct cf_edit edit = { kind, name, index, value };

	list->item[list->count++] = edit;
}

static void
add_outer(struct cf_edits *list, const char *name, const char *value)
{
	struct cf_field field = { name, value };

	list->outer[list->outer_count++] = field;
}

void
cf_edits_make(const struct cf_field *fields, size_t count,
    const char *boundary, struct cf_edits *ret)
{
	const char *value[FIXED__COUNT] = { " 1.0", NULL, " 1" };
	bool there[FIXED__COUNT] = { false };
	struct cf_edits list = { 0 };
	enum fixed f;
	size_t i;

	list.content_type = cf_asprintf(" multipart/mixed; boundary=\"%s\"",
	    boundary);
	value[FIXED_TYPE] = list.content_type;
	list.item = cf_calloc(count + FIXED__COUNT, sizeof *list.item);
	list.outer = cf_calloc(count + FIXED__COUNT, sizeof *list.outer);
	for (i = 0; i < count; i++) {
		f = fixed_of(fields[i].name);
		if (f < FIXED__COUNT && !there[f]) {
			there[f] = true;
			/* An edit costs the mail server a look at its file. */
			if (strcmp(fields[i].value, value[f]) != 0)
				add_edit(&list, CF_EDIT_CHANGE,
				    fields[i].name, 1, value[f] + 1);
			add_outer(&list, fields[i].name, value[f]);
		} else if (f == FIXED__COUNT && !goes(fields[i].name)) {
			add_outer(&list, fields[i].name, fields[i].value);
		}
	}
	/* Downwards, so that no deletion moves an index still to come. */
	for (i = count; i-- > 0; ) {
		f = fixed_of(fields[i].name);
		if (f == FIXED__COUNT ? goes(fields[i].name) :
		    instance(fields, i) > 1)
			add_edit(&list, CF_EDIT_DELETE, fields[i].name,
			    instance(fields, i), NULL);
	}
	for (i = 0; i < FIXED__COUNT; i++) {
		if (there[i])
			continue;
		add_edit(&list, CF_EDIT_ADD, fixed_name[i], 0, value[i] + 1);
		add_outer(&list, fixed_name[i], value[i]);
	}
	*ret = list;
}

void
cf_edits_free(struct cf_edits *edits)
{
	static const struct cf_edits none;

	free(edits->item);
	free(edits->outer);
	free(edits->content_type);
	*edits = none;
}

/* ---- doing them ---- */

/* Printable ASCII on one line: whoever made it is wrong if it is not. */
static bool
is_fit(const char *value)
{
	const char *p;

	for (p = value; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			return false;
	return p - value < CF_LINE_MAX;
}

/* "; boundary=..." on a line of its own when the field gets too long. */
static void
fold(struct cf_buf *out, size_t column, const char *value)
{
	const char *blank, *next;

	for (;;) {
		if (column + strlen(value) <= FOLD_AT)
			break;
		blank = NULL;
		for (next = strchr(value, ' '); next != NULL &&
		    (blank == NULL || column + (size_t)(next - value) <=
		    FOLD_AT); next = strchr(next + 1, ' '))
			blank = next;
		if (blank == NULL || blank == value)
			break;
		cf_buf_add(out, value, (size_t)(blank - value));
		cf_buf_adds(out, "\n ");
		value = blank + 1;
		column = 1;
	}
	cf_buf_adds(out, value);
}

static bool
apply_one(const struct cf_edit *edit, const struct cf_edit_ops *ops)
{
	CF_AUTO(cf_buf_free) struct cf_buf value = CF_BUF_INIT(4 * CF_LINE_MAX);
	/* A mail server finds fields by the name without blanks behind it. */
	CF_AUTO(cf_free) char *name =
	    cf_strndup(edit->name, strcspn(edit->name, " \t"));

	if (edit->kind == CF_EDIT_DELETE)
		return ops->change(ops->arg, name, edit->index, NULL);
	if (ops->leadspc)
		cf_buf_addc(&value, ' ');
	fold(&value, strlen(name) + 2, edit->value);
	if (edit->kind == CF_EDIT_ADD)
		return ops->add(ops->arg, name, cf_buf_str(&value));
	return ops->change(ops->arg, name, edit->index, cf_buf_str(&value));
}

enum cf_err
cf_edits_apply(const struct cf_edits *edits, const struct cf_edit_ops *ops,
    struct cf_why *why)
{
	size_t i;

	for (i = 0; i < edits->count; i++)
		if (edits->item[i].kind != CF_EDIT_DELETE &&
		    (edits->item[i].value == NULL || *edits->item[i].value ==
		    '\0' || !is_fit(edits->item[i].value)))
			return cf_fail(CF_E_INTERNAL, why,
			    "a value for %s is not fit for a header",
			    edits->item[i].name);
	for (i = 0; i < edits->count; i++)
		if (!apply_one(&edits->item[i], ops))
			return cf_fail(CF_E_NETWORK, why,
			    "the mail server did not take an edit of %s",
			    edits->item[i].name);
	return CF_OK;
}

/* ---- more of them ---- */

static struct cf_edit *
append(struct cf_edits *edits)
{
	edits->item = cf_realloc(edits->item, edits->count + 1,
	    sizeof *edits->item);
	memset(&edits->item[edits->count], 0, sizeof *edits->item);
	return &edits->item[edits->count++];
}

/* Set the first `name` outside, or add it. */
static void
set_first(struct cf_edits *edits, const char *name, const char *value)
{
	struct cf_edit *edit = append(edits);
	size_t i;

	edit->kind = CF_EDIT_ADD;
	edit->name = name;
	edit->value = value + 1;
	for (i = 0; i < edits->outer_count; i++)
		if (cf_field_is(edits->outer[i].name, name)) {
			edit->kind = CF_EDIT_CHANGE;
			edit->index = 1;
			break;
		}
	if (i == edits->outer_count) {
		edits->outer = cf_realloc(edits->outer, i + 1,
		    sizeof *edits->outer);
		edits->outer_count++;
	}
	edits->outer[i].name = name;
	edits->outer[i].value = value;
}

void
cf_edits_set_message_id(struct cf_edits *edits, const char *value)
{
	set_first(edits, "Message-ID", value);
}

/* Delete the from-th to to-th `name` outside, from the last one up. */
static void
delete_outer(struct cf_edits *edits, const char *name, unsigned from,
    unsigned to)
{
	struct cf_edit *edit;
	unsigned index = 0;
	size_t i, kept = 0;

	for (i = 0; i < edits->outer_count; i++)
		if (!cf_field_is(edits->outer[i].name, name) ||
		    ++index < from || index > to)
			edits->outer[kept++] = edits->outer[i];
	edits->outer_count = kept;
	for (index = to; index >= from; index--) {
		edit = append(edits);
		edit->kind = CF_EDIT_DELETE;
		edit->name = name;
		edit->index = index;
	}
}

void
cf_edits_set_subject(struct cf_edits *edits, bool alone, const char *value)
{
	static const char name[] = "Subject";
	unsigned count = 0;
	size_t i;

	for (i = 0; i < edits->outer_count; i++)
		if (cf_field_is(edits->outer[i].name, name))
			count++;
	if (value[1] != '\0')
		set_first(edits, name, value);
	else if (count > 0)
		delete_outer(edits, name, 1, 1);
	if (alone && count > 1)
		delete_outer(edits, name, 2, count);
}

void
cf_edits_delete_count(struct cf_edits *edits, size_t count, const char *name)
{
	struct cf_edit *edit;

	for (; count > 0; count--) {
		edit = append(edits);
		edit->kind = CF_EDIT_DELETE;
		edit->name = name;
		edit->index = (unsigned)count;
	}
}

void
cf_edits_delete_all(struct cf_edits *edits, const struct cf_field *fields,
    size_t count, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		if (cf_field_is(fields[i].name, name))
			n++;
	cf_edits_delete_count(edits, n, name);
}
