/* SPDX-License-Identifier: Apache-2.0 */
/* cf_pf_check_listener - see postfix.h. */
#include "milter/check/postfix.h"

#include <stdlib.h>
#include <string.h>

static void
check_action(const struct cf_pf *p, const struct cf_postfix_service *s,
    const struct cf_postfix_milter *e)
{
	const char *action = e->action[0] != '\0' ? e->action :
	    cf_pf_value(p, s, "milter_default_action");
	bool good = strcmp(action, "tempfail") == 0 ||
	    strcmp(action, "shutdown") == 0;

	cf_pf_that(p, s, good, ERROR,
	    "mail waits while the milter is away (default action)",
	    "milter_default_action is %s at %s: %s; set tempfail", action,
	    s->name, strcmp(action, "reject") == 0 ?
	    "mail bounces while the milter is away" :
	    "flagged mail would leave in clear when the milter is away, and "
	    "is lost when it dies in the middle of a change");
}

static void
check_timeout(const struct cf_pf *p, const struct cf_postfix_service *s,
    const struct cf_postfix_milter *e)
{
	const char *text = e->content_timeout[0] != '\0' ?
	    e->content_timeout : cf_pf_value(p, s, "milter_content_timeout");
	long deadline = p->check->snapshot->conf.deadline_s;

	cf_pf_that(p, s, cf_postfix_seconds(text) > deadline, WARNING,
	    "milter_content_timeout is longer than deadline_s",
	    "milter_content_timeout is %s at %s, and deadline_s is %ld s: "
	    "Postfix may give up first; make it longer, or deadline_s "
	    "shorter", text, s->name, deadline);
}

static void
listener_check_size(const struct cf_pf *p, const struct cf_postfix_service *s)
{
	long long theirs = strtoll(cf_pf_value(p, s, "message_size_limit"),
	    NULL, 10);
	long long ours = p->check->snapshot->conf.message_size_limit;
	bool good = theirs == 0 || (ours > 0 && ours <= theirs);

	cf_pf_that(p, s, good, ERROR,
	    "message_size_limit here is not above Postfix's",
	    "message_size_limit is %lld here and %lld in Postfix: what is too "
	    "large when sealed is refused without the reason; set "
	    "message_size_limit = %lld in our configuration", ours, theirs,
	    theirs);
	if (good && ours > 0 && (theirs == 0 || ours < theirs))
		cf_check_say(p->check, OK, "message_size_limit is %lld here, "
		    "%lld in Postfix: mail with a receipt may be smaller than "
		    "other mail", ours, theirs);
}

/* What a milter is, by the name or the usual port of its socket. */
static bool
named_like(const char *address, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcasestr(address, *words) != NULL)
			return true;
	return false;
}

/* Does a milter see mail at another listener than this? */
static bool
sees_elsewhere(const struct cf_pf *p, const struct cf_postfix_service *s,
    const char *address)
{
	struct cf_postfix_milter e;
	const char *list;
	size_t i;

	for (i = 0; i < p->conf.service_count; i++) {
		if (&p->conf.service[i] == s ||
		    strcmp(p->conf.service[i].command, "smtpd") != 0)
			continue;
		list = cf_pf_value(p, &p->conf.service[i], "smtpd_milters");
		while (cf_postfix_next_milter(&list, &e))
			if (strcmp(e.address, address) == 0)
				return true;
	}
	return false;
}

static void
check_order(const struct cf_pf *p, const struct cf_postfix_service *s,
    const char *list, int place, bool outbound)
{
	static const char *const signers[] = { "dkim", ":8891", "arc",
	    "rspamd", ":11332", NULL };
	/* rspamd signs as well, and belongs behind us for that; but then it
	 * must have scanned before. */
	static const char *const both[] = { "rspamd", ":11332", NULL };
	static const char *const scanners[] = { "spamass", "clam", "amavis",
	    NULL };
	static const char *const verifiers[] = { "dkim", ":8891", "dmarc",
	    ":8893", "spf", "spamass", "clam", "rspamd", ":11332", NULL };
	struct cf_postfix_milter e;
	int i;

	for (i = 0; cf_postfix_next_milter(&list, &e); i++) {
		if (outbound && i < place && named_like(e.address, signers))
			cf_check_say(p->check, ERROR, "%s stands before us at "
			    "%s: what it signs is replaced here, and its "
			    "signature fails; put it behind us", e.address,
			    s->name);
		if (outbound && i > place && named_like(e.address, scanners))
			cf_check_say(p->check, WARNING, "%s stands behind us "
			    "at %s, where it sees sealed mail only; put it at "
			    "the port where the mail comes in", e.address,
			    s->name);
		if (outbound && i > place && named_like(e.address, both) &&
		    !sees_elsewhere(p, s, e.address))
			cf_check_say(p->check, WARNING, "%s stands behind us "
			    "at %s, where it can sign, but as a scanner sees "
			    "sealed mail only; name it at the port where the "
			    "mail comes in, too", e.address, s->name);
		if (!outbound && i > place &&
		    named_like(e.address, verifiers))
			cf_check_say(p->check, WARNING, "%s stands behind us "
			    "at %s: it sees the body that we wrote, and what "
			    "the sender signed fails; put it before us",
			    e.address, s->name);
	}
}

void
cf_pf_check_listener(const struct cf_pf *p, const struct cf_postfix_service *s,
    const char *list, const struct cf_postfix_milter *e, int place,
    bool outbound)
{
	cf_pf_that(p, s, !cf_pf_overrides(p, s, "no_milters"), ERROR,
	    "our milter is not switched off", "%s has no_milters in "
	    "receive_override_options, which switches us off; take it out",
	    s->name);
	check_action(p, s, e);
	check_timeout(p, s, e);
	listener_check_size(p, s);
	cf_pf_that(p, s, strtol(cf_pf_value(p, s, "milter_protocol"), NULL,
	    10) >= 6, WARNING, "milter_protocol is 6",
	    "milter_protocol is %s at %s; remove the line, the default is 6",
	    cf_pf_value(p, s, "milter_protocol"), s->name);
	check_order(p, s, list, place, outbound);
	/* Postfix's MILTER_README, Limitations. */
	cf_pf_that(p, s, *cf_pf_value(p, s, "smtpd_proxy_filter") == '\0',
	    ERROR, "we are shown what a mail contains", "%s has "
	    "smtpd_proxy_filter = %s, and so Postfix shows us no content and "
	    "takes no change; filter there with a milter instead", s->name,
	    cf_pf_value(p, s, "smtpd_proxy_filter"));
}

void
cf_pf_check_filter(const struct cf_pf *p, const struct cf_postfix_service *s,
    bool ours, bool leads)
{
	const char *filter = cf_pf_value(p, s, "content_filter");

	if (*filter == '\0')
		return;
	if (leads)
		cf_check_say(p->check, WARNING, "flagged mail from %s goes to "
		    "the hop, and not to content_filter = %s: what is to be "
		    "scanned or get a disclaimer, a milter must see there",
		    s->name, filter);
	if (ours && p->check->snapshot->mode & CF_MODE_INBOUND)
		cf_check_say(p->check, WARNING, "content_filter = %s takes "
		    "the mail of %s behind us: it sees the body that we "
		    "wrote, and what the sender signed fails; disclaimers "
		    "are well there, but scan with a milter before us",
		    filter, s->name);
}
