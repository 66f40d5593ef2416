/* SPDX-License-Identifier: Apache-2.0 */
/* cf_check_report - see check_all.h. */
#include "milter/check/check_all.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common/mform.h"
#include "common/wire.h"
#include "milter/check/check_parts.h"
#include "milter/gateway/trigger.h"

#define POSTFIX_USUAL "/etc/postfix"
#define SENDMAIL_USUAL "/etc/mail/sendmail.cf"
#define OUTPUT_MAX 65536	/* bytes of what postconf prints of them */

/* ---- mail servers ---- */

/* The usual Postfix and the other instances that it knows of. */
static bool
guess_postfix(struct cf_check *check)
{
	const char *const argv[] = { "/usr/sbin/postconf", "-hx",
	    "multi_instance_directories", NULL };
	CF_AUTO(cf_buf_free) struct cf_buf others = CF_BUF_INIT(OUTPUT_MAX);
	bool used = false;
	char *save = NULL, *dir;

	if (access(POSTFIX_USUAL "/main.cf", R_OK) != 0 ||
	    !cf_check_run(argv, NULL, &others))
		return false;
	used = cf_check_postfix(check, POSTFIX_USUAL, true);
	for (dir = strtok_r(others.data, " ,\t\n", &save); dir != NULL;
	    dir = strtok_r(NULL, " ,\t\n", &save))
		used |= cf_check_postfix(check, dir, true);
	return used;
}

void
cf_check_mail_servers(struct cf_check *check, const struct cf_check_targets *t)
{
	bool used = false;
	size_t i;

	if (t->no_mta)
		return;
	for (i = 0; i < t->postfix.count; i++)
		(void)cf_check_postfix(check, t->postfix.item[i], false);
	for (i = 0; i < t->sendmail.count; i++)
		(void)cf_check_sendmail(check, t->sendmail.item[i], false);
	if (t->postfix.count + t->sendmail.count > 0)
		return;
	used = guess_postfix(check);
	if (access(SENDMAIL_USUAL, R_OK) == 0)
		used |= cf_check_sendmail(check, SENDMAIL_USUAL, true);
	check->f.subject = "mail server";
	if (!used)
		cf_check_say(check, CF_FINDING_WARNING, "none in the usual "
		    "places uses our socket %s; name its configuration with "
		    "--postfix or --sendmail", check->snapshot->conf.socket);
}

/* ---- our own options ---- */

static void
check_user(struct cf_check *check)
{
	const struct cf_mconf *conf = &check->snapshot->conf;
	const struct passwd *pw = getpwuid(geteuid());

	if (geteuid() == 0)
		cf_check_say(check, CF_FINDING_WARNING, "the milter would run "
		    "as root; set user, or let the service manager start it "
		    "as another user, who owns %s", conf->store_directory);
	else
		cf_check_say(check, CF_FINDING_OK, "it does not run as root: "
		    "looked at as user %s", pw == NULL ? "?" : pw->pw_name);
}

static const char *
default_of(const char *key)
{
	size_t i, count = 0;
	const struct cf_conf_opt *table = cf_mconf_table(&count);

	for (i = 0; i < count; i++)
		if (strcmp(table[i].key, key) == 0)
			return table[i].def;
	cf_bug("no such option");
}

/* What somebody set up, and which nothing will come of. */
static void
check_triggers(struct cf_check *check)
{
	const struct cf_mconf *conf = &check->snapshot->conf;
	bool tag = (conf->triggers & CF_TRIGGER_SUBJECT) != 0;

	check->f.subject = "configuration";
	if (!tag && strcmp(conf->subject_tag, default_of("subject_tag")) != 0)
		cf_check_say(check, CF_FINDING_WARNING, "subject_tag is set, "
		    "but triggers has no subject-tag: a Subject with %s asks "
		    "for nothing", conf->subject_tag);
	if (conf->dry_run && conf->triggers == 0 && conf->policy_file == NULL)
		cf_check_say(check, CF_FINDING_WARNING, "dry_run is set, but "
		    "there are neither triggers nor a policy_file that it "
		    "could be about; the flag is sealed all the same");
	if (conf->triggers == 0)
		cf_check_say(check, CF_FINDING_OK, "no triggers are on: only "
		    CF_FLAG_FIELD " asks for a receipt, neither the button of "
		    "a mail program nor %s in a Subject does",
		    conf->subject_tag);
}

static void
check_proxy(struct cf_check *check)
{
	const struct cf_mconf *conf = &check->snapshot->conf;

	check->f.subject = "configuration";
	if (conf->proxy == NULL && conf->proxy_login_file != NULL)
		cf_check_say(check, CF_FINDING_WARNING, "proxy_login_file is "
		    "set, but proxy is not: nothing goes by a proxy");
	if (conf->proxy == NULL && conf->proxy_except.count > 0)
		cf_check_say(check, CF_FINDING_WARNING, "proxy_except is set, "
		    "but proxy is not: nothing goes by a proxy");
}

/* ---- all of it ---- */

void
cf_check_report(struct cf_check *check, const struct cf_check_targets *targets)
{
	const struct cf_mconf *conf = &check->snapshot->conf;

	check->f.subject = "configuration";
	cf_check_say(check, CF_FINDING_OK,
	    "it can be read, and so can the files that it names");
	check_user(check);
	cf_check_that(check, conf->request_timeout_s <= conf->deadline_s,
	    CF_FINDING_WARNING, "there is time for a repeat",
	    "request_timeout_s is %ld and deadline_s %ld: one silent key "
	    "server uses up the time for the others",
	    conf->request_timeout_s, conf->deadline_s);
	if (check->snapshot->mode & CF_MODE_OUTBOUND)
		check_triggers(check);
	check_proxy(check);
	cf_check_store(check);
	if (!targets->offline) {
		cf_check_key_servers(check);
		cf_check_page(check);
	}
	cf_findings_end(&check->f);
}
