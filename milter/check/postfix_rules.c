/* SPDX-License-Identifier: Apache-2.0 */
/* cf_pf_check_rules - see postfix.h. */
#include "milter/check/postfix.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/wire.h"
#include "milter/gateway/trigger.h"

/* To be compared with what CF_PF_FLAG gets. */
static const struct cf_pf_question questions[] = {
	{ "x-return-receipt:yes", true, NULL },
	{ CF_FLAG_FIELD ": require=account; expires=7d", true, NULL },
	{ "X-RETURN-RECEIPT : yes", true, NULL },
	{ CF_FLAG_FIELD "\t: yes", true, NULL },
	{ "Subject: " CF_FLAG_FIELD ": yes", false, NULL },
	{ CF_FLAG_FIELD "-To: yes", false, NULL },
	{ "X-Return-Path: yes", false, NULL },
};
#define QUESTIONS (sizeof questions / sizeof questions[0])

/* Does every way to write the flag's name get the same answer? */
static void
compare_answers(const struct cf_pf *p, const struct cf_pf_question *q,
    const char *action)
{
	bool same;
	size_t i;

	for (i = 0; i < QUESTIONS; i++) {
		same = q[i].answer != NULL && strcmp(q[i].answer, action) == 0;
		if (!same && q[i].is_flag) {
			cf_check_say(p->check, ERROR, "header_checks does not "
			    "send \"%s\" to the hop, so such mail is refused "
			    "or leaves in clear; use the rule of "
			    "contrib/postfix/counterfoil_header_checks, with "
			    "[[:blank:]]*", q[i].line);
			return;
		}
		if (same && !q[i].is_flag)
			cf_check_say(p->check, WARNING, "header_checks sends "
			    "\"%s\" to the hop, too, though it is no flag",
			    q[i].line);
	}
	cf_check_say(p->check, OK, "header_checks sends flagged mail to the "
	    "hop");
}

static void
check_spellings(const struct cf_pf *p, const char *action)
{
	struct cf_pf_question q[QUESTIONS];
	size_t i;

	memcpy(q, questions, sizeof q);
	cf_pf_ask(p, cf_pf_tables(p, NULL, "header_checks"), q, QUESTIONS);
	compare_answers(p, q, action);
	for (i = 0; i < QUESTIONS; i++)
		free(q[i].answer);
}

#define NEAR_MAX 8

/* Is a flag that is no field, or of another name, seen by the milter?  `line`
 * ends with NULL. */
static void
check_near(const struct cf_pf *p, const char *parameter, const char *good,
    const char *const *line, const char *action)
{
	struct cf_pf_question q[NEAR_MAX] = { { NULL, true, NULL } };
	const char *unled[3] = { NULL };
	size_t count, i, n = 0;

	for (count = 0; line[count] != NULL && count < NEAR_MAX; count++)
		q[count].line = line[count];
	cf_pf_ask(p, cf_pf_tables(p, NULL, parameter), q, count);
	for (i = 0; i < count; i++) {
		if ((q[i].answer == NULL || strcmp(q[i].answer, action) != 0) &&
		    n < 2)
			unled[n++] = line[i];
		free(q[i].answer);
	}
	cf_check_that(p->check, n == 0, WARNING, good, "%s does not send "
	    "\"%s\"%s%s%s to the hop: with such a line mail leaves in clear, "
	    "and nobody tells its sender; take the rules of "
	    "contrib/postfix/counterfoil_%s", parameter, unled[0],
	    n > 1 ? " and \"" : "", n > 1 ? unled[1] : "",
	    n > 1 ? "\"" : "", parameter);
}

static void
check_near_flags(const struct cf_pf *p, const char *action)
{
	/* Each rule of the sample is the only one for one of these. */
	static const char *const in_header[] = { "X_Return_Receipt: yes",
	    "X-Return-Reciept: yes", "X-Return-Rceiot: yes",
	    "X-Rterun-Receipt: yes", "X-Retrun-Receit: yes", NULL };
	static const char *const in_body[] = { CF_FLAG_FIELD ": yes",
	    "X-Return Receipt: yes", NULL };

	check_near(p, "header_checks", "header_checks sends a flag that is "
	    "spelt wrong to the hop, which refuses it", in_header, action);
	check_near(p, "body_checks", "body_checks sends a flag behind the end "
	    "of the header there, too", in_body, action);
}

