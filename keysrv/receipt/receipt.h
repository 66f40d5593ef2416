/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_receipt - what a receipt mail says, and the finished mail.
 *
 * Knows: grades, assurances and their words (one table), mail syntax,
 * RFC 8098.   Does not know: the database, SMTP, the clock, signatures
 * beyond signer.h.
 * No text from outside stands in the outer header but validated addresses
 * and message ids; in the text it is escaped and quoted-printable.  So
 * nothing in the header needs RFC 2047.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_RECEIPT_H
#define CF_KEYSRV_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/assurance.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/secret.h"
#include "keysrv/receipt/record.h"
#include "keysrv/receipt/signer.h"

#define CF_RECEIPT_MAX 65536	/* bytes of a finished mail; about 4 kB */
/* Longest Message-ID: < HMAC in b64url @ domain >, without the NUL. */
#define CF_RECEIPT_MESSAGE_ID_MAX (43 + 3 + 255)

enum cf_receipt_grade {
	CF_RECEIPT_RELEASED,
	CF_RECEIPT_OPENED,
	CF_RECEIPT_GRADE__COUNT
};

/* One row of the table: all that grade and assurance decide. */
struct cf_receipt_words {
	const char *subject;	/* follows "Message key ID # <handle>: " */
	const char *sentence;	/* what is known, and no more */
	const char *disposition;	/* RFC 8098 3.2.6; NULL: no MDN */
};

/* The parts of one receipt; all strings are lent, none may be NULL. */
struct cf_receipt {
	enum cf_receipt_grade grade;
	enum cf_assurance assurance;
	bool second;		/* a 'released' receipt was sent before */
	const char *key_handle;	/* 22 characters */
	const char *from;	/* who sends receipts */
	const char *to;		/* who sent the message */
	const char *recipient;	/* whom it was sent to; untrusted text */
	const char *principal;	/* who got the key; untrusted text */
	const char *original_message_id;	/* untrusted, may be "" */
	const char *message_id;	/* of this mail: cf_receipt_message_id() */
	int64_t date_ms;	/* of this mail */
	int64_t released_ms;
	int64_t opened_ms;	/* CF_RECEIPT_OPENED only */
};

/* Lends: static. */
const struct cf_receipt_words *cf_receipt_words(enum cf_receipt_grade grade,
    enum cf_assurance assurance);
/* "released", "opened", as in the database. */
bool cf_receipt_grade_parse(const char *name, enum cf_receipt_grade *ret);

/*
 * The Message-ID of the mail about one event, with its < >: HMAC-SHA256 of
 * the mail's kind in the outbox (a grade's name) and the event id under the
 * server secret, at the domain of `from`.  The same mail sent again has the
 * same one; nobody else can tell or make it.
 */
void cf_receipt_message_id(const struct cf_secret *server_secret,
    const unsigned char event_id[CF_EVENT_ID_LEN], const char *kind,
    const char *from,
    char out[CF_RECEIPT_MESSAGE_ID_MAX + 1]);

/*
 * Append the finished, signed mail to `mail`: 7-bit, CRLF, lines of at most
 * CF_LINE_MAX characters.
 * CF_E_ADDRESS  `from` or `to` cannot stand in a header
 * CF_E_SYNTAX   `key_handle` or `message_id` is not one
 * else          as cf_signer_wrap()
 */
CF_MUST_USE enum cf_err cf_receipt_build(const struct cf_receipt *receipt,
    const struct cf_signer *signer, struct cf_buf *mail, struct cf_why *why);

#endif
