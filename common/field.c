/* SPDX-License-Identifier: Apache-2.0 */
/* cf_field - see field.h. */
#include "common/field.h"

#include <string.h>
#include <strings.h>

bool
cf_field_is(const char *field_name, const char *name)
{
	size_t len = strlen(name);

	return strncasecmp(field_name, name, len) == 0 &&
	    field_name[len + strspn(field_name + len, " \t")] == '\0';
}

bool
cf_field_unfold(const char *value, char *out, size_t cap)
{
	size_t n = 0;

	value += strspn(value, " \t\r\n");
	for (; *value != '\0' && n + 1 < cap; value++)
		if (*value != '\r' && *value != '\n')
			out[n++] = *value;
	while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == '\t'))
		n--;
	out[n] = '\0';
	return value[strspn(value, " \t\r\n")] == '\0';
}

/* At its opening bracket. */
static bool
skip_comment(const char **p, size_t *len)
{
	int depth = 0;

	do {
		if (*len == 0)
			return false;
		if (**p == '\\' && *len > 1) {
			++*p;
			--*len;
		} else if (**p == '(') {
			depth++;
		} else if (**p == ')') {
			depth--;
		}
		++*p;
		--*len;
	} while (depth > 0);
	return true;
}

bool
cf_field_skip_cfws(const char **p, size_t *len)
{
	while (*len > 0) {
		if (**p == '(') {
			if (!skip_comment(p, len))
				return false;
		} else if (**p != '\0' && strchr(" \t\r\n", **p) != NULL) {
			++*p;
			--*len;
		} else {
			break;
		}
	}
	return true;
}

const char *
cf_field_after_cfws(const char *value)
{
	size_t len = strlen(value);

	(void)cf_field_skip_cfws(&value, &len);
	return value;
}
