/* SPDX-License-Identifier: Apache-2.0 */
/* cf_fields - see fields.h. */
#include "keysrv/http/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/clock.h"
#include "common/secret.h"

static bool
has_control(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	for (; *p != '\0'; p++) {
		/* C1 controls are c2 80 .. c2 9f in UTF-8. */
		if (*p < ' ' || *p == 127 ||
		    (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
			return true;
	}
	return false;
}

static bool
is_word(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

enum cf_err
cf_fields_text(const json_t *value, const char *name, size_t max,
    const char **ret, struct cf_why *why)
{
	const char *s = json_string_value(value);

	if (s == NULL)
		return cf_fail(CF_E_SYNTAX, why, "\"%s\" is not a string.",
		    name);
	if (json_string_length(value) > max)
		return cf_fail(CF_E_SYNTAX, why, "\"%s\" is longer than %zu "
		    "bytes.", name, max);
	/* NUL is one, too. */
	if (has_control(s) || strlen(s) != json_string_length(value))
		return cf_fail(CF_E_SYNTAX, why,
		    "\"%s\" has a control character.", name);
	*ret = s;
	return CF_OK;
}

static enum cf_err
read_text(const json_t *value, const struct cf_member *f, char *to,
    struct cf_why *why)
{
	const char *s;
	enum cf_err rc;
	int64_t ms;

	rc = cf_fields_text(value, f->name, f->type == CF_MEMBER_TIME
	    ? CF_TIME_LEN : f->len, &s, why);
	if (rc != CF_OK)
		return rc;
	if (s[0] == '\0' && f->type != CF_MEMBER_TEXT_OR_EMPTY)
		return cf_fail(CF_E_SYNTAX, why, "\"%s\" is empty.", f->name);
	if (f->type == CF_MEMBER_WORD && !is_word(s))
		return cf_fail(CF_E_SYNTAX, why,
		    "\"%s\" is not of its form.", f->name);
	if (f->type == CF_MEMBER_TIME && !cf_clock_parse(s, &ms))
		return cf_fail(CF_E_SYNTAX, why, "\"%s\" is not a time like "
		    "2026-11-23T13:35:00.123Z.", f->name);
	memcpy(to, s, strlen(s) + 1);
	return CF_OK;
}

static enum cf_err
read_bytes(const json_t *value, const struct cf_member *f, void *to,
    struct cf_why *why)
{
	const char *s = json_string_value(value);
	size_t len = s == NULL ? 0 : json_string_length(value);
	bool ok;

	if (f->type == CF_MEMBER_SECRET)
		ok = s != NULL && cf_secret_from_b64url(s, len, f->len, to,
		    NULL) == CF_OK;
	else
		ok = s != NULL && cf_b64url_decode(s, len, to, f->len);
	if (!ok)
		return cf_fail(CF_E_SYNTAX, why, "\"%s\" is not the base64url "
		    "text of %zu bytes.", f->name, f->len);
	return CF_OK;
}

static enum cf_err
bad_int(const struct cf_member *f, struct cf_why *why)
{
	return cf_fail(CF_E_SYNTAX, why, "\"%s\" is not a whole number "
	    "from %lld to %lld.", f->name, (long long)f->min,
	    (long long)f->max);
}

static enum cf_err
read_int(const json_t *value, const struct cf_member *f, int64_t *to,
    struct cf_why *why)
{
	if (!json_is_integer(value) || json_integer_value(value) < f->min ||
	    json_integer_value(value) > f->max)
		return bad_int(f, why);
	*to = json_integer_value(value);
	return CF_OK;
}

/* Digits, with one way to write each number. */
static enum cf_err
read_digits(const json_t *value, const struct cf_member *f, int64_t *to,
    struct cf_why *why)
{
	const char *s = json_string_value(value), *digits;
	char same[24];
	long long number;

	if (s == NULL)
		return bad_int(f, why);
	digits = s + (s[0] == '-');
	if (strspn(digits, "0123456789") != strlen(digits) ||
	    strlen(digits) > 18)
		return bad_int(f, why);
	number = strtoll(s, NULL, 10);
	(void)snprintf(same, sizeof same, "%lld", number);
	if (strcmp(s, same) != 0 || number < f->min || number > f->max)
		return bad_int(f, why);
	*to = number;
	return CF_OK;
}

static enum cf_err
read_field(json_t *value, const struct cf_member *f, bool form, void *into,
    struct cf_why *why)
{
	void *to = (char *)into + f->offset;

	switch (f->type) {
	case CF_MEMBER_BYTES:
	case CF_MEMBER_SECRET:
		return read_bytes(value, f, to, why);
	case CF_MEMBER_INT:
		return form ? read_digits(value, f, to, why)
		    : read_int(value, f, to, why);
	case CF_MEMBER_VALUE:
		*(json_t **)to = value;
		return CF_OK;
	default:
		return read_text(value, f, to, why);
	}
}

static enum cf_err
read_all(const json_t *object, const struct cf_member *table, size_t count,
    bool form, void *into, struct cf_why *why)
{
	enum cf_err rc;
	json_t *value;
	size_t i, there = 0;

	for (i = 0; i < count; i++) {
		value = json_object_get(object, table[i].name);
		if (value == NULL && table[i].optional)
			continue;
		if (value == NULL)
			return cf_fail(CF_E_SYNTAX, why, "\"%s\" is missing.",
			    table[i].name);
		there++;
		/* A person cannot take a field out of a form. */
		if (form && table[i].optional &&
		    json_string_length(value) == 0)
			continue;
		rc = read_field(value, &table[i], form, into, why);
		if (rc != CF_OK)
			return rc;
	}
	/* More members than ours means unknown ones. */
	if (json_object_size(object) != there)
		return cf_fail(CF_E_SYNTAX, why,
		    "There is a %s that is not known here.",
		    form ? "field" : "member");
	return CF_OK;
}

enum cf_err
cf_fields_read(const json_t *object, const struct cf_member *table,
    size_t count, void *into, struct cf_why *why)
{
	if (!json_is_object(object))
		return cf_fail(CF_E_SYNTAX, why, "An object is expected.");
	return read_all(object, table, count, false, into, why);
}

enum cf_err
cf_fields_read_form(const json_t *form, const struct cf_member *table,
    size_t count, void *into, struct cf_why *why)
{
	return read_all(form, table, count, true, into, why);
}
