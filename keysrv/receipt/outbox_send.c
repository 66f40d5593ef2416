/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_outbox's senders: each leases rows, makes their mails and sends them.
 * See outbox.h.
 */
#include <poll.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "keysrv/receipt/outbox_kind.h"
#include "keysrv/receipt/outbox_private.h"

#define BATCH 8			/* rows leased at once, by each */
#define PAUSE_MOST_MS 30000	/* while there is no mail server */

static void
note_mail(struct cf_outbox *ob, enum cf_outbox_outcome outcome,
    const struct cf_why *why)
{
	bool down = outcome == CF_OUTBOX_AWAY;
	bool was = atomic_exchange(&ob->mail_down, down);

	if (down && !was)
		cf_log(CF_LOG_WARN, "outbox waits for the mail server: %s",
		    why->text);
	else if (!down && was)
		cf_log(CF_LOG_INFO, "outbox has its mail server again");
}

static enum cf_err
build(struct cf_outbox_sender *s, const struct cf_db_outbox_row *row,
    struct cf_buf *mail, const char **ret_to, struct cf_why *why)
{
	const struct cf_outbox_kind *kind = cf_outbox_kind(row->kind);
	const struct cf_outbox_desk desk = {
		.server_secret = &s->ob->server_secret,
		.signer = s->parts->signer,
		.from = s->parts->receipt_from,
		.now_ms = cf_clock_ms(),
	};

	if (row->unreadable != NULL)
		return cf_fail(CF_E_INTERNAL, why,
		    "what stands in its column %s cannot be read",
		    row->unreadable);
	if (kind == NULL)
		return cf_fail(CF_E_INTERNAL, why,
		    "no mail is written for \"%s\"", row->kind);
	return kind->build(&desk, row, mail, ret_to, why);
}

static enum cf_outbox_outcome
send_row(struct cf_outbox_sender *s, const struct cf_db_outbox_row *row,
    struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf mail =
	    CF_BUF_INIT(CF_OUTBOX_MAIL_MAX);
	const char *to = NULL;
	enum cf_err rc;

	cf_outbox_take_fresh(s);
	rc = build(s, row, &mail, &to, why);
	if (rc == CF_OK) {
		cf_fault("outbox.built");
		rc = cf_mailer_send(s->parts->mailer, to, mail.data, mail.len,
		    why);
	}
	if (rc == CF_OK)
		return CF_OUTBOX_SENT;
	if (rc == CF_E_MAIL_AWAY)
		return CF_OUTBOX_AWAY;
	/* A bug of ours may be mended while the row waits. */
	return cf_err_class(rc) == CF_CLASS_PERM ? CF_OUTBOX_REFUSED :
	    cf_err_class(rc) == CF_CLASS_BUG ? CF_OUTBOX_BROKEN :
	    CF_OUTBOX_DEFERRED;
}

static bool
may_send(struct cf_outbox *ob, int64_t leased_ms)
{
	/* What is sent must be marked before the lease ends. */
	return !cf_outbox_is_stopping(ob) && cf_clock_mono_ms() +
	    ob->timeout_ms <= leased_ms + ob->lease_ms;
}

/* Send the leased rows; false when the mail server is not there. */
static bool
send_batch(struct cf_outbox_sender *s, struct cf_db_outbox_row *rows,
    size_t count, int64_t leased_ms)
{
	enum cf_outbox_outcome outcome = CF_OUTBOX_SENT;
	bool returning = true;
	size_t i;

	for (i = 0; i < count; i++) {
		struct cf_why why = { "" };

		if (outcome == CF_OUTBOX_AWAY || !may_send(s->ob, leased_ms)) {
			returning = returning &&
			    cf_outbox_give_back(s, &rows[i]);
			continue;
		}
		outcome = send_row(s, &rows[i], &why);
		if (outcome == CF_OUTBOX_SENT)
			cf_fault("outbox.sent");
		else
			cf_fault("outbox.failed");
		note_mail(s->ob, outcome, &why);
		cf_outbox_settle(s, &rows[i], outcome, why.text);
		cf_fault("outbox.marked");
	}
	return outcome != CF_OUTBOX_AWAY;
}

/* As many as wait to be called. */
static void
call_helpers(struct cf_outbox *ob)
{
	uint64_t count = (uint64_t)atomic_exchange(&ob->idle, 0);

	if (count > 0 && write(ob->help_fd, &count, sizeof count) !=
	    (ssize_t)sizeof count)
		cf_log(CF_LOG_DEBUG, "no helper was called");
}

/* A helper waits until it is called; false when stopping. */
static bool
wait_for_call(struct cf_outbox *ob)
{
	struct pollfd fds[2] = {
		{ ob->wake_fd, POLLIN, 0 },
		{ ob->help_fd, POLLIN, 0 },
	};
	uint64_t one;

	(void)atomic_fetch_add(&ob->idle, 1);
	while (!cf_outbox_is_stopping(ob))
		if (poll(fds, 2, -1) > 0 && fds[1].revents != 0 &&
		    read(ob->help_fd, &one, sizeof one) ==
		    (ssize_t)sizeof one)
			return true;
	return false;
}

/* Pauses are the first one's; a helper goes, and is called again. */
static void
pause_as_first(struct cf_outbox_sender *s, long most_ms)
{
	if (s->is_first)
		cf_outbox_pause_longer(s, most_ms);
}

/* Lease rows and send them; true when there may be more. */
static bool
one_round(struct cf_outbox_sender *s)
{
	struct cf_db_outbox_row rows[BATCH] = { 0 };
	struct cf_why why = { "" };
	int64_t leased_ms = cf_clock_mono_ms();
	size_t count = 0, i;
	enum cf_err rc;
	bool reached = true;

	rc = cf_db_outbox_lease(s->db, BATCH, s->ob->lease_ms, rows, &count,
	    &why);
	if (cf_outbox_is_stopping(s->ob) && rc != CF_OK)
		return false;
	cf_outbox_note_db(s->ob, rc, &why);
	if (rc != CF_OK) {
		pause_as_first(s, CF_OUTBOX_DB_PAUSE_MOST_MS);
		return false;
	}
	if (count == BATCH)
		call_helpers(s->ob);
	if (count > 0) {
		cf_fault("outbox.leased");
		reached = send_batch(s, rows, count, leased_ms);
	}
	for (i = 0; i < count; i++)
		cf_db_outbox_row_clear(&rows[i]);
	if (!reached) {
		pause_as_first(s, PAUSE_MOST_MS);
		return false;
	}
	s->pause_ms = 0;
	if (count < BATCH && s->is_first)
		cf_outbox_pause(s->ob, s->parts->poll_ms);
	return count == BATCH;
}

void *
cf_outbox_lead(void *arg)
{
	struct cf_outbox_sender *s = arg;

	while (!cf_outbox_is_stopping(s->ob)) {
		cf_outbox_wait_while_held(s);
		(void)one_round(s);
	}
	return NULL;
}

void *
cf_outbox_help(void *arg)
{
	struct cf_outbox_sender *s = arg;

	while (wait_for_call(s->ob))
		do
			cf_outbox_wait_while_held(s);
		while (!cf_outbox_is_stopping(s->ob) && one_round(s));
	return NULL;
}
