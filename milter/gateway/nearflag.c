/* SPDX-License-Identifier: Apache-2.0 */
/* cf_near - see nearflag.h. */
#include "milter/gateway/nearflag.h"

#include <string.h>
#include <strings.h>

#define LETTERS 14		/* of the flag's name */
#define LITERAL_MIN 7		/* of these that must be there as they are */
#define WRONG_MAX 2		/* of these that may be wrong in a name */
#define WORDS 3			/* that its name has; with four it is another */
#define LINE_USUAL 76		/* longer ones are folded by mail programs */

/* Fields that nearly every mail program writes. */
enum usual {
	HAS_FROM = 1, HAS_TO = 2, HAS_CC = 4, HAS_SUBJECT = 8, HAS_DATE = 16,
	HAS_MESSAGE_ID = 32, HAS_MIME = 64, HAS_TYPE = 128
};

enum content {
	ADDRESSES, TOKENS, TEXT		/* of people */
};

static const struct {
	const char *name;
	uint32_t bit;		/* 0: not so usual */
	enum content content;
} fields[] = {
	{ "From", HAS_FROM, ADDRESSES }, { "To", HAS_TO, ADDRESSES },
	{ "Cc", HAS_CC, ADDRESSES }, { "Subject", HAS_SUBJECT, TEXT },
	{ "Date", HAS_DATE, TOKENS },
	{ "Message-ID", HAS_MESSAGE_ID, TOKENS },
	{ "MIME-Version", HAS_MIME, TOKENS },
	{ "Content-Type", HAS_TYPE, TOKENS },
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

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_wide(char c)
{
	return (unsigned char)c >= 0x80;
}

/* Neither seen nor said: a blank, a control character, a byte of 8 bits. */
static bool
is_unseen(char c)
{
	return (c != '\0' && c <= ' ') || c == 0x7f || is_wide(c);
}

static bool
is_junk(char c)
{
	return c != '\0' && !is_letter(c) && !(c >= '0' && c <= '9');
}

/* ---- the name ---- */

/*
 * How far the letters of a name have come.  A character that is not ASCII may
 * stand for a letter that it looks like or for nothing, so it can be at
 * several places at once: bit i says that i letters are behind us.
 */
struct walk {
	uint32_t at;
	unsigned literal;	/* letters that were there as they are */
};

/* One more byte of what may be the name; false: it is not. */
static bool
step(struct walk *walk, const char *letters, char c)
{
	uint32_t to = 0;
	unsigned i;

	if (is_letter(c)) {
		for (i = 0; i < LETTERS; i++)
			if ((walk->at >> i & 1) && letters[i] != '\0' &&
			    strncasecmp(&letters[i], &c, 1) == 0)
				to |= (uint32_t)1 << (i + 1);
		walk->at = to;
		walk->literal++;
	} else if (is_wide(c)) {
		/* Bytes behind the first of UTF-8 are the same character. */
		if (((unsigned char)c & 0xc0) != 0x80)
			walk->at |= walk->at << 1;
	} else if (!is_junk(c)) {
		walk->at = 0;
	}
	return walk->at != 0;
}

static bool
is_through(const struct walk *walk, const char *letters)
{
	return (walk->at >> strlen(letters) & 1) &&
	    walk->literal >= LITERAL_MIN;
}

/* The flag's name, and how "receipt" is written by mistake. */
static const char *const spellings[] = {
	"xreturnreceipt", "xreturnreciept", "xreturnrecept", "xreturnrecipt",
};
#define SPELLINGS (sizeof spellings / sizeof spellings[0])

static bool
is_name(const char *name, const char *letters)
{
	struct walk walk = { 1, 0 };

	for (; *name != '\0'; name++)
		if (!step(&walk, letters, *name))
			return false;
	return is_through(&walk, letters);
}

/* A field's name without what stands between its letters and digits. */
struct letters {
	char text[LETTERS + WRONG_MAX];	/* in lower case */
	size_t len, first_word, words;
};

/* False: there are more of them than a near name has. */
static bool
read_letters(struct letters *ret, const char *name, size_t len)
{
	bool inside = false, is;
	char c;
	size_t i;

	memset(ret, 0, sizeof *ret);
	for (i = 0; i < len; i++) {
		c = name[i];
		is = !is_junk(c);
		if (is && !inside && ++ret->words > WORDS)
			return false;
		inside = is;
		if (!is)
			continue;
		if (ret->len == sizeof ret->text)
			return false;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		ret->text[ret->len++] = c;
		ret->first_word += ret->words == 1;
	}
	return true;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * How many letters are wrong: one missing, too many, another, or two that
 * stand side by side in the wrong order (Damerau, 1964; of those ways the
 * one in which no letter is touched twice).
 */
static unsigned
count_wrong(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[3][LETTERS + WRONG_MAX + 1] = { { 0 } };
	unsigned *two = row[0], *one = row[1], *now = row[2], *free_row;
	size_t i, j;

	for (j = 0; j <= b_len; j++)
		one[j] = (unsigned)j;
	for (i = 1; i <= a_len; i++) {
		now[0] = (unsigned)i;
		for (j = 1; j <= b_len; j++) {
			now[j] = least(one[j - 1] + (a[i - 1] != b[j - 1]),
			    least(one[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				now[j] = least(now[j], two[j - 2] + 1);
		}
		free_row = two;
		two = one;
		one = now;
		now = free_row;
	}
	return one[b_len];
}

/*
 * Is a field's name the flag's with a slip or two?  X-Return-Receipt-To is a
 * field of its own, and so are Return-Receipt and No-Return-Receipt.
 */
static bool
is_name_mistyped(const char *name, size_t len)
{
	static const char right[] = "xreturnreceipt";
	struct letters l;

	return read_letters(&l, name, len) && l.len > 0 &&
	    (l.text[0] == 'x' || l.first_word == 1) &&
	    count_wrong(l.text, l.len, right, sizeof right - 1) <= WRONG_MAX;
}

/* ---- the value ---- */

/* Does it ask for a receipt, whatever unseen characters are around it? */
static bool
is_value(const char *text)
{
	char value[CF_WANT_MAX + 2];
	struct cf_want want;
	size_t n;

	while (is_junk(*text))
		text++;
	n = strlen(text);
	while (n > 0 && is_unseen(text[n - 1]))
		n--;
	if (n >= sizeof value)
		return false;
	memcpy(value, text, n);
	value[n] = '\0';
	return cf_want_parse(value, CF_WANT_IN_FLAG, &want, NULL) !=
	    CF_E_SYNTAX;
}

/* Is it a line with this name, a colon or none, and such a value? */
static bool
is_flag_spelt(const char *line, const char *letters)
{
	struct walk walk = { 1, 0 };

	for (; *line != '\0'; line++) {
		if (!step(&walk, letters, *line))
			return false;
		if (is_through(&walk, letters) &&
		    (is_letter(*line) || is_wide(*line)) &&
		    is_value(line + 1))
			return true;
	}
	return false;
}

/*
 * Does it begin with a letter or a character that nobody sees?  Of those that
 * are not ASCII: no-break space and soft hyphen (of Latin-1, too), Greek and
 * Cyrillic letters, marks of no width, letters of full width.
 */
static bool
begins_as_name(const char *line)
{
	static const char *const leads[] = { "\xa0", "\xad", "\xc2\xa0",
	    "\xc2\xad", "\xce", "\xcf", "\xd0", "\xd1", "\xe2\x80\x8b",
	    "\xe2\x80\x8c", "\xe2\x80\x8d", "\xe2\x80\x8e",
	    "\xe2\x80\x8f", "\xe2\x80\xaa", "\xe2\x80\xab",
	    "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae",
	    "\xe2\x80\xaf", "\xe2\x81", "\xef\xbb\xbf", "\xef\xbc" };
	size_t i;

	for (i = 0; i < sizeof leads / sizeof leads[0]; i++)
		if (strncmp(line, leads[i], strlen(leads[i])) == 0)
			return true;
	return is_letter(*line);
}

/* A field of a name that is mistyped, with a value of the flag. */
static bool
is_field_mistyped(const char *line, size_t name_length)
{
	return name_length > 0 && is_name_mistyped(line, name_length) &&
	    is_value(line + name_length);
}

/* What is quoted or listed begins with a sign; that is text. */
static bool
is_flag(const char *line)
{
	size_t i;

	while (is_unseen(*line) && !is_wide(*line))
		line++;
	if (!begins_as_name(line))
		return false;
	for (i = 0; i < SPELLINGS; i++)
		if (is_flag_spelt(line, spellings[i]))
			return true;
	return false;
}

/* ---- fields ---- */

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

static uint32_t
usual(const char *name, size_t len)
{
	size_t i = lookup(name, len);

	return i < FIELDS ? fields[i].bit : 0;
}

/* The flag's name with a colon somewhere in the text? */
static bool
has_name(const char *text, const char *letters)
{
	struct walk walk;
	const char *p;

	for (; *text != '\0'; text++) {
		if (*text != letters[0] && *text != letters[0] - 'a' + 'A')
			continue;
		walk = (struct walk){ 1, 0 };
		for (p = text; step(&walk, letters, *p); p++)
			if (is_through(&walk, letters) &&
			    p[1 + strspn(p + 1, " \t\n")] == ':')
				return true;
	}
	return false;
}

/*
 * Postfix writes fields with addresses anew before a filter sees them, and
 * makes an address of what it finds there.  None has such a name.
 */
static bool
is_address_made_of_flag(const struct cf_field *field)
{
	size_t i;

	for (i = 0; i < SPELLINGS; i++)
		if (has_name(field->value, spellings[i]))
			return true;
	return false;
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
			if (strchr(line, ':') != NULL && is_flag(line))
				return true;
		}
		before = len;
	}
	return false;
}

/* Has another field the flag in it? */
static bool
is_inside(const struct cf_field *field, size_t name_length)
{
	size_t i = lookup(field->name, name_length);
	enum content content = i < FIELDS ? fields[i].content : TEXT;

	return content == ADDRESSES ? is_address_made_of_flag(field) :
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
	size_t len = strcspn(field->name, " \t"), i;
	const char *value = field->value;

	header->fields |= usual(field->name, len);
	if (usual(field->name, len) == HAS_TYPE) {
		value += strspn(value, " \t\r\n");
		header->is_message |= strncasecmp(value, message,
		    sizeof message - 1) == 0 || strncasecmp(value, fields_of,
		    sizeof fields_of - 1) == 0;
	}
	if (header->found != CF_NEAR_NONE)
		return;
	for (i = 0; i < SPELLINGS; i++)
		if (is_name(field->name, spellings[i]))
			found(header, CF_NEAR_NAME, field->name,
			    strlen(field->name));
	if (header->found == CF_NEAR_NONE && is_name_mistyped(field->name,
	    strlen(field->name)))
		found(header, CF_NEAR_NAME, field->name, strlen(field->name));
	if (header->found == CF_NEAR_NONE && is_inside(field, len))
		found(header, CF_NEAR_FOLD, field->name, len);
}

/* ---- the beginning of the body ---- */

/*
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
	const uint32_t all = HAS_FROM | HAS_SUBJECT | HAS_DATE |
	    HAS_MESSAGE_ID;

	return (header & all) == all && (header & (HAS_TO | HAS_CC)) != 0;
}

/* At the end of the run; `ended` by an empty line, or the body by its end. */
static enum cf_near
judge(const struct cf_near_body *b, bool ended)
{
	bool lacking = (b->run & ~b->header) != 0;

	if (!b->first && !b->flag && !b->named)
		return CF_NEAR_NONE;
	if ((b->run & HAS_MESSAGE_ID) != 0 &&
	    (b->run & b->header & (HAS_TO | HAS_SUBJECT)) != 0)
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
		if (!is_unseen(line[i]))
			name[kept++] = line[i];
	return kept < n && line[n] == ':' && line[n + 1] != '\0' &&
	    ((kept > 2 && strncasecmp(name, "X-", 2) == 0) ||
	    lookup(name, kept) < FIELDS);
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
	while (len > 0 && is_unseen(b->line[len - 1]))
		len--;
	return (!is_junk(*line) || is_unseen(*line)) &&
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
	    lookup(b->line, n) < FIELDS);
	if (b->len <= CF_NEAR_LINE && (is_flag(b->line) ||
	    (is_letter(*b->line) && is_field_mistyped(b->line, n)))) {
		b->flag = true;
		b->first |= first;
	} else if (is_field) {
		b->named |= n == sizeof CF_FLAG_FIELD - 1 &&
		    strncasecmp(b->line, CF_FLAG_FIELD, n) == 0;
		b->run |= usual(b->line, n);
	} else if (!first || !take_ender(b, kept)) {
		return judge(b, false);
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
	    judge(b, false);
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
			answer = judge(body, true);
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
	return answer == CF_NEAR_UNDECIDED ? judge(body, true) : answer;
}
