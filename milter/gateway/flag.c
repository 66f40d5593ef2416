/* SPDX-License-Identifier: Apache-2.0 */
/* cf_flag - see flag.h. */
#include "milter/gateway/flag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"
#include "common/wire.h"
#include "milter/gateway/rules.h"
#include "milter/gateway/subject.h"
#include "milter/gateway/trigger.h"

#define ADDRESS_SHOWN 100	/* bytes of one in a reply */

const char *
cf_action_name(enum cf_action action)
{
	static const char *const names[CF_ACTION__COUNT] = {
		"passed", "sealed", "stripped", "rewritten", "refused"
	};

	return names[action];
}

static void CF_PRINTF(4, 0)
reply_set(struct cf_reply *reply, const char *code, const char *enhanced,
    const char *fmt, va_list ap)
{
	char *p;

	(void)snprintf(reply->code, sizeof reply->code, "%s", code);
	(void)snprintf(reply->enhanced, sizeof reply->enhanced, "%s", enhanced);
	(void)vsnprintf(reply->text, sizeof reply->text, fmt, ap);
	for (p = reply->text; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

void
cf_reply_set(struct cf_reply *reply, const char *code, const char *enhanced,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reply_set(reply, code, enhanced, fmt, ap);
	va_end(ap);
}

static bool
all_local(const struct cf_facts *facts)
{
	return facts->recipients > 0 && facts->local == facts->recipients;
}

/* Sealed mail that this gateway hands to its own readers? */
static bool
wants_rewrite(const struct cf_snapshot *s, const struct cf_facts *facts)
{
	if (!(s->mode & CF_MODE_INBOUND) || facts->markers == 0)
		return false;
	if (s->conf.local_domains.count > 0)
		return all_local(facts);
	/* Our own client's sealed mail is on its way out. */
	return s->mode == CF_MODE_INBOUND || !facts->entitled;
}

static struct cf_decision CF_PRINTF(4, 5)
refuse(const char *cause, const char *code, const char *enhanced,
    const char *fmt, ...)
{
	struct cf_decision d = { 0 };
	va_list ap;

	d.action = CF_ACTION_REFUSE;
	d.cause = cause;
	va_start(ap, fmt);
	reply_set(&d.reply, code, enhanced, fmt, ap);
	va_end(ap);
	return d;
}

/*
 * One address with many readers, or nobody who wrote: sealing either is the
 * site's choice.  `cause` is NULL in the answer when nothing is against it.
 * A notification is by its content one that a program wrote; what makes a
 * mail loop is the missing sender, and that nothing seals.
 */
static struct cf_decision
check_kind(const struct cf_snapshot *s, const struct cf_facts *facts)
{
	struct cf_decision d = { 0 };

	if (facts->list != NULL && s->conf.lists == CF_RULE_REFUSE) {
		d = refuse("list", "550", "5.7.1", "This is mail to a list "
		    "(%s), one address with many readers, and this gateway "
		    "does not seal it (its rule: lists = refuse)",
		    facts->list);
	} else if (s->conf.automatic != CF_RULE_REFUSE) {
		return d;
	} else if (facts->report) {
		d = refuse("report", "550", "5.7.1", "A delivery or "
		    "disposition notification asks for no return receipt at "
		    "this gateway (its rule: automatic = refuse)");
	} else if (facts->automatic) {
		d = refuse("automatic", "550", "5.7.1", "This is automatic "
		    "mail (Auto-Submitted), and this gateway does not seal it "
		    "(its rule: automatic = refuse)");
	}
	return d;
}

/* What holds for this message without its own options. */
static struct cf_want
defaults(const struct cf_snapshot *s, const char *sender,
    const char *recipient)
{
	struct cf_want want = s->defaults;

	cf_rules_apply(s->rules, sender, recipient, &want);
	return want;
}

void
cf_flag_note_recipient(const struct cf_snapshot *snapshot,
    struct cf_facts *facts, const char *sender, const char *recipient)
{
	if (snapshot->rules != NULL)
		facts->ruled |= defaults(snapshot, sender, recipient).always;
}

/* A return receipt cannot be had with this address; the reply names it. */
static struct cf_decision CF_PRINTF(4, 5)
refuse_address(const char *cause, const char *enhanced, const char *address,
    const char *fmt, ...)
{
	bool cut = strlen(address) > ADDRESS_SHOWN;
	char sentence[sizeof ((struct cf_reply *)NULL)->text];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(sentence, sizeof sentence, fmt, ap);
	va_end(ap);
	return refuse(cause, "550", enhanced, "%s: <%.*s%s>", sentence,
	    ADDRESS_SHOWN, address, cut ? "..." : "");
}

static struct cf_decision
check_addresses(const struct cf_facts *facts)
{
	struct cf_decision d = { 0 };

	if (!cf_address_ok(facts->sender))
		return refuse_address("sender-address", "5.1.7",
		    facts->sender, "A return receipt cannot be sent to this "
		    "sender address: its receipts go by plain SMTP, which "
		    "takes letters, digits and the usual signs of ASCII, "
		    "without quotes, %d in all", CF_ADDRESS_MAX);
	if (facts->other_login)
		return refuse_address("sender-login", "5.7.1",
		    facts->sender, "A return receipt cannot be asked for in "
		    "the name of somebody else: authenticate as this sender, "
		    "or send without one");
	/* One that a limit did not let us keep is not judged. */
	if (facts->recipients == 1 && *facts->recipient != '\0' &&
	    !cf_address_registrable(facts->recipient))
		return refuse_address("recipient-address", "5.1.3",
		    facts->recipient, "A return receipt cannot be asked for "
		    "mail to this recipient address: it may have up to %d "
		    "bytes of UTF-8; blanks, brackets, commas or a second @ "
		    "only in quotes; and no character that cannot be seen",
		    CF_WIRE_ADDRESS_MAX);
	return d;
}

/*
 * What keeps a message from being sealed, whoever wants it: SEAL when nothing
 * does, else a refusal.
 */
static struct cf_decision
check_message(const struct cf_snapshot *s, const struct cf_facts *facts)
{
	struct cf_decision d;

	if (facts->null_sender)
		return refuse("null-sender", "550", "5.7.1",
		    "A message without a sender cannot ask for a return "
		    "receipt");
	d = check_kind(s, facts);
	if (d.cause != NULL)
		return d;
	d = check_addresses(facts);
	if (d.cause != NULL)
		return d;
	if (facts->recipients == 0)
		return refuse("no-recipient", "451", "4.5.1",
		    "There is no recipient to get the sealed message");
	if (facts->recipients > 1)
		return refuse("recipients", "550", "5.7.1",
		    "Return receipts need one recipient per transaction, and "
		    "this one has several: the mail administrator must route "
		    "flagged mail through the counterfoil-hop transport with "
		    "recipient limit 1 (see counterfoil-milter(8))");
	if (facts->field_cut)
		return refuse("field-size", "552", "5.3.4",
		    "A field of this message's header is longer than 59000 "
		    "bytes, or has lines far too long; it could not be sealed "
		    "as a whole");
	if (facts->header_over)
		return refuse("header-size", "552", "5.3.4",
		    "The header of this message is too large to be sealed");
	d.action = CF_ACTION_SEAL;
	d.want = defaults(s, facts->sender, facts->recipient);
	d.untag = (facts->asks & CF_TRIGGER_SUBJECT) != 0;
	return d;
}

/* The flag of somebody who may use it, at a gateway that seals. */
static struct cf_decision
decide_entitled(const struct cf_snapshot *s, const struct cf_facts *facts)
{
	struct cf_decision d = { 0 };
	struct cf_why why = { "" };
	struct cf_want want;
	enum cf_err rc;

	if (facts->flags > 1)
		return refuse("two-flags", "550", "5.7.1",
		    "There are two " CF_FLAG_FIELD " fields; a message may "
		    "have one");
	rc = cf_want_parse(facts->flag_value, CF_WANT_IN_FLAG, &want, &why);
	if (rc != CF_OK)
		return refuse(rc == CF_E_POLICY ? "flag-not-offered" :
		    "flag-value", "550", "5.7.1", CF_FLAG_FIELD ": %s",
		    why.text);
	d = check_message(s, facts);
	if (d.action != CF_ACTION_SEAL)
		return d;
	cf_want_inherit(&d.want, &want);
	d.cause = "flag";
	return d;
}

/* ---- triggers: policy, not a promise to anybody ---- */

/* The one that is told; a rule is none, but is called so in the log. */
static const char *
trigger_of(const struct cf_facts *facts)
{
	static const enum cf_trigger first[] = { CF_TRIGGER_SUBJECT,
	    CF_TRIGGER_DISPOSITION, CF_TRIGGER_RECEIPT };
	size_t i;

	for (i = 0; i < sizeof first / sizeof first[0]; i++)
		if ((facts->asks & (int)first[i]) != 0)
			return cf_conf_name(cf_triggers, (int)first[i]);
	return facts->ruled ? "rule" : NULL;
}

/* Which one fired for this message, or NULL. */
static const char *
fired(const struct cf_snapshot *s, const struct cf_facts *facts)
{
	if (!(s->mode & CF_MODE_OUTBOUND) || !facts->entitled ||
	    (facts->markers > 0 && facts->sealed_type))
		return NULL;
	return trigger_of(facts);
}

static struct cf_decision
decide_triggered(const struct cf_snapshot *s, const struct cf_facts *facts,
    const char *trigger)
{
	struct cf_decision d = check_message(s, facts);

	if (d.action == CF_ACTION_SEAL && s->conf.dry_run) {
		d.action = CF_ACTION_PASS;
		d.cause = "dry-run";
		cf_why_set(&d.note, "%s: it would be sealed", trigger);
	} else if (d.action == CF_ACTION_SEAL) {
		d.cause = trigger;
	} else {
		d.action = CF_ACTION_PASS;
		cf_why_set(&d.note, "%s: %s", trigger, d.reply.text);
	}
	d.trigger = trigger;
	return d;
}

static struct cf_decision
decide_flagged(const struct cf_snapshot *s, const struct cf_facts *facts)
{
	struct cf_decision d = { 0 };

	d.action = CF_ACTION_STRIP;
	d.strip = true;
	d.cause = "flag-from-outside";
	if ((s->mode & CF_MODE_OUTBOUND) && facts->entitled)
		return decide_entitled(s, facts);
	/* Sealed or refused, never dropped, to whomever it goes. */
	if (facts->entitled)
		return refuse("not-outbound", "550", "5.7.1",
		    "This gateway does not seal mail, so it cannot ask for a "
		    "return receipt");
	/* Inbound only: mail comes for our own, unless the site says more. */
	if (all_local(facts) || (s->mode == CF_MODE_INBOUND &&
	    s->conf.local_domains.count == 0)) {
		if (wants_rewrite(s, facts))
			d.action = CF_ACTION_REWRITE;
		return d;
	}
	return refuse("not-entitled", "550", "5.7.1",
	    "You may not ask for return receipts through this gateway; "
	    "authenticate, or send without " CF_FLAG_FIELD);
}

static struct cf_decision
decide_unflagged(const struct cf_snapshot *snapshot,
    const struct cf_facts *facts)
{
	struct cf_decision d = { 0 };
	const char *trigger;

	d.action = CF_ACTION_PASS;
	d.cause = "no-flag";
	trigger = fired(snapshot, facts);
	if (trigger != NULL)
		return decide_triggered(snapshot, facts, trigger);
	if (wants_rewrite(snapshot, facts)) {
		d.action = CF_ACTION_REWRITE;
		d.cause = "sealed-mail";
	} else if (facts->markers > 0) {
		d.cause = "sealed-already";
	} else if (facts->off != 0 && facts->entitled &&
	    (snapshot->mode & CF_MODE_OUTBOUND)) {
		cf_why_set(&d.note, "%s: this trigger is off, so "
		    "no receipt was asked for (option triggers)",
		    cf_conf_name(cf_triggers, facts->off));
	}
	return d;
}

/* ---- a flag that the mail server does not take for one ---- */

#define HOW_TO "a message that asks for a return receipt has the line " \
	"\"" CF_FLAG_FIELD ": yes\" in its header"

/* Of somebody who may use it, in mail that goes out in clear. */
static struct cf_decision
refuse_near(const struct cf_near_header *near)
{
	if (near->found == CF_NEAR_FOLD)
		return refuse("flag-spelling", "550", "5.7.1", "A line that "
		    "looks like " CF_FLAG_FIELD " begins with a blank, so it "
		    "is no field of the header but goes on with the field %s "
		    "before it; " HOW_TO ", with no blank in front",
		    near->shown);
	return refuse("flag-spelling", "550", "5.7.1", "\"%s\" looks like "
	    CF_FLAG_FIELD " but is another field of the header, which asks "
	    "for nothing; " HOW_TO ", its name spelt just so", near->shown);
}

struct cf_decision
cf_flag_in_body(void)
{
	return refuse("flag-in-body", "550", "5.7.1", "A line at the beginning "
	    "of the text looks like " CF_FLAG_FIELD " but is no field of the "
	    "header, which ended before it, at an empty line or at one that "
	    "is no field; " HOW_TO ", all of its name and the colon in ASCII. "
	    "Is it meant as text? Then put a word in front of it");
}

/* Would a near flag be its sender's own, and go out in clear? */
static bool
minds_near(const struct cf_snapshot *s, const struct cf_facts *facts,
    const struct cf_decision *d)
{
	return d->action == CF_ACTION_PASS && facts->entitled &&
	    (s->mode & CF_MODE_OUTBOUND) &&
	    !(facts->markers > 0 && facts->sealed_type);
}

struct cf_decision
cf_flag_decide(const struct cf_snapshot *snapshot,
    const struct cf_facts *facts)
{
	struct cf_decision d;

	if (facts->flags > 0)
		return decide_flagged(snapshot, facts);
	d = decide_unflagged(snapshot, facts);
	if (!minds_near(snapshot, facts, &d))
		return d;
	if (facts->near.found != CF_NEAR_NONE)
		return refuse_near(&facts->near);
	/* What reports quote is not their sender's. */
	d.watch = !facts->null_sender && !facts->report &&
	    !facts->near.is_message;
	return d;
}
