/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_qp - text in quoted-printable (RFC 2045 6.7).
 *
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_QP_H
#define CF_COMMON_QP_H

#include "common/buf.h"

/*
 * Append `text`, whose lines end in LF or CRLF: CRLF lines of at most 76
 * characters, the last one ended, too.
 */
void cf_qp_add(struct cf_buf *out, const char *text);

#endif
