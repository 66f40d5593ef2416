/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_encoding - which encoding of a file a browser takes (RFC 9110 12.5.3).
 *
 * Knows: Accept-Encoding.   Does not know: files, how to compress.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_ENCODING_H
#define CF_MILTER_ENCODING_H

#include <stdbool.h>

/* The later one is the smaller one. */
enum cf_encoding {
	CF_ENCODING_NONE,
	CF_ENCODING_GZIP,
	CF_ENCODING_BROTLI,
	CF_ENCODING__COUNT
};

/* As Content-Encoding has it; NULL for none. */
const char *cf_encoding_name(enum cf_encoding encoding);
/* What it puts behind the name of a file; "" for none. */
const char *cf_encoding_suffix(enum cf_encoding encoding);
/*
 * The best of those that are `there`, by the value of Accept-Encoding
 * (untrusted; NULL: it was not sent).  What nobody can take at all is sent
 * as it is.
 */
enum cf_encoding cf_encoding_choose(const char *accept,
    const bool there[CF_ENCODING__COUNT]);

#endif
