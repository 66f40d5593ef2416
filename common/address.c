/* SPDX-License-Identifier: Apache-2.0 */
/* cf_address - see address.h. */
#include "common/address.h"

#include <glib.h>
#include <stddef.h>
#include <string.h>

#include "common/wire.h"

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

static bool
is_atext(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Words of `good` characters with single dots between them. */
static bool
dotted(const char *s, size_t len, bool (*good)(char))
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!good(s[i]) && (s[i] != '.' || i == 0 || s[i - 1] == '.'))
			return false;
	return len > 0 && s[len - 1] != '.';
}

static bool
is_host_char(char c)
{
	return is_alnum(c) || c == '-';
}

static bool
is_literal_char(char c)
{
	return is_alnum(c) || c == ':' || c == '-';
}

bool
cf_address_ok(const char *address)
{
	const char *at = strrchr(address, '@');
	const char *domain;
	size_t len;

	if (at == NULL || strlen(address) > CF_ADDRESS_MAX)
		return false;
	domain = at + 1;
	len = strlen(domain);
	if (len > 2 && domain[0] == '[' && domain[len - 1] == ']') {
		if (!dotted(domain + 1, len - 2, is_literal_char))
			return false;
	} else if (!dotted(domain, len, is_host_char)) {
		return false;
	}
	return dotted(address, (size_t)(at - address), is_atext);
}

bool
cf_address_registrable(const char *address)
{
	size_t len = strlen(address);
	const char *p;

	if (len == 0 || len > CF_WIRE_ADDRESS_MAX ||
	    !g_utf8_validate(address, (gssize)len, NULL))
		return false;
	for (p = address; *p != '\0'; p = g_utf8_next_char(p))
		if (g_unichar_iscntrl(g_utf8_get_char(p)))
			return false;
	return true;
}

bool
cf_address_host_ok(const char *name)
{
	return dotted(name, strlen(name), is_host_char);
}
