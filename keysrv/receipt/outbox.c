/* SPDX-License-Identifier: Apache-2.0 */
/* cf_outbox - see outbox.h. */
#include "keysrv/receipt/outbox.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/address.h"
#include "common/b64url.h"
#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"
#include "keysrv/db/db_outbox.h"
#include "keysrv/receipt/receipt.h"
#include "keysrv/receipt/signer.h"

#define SENDERS 4
#define BATCH 8			/* rows leased at once, by each */
#define PAUSE_FIRST_MS 250	/* after a failure of database or server */
#define PAUSE_MOST_MS 30000
#define DB_PAUSE_MOST_MS 2000	/* a restart takes seconds */
#define STOP_GRACE_MS 3000	/* for the mail under way */
#define LAST_CALL_MS 1000	/* a statement, after that */
#define DATABASE_LIMIT_MS 40000	/* the server's own is shorter */

#define POLL_MS 500
#define LEASE_MS 120000
#define TIMEOUT_MS 60000
#define RETRY_FIRST_MS 30000
#define RETRY_MOST_MS 3600000
#define MAX_AGE_MS (5L * 24 * 3600 * 1000)
#define WARN_DAYS 30

/* What can be changed while it runs. */
struct parts {
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
struct sender {
	struct cf_outbox *ob;
	pthread_t thread;
	bool has_thread, is_first;
	_Atomic(struct parts *) fresh;	/* for the loop to take, or NULL */

	/* The loop's own. */
	struct cf_db *db;
	struct parts *parts;
	long pause_ms;		/* 0 while all is well */
};

struct cf_outbox {
	struct sender sender[SENDERS];
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

/* What became of one leased row; decides which statement ends the lease. */
enum outcome {
	OUTCOME_SENT,
	OUTCOME_REFUSED,	/* final */
	OUTCOME_DEFERRED,	/* this mail, later */
	OUTCOME_BROKEN,		/* no mail can be made of it; later */
	OUTCOME_AWAY		/* any mail, later */
};

static bool
is_stopping(struct cf_outbox *ob)
{
	return atomic_load(&ob->stopping);
}

/* cf_mailer's tick: nonzero ends the conversation. */
static int
on_tick(void *arg)
{
	struct cf_outbox *ob = arg;

	return is_stopping(ob) && cf_clock_mono_ms() >
	    (int64_t)atomic_load(&ob->stop_ms) + STOP_GRACE_MS;
}

/* Sleep, or until stopping. */
static void
pause_for(struct cf_outbox *ob, long ms)
{
	struct pollfd fd = { ob->wake_fd, POLLIN, 0 };

	if (!is_stopping(ob))
		(void)poll(&fd, 1, (int)ms);
}

static void
pause_longer(struct sender *s, long most_ms)
{
	s->pause_ms = s->pause_ms == 0 ? PAUSE_FIRST_MS : s->pause_ms * 2;
	if (s->pause_ms > most_ms)
		s->pause_ms = most_ms;
	pause_for(s->ob, s->pause_ms);
}

static void
parts_free(struct parts **parts)
{
	if (*parts == NULL)
		return;
	cf_mailer_free(&(*parts)->mailer);
	cf_signer_free(&(*parts)->signer);
	free((*parts)->receipt_from);
	free(*parts);
	*parts = NULL;
}

/* The next receipt is written, signed and sent by what was loaded last. */
static void
take_fresh(struct sender *s)
{
	struct parts *fresh = atomic_exchange(&s->fresh, NULL);

	if (fresh == NULL)
		return;
	parts_free(&s->parts);
	s->parts = fresh;
}

/* Each statement that hangs would leave a session behind: wait for better. */
static void
wait_while_held(struct sender *s)
{
	struct cf_outbox *ob = s->ob;

	while (ob->held != NULL && ob->held(ob->held_arg) && !is_stopping(ob))
		pause_for(ob, s->parts->poll_ms);
}

static void
note_db(struct cf_outbox *ob, enum cf_err rc, const struct cf_why *why)
{
	bool was = atomic_exchange(&ob->db_down, rc != CF_OK);

	if (rc != CF_OK && !was)
		cf_log(rc == CF_E_DATABASE ? CF_LOG_WARN : CF_LOG_ERROR,
		    "outbox waits for the database: %s", why->text);
	else if (rc == CF_OK && was)
		cf_log(CF_LOG_INFO, "outbox has its database again");
}

static void
note_mail(struct cf_outbox *ob, enum outcome outcome, const struct cf_why *why)
{
	bool down = outcome == OUTCOME_AWAY;
	bool was = atomic_exchange(&ob->mail_down, down);

	if (down && !was)
		cf_log(CF_LOG_WARN, "outbox waits for the mail server: %s",
		    why->text);
	else if (!down && was)
		cf_log(CF_LOG_INFO, "outbox has its mail server again");
}

static enum cf_err
build(struct sender *s, const struct cf_db_outbox_row *row,
    struct cf_buf *mail, struct cf_why *why)
{
	char handle[CF_B64URL_LEN(16) + 1];
	char message_id[CF_RECEIPT_MESSAGE_ID_MAX + 1];
	struct cf_receipt r = {
		.second = row->second,
		.key_handle = handle,
		.from = s->parts->receipt_from,
		.to = row->sender,
		.recipient = row->recipient,
		.principal = row->principal,
		.original_message_id = row->original_message_id,
		.message_id = message_id,
		.date_ms = cf_clock_ms(),
		.released_ms = row->released_ms,
		.opened_ms = row->opened_ms,
	};

