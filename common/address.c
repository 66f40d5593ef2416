/* SPDX-License-Identifier: Apache-2.0 */
/* cf_address - see address.h. */
#include "common/address.h"

#include <stddef.h>
#include <string.h>

#include "common/visible.h"
#include "common/wire.h"

#define DOMAIN_MAX 255	/* RFC 5321 4.5.3.1.2 */

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

static bool
is_literal(const char *domain)
{
	size_t len = strlen(domain);

	return len > 2 && domain[0] == '[' && domain[len - 1] == ']' &&
	    dotted(domain + 1, len - 2, is_literal_char);
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
	if (!is_literal(domain) && !dotted(domain, len, is_host_char))
		return false;
	return dotted(address, (size_t)(at - address), is_atext);
}

/* The dots, @ and brackets of other scripts, which pass for ours. */
static bool
is_lookalike(uint32_t c)
{
	return c == 0x3002 || c == 0xff61 || (c >= 0x2024 && c <= 0x2026) ||
	    (c >= 0xfe10 && c <= 0xfe19) || (c >= 0xfe50 && c <= 0xfe6b) ||
	    (c >= 0xff01 && c <= 0xff5e);
}

/*
 * The length of the character at `s` if it may stand in an address outside
 * quotes, in a place where ASCII must be `good`, else 0.
 */
static size_t
plain_char(const char *s, bool (*good)(char))
{
	uint32_t c = 0;
	size_t n = *s == '\0' ? 0 : cf_utf8_char(s, strlen(s), &c);

	if (n == 1)
		return good((char)c) ? 1 : 0;
	return n > 0 && cf_visible_char(c) && !is_lookalike(c) ? n : 0;
}

/* Dots may stand anywhere: some providers gave such names away. */
static bool
is_local_char(char c)
{
	return is_atext(c) || c == '.';
}

static bool
is_name_char(char c)
{
	return is_host_char(c) || c == '_' || c == '.';
}

/* RFC 5321 Quoted-string, what it holds as visible as the rest. */
static const char *
skip_quoted(const char *s)
{
	uint32_t c = 0;
	size_t n;

	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s += n) {
		s += *s == '\\';
		n = *s == '\0' ? 0 : cf_utf8_char(s, strlen(s), &c);
		if (n == 0 || (!cf_visible_char(c) && c != ' '))
			return NULL;
	}
	return s + 1;
}

/* What follows the local part, or NULL if there is none. */
static const char *
skip_local(const char *s)
{
	const char *begin = s;
	size_t n;

	if (*s == '"')
		return skip_quoted(s);
	while ((n = plain_char(s, is_local_char)) > 0)
		s += n;
	return s == begin ? NULL : s;
}

/* A host name, in letters of any script. */
static bool
is_domain(const char *s)
{
	char before = '.';
	size_t n;

	for (; *s != '\0'; s += n) {
		n = plain_char(s, is_name_char);
		if (n == 0 || (*s == '.' && before == '.'))
			return false;
		before = *s;
	}
	return before != '.';
}

bool
cf_address_registrable(const char *address)
{
	const char *rest = skip_local(address);

	if (rest == NULL || strlen(address) > CF_WIRE_ADDRESS_MAX)
		return false;
	if (*rest == '\0')	/* postmaster, a local user */
		return true;
	return *rest == '@' && strlen(rest + 1) <= DOMAIN_MAX &&
	    (is_literal(rest + 1) || is_domain(rest + 1));
}

bool
cf_address_host_ok(const char *name)
{
	return dotted(name, strlen(name), is_host_char);
}
