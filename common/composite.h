/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_composite - P, the mail that travels: notice + E + L in MIME.
 *
 *   MIME-Version: 1.0
 *   Content-Type: multipart/mixed; boundary="=_cf_<22 b64url>"
 *   Counterfoil-Version: 1
 *     multipart/alternative
 *       text/plain; charset=utf-8    quoted-printable   notice
 *       text/html; charset=utf-8     quoted-printable   notice
 *     application/octet-stream; name=message.counterfoil   base64
 *       Counterfoil-Locator: L                          E
 *
 * Knows: MIME (reading by GMime), the structure above.
 * Does not know: what notices say, keys, milters, allow lists; how E and L
 * are found (common/reading.h); how its header comes about.
 * Threads: cf_composite_init() once before threads start; then no shared
 * state.   Logging: never.
 */
#ifndef CF_COMMON_COMPOSITE_H
#define CF_COMMON_COMPOSITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/container.h"
#include "common/err.h"
#include "common/link.h"

#define CF_BOUNDARY_LEN (5 + 22)	/* =_cf_<22> */
/* Both texts, quoted-printable. */
#define CF_COMPOSITE_NOTICE_MAX ((size_t)4 << 20)

/* Start GMime.  Any number of times, but first before threads start. */
void cf_composite_init(void);

/* ---- writing the body of P ---- */

/* Fresh random boundary. */
void cf_composite_boundary(char ret[CF_BOUNDARY_LEN + 1]);

struct cf_composite_parts {
	const char *boundary;	/* CF_BOUNDARY_LEN characters */
	const char *text;	/* notice, UTF-8, lines end in LF or CRLF */
	const char *html;	/* the same */
	const char *locator;	/* L, NUL-terminated */
	/* E = head || ciphertext || tail */
	const void *head;
	size_t head_len;
	const void *ciphertext;	/* in memory, or NULL: */
	int ciphertext_fd;	/* read with pread() from ciphertext_off */
	uint64_t ciphertext_len;
	const void *tail;
	size_t tail_len;
	uint64_t ciphertext_off;
};

/* Takes the next bytes; anything but CF_OK ends the writing with it. */
typedef enum cf_err cf_composite_write_fn(void *arg, const void *data,
    size_t len, struct cf_why *why);

/*
 * Write the body of P: CRLF lines of at most 76 characters (only L's line is
 * longer), ASCII, ends in CRLF.
 * CF_E_IO          the descriptor does not give ciphertext_len bytes
 * CF_E_LINK_SYNTAX, CF_E_LINK_TOO_LONG  the locator is none
 * CF_E_TOO_LARGE   the notice has more than 4 MB
 */
CF_MUST_USE enum cf_err cf_composite_write(
    const struct cf_composite_parts *parts, cf_composite_write_fn *write,
    void *arg, struct cf_why *why);
/* How many bytes cf_composite_write() will write. */
uint64_t cf_composite_size(const struct cf_composite_parts *parts);

/* ---- the notice, in what has arrived ---- */

/* The content of a part, undecoded. */
struct cf_place {
	size_t off, len;	/* from the start of the message */
	bool base64;		/* else quoted-printable */
};

/* A whole message (untrusted): header, empty line, body. */
struct cf_composite_file {
	const void *bytes;
	size_t len;
	/* >= 0: the bytes are a mapping of this file from its beginning, which
	 * is gone through with little of it resident.  Its place is moved. */
	int fd;
};

/* Ends in front of the line end that belongs to the boundary line. */
struct cf_composite {
	size_t body_off;
	struct cf_place text, html;
};

/*
 * Find the notice in `message`, whose E has the key id `handle`
 * (common/reading.h finds E): the one multipart/alternative of a text/plain
 * and a text/html in which the handle stands, in a message that says
 * Counterfoil-Version: 1.  What a list or a gateway put around it does not
 * matter, and none of it is looked at.
 * CF_E_NOT_SEALED  it is not there, or not to be changed; `why` for the log
 */
CF_MUST_USE enum cf_err cf_composite_parse_file(
    const struct cf_composite_file *message, const char *handle,
    struct cf_composite *ret, struct cf_why *why);
/* The same for `len` bytes, all in memory. */
CF_MUST_USE enum cf_err cf_composite_parse(const void *message, size_t len,
    const char *handle, struct cf_composite *ret, struct cf_why *why);
/*
 * Write the body of the message that gave `composite` again, with the
 * content of the two notice parts replaced and every other byte as it was.
 * `text` and `html` are ASCII.
 */
CF_MUST_USE enum cf_err cf_composite_rewrite_file(
    const struct cf_composite_file *message,
    const struct cf_composite *composite, const char *text, const char *html,
    cf_composite_write_fn *write, void *arg, struct cf_why *why);
/* The same for `len` bytes, all in memory. */
CF_MUST_USE enum cf_err cf_composite_rewrite(const void *message, size_t len,
    const struct cf_composite *composite, const char *text, const char *html,
    cf_composite_write_fn *write, void *arg, struct cf_why *why);

#endif
