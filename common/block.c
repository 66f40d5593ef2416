/* SPDX-License-Identifier: Apache-2.0 */
/* cf_block - see block.h. */
#include "common/block.h"

#include <string.h>
#include <strings.h>

size_t
cf_block_field_len(const char *p, size_t len)
{
	const char *at = p, *eol;

	if (len == 0)
		return 0;
	while ((eol = memmem(at, len - (size_t)(at - p), "\r\n", 2)) != NULL) {
		at = eol + 2;
		if (at == p + len || (*at != ' ' && *at != '\t'))
			return (size_t)(at - p);
	}
	return 0;
}

size_t
cf_block_name_len(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] > ' ' && p[n] <= '~' && p[n] != ':')
		n++;
	return n < len && p[n] == ':' ? n : 0;
}

bool
cf_block_name_is(const char *p, size_t len, const char *name)
{
	size_t n = cf_block_name_len(p, len);

	return n == strlen(name) && strncasecmp(p, name, n) == 0;
}

bool
cf_block_is_clean(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] == '\0' || p[i] == '\n')
			return false;
		if (p[i] != '\r')
			continue;
		if (++i == len || p[i] != '\n')
			return false;
	}
	return true;
}

bool
cf_block_find(const char *m, size_t len, size_t *ret_len)
{
	size_t at = 0, n;

	while (len - at < 2 || memcmp(m + at, "\r\n", 2) != 0) {
		n = cf_block_field_len(m + at, len - at);
		if (n == 0 || cf_block_name_len(m + at, n) == 0 ||
		    !cf_block_is_clean(m + at, n))
			return false;
		at += n;
	}
	*ret_len = at;
	return true;
}

struct cf_span
cf_block_field(const char *block, size_t len, const char *name)
{
	struct cf_span none = { NULL, 0 }, field;
	size_t at = 0;

	for (; at < len; at += field.len) {
		field.p = block + at;
		field.len = cf_block_field_len(field.p, len - at);
		if (field.len == 0)
			break;
		if (cf_block_name_is(field.p, field.len, name))
			return field;
	}
	return none;
}
