/* SPDX-License-Identifier: Apache-2.0 */
/* cf_check - see check.h. */
#include "keysrv/check.h"

#include <string.h>

#include "common/clock.h"
#include "common/crypto_cert.h"
#include "common/listen.h"
#include "common/mem.h"
#include "keysrv/db/db_admin.h"
#include "keysrv/db/db_master.h"
#include "keysrv/key/match.h"
#include "keysrv/receipt/mailer.h"

#define TIMEOUT_MS 10000	/* of the mail server, for each answer */
#define FAULTS_SHOWN 10

static const char *
reason(enum cf_err rc, const struct cf_why *why)
{
	return why->text[0] == '\0' ? cf_err_text(rc) : why->text;
}

static void
say_of(struct cf_findings *f, enum cf_err rc, const struct cf_why *why,
    const char *good)
{
	if (rc == CF_OK)
		cf_findings_say(f, CF_FINDING_OK, "%s", good);
	else
		cf_findings_say(f, CF_FINDING_ERROR, "%s", reason(rc, why));
}

/* ---- database ---- */

static void
check_rights(struct cf_findings *f, struct cf_db *db)
{
	size_t row, rows = 0, result = cf_db_faults_send(db);
	struct cf_why why = { "" };
	enum cf_err rc = cf_db_flush(db, &why);

	if (rc == CF_OK)
		rows = cf_db_rows(db, result);
	for (row = 0; row < rows && row < FAULTS_SHOWN; row++)
		cf_findings_say(f, CF_FINDING_ERROR, "%s",
		    cf_db_get_text(db, result, row));
	if (rows > FAULTS_SHOWN)
		cf_findings_say(f, CF_FINDING_ERROR, "and %zu faults more; "
		    "run counterfoil-admin migrate, which says them all",
		    rows - FAULTS_SHOWN);
	if (rows == 0)
		say_of(f, rc, &why, "roles, owners and grants are as the "
		    "migrations made them");
}

static bool
check_database(struct cf_findings *f, struct cf_db *db)
{
	struct cf_why why = { "" };
	enum cf_err rc;

	f->subject = "database";
	rc = cf_db_connect(db, &why);
	say_of(f, rc, &why, "it answers, is set up for this version, and "
	    "keeps what it has committed");
	if (rc == CF_OK)
		check_rights(f, db);
	return rc == CF_OK;
}

/* ---- what must fit the database ---- */

/* Known and not here: no fault until it becomes active. */
static void
check_lacking(struct cf_findings *f, struct cf_db *db,
    struct cf_vault *vault)
{
	size_t i, rows = 0, result = cf_db_masters_send(db);
	struct cf_master_row row;
	struct cf_why why = { "" };
	enum cf_err rc = cf_db_flush(db, &why);

	if (rc != CF_OK)
		say_of(f, rc, &why, "");
	else
		rows = cf_db_rows(db, result);
	for (i = 0; i < rows; i++) {
		cf_db_master_get(db, result, i, &row);
		rc = cf_vault_has(vault, &row.master, &why);
		if (rc != CF_OK)
			cf_findings_say(f, CF_FINDING_WARNING, "%s, before "
			    "somebody activates it and this server can seal "
			    "nothing", reason(rc, &why));
	}
}

static void
check_masters(struct cf_findings *f, struct cf_db *db, const char *path)
{
	CF_AUTO(cf_vault_free) struct cf_vault *vault = NULL;
	char text[CF_MASTER_TEXT_LEN + 1];
	struct cf_why why = { "" };
	bool any = false;
	enum cf_err rc;

	f->subject = path;
	rc = cf_vault_load(path, &vault, &why);
	if (rc == CF_OK && db != NULL)
		rc = cf_match_look(db, vault, path, &any, &why);
	if (rc != CF_OK || db == NULL || any) {
		say_of(f, rc, &why, db == NULL ? "it can be read; whether it "
		    "is this database's cannot be seen" :
		    "its master keys are those of this database");
		if (rc == CF_OK && any)
			check_lacking(f, db, vault);
		return;
	}
	cf_master_text(cf_vault_master(vault, 0), text);
	cf_findings_say(f, CF_FINDING_OK, "the database has no master key "
	    "yet; the first start makes %s the one", text);
}

