/* SPDX-License-Identifier: Apache-2.0 */
/* cf_rec - see evidence_record.h. */
#include "common/evidence_record.h"

#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/clock.h"
#include "common/mem.h"

#define FIRST "counterfoil-event/v1\n"

/* How a value must look. */
enum form { TEXT, NUMBER, TIME, BYTES, WORD };

/* What a line is: `len` bytes for BYTES; and whether it may be missing. */
struct rule {
	const char *name;
	enum form form;
	size_t len;
	bool optional, repeats;
};

static const struct rule head_rules[] = {
	{ "type", WORD, 0, false, false },
	{ "seq", NUMBER, 0, false, false },
	{ "id", BYTES, 16, false, false },
	{ "key", BYTES, 16, false, false },
	{ "ref", BYTES, 32, false, false },
	{ "time", TIME, 0, false, false },
	{ NULL, 0, 0, false, false },
};
static const struct rule issued_rules[] = {
	{ "request", BYTES, 16, false, false },
	{ "sender", TEXT, 0, false, false },
	{ "recipient", TEXT, 0, false, true },
	{ "message-id", TEXT, 0, false, false },
	{ "reader", TEXT, 0, false, false },
	{ "algorithm", WORD, 0, false, false },
	{ "assurance", WORD, 0, false, false },
	{ "expires", TIME, 0, true, false },
	{ "account", TEXT, 0, false, false },
	{ "opening-key", BYTES, 32, false, false },
	{ "possession-key", BYTES, 32, false, false },
	{ "key-commitment", BYTES, 32, false, false },
	{ "message-commitment", BYTES, 32, false, false },
	{ NULL, 0, 0, false, false },
};
static const struct rule released_rules[] = {
	{ "release", BYTES, 16, false, false },
	{ "principal", TEXT, 0, false, false },
	{ "assurance", WORD, 0, false, false },
	{ "first", WORD, 0, false, false },
	{ "origin", TEXT, 0, false, false },
	{ "agent-time", TIME, 0, false, false },
	{ "challenge", BYTES, 88, false, false },
	{ "signature", BYTES, 64, false, false },
	{ "secret-sha256", BYTES, 32, false, false },
	{ "opening-key", BYTES, 32, false, false },
	{ "possession-key", BYTES, 32, false, false },
	{ "key-commitment", BYTES, 32, false, false },
	{ "message-commitment", BYTES, 32, false, false },
	{ NULL, 0, 0, false, false },
};
static const struct rule opened_rules[] = {
	{ "release", BYTES, 16, false, false },
	{ "secret-sha256", BYTES, 32, false, false },
	{ "message-commitment", BYTES, 32, false, false },
	{ "agent-time", TIME, 0, false, false },
	{ "signature", BYTES, 64, false, false },
	{ NULL, 0, 0, false, false },
};
static const struct rule mismatch_rules[] = {
	{ "release", BYTES, 16, false, false },
	{ "secret-sha256", BYTES, 32, false, false },
	{ "agent-time", TIME, 0, false, false },
	{ "signature", BYTES, 64, false, false },
	{ NULL, 0, 0, false, false },
};
/* The challenge is what somebody sent in its place, so any text. */
static const struct rule refused_rules[] = {
	{ "reason", WORD, 0, false, false },
	{ "origin", TEXT, 0, true, false },
	{ "agent-time", TIME, 0, true, false },
	{ "challenge", TEXT, 0, true, false },
	{ "signature", BYTES, 64, true, false },
	{ "since", TIME, 0, true, false },
	{ "count", NUMBER, 0, true, false },
	{ NULL, 0, 0, false, false },
};

static const struct {
	const char *type;
	const struct rule *rule;
} types[] = {
	{ "issued", issued_rules },
	{ "released", released_rules },
	{ "opened", opened_rules },
	{ "mismatch", mismatch_rules },
	{ "refused", refused_rules },
};

/* ---- values ---- */

static int
hex_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of '%' and two digits; -1: none, or one that needs no encoding. */
static int
escaped(const char *p)
{
	int high = hex_of(p[1]), low = high < 0 ? -1 : hex_of(p[2]);
	int byte = high * 16 + low;

	return low < 0 || (byte >= ' ' && byte <= '~' && byte != '%') ? -1 :
	    byte;
}

static bool
rec_is_text(const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value < ' ' || *value > '~')
			return false;
		if (*value != '%')
			continue;
		if (escaped(value) < 0)
			return false;
		value += 2;
	}
	return true;
}

/* Decimal from 1 without leading zeros. */
static bool
rec_is_number(const char *value)
{
	size_t len = strlen(value);

	return len >= 1 && len <= 18 && value[0] != '0' &&
	    strspn(value, "0123456789") == len;
}

