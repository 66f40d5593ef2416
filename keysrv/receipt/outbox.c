/* SPDX-License-Identifier: Apache-2.0 */
/* cf_outbox: how it starts and ends - see outbox.h. */
#include "keysrv/receipt/outbox.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "keysrv/receipt/outbox_private.h"

#define STOP_GRACE_MS 3000	/* for the mail under way */
#define DATABASE_LIMIT_MS 40000	/* the server's own is shorter */

#define POLL_MS 500
#define LEASE_MS 120000
#define TIMEOUT_MS 60000
#define RETRY_FIRST_MS 30000
#define RETRY_MOST_MS 3600000
#define MAX_AGE_MS (5L * 24 * 3600 * 1000)
#define WARN_DAYS 30

bool
cf_outbox_is_stopping(struct cf_outbox *ob)
{
	return atomic_load(&ob->stopping);
}

/* cf_mailer's tick: nonzero ends the conversation. */
static int
on_tick(void *arg)
{
	struct cf_outbox *ob = arg;

	return cf_outbox_is_stopping(ob) && cf_clock_mono_ms() >
	    (int64_t)atomic_load(&ob->stop_ms) + STOP_GRACE_MS;
}

static void
parts_free(struct cf_outbox_parts **parts)
{
	if (*parts == NULL)
		return;
	cf_mailer_free(&(*parts)->mailer);
	cf_signer_free(&(*parts)->signer);
	free((*parts)->receipt_from);
	free(*parts);
	*parts = NULL;
}

void
cf_outbox_take_fresh(struct cf_outbox_sender *s)
{
	struct cf_outbox_parts *fresh = atomic_exchange(&s->fresh, NULL);

	if (fresh == NULL)
		return;
	parts_free(&s->parts);
	s->parts = fresh;
}

static void
warn_of_old_certificate(const struct cf_outbox_parts *parts)
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
	for (i = 0; i < CF_OUTBOX_SENDERS; i++) {
		cf_db_free(&ob->sender[i].db);
		cf_outbox_take_fresh(&ob->sender[i]);
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
    struct cf_outbox_parts **ret, struct cf_why *why)
{
	CF_AUTO(parts_free) struct cf_outbox_parts *parts =
	    cf_calloc(1, sizeof *parts);
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
    struct cf_outbox_parts *ret[CF_OUTBOX_SENDERS], struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	size_t i, made;

	for (made = 0; made < CF_OUTBOX_SENDERS && rc == CF_OK; made++) {
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
	struct cf_outbox_parts *fresh[CF_OUTBOX_SENDERS];
	enum cf_err rc = make_all_parts(ob, options, fresh, why);
	size_t i;

	for (i = 0; i < CF_OUTBOX_SENDERS && rc == CF_OK; i++) {
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
	struct cf_outbox_parts *parts[CF_OUTBOX_SENDERS];
	enum cf_err rc = make_all_parts(ob, o, parts, why);
	struct cf_outbox_sender *s;
	size_t i;

	for (i = 0; i < CF_OUTBOX_SENDERS && rc == CF_OK; i++) {
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
	for (i = 0; i < CF_OUTBOX_SENDERS; i++)
		if (ob->sender[i].has_thread)
			(void)pthread_join(ob->sender[i].thread, NULL);
}

enum cf_err
cf_outbox_start(const struct cf_outbox_options *options, struct cf_outbox **ret,
    struct cf_why *why)
{
	CF_AUTO(free_outbox) struct cf_outbox *ob = cf_calloc(1, sizeof *ob);
	struct cf_outbox_sender *s;
	enum cf_err rc;
	size_t i;

	ob->wake_fd = ob->help_fd = -1;
	rc = prepare(ob, options, why);
	for (i = 0; i < CF_OUTBOX_SENDERS && rc == CF_OK; i++) {
		s = &ob->sender[i];
		s->has_thread = pthread_create(&s->thread, NULL, s->is_first
		    ? cf_outbox_lead : cf_outbox_help, s) == 0;
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
