/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_outbox - the threads that turn outbox rows into receipt mails.
 *
 * Leases due rows, builds and sends each mail, marks the row; everything
 * that must outlive the process is in the row.  Killed between sending and
 * marking, it sends the mail again with the same Message-ID; so it does when
 * the database's machine falls within a second.  A database or mail server
 * that is away is waited for.  A row of which no mail can be made is tried
 * again like one that is not taken, and given up like it.
 * Knows: the order of the steps, the clock of retries.
 * Does not know: SQL (db_outbox.h), SMTP (mailer.h), what mails there are
 * (outbox_kind.h) and what they say.
 * Threads: start, reload and stop from one; the senders are four, each with
 * its own connections to database and mail server.  One works alone while it
 * keeps up.  `held' and `counted' are called by any of them.
 * Logging: one line a mail, with the row's number, and the first of a row of
 * failures.
 */
#ifndef CF_KEYSRV_OUTBOX_H
#define CF_KEYSRV_OUTBOX_H

#include <stdbool.h>

#include "common/err.h"
#include "common/secret.h"
#include "keysrv/receipt/mailer.h"

struct cf_outbox;

/* All is copied by cf_outbox_start().  A zero number means its default. */
struct cf_outbox_options {
	const char *database;		/* libpq connection string */
	bool unsafe_database, any_schema;	/* as in db.h */
	/* True: let the database alone, commits hang.  NULL: never. */
	bool (*held)(void *arg);
	void *held_arg;
	/* Told what became of an attempt: sent, waits, undeliverable; may be
	 * NULL. */
	void (*counted)(void *arg, const char *outcome);
	void *counted_arg;
	const struct cf_secret *server_secret;	/* makes the Message-IDs */
	struct cf_mailer_options mailer;
	const char *receipt_from;	/* address in From */
	const char *signer_certificate;	/* PEM file for that address */
	const char *signer_key;		/* PEM file, 0600 */
	long poll_ms;		/* how often due rows are looked for; 500 */
	long lease_ms;		/* must be over mailer.timeout_ms; 120 s */
	long retry_first_ms;	/* doubles with each attempt; 30 s */
	long retry_most_ms;	/* up to this; 1 h */
	long max_age_ms;	/* then undeliverable; 5 days */
};

/*
 * Load the signer and start the threads; the database and the mail server
 * need not be there yet.  Gives *ret; end with cf_outbox_stop().
 *
 * CF_E_CONFIG  signer unreadable, readable by others or not for
 *              `receipt_from`, or an address, server or time is unusable
 */
CF_MUST_USE enum cf_err cf_outbox_start(const struct cf_outbox_options *options,
    struct cf_outbox **ret, struct cf_why *why);
/*
 * From the next receipt on use these of the options: mailer, receipt_from,
 * signer and poll_ms.  On failure all stays as it was.  CF_E_CONFIG
 */
CF_MUST_USE enum cf_err cf_outbox_reload(struct cf_outbox *outbox,
    const struct cf_outbox_options *options, struct cf_why *why);
/*
 * Finish the mails under way (at most about 3 seconds more), give unsent
 * rows back, end the threads.  NULL inside is fine.
 */
void cf_outbox_stop(struct cf_outbox **outbox);

#endif