/* The tag as an encoded word of either kind, with a word behind it. */
static char *
encode_tag(const char *tag, char kind)
{
	CF_AUTO(cf_buf_free) struct cf_buf q = CF_BUF_INIT(400);
	CF_AUTO(cf_free) char *text = cf_asprintf("%s lunch", tag);
	char *word, *base64;

	for (; *tag != '\0'; tag++)
		if (g_ascii_isalnum(*tag))
			cf_buf_addc(&q, *tag);
		else
			cf_buf_addf(&q, "=%02X", (unsigned char)*tag);
	base64 = g_base64_encode((const guchar *)text, strlen(text));
	word = cf_asprintf("Subject: =?utf-8?%c?%s%s?=", kind,
	    kind == 'Q' ? cf_buf_str(&q) : base64,
	    kind == 'Q' ? "_lunch" : "");
	g_free(base64);
	return word;
}

/* Does mail with this line go where the flag goes, just when it should? */
static void
rules_check_trigger(const struct cf_pf *p, enum cf_trigger trigger,
    const char *action, const char *line)
{
	const char *name = cf_conf_name(cf_triggers, (int)trigger);
	bool on = (p->check->snapshot->conf.triggers & (int)trigger) != 0;
	struct cf_pf_question q = { line, on, NULL };
	bool led;

	cf_pf_ask(p, cf_pf_tables(p, NULL, "header_checks"), &q, 1);
	led = q.answer != NULL && strcmp(q.answer, action) == 0;
	if (on)
		cf_check_that(p->check, led, WARNING,
		    "header_checks sends what a trigger needs to the hop",
		    "the trigger %s is on, but header_checks does not send "
		    "\"%s\" to the hop: such mail leaves in clear; take the "
		    "# from its rule in %s", name, line,
		    cf_pf_value(p, NULL, "header_checks"));
	else if (led)
		cf_check_say(p->check, WARNING, "header_checks sends \"%s\" "
		    "to the hop, but the trigger %s is off, so nothing is "
		    "sealed for it; put it into triggers, or a # before the "
		    "rule", line, name);
	free(q.answer);
}

static void
rules_check_triggers(const struct cf_pf *p, const char *action)
{
	const struct cf_mconf *conf = &p->check->snapshot->conf;
	CF_AUTO(cf_free) char *plain = cf_asprintf("Subject: %s lunch",
	    conf->subject_tag);
	CF_AUTO(cf_free) char *quoted = encode_tag(conf->subject_tag, 'Q');
	CF_AUTO(cf_free) char *base64 = encode_tag(conf->subject_tag, 'B');

	rules_check_trigger(p, CF_TRIGGER_DISPOSITION, action,
	    "Disposition-Notification-To: a@example.org");
	rules_check_trigger(p, CF_TRIGGER_RECEIPT, action,
	    "Return-Receipt-To: a@example.org");
	rules_check_trigger(p, CF_TRIGGER_SUBJECT, action, plain);
	rules_check_trigger(p, CF_TRIGGER_SUBJECT, action, quoted);
	rules_check_trigger(p, CF_TRIGGER_SUBJECT, action, base64);
}

static void
check_quiet(const struct cf_pf *p)
{
	static const char *const names[] = { "nested_header_checks",
	    "mime_header_checks" };
	size_t i;

	for (i = 0; i < 2; i++)
		if (*cf_pf_value(p, NULL, names[i]) == '\0')
			cf_check_say(p->check, OK, "%s is empty: a flag "
			    "inside of attached mail is none", names[i]);
		else
			cf_check_say(p->check, ERROR, "%s is %s: a flag "
			    "inside of attached mail would count; set %s =",
			    names[i], cf_pf_value(p, NULL, names[i]), names[i]);
}

void
cf_pf_check_rules(const struct cf_pf *p, const char *action)
{
	check_spellings(p, action);
	check_near_flags(p, action);
	rules_check_triggers(p, action);
	check_quiet(p);
}
