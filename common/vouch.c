/* SPDX-License-Identifier: Apache-2.0 */
/* cf_vouch - see vouch.h. */
#include "common/vouch.h"

#include <gmime/gmime.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/visible.h"

#define FIELD_MAX (64 * 1024)	/* bytes of a From field that are read */

/*
 * The end of the header: an empty line by line feeds alone.  A program that
 * takes a bare CR for a line end finds it sooner, so no From is missed.
 */
static size_t
header_len(const char *message, size_t len)
{
	size_t start = 0, i;

	for (i = 0; i < len; i++) {
		if (message[i] != '\n')
			continue;
		if (i == start || (i == start + 1 && message[start] == '\r'))
			return start;
		start = i + 1;
	}
	return len;
}

static size_t
line_len(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] != '\r' && p[n] != '\n')
		n++;
	return n;
}

/* The bytes before the value if the line begins a From field, else 0. */
static size_t
from_prefix(const char *line, size_t len)
{
	size_t n = strlen("from");

	if (len <= n || strncasecmp(line, "from", n) != 0)
		return 0;
	while (n < len && (line[n] == ' ' || line[n] == '\t'))
		n++;
	return n < len && line[n] == ':' ? n + 1 : 0;
}

/* The value of the only From field, unfolded; false if there is not one. */
static bool
find_from(const char *header, size_t len, struct cf_buf *value)
{
	size_t at = 0, n, skip, fields = 0;
	bool inside = false;

	for (; at < len; at += n + 1) {
		n = line_len(header + at, len - at);
		if (n == 0)
			continue;
		skip = 0;
		if (header[at] != ' ' && header[at] != '\t') {
			skip = from_prefix(header + at, n);
			inside = skip > 0;
			fields += inside;
		}
		if (inside)
			cf_buf_add(value, header + at + skip, n - skip);
	}
	return fields == 1 && !value->full &&
	    memchr(cf_buf_str(value), '\0', value->len) == NULL;
}

/* The @ outside quotation marks and comments: one for each address. */
static size_t
at_signs(const char *value)
{
	size_t count = 0, depth = 0;
	bool quoted = false;

	for (; *value != '\0'; value++) {
		if (*value == '\\' && value[1] != '\0')
			value++;
		else if (*value == '"' && depth == 0)
			quoted = !quoted;
		else if (*value == '(' && !quoted)
			depth++;
		else if (*value == ')' && !quoted && depth > 0)
			depth--;
		else if (*value == '@' && !quoted && depth == 0)
			count++;
	}
	return count;
}

static bool
is_in_domain(const char *address, const char *domain)
{
	const char *at = strchr(address, '@');

	/* With a second @ programs could take either half for the domain. */
	return at != NULL && at != address && strcasecmp(at + 1, domain) == 0;
}

/* Every address of the list, groups included. */
static bool
check_list(InternetAddressList *list, const char *domain, struct cf_buf *from)
{
	int i, count = internet_address_list_length(list);
	bool good = true;

	for (i = 0; i < count; i++) {
		InternetAddress *one =
		    internet_address_list_get_address(list, i);
		const char *address;

		if (INTERNET_ADDRESS_IS_GROUP(one)) {
			good &= check_list(internet_address_group_get_members(
			    INTERNET_ADDRESS_GROUP(one)), domain, from);
			continue;
		}
		address = internet_address_mailbox_get_addr(
		    INTERNET_ADDRESS_MAILBOX(one));
		if (address == NULL)
			address = "";
		if (from->len > 0)
			cf_buf_adds(from, ", ");
		cf_visible_add(from, address, SIZE_MAX);
		good &= is_in_domain(address, domain);
	}
	return good;
}

bool
cf_vouch(const char *message, size_t len, const char *domain,
    struct cf_buf *from)
{
	CF_AUTO(cf_buf_free) struct cf_buf value = CF_BUF_INIT(FIELD_MAX);
	InternetAddressList *list;
	bool good;

	if (!find_from(message, header_len(message, len), &value))
		return false;
	list = internet_address_list_parse(NULL, cf_buf_str(&value));
	if (list == NULL)
		return false;
	good = check_list(list, domain, from);
	g_object_unref(list);
	/* An @ that is left over could be an address to another program. */
	return good && from->len > 0 && *domain != '\0' &&
	    at_signs(cf_buf_str(from)) == at_signs(cf_buf_str(&value));
}
