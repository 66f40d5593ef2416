/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpd_response - what a server of httpd.h answers.
 *
 * Threads: a response that is not changed any more may be sent by several.
 * Logging: never.
 */
#ifndef CF_COMMON_HTTPD_RESPONSE_H
#define CF_COMMON_HTTPD_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

struct cf_httpd_response;

/*
 * Give; free with cf_httpd_response_free(), or by an answer.  The body's bytes
 * are taken, and wiped if it is a secret one; `fd` is taken, a regular file.
 */
struct cf_httpd_response *cf_httpd_response_new(unsigned status,
    struct cf_buf *body);
struct cf_httpd_response *cf_httpd_response_file(unsigned status, int fd,
    uint64_t len);
/* A field of ours, without line ends: another is our bug. */
void cf_httpd_response_add(struct cf_httpd_response *response,
    const char *name, const char *value);
uint64_t cf_httpd_response_len(const struct cf_httpd_response *response);
void cf_httpd_response_free(struct cf_httpd_response **response);

/*
 * For httpd.c: hand it to the library, which keeps what it needs of it; false
 * if it did not.
 */
struct MHD_Connection;
bool cf_httpd_response_send(const struct cf_httpd_response *response,
    struct MHD_Connection *conn);

#endif