	if (row->unreadable != NULL)
		return cf_fail(CF_E_INTERNAL, why,
		    "what stands in its column %s cannot be read",
		    row->unreadable);
	if (!cf_receipt_grade_parse(row->kind, &r.grade) ||
	    !cf_receipt_assurance_parse(row->assurance, &r.assurance))
		return cf_fail(CF_E_INTERNAL, why,
		    "no receipt is written for \"%s\" at \"%s\"", row->kind,
		    row->assurance);
	cf_b64url_encode(row->key_id, sizeof row->key_id, handle);
	cf_receipt_message_id(&s->ob->server_secret, row->event_id, r.grade,
	    r.from, message_id);
	return cf_receipt_build(&r, s->parts->signer, mail, why);
}

static enum outcome
send_row(struct sender *s, const struct cf_db_outbox_row *row,
    struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf mail = CF_BUF_INIT(CF_RECEIPT_MAX);
	enum cf_err rc;

	take_fresh(s);
	rc = build(s, row, &mail, why);
	if (rc == CF_OK) {
		cf_fault("outbox.built");
		rc = cf_mailer_send(s->parts->mailer, row->sender, mail.data,
		    mail.len, why);
	}
	if (rc == CF_OK)
		return OUTCOME_SENT;
	if (rc == CF_E_MAIL_AWAY)
		return OUTCOME_AWAY;
	/* A bug of ours may be mended while the row waits. */
	return cf_err_class(rc) == CF_CLASS_PERM ? OUTCOME_REFUSED :
	    cf_err_class(rc) == CF_CLASS_BUG ? OUTCOME_BROKEN :
	    OUTCOME_DEFERRED;
}

/* 30 s, 60 s, 2 min ... with a quarter of chance, so that rows spread out. */
static long
retry_delay(const struct cf_outbox *ob, int64_t attempt)
{
	long delay = ob->retry_first_ms;
	uint16_t random = 0;
	int64_t i;

	for (i = 1; i < attempt && delay < ob->retry_most_ms; i++)
		delay *= 2;
	if (delay > ob->retry_most_ms)
		delay = ob->retry_most_ms;
	cf_random(&random, sizeof random);
	return delay - (long)((int64_t)delay / 4 * random / UINT16_MAX);
}

/* One try to write the outcome down; *ret_ours as in db_outbox.h. */
static enum cf_err
mark(struct sender *s, const struct cf_db_outbox_row *row,
    enum outcome outcome, const char *error, bool *ret_ours,
    bool *ret_gave_up, struct cf_why *why)
{
	*ret_gave_up = outcome == OUTCOME_REFUSED;
	switch (outcome) {
	case OUTCOME_SENT:
		return cf_db_outbox_sent(s->db, row, ret_ours, why);
	case OUTCOME_REFUSED:
		return cf_db_outbox_undeliverable(s->db, row, error, ret_ours,
		    why);
	case OUTCOME_DEFERRED:
	case OUTCOME_BROKEN:
		return cf_db_outbox_retry(s->db, row,
		    retry_delay(s->ob, row->attempt), s->ob->max_age_ms, error,
		    ret_ours, ret_gave_up, why);
	case OUTCOME_AWAY:
		/*
		 * The loop pauses; the row need not wait longer than that, nor
		 * after that for what was no fault of its own.
		 */
		return cf_db_outbox_give_back(s->db, row, s->ob->max_age_ms,
		    error, ret_ours, ret_gave_up, why);
	}
	cf_bug("outcome");
}

static void
log_outcome(const struct cf_db_outbox_row *row, enum outcome outcome,
    const char *error, bool gave_up)
{
	char handle[CF_B64URL_LEN(16) + 1] = "?";
	long long id = row->id;

	if (row->unreadable == NULL)
		cf_b64url_encode(row->key_id, sizeof row->key_id, handle);
	if (outcome == OUTCOME_SENT)
		cf_log(CF_LOG_INFO, "receipt %lld '%s' for key %s sent", id,
		    row->kind, handle);
	else if (gave_up)
		cf_log(CF_LOG_ERROR, "receipt %lld '%s' for key %s is "
		    "undeliverable: %s", id, row->kind, handle, error);
	else if (outcome == OUTCOME_BROKEN)
		cf_log(CF_LOG_ERROR, "receipt %lld '%s' for key %s cannot be "
		    "made into a mail and waits: %s", id, row->kind, handle,
		    error);
	else if (outcome == OUTCOME_DEFERRED)
		cf_log(CF_LOG_WARN, "receipt %lld '%s' for key %s waits: %s",
		    id, row->kind, handle, error);
}

/*
 * Write the outcome down, waiting for the database as long as it takes: this
 * process knows what the row does not say yet.  When stopping, one last try;
 * if that fails the mail goes out once more, with the same Message-ID.  A
 * statement that is refused for what it says would be so again.
 */
static void
settle(struct sender *s, const struct cf_db_outbox_row *row,
    enum outcome outcome, const char *error)
{
	struct cf_why why = { "" };
	bool ours = false, gave_up = false, last;
	enum cf_err rc;

