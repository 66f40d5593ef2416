/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_b64url - base64url without padding (RFC 4648 section 5).
 *
 * Decoding is strict: no padding, no blanks, no spare bits.  The table look
 * up is arithmetic, so that secrets leave no trace in the data cache.
 */
#ifndef CF_COMMON_B64URL_H
#define CF_COMMON_B64URL_H

#include <stdbool.h>
#include <stddef.h>

/* All that it is written with; for strspn(). */
#define CF_B64URL_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"abcdefghijklmnopqrstuvwxyz0123456789-_"
/* Characters for `n` bytes, without the NUL. */
#define CF_B64URL_LEN(n) (((n) * 8 + 5) / 6)

/* Writes CF_B64URL_LEN(len) characters and a NUL to `out`. */
void cf_b64url_encode(const void *bytes, size_t len, char *out);
/*
 * Decode exactly `out_len` bytes from `text_len` characters.  False (out
 * undefined) when the text is not the encoding of exactly that many bytes.
 */
bool cf_b64url_decode(const char *text, size_t text_len, void *out,
    size_t out_len);

#endif
