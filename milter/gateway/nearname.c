/* SPDX-License-Identifier: Apache-2.0 */
/* cf_near_is_name - see nearname.h. */
#include "milter/gateway/nearname.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "milter/gateway/want.h"

#define LETTERS 14		/* of the flag's name */
#define LITERAL_MIN 7		/* of these that must be there as they are */
#define WRONG_MAX 2		/* of these that may be wrong in a name */
#define WORDS 3			/* that its name has; with four it is another */

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

	if (cf_near_is_letter(c)) {
		for (i = 0; i < LETTERS; i++)
			if ((walk->at >> i & 1) && letters[i] != '\0' &&
			    strncasecmp(&letters[i], &c, 1) == 0)
				to |= (uint32_t)1 << (i + 1);
		walk->at = to;
		walk->literal++;
	} else if (cf_near_is_wide(c)) {
		/* Bytes behind the first of UTF-8 are the same character. */
		if (((unsigned char)c & 0xc0) != 0x80)
			walk->at |= walk->at << 1;
	} else if (!cf_near_is_junk(c)) {
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
is_spelling(const char *name, const char *letters)
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
		is = !cf_near_is_junk(c);
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
is_mistyped(const char *name, size_t len)
{
	static const char right[] = "xreturnreceipt";
	struct letters l;

	return read_letters(&l, name, len) && l.len > 0 &&
	    (l.text[0] == 'x' || l.first_word == 1) &&
	    count_wrong(l.text, l.len, right, sizeof right - 1) <= WRONG_MAX;
}

bool
cf_near_is_name(const char *name)
{
	size_t i;

	for (i = 0; i < SPELLINGS; i++)
		if (is_spelling(name, spellings[i]))
			return true;
	return is_mistyped(name, strlen(name));
}

/* ---- with a value ---- */

/* Does it ask for a receipt, whatever unseen characters are around it? */
static bool
is_value(const char *text)
{
	char value[CF_WANT_MAX + 2];
	struct cf_want want;
	size_t n;

	while (cf_near_is_junk(*text))
		text++;
	n = strlen(text);
	while (n > 0 && cf_near_is_unseen(text[n - 1]))
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
		    (cf_near_is_letter(*line) || cf_near_is_wide(*line)) &&
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
	return cf_near_is_letter(*line);
}

bool
cf_near_is_mistyped_field(const char *line, size_t name_length)
{
	return cf_near_is_letter(*line) && name_length > 0 &&
	    is_mistyped(line, name_length) &&
	    is_value(line + name_length);
}

/* What is quoted or listed begins with a sign; that is text. */
bool
cf_near_is_flag(const char *line)
{
	size_t i;

	while (cf_near_is_unseen(*line) && !cf_near_is_wide(*line))
		line++;
	if (!begins_as_name(line))
		return false;
	for (i = 0; i < SPELLINGS; i++)
		if (is_flag_spelt(line, spellings[i]))
			return true;
	return false;
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

bool
cf_near_has_name(const char *text)
{
	size_t i;

	for (i = 0; i < SPELLINGS; i++)
		if (has_name(text, spellings[i]))
			return true;
	return false;
}