static void
check_registered(struct cf_findings *f, struct cf_db *db,
    const struct cf_settings *s, enum cf_match_what what)
{
	CF_AUTO(cf_free) char *value = NULL;
	CF_AUTO(cf_free) char *registered = NULL;
	struct cf_why why = { "" };
	enum cf_err rc;

	rc = cf_match_value(what, s, &value, &why);
	if (rc == CF_OK && db != NULL)
		rc = cf_db_registered_find(db, cf_match_name(what),
		    &registered, &why);
	if (rc == CF_OK && registered != NULL)
		rc = cf_match_differs(what, value, registered, &why);
	say_of(f, rc, &why, db == NULL ? "whether it is the one of before "
	    "cannot be seen" : registered == NULL ? "the first start "
	    "registers it" : "it is the one of before");
}

/* ---- the mail server ---- */

static enum cf_finding
grade(enum cf_err rc)
{
	if (rc == CF_OK)
		return CF_FINDING_OK;
	/* That the address of receipts has no mailbox is no fault. */
	return rc == CF_E_MAIL_REFUSED || rc == CF_E_MAIL_DEFERRED ?
	    CF_FINDING_WARNING : CF_FINDING_ERROR;
}

static void
check_relay(struct cf_findings *f, const struct cf_settings *s)
{
	CF_AUTO(cf_mailer_free) struct cf_mailer *mailer = NULL;
	struct cf_mailer_options options = { .server = s->smtp_server,
	    .ca_file = s->smtp_ca_file, .helo = s->smtp_helo,
	    .tls = (enum cf_mailer_tls)s->smtp_tls,
	    .timeout_ms = TIMEOUT_MS };
	struct cf_why why = { "" };
	enum cf_err rc;

	f->subject = s->smtp_server;
	rc = cf_mailer_new(&options, &mailer, &why);
	if (rc == CF_OK)
		rc = cf_mailer_try(mailer, s->receipt_from, &why);
	if (rc == CF_OK)
		cf_findings_say(f, CF_FINDING_OK, "the mail server answers "
		    "and would take mail for %s", s->receipt_from);
	else if (rc == CF_E_MAIL_AWAY || rc == CF_E_CONFIG)
		cf_findings_say(f, grade(rc), "%s; receipts wait until "
		    "the mail server takes them; see smtp_server", why.text);
	else
		cf_findings_say(f, grade(rc), "the mail server would "
		    "not take mail for %s: %s; answers to receipts come "
		    "back, and if it refuses us, receipts do not go out",
		    s->receipt_from, why.text);
}

/* ---- all of it ---- */

void
cf_check_all(struct cf_findings *f, const struct cf_settings *s,
    const struct cf_metrics_place *place)
{
	CF_AUTO(cf_db_free) struct cf_db *made = cf_db_new(
	    &(struct cf_db_options){
	    .conninfo = s->database,
	    .role = "counterfoil_keysrv",
	    .unsafe_database = s->unsafe_database });
	const int64_t now_ms = cf_clock_ms();
	struct cf_why why = { "" };
	struct cf_db *db;
	enum cf_err rc;

	f->subject = "configuration";
	cf_findings_say(f, CF_FINDING_OK,
	    "it can be read, and so can the files that it names");
	f->subject = "listen";
	rc = cf_listen_check(s->listen, &why);
	say_of(f, rc, &why, "it is an address of this machine");
	f->subject = "metrics_listen";
	cf_metrics_check(place, NULL, f);
	db = check_database(f, made) ? made : NULL;
	check_masters(f, db, s->masterkey_file);
	f->subject = s->service_url;
	check_registered(f, db, s, CF_MATCH_SERVICE_URL);
	if (s->tls_certificate != NULL)
		cf_cert_check(f, s->tls_certificate, s->tls_key,
		    s->service_url, now_ms);
	if (s->outbox) {
		f->subject = s->signer_certificate;
		check_registered(f, db, s, CF_MATCH_SIGNER);
		cf_cert_check(f, s->signer_certificate, NULL, NULL, now_ms);
		check_relay(f, s);
	}
	cf_findings_end(f);
}