	do {
		wait_while_held(s);
		last = is_stopping(s->ob);
		if (last)
			cf_db_set_waiting(s->db, -1, LAST_CALL_MS);
		rc = mark(s, row, outcome, error, &ours, &gave_up, &why);
		note_db(s->ob, rc, &why);
		if (rc == CF_E_DATABASE && !last)
			pause_longer(s, DB_PAUSE_MOST_MS);
	} while (rc == CF_E_DATABASE && !last);
	if (rc != CF_OK || !ours)
		cf_log(rc == CF_OK || rc == CF_E_DATABASE ? CF_LOG_WARN :
		    CF_LOG_ERROR, "outcome of receipt %lld '%s' not marked: "
		    "%s", (long long)row->id, row->kind, rc != CF_OK ?
		    why.text : "the row changed after it was leased");
	else
		log_outcome(row, outcome, error, gave_up);
	if (rc == CF_OK && ours && s->ob->counted != NULL &&
	    (outcome != OUTCOME_AWAY || gave_up))
		s->ob->counted(s->ob->counted_arg, gave_up ? "undeliverable" :
		    outcome == OUTCOME_SENT ? "sent" : "waits");
}

/* False when the database is away: the leases run out by themselves. */
static bool
give_back(struct sender *s, const struct cf_db_outbox_row *row)
{
	struct cf_why why = { "" };
	enum cf_err rc;
	bool ours;

	if (is_stopping(s->ob))
		cf_db_set_waiting(s->db, -1, LAST_CALL_MS);
	rc = cf_db_outbox_give_back(s->db, row, 0, NULL, &ours, NULL,
	    &why);
	note_db(s->ob, rc, &why);
	return rc == CF_OK;
}

static bool
may_send(struct cf_outbox *ob, int64_t leased_ms)
{
	/* What is sent must be marked before the lease ends. */
	return !is_stopping(ob) && cf_clock_mono_ms() + ob->timeout_ms <=
	    leased_ms + ob->lease_ms;
}

/* Send the leased rows; false when the mail server is not there. */
static bool
send_batch(struct sender *s, struct cf_db_outbox_row *rows, size_t count,
    int64_t leased_ms)
{
	enum outcome outcome = OUTCOME_SENT;
	bool returning = true;
	size_t i;

	for (i = 0; i < count; i++) {
		struct cf_why why = { "" };

		if (outcome == OUTCOME_AWAY || !may_send(s->ob, leased_ms)) {
			returning = returning && give_back(s, &rows[i]);
			continue;
		}
		outcome = send_row(s, &rows[i], &why);
		if (outcome == OUTCOME_SENT)
			cf_fault("outbox.sent");
		else
			cf_fault("outbox.failed");
		note_mail(s->ob, outcome, &why);
		settle(s, &rows[i], outcome, why.text);
		cf_fault("outbox.marked");
	}
	return outcome != OUTCOME_AWAY;
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
	while (!is_stopping(ob))
		if (poll(fds, 2, -1) > 0 && fds[1].revents != 0 &&
		    read(ob->help_fd, &one, sizeof one) ==
		    (ssize_t)sizeof one)
			return true;
	return false;
}

/* Pauses are the first one's; a helper goes, and is called again. */
static void
pause_as_first(struct sender *s, long most_ms)
{
	if (s->is_first)
		pause_longer(s, most_ms);
}

/* Lease rows and send them; true when there may be more. */
static bool
one_round(struct sender *s)
{
	struct cf_db_outbox_row rows[BATCH] = { 0 };
	struct cf_why why = { "" };
	int64_t leased_ms = cf_clock_mono_ms();
	size_t count = 0, i;
	enum cf_err rc;
	bool reached = true;

	rc = cf_db_outbox_lease(s->db, BATCH, s->ob->lease_ms, rows, &count,
	    &why);
	if (is_stopping(s->ob) && rc != CF_OK)
		return false;
	note_db(s->ob, rc, &why);
	if (rc != CF_OK) {
		pause_as_first(s, DB_PAUSE_MOST_MS);
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
		pause_for(s->ob, s->parts->poll_ms);
	return count == BATCH;
}

static void *
lead(void *arg)
{
	struct sender *s = arg;

	while (!is_stopping(s->ob)) {
		wait_while_held(s);
		(void)one_round(s);
	}
	return NULL;
}

static void *
help(void *arg)
{
	struct sender *s = arg;

	while (wait_for_call(s->ob))
		do
			wait_while_held(s);
		while (!is_stopping(s->ob) && one_round(s));
	return NULL;
}

static void
warn_of_old_certificate(const struct parts *parts)
{
	int64_t left_ms = cf_signer_not_after_ms(parts->signer) -
	    cf_clock_ms();

	if (left_ms < (int64_t)WARN_DAYS * 24 * 3600 * 1000)
		cf_log(CF_LOG_WARN, "the receipt signer's certificate %s",
		    left_ms < 0 ? "has ended" : "ends in less than 30 days");
}

static void
free_outbox(struct cf_outbox **outbox)
{
	struct cf_outbox *ob = *outbox;
	size_t i;

	if (ob == NULL)
		return;
	for (i = 0; i < SENDERS; i++) {
		cf_db_free(&ob->sender[i].db);
		take_fresh(&ob->sender[i]);
		parts_free(&ob->sender[i].parts);
	}
	free(ob->database);
	cf_secret_wipe(&ob->server_secret);
	if (ob->wake_fd >= 0)
		(void)close(ob->wake_fd);
	if (ob->help_fd >= 0)
		(void)close(ob->help_fd);
	free(ob);
	*outbox = NULL;
}

static long
or_default(long value, long otherwise)
{
	return value > 0 ? value : otherwise;
}

static enum cf_err
make_parts(struct cf_outbox *ob, const struct cf_outbox_options *o,
    struct parts **ret, struct cf_why *why)
{
	CF_AUTO(parts_free) struct parts *parts = cf_calloc(1, sizeof *parts);
	struct cf_mailer_options mailer = o->mailer;
	enum cf_err rc;

	parts->poll_ms = or_default(o->poll_ms, POLL_MS);
	if (!cf_address_ok(o->receipt_from))
		return cf_fail(CF_E_CONFIG, why,
		    "\"%s\" cannot be the sender of receipts",
		    o->receipt_from);
	parts->receipt_from = cf_strdup(o->receipt_from);
	rc = cf_signer_load(o->signer_certificate, o->signer_key,
	    o->receipt_from, &parts->signer, why);
	if (rc != CF_OK)
		return rc;
	mailer.timeout_ms = ob->timeout_ms;
	mailer.tick = on_tick;
	mailer.tick_arg = ob;
	rc = cf_mailer_new(&mailer, &parts->mailer, why);
	if (rc != CF_OK)
		return rc;
	*ret = parts;
	parts = NULL;
	return CF_OK;
}

/* For each sender its own; all or none. */
static enum cf_err
make_all_parts(struct cf_outbox *ob, const struct cf_outbox_options *o,
    struct parts *ret[SENDERS], struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	size_t i, made;

	for (made = 0; made < SENDERS && rc == CF_OK; made++) {
		ret[made] = NULL;
		rc = make_parts(ob, o, &ret[made], why);
	}
	if (rc == CF_OK)
		warn_of_old_certificate(ret[0]);
	for (i = 0; i < made && rc != CF_OK; i++)
		parts_free(&ret[i]);
	return rc;
}

enum cf_err
cf_outbox_reload(struct cf_outbox *ob, const struct cf_outbox_options *options,
    struct cf_why *why)
{
	struct parts *fresh[SENDERS];
	enum cf_err rc = make_all_parts(ob, options, fresh, why);
	size_t i;

	for (i = 0; i < SENDERS && rc == CF_OK; i++) {
		/* One that was not taken yet comes back. */
		fresh[i] = atomic_exchange(&ob->sender[i].fresh, fresh[i]);
		parts_free(&fresh[i]);
	}
	return rc;
}

static enum cf_err
prepare_senders(struct cf_outbox *ob, const struct cf_outbox_options *o,
    struct cf_why *why)
{
	const struct cf_db_options db = {
	    .conninfo = ob->database, .role = "counterfoil_keysrv",
	    .application = "counterfoil-outbox",
	    .unsafe_database = o->unsafe_database,
	    .any_schema = o->any_schema };
	struct parts *parts[SENDERS];
	enum cf_err rc = make_all_parts(ob, o, parts, why);
	struct sender *s;
	size_t i;

	for (i = 0; i < SENDERS && rc == CF_OK; i++) {
		s = &ob->sender[i];
		s->ob = ob;
		s->is_first = i == 0;
		s->parts = parts[i];
		s->db = cf_db_new(&db);
		cf_db_set_waiting(s->db, ob->wake_fd, DATABASE_LIMIT_MS);
	}
	return rc;
}

static enum cf_err
prepare(struct cf_outbox *ob, const struct cf_outbox_options *o,
    struct cf_why *why)
{
	ob->lease_ms = or_default(o->lease_ms, LEASE_MS);
	ob->retry_first_ms = or_default(o->retry_first_ms, RETRY_FIRST_MS);
	ob->retry_most_ms = or_default(o->retry_most_ms, RETRY_MOST_MS);
	ob->max_age_ms = or_default(o->max_age_ms, MAX_AGE_MS);
	ob->timeout_ms = or_default(o->mailer.timeout_ms, TIMEOUT_MS);
	if (ob->timeout_ms >= ob->lease_ms)
		return cf_fail(CF_E_CONFIG, why, "the outbox's lease must be "
		    "longer than the time for one mail");
	cf_secret_set(&ob->server_secret, o->server_secret->bytes,
	    o->server_secret->len);
	ob->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ob->help_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (ob->wake_fd < 0 || ob->help_fd < 0)
		return cf_fail(CF_E_IO, why, "no more file descriptors");
	ob->held = o->held;
	ob->held_arg = o->held_arg;
	ob->counted = o->counted;
	ob->counted_arg = o->counted_arg;
	ob->database = cf_strdup(o->database);
	return prepare_senders(ob, o, why);
}

static void
stop_senders(struct cf_outbox *ob)
{
	const uint64_t one = 1;
	size_t i;

	atomic_store(&ob->stop_ms, (long long)cf_clock_mono_ms());
	atomic_store(&ob->stopping, true);
	/* Stays readable: every wait from here on ends at once. */
	if (write(ob->wake_fd, &one, sizeof one) != (ssize_t)sizeof one)
		cf_log(CF_LOG_DEBUG, "outbox was not woken");
	for (i = 0; i < SENDERS; i++)
		if (ob->sender[i].has_thread)
			(void)pthread_join(ob->sender[i].thread, NULL);
}

enum cf_err
cf_outbox_start(const struct cf_outbox_options *options, struct cf_outbox **ret,
    struct cf_why *why)
{
	CF_AUTO(free_outbox) struct cf_outbox *ob = cf_calloc(1, sizeof *ob);
	struct sender *s;
	enum cf_err rc;
	size_t i;

	ob->wake_fd = ob->help_fd = -1;
	rc = prepare(ob, options, why);
	for (i = 0; i < SENDERS && rc == CF_OK; i++) {
		s = &ob->sender[i];
		s->has_thread = pthread_create(&s->thread, NULL, s->is_first
		    ? lead : help, s) == 0;
		if (!s->has_thread) {
			stop_senders(ob);
			rc = cf_fail(CF_E_IO, why, "no more threads");
		}
	}
	if (rc != CF_OK)
		return rc;
	*ret = ob;
	ob = NULL;
	return CF_OK;
}

void
cf_outbox_stop(struct cf_outbox **outbox)
{
	if (*outbox == NULL)
		return;
	stop_senders(*outbox);
	free_outbox(outbox);
}
