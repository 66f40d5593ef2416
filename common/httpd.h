/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpd - what our HTTP servers have in common in what they take from a
 * client.
 *
 * Knows: libmicrohttpd, and what it lets pass.   Does not know: routes.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_HTTPD_H
#define CF_COMMON_HTTPD_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

/* RFC 6797; for every answer of a service that links name with https. */
#define CF_HTTPD_HSTS "max-age=31536000"

/*
 * For MHD_OPTION_UNESCAPE_CALLBACK: paths and query values stay as they
 * came, so that %00 cannot end one.
 */
size_t cf_httpd_no_unescape(void *cls, struct MHD_Connection *conn, char *s);
/*
 * What the library lets pass and others in front may have read otherwise:
 * false for a second Host field, or a control character in a field.
 */
bool cf_httpd_is_sound(struct MHD_Connection *conn);

#endif
