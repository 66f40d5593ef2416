/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_outbox's marks: what became of a mail is written into its row.  See
 * outbox.h.
 */
#include <poll.h>
#include <stdio.h>

#include "common/b64url.h"
#include "common/clock.h"
#include "common/log.h"
#include "keysrv/receipt/outbox_kind.h"
#include "keysrv/receipt/outbox_private.h"

#define PAUSE_FIRST_MS 250	/* after a failure of database or server */
#define ROW_NAME_MAX 120		/* bytes of a row's name in the log */
#define LAST_CALL_MS 1000	/* a statement, after the end was asked for */

/* ---- the database, which may be away ---- */

void
cf_outbox_pause(struct cf_outbox *ob, long ms)
{
	struct pollfd fd = { ob->wake_fd, POLLIN, 0 };

	if (!cf_outbox_is_stopping(ob))
		(void)poll(&fd, 1, (int)ms);
}

void
cf_outbox_pause_longer(struct cf_outbox_sender *s, long most_ms)
{
	s->pause_ms = s->pause_ms == 0 ? PAUSE_FIRST_MS : s->pause_ms * 2;
	if (s->pause_ms > most_ms)
		s->pause_ms = most_ms;
	cf_outbox_pause(s->ob, s->pause_ms);
}

void
cf_outbox_wait_while_held(struct cf_outbox_sender *s)
{
	struct cf_outbox *ob = s->ob;

	while (ob->held != NULL && ob->held(ob->held_arg) &&
	    !cf_outbox_is_stopping(ob))
		cf_outbox_pause(ob, s->parts->poll_ms);
}

void
cf_outbox_note_db(struct cf_outbox *ob, enum cf_err rc,
    const struct cf_why *why)
{
	bool was = atomic_exchange(&ob->db_down, rc != CF_OK);

	if (rc != CF_OK && !was)
		cf_log(rc == CF_E_DATABASE ? CF_LOG_WARN : CF_LOG_ERROR,
		    "outbox waits for the database: %s", why->text);
	else if (rc == CF_OK && was)
		cf_log(CF_LOG_INFO, "outbox has its database again");
}

/* ---- marks ---- */

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
mark(struct cf_outbox_sender *s, const struct cf_db_outbox_row *row,
    enum cf_outbox_outcome outcome, const char *error, bool *ret_ours,
    bool *ret_gave_up, struct cf_why *why)
{
	*ret_gave_up = outcome == CF_OUTBOX_REFUSED;
	switch (outcome) {
	case CF_OUTBOX_SENT:
		return cf_db_outbox_sent(s->db, row, ret_ours, why);
	case CF_OUTBOX_REFUSED:
		return cf_db_outbox_undeliverable(s->db, row, error, ret_ours,
		    why);
	case CF_OUTBOX_DEFERRED:
	case CF_OUTBOX_BROKEN:
		return cf_db_outbox_retry(s->db, row,
		    retry_delay(s->ob, row->attempt), s->ob->max_age_ms, error,
		    ret_ours, ret_gave_up, why);
	case CF_OUTBOX_AWAY:
		/*
		 * The loop pauses; the row need not wait longer than that, nor
		 * after that for what was no fault of its own.
		 */
		return cf_db_outbox_give_back(s->db, row, s->ob->max_age_ms,
		    error, ret_ours, ret_gave_up, why);
	}
	cf_bug("outcome");
}

/* "receipt 17 'opened' for key ...": the row for people. */
static const char *
name_of(const struct cf_db_outbox_row *row, char *out, size_t cap)
{
	const struct cf_outbox_kind *kind = cf_outbox_kind(row->kind);
	char handle[CF_B64URL_LEN(CF_KEY_ID_LEN) + 1] = "?";
	bool has_key = row->unreadable != NULL || row->has_key;

	if (row->unreadable == NULL)
		cf_b64url_encode(row->key_id, sizeof row->key_id, handle);
	(void)snprintf(out, cap, "%s %lld '%.40s'%s%s", kind == NULL
	    ? "receipt" : kind->noun, (long long)row->id, row->kind,
	    has_key ? " for key " : "", has_key ? handle : "");
	return out;
}

static void
log_outcome(const struct cf_db_outbox_row *row, enum cf_outbox_outcome outcome,
    const char *error, bool gave_up)
{
	char buf[ROW_NAME_MAX];
	const char *name = name_of(row, buf, sizeof buf);

	if (outcome == CF_OUTBOX_SENT)
		cf_log(CF_LOG_INFO, "%s sent", name);
	else if (gave_up)
		cf_log(CF_LOG_ERROR, "%s is undeliverable: %s", name, error);
	else if (outcome == CF_OUTBOX_BROKEN)
		cf_log(CF_LOG_ERROR, "%s cannot be made into a mail and "
		    "waits: %s", name, error);
	else if (outcome == CF_OUTBOX_DEFERRED)
		cf_log(CF_LOG_WARN, "%s waits: %s", name, error);
}

/* A statement that is refused for what it says would be so again. */
void
cf_outbox_settle(struct cf_outbox_sender *s,
    const struct cf_db_outbox_row *row, enum cf_outbox_outcome outcome,
    const char *error)
{
	struct cf_why why = { "" };
	bool ours = false, gave_up = false, last;
	char name[ROW_NAME_MAX];
	enum cf_err rc;

	do {
		cf_outbox_wait_while_held(s);
		last = cf_outbox_is_stopping(s->ob);
		if (last)
			cf_db_set_waiting(s->db, -1, LAST_CALL_MS);
		rc = mark(s, row, outcome, error, &ours, &gave_up, &why);
		cf_outbox_note_db(s->ob, rc, &why);
		if (rc == CF_E_DATABASE && !last)
			cf_outbox_pause_longer(s, CF_OUTBOX_DB_PAUSE_MOST_MS);
	} while (rc == CF_E_DATABASE && !last);
	if (rc != CF_OK || !ours)
		cf_log(rc == CF_OK || rc == CF_E_DATABASE ? CF_LOG_WARN :
		    CF_LOG_ERROR, "outcome of %s not marked: %s",
		    name_of(row, name, sizeof name), rc != CF_OK ? why.text :
		    "the row changed after it was leased");
	else
		log_outcome(row, outcome, error, gave_up);
	if (rc == CF_OK && ours && s->ob->counted != NULL &&
	    (outcome != CF_OUTBOX_AWAY || gave_up))
		s->ob->counted(s->ob->counted_arg, gave_up ? "undeliverable" :
		    outcome == CF_OUTBOX_SENT ? "sent" : "waits");
}

bool
cf_outbox_give_back(struct cf_outbox_sender *s,
    const struct cf_db_outbox_row *row)
{
	struct cf_why why = { "" };
	enum cf_err rc;
	bool ours;

	if (cf_outbox_is_stopping(s->ob))
		cf_db_set_waiting(s->db, -1, LAST_CALL_MS);
	rc = cf_db_outbox_give_back(s->db, row, 0, NULL, &ours, NULL,
	    &why);
	cf_outbox_note_db(s->ob, rc, &why);
	return rc == CF_OK;
}
