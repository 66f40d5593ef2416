/* SPDX-License-Identifier: Apache-2.0 */
/* cf_facts - see facts.h. */
#include "milter/gateway/facts.h"

#include <string.h>
#include <strings.h>

#include "common/wire.h"
#include "milter/gateway/subject.h"
#include "milter/gateway/trigger.h"

#define FIELD_SHOWN 60000	/* bytes of a field that Postfix shows */
#define LINE_USUAL 1000		/* CF_LINE_MAX and CRLF */

/* Is the word at the start of `value` this one?  Any case. */
static bool
first_word_is(const char *value, const char *word)
{
	size_t len = strlen(word);

	value = cf_field_after_cfws(value);
	return strncasecmp(value, word, len) == 0 &&
	    (value[len] == '\0' || strchr(" \t\r\n(;", value[len]) != NULL);
}

/* A delivery status or a disposition notification (RFC 3462, 8098)? */
static bool
is_report(const char *value)
{
	static const char report[] = "multipart/report", message[] = "message/";

	value = cf_field_after_cfws(value);
	return (strncasecmp(value, report, sizeof report - 1) == 0 ||
	    strncasecmp(value, message, sizeof message - 1) == 0) &&
	    (strcasestr(value, "delivery-status") != NULL ||
	    strcasestr(value, "disposition-notification") != NULL);
}

/* List software and mass mailers call their mail so; NULL: not this. */
static const char *
precedence_of_lists(const char *value)
{
	if (first_word_is(value, "list"))
		return "Precedence: list";
	if (first_word_is(value, "bulk"))
		return "Precedence: bulk";
	return first_word_is(value, "junk") ? "Precedence: junk" : NULL;
}

/* This asks by a trigger.  One that is off is remembered, to say so. */
static void
note_trigger(const struct cf_snapshot *s, struct cf_facts *facts,
    enum cf_trigger trigger)
{
	if ((s->conf.triggers & (int)trigger) != 0)
		facts->asks |= (int)trigger;
	else
		facts->off = (int)trigger;
}

/* It does if the field has this name and any value. */
static void
note_asking(const struct cf_snapshot *s, struct cf_facts *facts,
    const struct cf_field *field, const char *name, enum cf_trigger trigger)
{
	if (cf_field_is(field->name, name) &&
	    *cf_field_after_cfws(field->value) != '\0')
		note_trigger(s, facts, trigger);
}

/* The type of what we make; who wants to look like it gains nothing. */
static bool
is_sealed_type(const char *value)
{
	static const char ours[] = "multipart/mixed", boundary[] =
	    "boundary=\"=_cf_";

	value = cf_field_after_cfws(value);
	return strncasecmp(value, ours, sizeof ours - 1) == 0 &&
	    strstr(value, boundary) != NULL;
}

static void
note_subject(const struct cf_snapshot *s, struct cf_facts *facts,
    const char *value)
{
	/* The one that programs show. */
	if (facts->subjects++ == 0 &&
	    cf_subject_has_tag(value, s->conf.subject_tag))
		note_trigger(s, facts, CF_TRIGGER_SUBJECT);
}

/*
 * Postfix shows a field up to 60000 bytes, and cuts it at the end of a line
 * if there is one near: what comes close to that may lack its end.
 */
static bool
may_be_cut(const struct cf_field *field)
{
	size_t len = strlen(field->name) + 1 + strlen(field->value);
	size_t line = LINE_USUAL, n;
	const char *p;

	if (len + LINE_USUAL > FIELD_SHOWN)
		return true;
	if (len < FIELD_SHOWN / 2 || strchr(field->value, '\n') == NULL)
		return false;
	for (p = field->value; *p != '\0'; p += n + (p[n] != '\0')) {
		n = strcspn(p, "\n");
		if (n > line)
			line = n;
	}
	return len + line + 1 > FIELD_SHOWN;
}

void
cf_facts_note(const struct cf_snapshot *snapshot, struct cf_facts *facts,
    const struct cf_field *field)
{
	char value[4];

	facts->field_cut |= may_be_cut(field);
	if (!cf_field_is(field->name, CF_FLAG_FIELD))
		cf_near_note(&facts->near, field);
	switch (field->name[0]) {
	case 'X': case 'x':
		if (!cf_field_is(field->name, CF_FLAG_FIELD))
			break;
		if (facts->flags++ == 0)
			(void)cf_field_unfold(field->value, facts->flag_value,
			    sizeof facts->flag_value);
		break;
	case 'C': case 'c':
		if (cf_field_is(field->name, CF_VERSION_FIELD)) {
			(void)cf_field_unfold(field->value, value,
			    sizeof value);
			if (facts->markers++ == 0)
				facts->marker_known = strcmp(value, "1") == 0;
		} else if (cf_field_is(field->name, "Content-Type")) {
			facts->report |= is_report(field->value);
			facts->sealed_type |= is_sealed_type(field->value);
		}
		break;
	case 'D': case 'd':
		note_asking(snapshot, facts, field,
		    "Disposition-Notification-To", CF_TRIGGER_DISPOSITION);
		break;
	case 'R': case 'r':
		note_asking(snapshot, facts, field, "Return-Receipt-To",
		    CF_TRIGGER_RECEIPT);
		break;
	case 'S': case 's':
		if (cf_field_is(field->name, "Subject"))
			note_subject(snapshot, facts, field->value);
		break;
	case 'L': case 'l':
		if (cf_field_is(field->name, "List-Id"))
			facts->list = "List-Id";
		break;
	case 'P': case 'p':
		if (facts->list == NULL &&
		    cf_field_is(field->name, "Precedence"))
			facts->list = precedence_of_lists(field->value);
		break;
	case 'A': case 'a':
		if (cf_field_is(field->name, "Auto-Submitted"))
			facts->automatic |= !first_word_is(field->value, "no");
		break;
	default:
		break;
	}
}
