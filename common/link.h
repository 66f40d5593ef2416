/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_link - the key retrieval link L, and the reader link that carries it.
 *
 *   L            = service "/k/" handle "#" token
 *   reader link  = reader "/m/" blob "#" host [":" port] "/" handle "/" token
 *   service      = "https://" host [":" port]   ("http://" for loopback)
 *
 * Knows: URL syntax, our paths (design: Links).
 * Does not know: HTTP, keys, mail.
 * Threads: no shared state.   Logging: never (the caller logs `why`).
 */
#ifndef CF_COMMON_LINK_H
#define CF_COMMON_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/b64url.h"
#include "common/err.h"
#include "common/secret.h"

#define CF_KEY_ID_LEN 16			/* bytes */
#define CF_TOKEN_LEN 32				/* bytes */
#define CF_HANDLE_LEN CF_B64URL_LEN(CF_KEY_ID_LEN)	/* 22 characters */
#define CF_TOKEN_TEXT_LEN CF_B64URL_LEN(CF_TOKEN_LEN)	/* 43 characters */
#define CF_BLOB_LEN 22				/* characters */
#define CF_SERVICE_MAX 280			/* characters, without NUL */
#define CF_LINK_MAX \
	(CF_SERVICE_MAX + 3 + CF_HANDLE_LEN + 1 + CF_TOKEN_TEXT_LEN)
#define CF_READER_LINK_MAX \
	(CF_SERVICE_MAX + 3 + CF_BLOB_LEN + 1 + CF_LINK_MAX)

/* L taken apart.  A plain struct that holds a secret: wipe it. */
struct cf_link {
	char service[CF_SERVICE_MAX + 1];	/* "https://keys.example" */
	unsigned char key_id[CF_KEY_ID_LEN];
	char handle[CF_HANDLE_LEN + 1];		/* key id as b64url */
	struct cf_secret token;
};

void cf_link_wipe(struct cf_link *link);
/* The same service, key id and secret? */
bool cf_link_equal(const struct cf_link *a, const struct cf_link *b);

/*
 * Parse L, exactly (`text` NUL-terminated, untrusted).
 * CF_E_LINK_SYNTAX    not of the grammar above, or http: off loopback
 * CF_E_LINK_TOO_LONG  longer than CF_LINK_MAX
 */
CF_MUST_USE enum cf_err cf_link_parse(const char *text, struct cf_link *ret,
    struct cf_why *why);
/* Write L.  `out` takes CF_LINK_MAX + 1 bytes; holds the token: cleanse it. */
void cf_link_format(const struct cf_link *link, char *out);
/* Write the reader link.  `out` takes CF_READER_LINK_MAX + 1 bytes. */
void cf_link_format_reader(const struct cf_link *link, const char *reader_url,
    const char *blob, char *out);
/*
 * A service URL: https, or http with a loopback host (127.0.0.0/8, [::1],
 * localhost); host of a-z 0-9 - . or an IPv6 literal; optional port; no
 * path, no final slash.  CF_E_LINK_SYNTAX with a sentence.
 */
CF_MUST_USE enum cf_err cf_link_check_service(const char *url,
    struct cf_why *why);
/* http: service (loopback only, as checked above)? */
bool cf_link_is_plain(const char *service);
/* Is its host this machine itself, by the names above? */
bool cf_link_is_loopback(const char *service);
/*
 * Length of the host at the start of `text` (untrusted), of the host and its
 * optional port.  0 when it is none, with a sentence.
 */
size_t cf_link_host_len(const char *text);
size_t cf_link_authority_len(const char *text, struct cf_why *why);
/* 22 characters of b64url that decode to 16 bytes. */
bool cf_link_is_blob(const char *text);
/*
 * The same at the start of a path's last part, with nothing behind it but
 * what comes there on the way: punctuation, a final slash, parameters, or a
 * `#` that was encoded, with L.
 */
bool cf_link_begins_blob(const char *text);

#endif
