/* SPDX-License-Identifier: Apache-2.0 */
/* cf_encoding - see encoding.h. */
#include "milter/reader/encoding.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define BLANK " \t"
#define UNSAID (-1)

static const struct {
	const char *name, *suffix;
} encodings[CF_ENCODING__COUNT] = {
	[CF_ENCODING_NONE] = { NULL, "" },
	[CF_ENCODING_GZIP] = { "gzip", ".gz" },
	[CF_ENCODING_BROTLI] = { "br", ".br" },
};

const char *
cf_encoding_name(enum cf_encoding encoding)
{
	return encodings[encoding].name;
}

const char *
cf_encoding_suffix(enum cf_encoding encoding)
{
	return encodings[encoding].suffix;
}

static bool
is_word(const char *p, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(p, word, len) == 0;
}

/* A weight in thousandths; 0 is also what nothing can be made of. */
static int
read_weight(const char *p, const char *end)
{
	int value, unit = 100;

	if (p == end || (*p != '0' && *p != '1'))
		return 0;
	value = (*p++ - '0') * 1000;
	if (p < end && *p == '.')
		for (p++; p < end && unit > 0 && isdigit((unsigned char)*p);
		    p++, unit /= 10)
			value += (*p - '0') * unit;
	return p == end && value <= 1000 ? value : 0;
}

/* What stands behind the ';' of an element: its weight, or nothing. */
static int
weight_of(const char *p, const char *end)
{
	if (p == end)
		return 1000;
	p++;
	p += strspn(p, BLANK);
	if (end - p < 2 || (*p != 'q' && *p != 'Q') || p[1] != '=')
		return 0;
	return read_weight(p + 2, end);
}

/* The end of what stands from `p` to `end`, without blanks. */
static const char *
trim(const char *p, const char *end)
{
	while (end > p && strchr(BLANK, end[-1]) != NULL)
		end--;
	return end;
}

/* One element of the list, into the weights that it sets. */
static void
read_element(const char *p, const char *end, int weight[CF_ENCODING__COUNT],
    int *rest)
{
	const char *semicolon = memchr(p, ';', (size_t)(end - p));
	const char *behind = semicolon == NULL ? end : semicolon;
	size_t len = (size_t)(trim(p, behind) - p);
	int i, value = weight_of(behind, end);

	if (is_word(p, len, "*"))
		*rest = value;
	if (is_word(p, len, "identity"))
		weight[CF_ENCODING_NONE] = value;
	if (is_word(p, len, "x-gzip"))
		weight[CF_ENCODING_GZIP] = value;
	for (i = CF_ENCODING_NONE + 1; i < CF_ENCODING__COUNT; i++)
		if (is_word(p, len, encodings[i].name))
			weight[i] = value;
}

enum cf_encoding
cf_encoding_choose(const char *accept, const bool there[CF_ENCODING__COUNT])
{
	int weight[CF_ENCODING__COUNT], rest = UNSAID, i;
	enum cf_encoding best = CF_ENCODING_NONE;
	const char *comma;

	for (i = 0; i < CF_ENCODING__COUNT; i++)
		weight[i] = UNSAID;
	for (; accept != NULL && *accept != '\0'; accept = comma +
	    (*comma == ',')) {
		accept += strspn(accept, BLANK);
		comma = accept + strcspn(accept, ",");
		read_element(accept, trim(accept, comma), weight, &rest);
	}
	/* As it is, is what nobody asks for, and anybody takes. */
	if (weight[CF_ENCODING_NONE] == UNSAID)
		weight[CF_ENCODING_NONE] = rest == UNSAID ? 1 : rest;
	for (i = CF_ENCODING_NONE + 1; i < CF_ENCODING__COUNT; i++) {
		if (weight[i] == UNSAID)
			weight[i] = rest == UNSAID ? 0 : rest;
		if (there[i] && weight[i] > 0 && weight[i] >= weight[best])
			best = (enum cf_encoding)i;
	}
	return best;
}
