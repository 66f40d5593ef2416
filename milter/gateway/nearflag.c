/* SPDX-License-Identifier: Apache-2.0 */
/* cf_near - see nearflag.h: what a header shows. */
#include "milter/gateway/nearflag.h"

#include <string.h>
#include <strings.h>

#include "common/wire.h"
#include "milter/gateway/nearname.h"

#define LINE_USUAL 76		/* longer ones are folded by mail programs */

enum content {
	ADDRESSES, TOKENS, TEXT		/* of people */
};

static const struct {
	const char *name;
	uint32_t bit;		/* 0: not so usual */
	enum content content;
} fields[] = {
	{ "From", CF_HAS_FROM, ADDRESSES }, { "To", CF_HAS_TO, ADDRESSES },
	{ "Cc", CF_HAS_CC, ADDRESSES }, { "Subject", CF_HAS_SUBJECT, TEXT },
	{ "Date", CF_HAS_DATE, TOKENS },
	{ "Message-ID", CF_HAS_MESSAGE_ID, TOKENS },
	{ "MIME-Version", CF_HAS_MIME, TOKENS },
	{ "Content-Type", CF_HAS_TYPE, TOKENS },
	{ "Content-Transfer-Encoding", 0, TOKENS }, { "Bcc", 0, ADDRESSES },
	{ "Sender", 0, ADDRESSES }, { "Reply-To", 0, ADDRESSES },
	{ "Resent-From", 0, ADDRESSES }, { "Resent-To", 0, ADDRESSES },
	{ "Resent-Cc", 0, ADDRESSES }, { "Resent-Sender", 0, ADDRESSES },
	{ "In-Reply-To", 0, TOKENS }, { "References", 0, TOKENS },
	{ "Received", 0, TOKENS }, { "Importance", 0, TOKENS },
	{ "Priority", 0, TOKENS }, { "Organization", 0, TEXT },
	{ "Keywords", 0, TEXT }, { "Comments", 0, TEXT },
};
#define FIELDS (sizeof fields / sizeof fields[0])

size_t
cf_near_field_name(const char *line)
{
	size_t n = 0;

	while (line[n] > ' ' && line[n] <= '~' && line[n] != ':')
		n++;
	return line[n + strspn(line + n, " \t")] == ':' ? n : 0;
}

/* Its number in `fields`, or FIELDS. */
static size_t
lookup(const char *name, size_t len)
{
	size_t i = 0;

	while (i < FIELDS && !(strlen(fields[i].name) == len &&
	    strncasecmp(fields[i].name, name, len) == 0))
		i++;
	return i;
}

bool
cf_near_is_known(const char *name, size_t len)
{
	return lookup(name, len) < FIELDS;
}

uint32_t
cf_near_usual_bit(const char *name, size_t len)
{
	size_t i = lookup(name, len);

	return i < FIELDS ? fields[i].bit : 0;
}

/*
 * Is a line of the value, but not its first, a whole flag?  Where people write
 * a text that may be about the flag, a mail program can have put the fold
 * there because the line would have been too long without it.
 */
static bool
has_flag_in_fold(const struct cf_field *field, size_t name_length,
    enum content content)
{
	size_t before = name_length + 1 + strcspn(field->value, "\n"), len;
	const char *p = strchr(field->value, '\n');
	char line[CF_NEAR_LINE + 1];

	for (; p != NULL; p = strchr(p, '\n')) {
		len = strcspn(++p, "\n");
		if (len <= CF_NEAR_LINE && (content != TEXT ||
		    before + len <= LINE_USUAL)) {
			memcpy(line, p, len);
			line[len] = '\0';
			if (strchr(line, ':') != NULL && cf_near_is_flag(line))
				return true;
		}
		before = len;
	}
	return false;
}

/*
 * Has another field the flag in it?  Postfix writes fields with addresses anew
 * before a filter sees them, and makes an address of what it finds there.  No
 * address has such a name.
 */
static bool
is_inside(const struct cf_field *field, size_t name_length)
{
	size_t i = lookup(field->name, name_length);
	enum content content = i < FIELDS ? fields[i].content : TEXT;

	return content == ADDRESSES ? cf_near_has_name(field->value) :
	    has_flag_in_fold(field, name_length, content);
}

static void
found(struct cf_near_header *header, enum cf_near what, const char *shown,
    size_t len)
{
	header->found = what;
	len = len < CF_NEAR_SHOWN ? len : CF_NEAR_SHOWN;
	memcpy(header->shown, shown, len);
	header->shown[len] = '\0';
}

void
cf_near_note(struct cf_near_header *header, const struct cf_field *field)
{
	static const char message[] = "message/", fields_of[] =
	    "text/rfc822-headers";
	size_t len = strcspn(field->name, " \t");
	const char *value = field->value;

	header->fields |= cf_near_usual_bit(field->name, len);
	if (cf_near_usual_bit(field->name, len) == CF_HAS_TYPE) {
		value += strspn(value, " \t\r\n");
		header->is_message |= strncasecmp(value, message,
		    sizeof message - 1) == 0 || strncasecmp(value, fields_of,
		    sizeof fields_of - 1) == 0;
	}
	if (header->found != CF_NEAR_NONE)
		return;
	if (cf_near_is_name(field->name))
		found(header, CF_NEAR_NAME, field->name, strlen(field->name));
	else if (is_inside(field, len))
		found(header, CF_NEAR_FOLD, field->name, len);
}