static bool
rec_is_word(const char *value)
{
	size_t len = strlen(value);

	return len >= 1 && len <= 64 && strspn(value,
	    "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool
rec_is_form(const struct rule *rule, const char *value)
{
	unsigned char bytes[128];
	int64_t ms;

	switch (rule->form) {
	case TEXT:
		return rec_is_text(value);
	case NUMBER:
		return rec_is_number(value);
	case TIME:
		return cf_clock_parse(value, &ms);
	case BYTES:
		return cf_b64url_decode(value, strlen(value), bytes,
		    rule->len);
	case WORD:
		break;
	}
	return rec_is_word(value);
}

/* ---- lines ---- */

/* Cut rec->text into lines of a name and a value. */
static bool
cut_lines(struct cf_rec *rec, char *p)
{
	char *blank, *end;

	for (; *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		if (end == NULL || rec->count == CF_REC_LINES_MAX)
			return false;
		*end = '\0';
		blank = strchr(p, ' ');
		if (blank == NULL)
			return false;
		*blank = '\0';
		rec->line[rec->count].name = p;
		rec->line[rec->count++].value = blank + 1;
	}
	return true;
}

/* The lines from *at on, as the rules have them; NULL, or which is wrong. */
static const char *
check_lines(const struct cf_rec *rec, size_t *at, const struct rule *rule)
{
	size_t n;

	for (; rule->name != NULL; rule++) {
		for (n = 0; *at < rec->count && strcmp(rec->line[*at].name,
		    rule->name) == 0 && (n == 0 || rule->repeats); n++) {
			if (!rec_is_form(rule, rec->line[*at].value))
				return rule->name;
			(*at)++;
		}
		if (n == 0 && !rule->optional)
			return rule->name;
	}
	return NULL;
}

static enum cf_err
check_record(const struct cf_rec *rec, struct cf_why *why)
{
	size_t at = 0, i;
	const char *bad = check_lines(rec, &at, head_rules);

	if (bad != NULL)
		return cf_fail(CF_E_SYNTAX, why, "the record has no \"%s\" "
		    "where it must be, or another value than it can have",
		    bad);
	for (i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(rec->line[0].value, types[i].type) == 0)
			break;
	if (i == sizeof types / sizeof types[0])
		return cf_fail(CF_E_SYNTAX, why, "the record is of the type "
		    "\"%s\", which this program does not know",
		    rec->line[0].value);
	bad = check_lines(rec, &at, types[i].rule);
	if (bad != NULL)
		return cf_fail(CF_E_SYNTAX, why, "the record of type \"%s\" "
		    "has no \"%s\" where it must be, or another value than "
		    "it can have", types[i].type, bad);
	if (at < rec->count)
		return cf_fail(CF_E_SYNTAX, why, "the record of type \"%s\" "
		    "has a line that does not belong there", types[i].type);
	return CF_OK;
}

enum cf_err
cf_rec_read(const char *text, size_t len, struct cf_rec *ret,
    struct cf_why *why)
{
	memset(ret, 0, sizeof *ret);
	if (len > CF_REC_MAX)
		return cf_fail(CF_E_SYNTAX, why, "the record is longer than "
		    "%d bytes", CF_REC_MAX);
	if (memchr(text, '\0', len) != NULL || len < sizeof FIRST - 1 ||
	    memcmp(text, FIRST, sizeof FIRST - 1) != 0)
		return cf_fail(CF_E_SYNTAX, why,
		    "it does not begin as a record of version 1");
	ret->text = cf_strndup(text, len);
	if (!cut_lines(ret, ret->text + sizeof FIRST - 1))
		return cf_fail(CF_E_SYNTAX, why,
		    "the record has a line that is none, or too many");
	return check_record(ret, why);
}

void
cf_rec_free(struct cf_rec *rec)
{
	free(rec->text);
	memset(rec, 0, sizeof *rec);
}

/* ---- asking ---- */

const char *
cf_rec_value(const struct cf_rec *rec, const char *name)
{
	size_t i;

	for (i = 0; i < rec->count; i++)
		if (strcmp(rec->line[i].name, name) == 0)
			return rec->line[i].value;
	return NULL;
}

bool
cf_rec_says(const struct cf_rec *rec, const char *name, const char *text)
{
	const char *value = cf_rec_value(rec, name);
	CF_AUTO(cf_free) char *plain = NULL;
	size_t len;

	if (value == NULL)
		return false;
	plain = cf_rec_decode(value, &len);
	return len == strlen(text) && memcmp(plain, text, len) == 0;
}

bool
cf_rec_has(const struct cf_rec *rec, const char *name, const void *bytes,
    size_t len)
{
	unsigned char have[128];

	return cf_rec_bytes(rec, name, have, len) &&
	    memcmp(have, bytes, len) == 0;
}

bool
cf_rec_bytes(const struct cf_rec *rec, const char *name, void *ret,
    size_t len)
{
	const char *value = cf_rec_value(rec, name);

	return value != NULL &&
	    cf_b64url_decode(value, strlen(value), ret, len);
}

int64_t
cf_rec_time_ms(const struct cf_rec *rec)
{
	int64_t ms;

	if (!cf_clock_parse(cf_rec_value(rec, "time"), &ms))
		cf_bug("a record without its time");
	return ms;
}

int64_t
cf_rec_seq(const struct cf_rec *rec)
{
	return strtoll(cf_rec_value(rec, "seq"), NULL, 10);
}

char *
cf_rec_decode(const char *value, size_t *ret_len)
{
	char *plain = cf_strdup(value), *out = plain;

	for (; *value != '\0'; value++) {
		if (*value != '%') {
			*out++ = *value;
			continue;
		}
		*out++ = (char)escaped(value);
		value += 2;
	}
	*out = '\0';
	*ret_len = (size_t)(out - plain);
	return plain;
}
