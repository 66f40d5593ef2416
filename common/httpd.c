/* SPDX-License-Identifier: Apache-2.0 */
/* cf_httpd - see httpd.h. */
#include "common/httpd.h"

#include <string.h>
#include <strings.h>

size_t
cf_httpd_no_unescape(void *cls, struct MHD_Connection *conn, char *s)
{
	(void)cls; (void)conn;
	return strlen(s);
}

struct seen {
	unsigned hosts;
	bool control;
};

static enum MHD_Result
look_at(void *cls, enum MHD_ValueKind kind, const char *name,
    size_t name_len, const char *value, size_t len)
{
	struct seen *seen = cls;
	size_t i;

	(void)kind;
	seen->hosts += name_len == 4 && strncasecmp(name, "Host", 4) == 0;
	for (i = 0; i < len; i++)
		seen->control |= ((unsigned char)value[i] < ' ' &&
		    value[i] != '\t') || value[i] == 0x7f;
	return MHD_YES;
}

bool
cf_httpd_is_sound(struct MHD_Connection *conn)
{
	struct seen seen = { 0, false };

	(void)MHD_get_connection_values_n(conn, MHD_HEADER_KIND, look_at,
	    &seen);
	return seen.hosts <= 1 && !seen.control;
}
