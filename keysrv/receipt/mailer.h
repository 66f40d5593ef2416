/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_mailer - hand one finished message to a mail server by SMTP.
 *
 * Knows: SMTP (by libcurl), envelopes, which replies are final.
 * Does not know: what the message says, retries.
 * The envelope sender is always null (RFC 3834 3.3): nobody answers a
 * receipt.  The connection is kept between messages.
 * Threads: one at a time.   Logging: never.
 */
#ifndef CF_KEYSRV_MAILER_H
#define CF_KEYSRV_MAILER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"

enum cf_mailer_tls {
	CF_MAILER_TLS_OFF,	/* for a server on this machine */
	CF_MAILER_TLS_TRY,	/* STARTTLS if offered, any certificate */
	CF_MAILER_TLS_VERIFY	/* STARTTLS, valid certificate, or defer */
};

struct cf_mailer_options {
	const char *server;	/* "host:port", "[::1]:port" */
	enum cf_mailer_tls tls;
	const char *ca_file;	/* PEM bundle for VERIFY, NULL = system's */
	const char *helo;	/* our name, or NULL = "localhost" */
	long timeout_ms;	/* one whole message; 0 = 60 s */
	/* Called about once a second while waiting; nonzero gives up. */
	int (*tick)(void *arg);
	void *tick_arg;
};

struct cf_mailer;

/* off, try, verify. */
extern const struct cf_conf_name cf_mailer_tls_names[];

/*
 * Copies the options.  Connects to nothing yet.  Gives *ret.
 * CF_E_CONFIG  `server` is not host:port, or `helo` no host name
 */
CF_MUST_USE enum cf_err cf_mailer_new(const struct cf_mailer_options *options,
    struct cf_mailer **ret, struct cf_why *why);
void cf_mailer_free(struct cf_mailer **mailer);

/*
 * Send `mail` (header and body, CRLF lines, 7-bit) to `recipient`.
 * CF_OK means that the server took it: it answered 2xx after the last dot.
 *
 * CF_E_ADDRESS        `recipient` is not cf_address_ok(); not sent
 * CF_E_MAIL_REFUSED   5xx to this recipient or to this message; final
 * CF_E_MAIL_DEFERRED  4xx, or no answer when it was under way; it may have
 *                     been taken.  Try this message again later.
 * CF_E_MAIL_AWAY      the server is not there or takes nothing from us; no
 *                     other message would fare better
 */
CF_MUST_USE enum cf_err cf_mailer_send(struct cf_mailer *mailer,
    const char *recipient, const char *mail, size_t len, struct cf_why *why);

/*
 * Would the server take a mail for `recipient`?  Greeting, STARTTLS, sender
 * and recipient, then RSET: no mail is sent.
 *
 * CF_E_ADDRESS        as above
 * CF_E_MAIL_REFUSED   5xx to this recipient;  CF_E_MAIL_DEFERRED  4xx
 * CF_E_UNAUTHORIZED   5xx that is about us, as where it does not relay
 * CF_E_MAIL_AWAY      as above
 */
CF_MUST_USE enum cf_err cf_mailer_try(struct cf_mailer *mailer,
    const char *recipient, struct cf_why *why);

#endif
