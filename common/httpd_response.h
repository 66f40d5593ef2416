/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpd_response - what httpd.h says of responses, for httpd.c.
 *
 * Threads: a response that is not changed any more may be sent by several.
 */
#ifndef CF_COMMON_HTTPD_RESPONSE_H
#define CF_COMMON_HTTPD_RESPONSE_H

#include <microhttpd.h>

#include "common/httpd.h"

/* Hand it to the library, which keeps what it needs of it. */
enum MHD_Result cf_httpd_response_send(
    const struct cf_httpd_response *response, struct MHD_Connection *conn);

#endif
