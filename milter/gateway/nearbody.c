/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_near_body - see nearflag.h.
 *
 * A header that ended too early and a person's text about a header can be the
 * same bytes.  So the rule asks for what such a header shows and a text does
 * not:
 *
 * - The first line is the flag and nothing else.
 * - Or the body begins with fields, the flag among them, and an empty line
 *   ends them, as it ends a header.  In front of them one line may stand that
 *   is no field: the one that ended the header.  It may be text as well, so
 *   that counts only if the header lacks a field that every mail program
 *   writes, or if that line looks like a damaged field.
 * - But fields with a Message-ID that repeat the header's To or Subject are
 *   another message, put into this one as it is.
 *
 * Whoever quotes the flag in a text with a word, a sign or a blank line
 * before it is never refused.
 */
#include <string.h>
#include <strings.h>

#include "common/wire.h"
#include "milter/gateway/nearflag.h"
#include "milter/gateway/nearname.h"

void
cf_near_body_begin(struct cf_near_body *body,
    const struct cf_near_header *header)
{
	memset(body, 0, sizeof *body);
	body->header = header->fields;
}

static bool
is_whole(uint32_t header)
{
	const uint32_t all = CF_HAS_FROM | CF_HAS_SUBJECT | CF_HAS_DATE |
	    CF_HAS_MESSAGE_ID;

	return (header & all) == all && (header & (CF_HAS_TO | CF_HAS_CC)) != 0;
}

/* At the end of the run; `ended` by an empty line, or the body by its end. */
static enum cf_near
body_judge(const struct cf_near_body *b, bool ended)
{
	bool lacking = (b->run & ~b->header) != 0;

	if (!b->first && !b->flag && !b->named)
		return CF_NEAR_NONE;
	if ((b->run & CF_HAS_MESSAGE_ID) != 0 &&
	    (b->run & b->header & (CF_HAS_TO | CF_HAS_SUBJECT)) != 0)
		return CF_NEAR_NONE;
	if (b->first)
		return CF_NEAR_BODY;
	if (!ended || (b->ender && !b->broken && !lacking &&
	    is_whole(b->header)))
		return CF_NEAR_NONE;
	return b->flag || lacking ? CF_NEAR_BODY : CF_NEAR_NONE;
}

/* The line that a mailbox has in front of each message? */
static bool
is_mailbox_line(const char *line)
{
	static const char days[] = "Sun Mon Tue Wed Thu Fri Sat ";
	char day[5] = "";
	const char *found_day;

	line += strspn(line, ">");
	if (strncmp(line, "From ", 5) != 0)
		return false;
	line += 5 + strcspn(line + 5, " ");
	line += strspn(line, " ");
	if (strlen(line) < 4)
		return false;
	memcpy(day, line, 4);
	found_day = strstr(days, day);
	return found_day != NULL && (found_day - days) % 4 == 0;
}

/*
 * A name of a field but for unseen characters in it, and a value?  A word of
 * another language with a colon is none: only names that we know, and X-.
 */
static bool
is_damaged_field(const char *line)
{
	size_t n = strcspn(line, " \t:"), i, kept = 0;
	char name[CF_NEAR_LINE + 1];

	for (i = 0; i < n; i++)
		if (!cf_near_is_unseen(line[i]))
			name[kept++] = line[i];
	return kept < n && line[n] == ':' && line[n + 1] != '\0' &&
	    ((kept > 2 && strncasecmp(name, "X-", 2) == 0) ||
	    cf_near_is_known(name, kept));
}

/*
 * The first line when it is no field that we know.  False: it is text that
 * introduces what follows, or the boundary of a part.
 */
static bool
take_ender(struct cf_near_body *b, size_t len)
{
	const char *line = b->line + strspn(b->line, " \t");

	b->ender = true;
	b->broken = is_mailbox_line(line) || is_damaged_field(line);
	if (b->broken || len == 0)
		return true;
	while (len > 0 && cf_near_is_unseen(b->line[len - 1]))
		len--;
	return (!cf_near_is_junk(*line) || cf_near_is_unseen(*line)) &&
	    (len == 0 || b->line[len - 1] != ':');
}

/* A line with its folds is whole. */
static enum cf_near
take_line(struct cf_near_body *b)
{
	size_t kept = b->len < CF_NEAR_LINE ? b->len : CF_NEAR_LINE, n;
	bool first = b->lines++ == 0, is_field;

	b->line[kept] = '\0';
	n = cf_near_field_name(b->line);
	is_field = n > 0 && (!first || memchr(b->line, '-', n) != NULL ||
	    cf_near_is_known(b->line, n));
	if (b->len <= CF_NEAR_LINE && (cf_near_is_flag(b->line) ||
	    cf_near_is_mistyped_field(b->line, n))) {
		b->flag = true;
		b->first |= first;
	} else if (is_field) {
		b->named |= n == sizeof CF_FLAG_FIELD - 1 &&
		    strncasecmp(b->line, CF_FLAG_FIELD, n) == 0;
		b->run |= cf_near_usual_bit(b->line, n);
	} else if (!first || !take_ender(b, kept)) {
		return body_judge(b, false);
	}
	b->len = 0;
	return CF_NEAR_UNDECIDED;
}

/* One more byte of a line.  So long a line can be a field, but nothing else. */
static enum cf_near
add_byte(struct cf_near_body *b, char c)
{
	if (b->len < CF_NEAR_LINE)
		b->line[b->len] = c == '\0' ? '\1' : c;
	if (++b->len != CF_NEAR_LINE + 1)
		return CF_NEAR_UNDECIDED;
	b->line[CF_NEAR_LINE] = '\0';
	return cf_near_field_name(b->line) > 0 ? CF_NEAR_UNDECIDED :
	    body_judge(b, false);
}

enum cf_near
cf_near_body_feed(struct cf_near_body *body, const void *data, size_t len)
{
	enum cf_near answer = CF_NEAR_UNDECIDED;
	const char *p = data;
	size_t i;

	for (i = 0; i < len && answer == CF_NEAR_UNDECIDED; i++) {
		if (p[i] == '\r')
			continue;
		if (p[i] == '\n' && body->in_line) {
			body->in_line = false;
			continue;
		}
		/* A new line: the one before ends, if this is no fold. */
		if (!body->in_line && body->len > 0 && p[i] != ' ' &&
		    p[i] != '\t')
			answer = take_line(body);
		if (answer != CF_NEAR_UNDECIDED)
			break;
		if (p[i] != '\n') {
			body->in_line = true;
			answer = add_byte(body, p[i]);
		} else if (body->lines > 0) {
			answer = body_judge(body, true);
		}
	}
	return answer;
}

enum cf_near
cf_near_body_end(struct cf_near_body *body)
{
	enum cf_near answer = CF_NEAR_UNDECIDED;

	if (body->len > 0)
		answer = take_line(body);
	return answer == CF_NEAR_UNDECIDED ? body_judge(body, true) : answer;
}
