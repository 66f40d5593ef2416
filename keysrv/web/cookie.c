/* SPDX-License-Identifier: Apache-2.0 */
/* cf_cookie - see cookie.h. */
#include "keysrv/web/cookie.h"

#include <string.h>

#include "common/b64url.h"

/* cookie-octet, RFC 6265 4.1.1 */
static bool
is_octet(char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != ',' && c != ';' &&
	    c != '\\';
}

static bool
is_value(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!is_octet(s[i]))
			return false;
	return true;
}

bool
cf_cookie_find(const char *header, const char *name, const char **ret,
    size_t *ret_len)
{
	size_t name_len = strlen(name), value_len = 0, len, found = 0;
	const char *p = header, *value = NULL;

	while (p != NULL && *p != '\0') {
		p += strspn(p, " \t");
		len = strcspn(p, ";");
		if (len > name_len && p[name_len] == '=' &&
		    strncmp(p, name, name_len) == 0) {
			found++;
			value = p + name_len + 1;
			value_len = len - name_len - 1;
		}
		p += len + (p[len] == ';');
	}
	/* Of two that claim to be it, none is believed. */
	if (found != 1 || !is_value(value, value_len))
		return false;
	*ret = value;
	*ret_len = value_len;
	return true;
}

void
cf_cookie_write(struct cf_buf *out, const char *name, const char *value,
    int64_t max_age_s)
{
	if (strncmp(name, CF_COOKIE_PREFIX, strlen(CF_COOKIE_PREFIX)) != 0 ||
	    strspn(name, CF_B64URL_CHARS) != strlen(name) ||
	    strspn(value, CF_B64URL_CHARS) != strlen(value))
		cf_bug("a cookie that browsers would not take");
	cf_buf_adds(out, name);
	cf_buf_addc(out, '=');
	cf_buf_adds(out, value);
	cf_buf_addf(out, "; Path=/; Max-Age=%lld; Secure; HttpOnly; "
	    "SameSite=Lax", (long long)max_age_s);
}
