/* SPDX-License-Identifier: Apache-2.0 */
/* edits - see edits.h. */
#include "milter/gateway/edits.h"

#include <string.h>

#include "common/mem.h"

#define FOLD_AT 76	/* columns of a line, if there is a blank to fold at */

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
