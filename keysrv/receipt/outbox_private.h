/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of cf_outbox share: outbox.c starts and ends it,
 * outbox_send.c has the senders' threads, outbox_mark.c writes down what
 * became of a mail.
 */
#ifndef CF_KEYSRV_OUTBOX_PRIVATE_H
#define CF_KEYSRV_OUTBOX_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/secret.h"
#include "keysrv/db/db_outbox.h"
#include "keysrv/receipt/mailer.h"
#include "keysrv/receipt/outbox.h"
#include "keysrv/receipt/signer.h"

#define CF_OUTBOX_SENDERS 4

/* What can be changed while it runs. */
struct cf_outbox_parts {
	struct cf_mailer *mailer;
	struct cf_signer *signer;
	char *receipt_from;
	long poll_ms;
};

/*
 * One thread with its own connections to database and mail server.  The first
 * looks for due rows all the time; the others help while it finds more than
 * it can take at once.
 */
struct cf_outbox_sender {
	struct cf_outbox *ob;
	pthread_t thread;
	bool has_thread, is_first;
	/* For the loop to take, or NULL. */
	_Atomic(struct cf_outbox_parts *) fresh;

	/* The loop's own. */
	struct cf_db *db;
	struct cf_outbox_parts *parts;
	long pause_ms;		/* 0 while all is well */
};

struct cf_outbox {
	struct cf_outbox_sender sender[CF_OUTBOX_SENDERS];
	int wake_fd;		/* an eventfd, readable when stopping */
	int help_fd;		/* a semaphore: helpers that are called */
	atomic_bool stopping;
	atomic_llong stop_ms;	/* monotonic, when it was asked for */
	atomic_bool db_down, mail_down;	/* logged already */
	atomic_int idle;	/* helpers that wait and were not called */

	/* As it was started. */
	char *database;
	bool (*held)(void *arg);
	void *held_arg;
	void (*counted)(void *arg, const char *outcome);
	void *counted_arg;
	struct cf_secret server_secret;
	long lease_ms, retry_first_ms, retry_most_ms, max_age_ms;
	long timeout_ms;
};

bool cf_outbox_is_stopping(struct cf_outbox *ob);
/* The next mail is written, signed and sent by what was loaded last. */
void cf_outbox_take_fresh(struct cf_outbox_sender *s);

/* ---- outbox_send.c: the threads, of the first sender and of the others */

void *cf_outbox_lead(void *sender);
void *cf_outbox_help(void *sender);

/* ---- outbox_mark.c ---- */

#define CF_OUTBOX_DB_PAUSE_MOST_MS 2000	/* a restart takes seconds */

/* What became of one leased row; decides which statement ends the lease. */
enum cf_outbox_outcome {
	CF_OUTBOX_SENT,
	CF_OUTBOX_REFUSED,	/* final */
	CF_OUTBOX_DEFERRED,	/* this mail, later */
	CF_OUTBOX_BROKEN,	/* no mail can be made of it; later */
	CF_OUTBOX_AWAY		/* any mail, later */
};

/*
 * Write the outcome down, waiting for the database as long as it takes: this
 * process knows what the row does not say yet.  When stopping, one last try;
 * if that fails the mail goes out once more, with the same Message-ID.
 */
void cf_outbox_settle(struct cf_outbox_sender *s,
    const struct cf_db_outbox_row *row, enum cf_outbox_outcome outcome,
    const char *error);
/* False when the database is away: the leases run out by themselves. */
bool cf_outbox_give_back(struct cf_outbox_sender *s,
    const struct cf_db_outbox_row *row);
/* Each statement that hangs would leave a session behind: wait for better. */
void cf_outbox_wait_while_held(struct cf_outbox_sender *s);
/* Say so when the database goes, and when it is there again. */
void cf_outbox_note_db(struct cf_outbox *ob, enum cf_err rc,
    const struct cf_why *why);
/* Sleep, or until stopping; the second for longer each time. */
void cf_outbox_pause(struct cf_outbox *ob, long ms);
void cf_outbox_pause_longer(struct cf_outbox_sender *s, long most_ms);

#endif
