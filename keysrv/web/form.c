/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_form - see form.h.
 *
 * Only what browsers write is taken: whatever else could be read in two ways
 * is read in none.
 */
#include "keysrv/web/form.h"

#include <string.h>

#include "common/hex.h"
#include "common/json.h"
#include "common/visible.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_"
#define PLAIN_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" NAME_CHARS "*-.~"
#define FIRST_CONTROL_1 0x7f	/* DEL, and the C1 controls behind it */
#define LAST_CONTROL_1 0x9f

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* One byte of a value, of what begins at `s`: how much of it, or 0. */
static size_t
decode_one(const char *s, size_t len, char *ret)
{
	int byte;

	*ret = *s == '+' ? ' ' : *s;
	if (*s == '+' || is_one_of(*s, PLAIN_CHARS))
		return 1;
	if (*s != '%' || len < 3)
		return 0;
	byte = cf_hex_byte(s + 1);
	if (byte < 0)
		return 0;
	*ret = (char)byte;
	return 3;
}

static bool
is_clean(const char *s, size_t len)
{
	uint32_t point;
	size_t n;

	for (; len > 0; s += n, len -= n) {
		n = cf_utf8_char(s, len, &point);
		if (n == 0 || point < ' ' || (point >= FIRST_CONTROL_1 &&
		    point <= LAST_CONTROL_1))
			return false;
	}
	return true;
}

/* `value` is empty, and its ceiling is that of values. */
static enum cf_err
read_value(const char *s, size_t len, struct cf_buf *value,
    struct cf_why *why)
{
	size_t i, n;
	char c;

	for (i = 0; i < len; i += n) {
		n = decode_one(s + i, len - i, &c);
		if (n == 0)
			return cf_fail(CF_E_SYNTAX, why,
			    "A field of the form is not well encoded.");
		cf_buf_addc(value, c);
	}
	if (value->full)
		return cf_fail(CF_E_SYNTAX, why, "A field of the form is "
		    "longer than %d bytes.", CF_FORM_VALUE_MAX);
	if (!is_clean(cf_buf_str(value), value->len))
		return cf_fail(CF_E_SYNTAX, why, "A field of the form has a "
		    "control character or is not UTF-8.");
	return CF_OK;
}

static enum cf_err
read_name(const char *s, size_t len, char *ret, struct cf_why *why)
{
	size_t i;

	if (len == 0 || len > CF_FORM_NAME_MAX)
		return cf_fail(CF_E_SYNTAX, why,
		    "A field of the form has no name, or a long one.");
	for (i = 0; i < len; i++)
		if (!is_one_of(s[i], NAME_CHARS))
			return cf_fail(CF_E_SYNTAX, why,
			    "A field of the form has a name of other "
			    "characters than a-z, 0-9 and _.");
	memcpy(ret, s, len);
	ret[len] = '\0';
	return CF_OK;
}

static enum cf_err
read_pair(const char *s, size_t len, json_t *form, struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf value =
	    CF_BUF_INIT_SECRET(CF_FORM_VALUE_MAX);
	const char *eq = memchr(s, '=', len);
	char name[CF_FORM_NAME_MAX + 1];
	enum cf_err rc;

	if (eq == NULL)
		return cf_fail(CF_E_SYNTAX, why,
		    "A field of the form has no value.");
	rc = read_name(s, (size_t)(eq - s), name, why);
	if (rc == CF_OK)
		rc = read_value(eq + 1, len - (size_t)(eq + 1 - s), &value,
		    why);
	if (rc != CF_OK)
		return rc;
	if (json_object_get(form, name) != NULL)
		return cf_fail(CF_E_SYNTAX, why,
		    "A field stands in the form twice.");
	if (json_object_size(form) == CF_FORM_FIELDS_MAX)
		return cf_fail(CF_E_SYNTAX, why,
		    "The form has more than %d fields.", CF_FORM_FIELDS_MAX);
	if (json_object_set_new(form, name, json_stringn(cf_buf_str(&value),
	    value.len)) != 0)
		cf_bug("a clean text is no JSON string");
	return CF_OK;
}

enum cf_err
cf_form_parse(const char *text, size_t len, json_t **ret, struct cf_why *why)
{
	CF_AUTO(cf_json_free) json_t *form = cf_json_new();
	const char *end = text + len, *and;
	enum cf_err rc;

	while (len > 0) {
		and = memchr(text, '&', (size_t)(end - text));
		rc = read_pair(text, (size_t)((and == NULL ? end : and) -
		    text), form, why);
		if (rc != CF_OK)
			return rc;
		if (and == NULL)
			break;
		text = and + 1;
	}
	*ret = form;
	form = NULL;
	return CF_OK;
}
