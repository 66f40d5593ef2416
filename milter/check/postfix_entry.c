/* SPDX-License-Identifier: Apache-2.0 */
/* cf_pf_check_entry - see postfix.h. */
#include "milter/check/postfix.h"

#include <string.h>

#include "common/mem.h"

static bool
entry_is_loopback(const struct cf_postfix_service *s)
{
	return strncmp(s->name, "127.", 4) == 0 ||
	    strncmp(s->name, "localhost:", 10) == 0 ||
	    strncmp(s->name, "[::1]", 5) == 0 ||
	    strncmp(s->name, "::1", 3) == 0;
}

/* Port 25 of the world must not lead to the hop. */
static void
check_world(const struct cf_pf *p, const struct cf_postfix_service *s,
    bool ours)
{
	const char *colon = strrchr(s->name, ':');
	const char *port = colon == NULL ? s->name : colon + 1;

	if ((strcmp(port, "smtp") != 0 && strcmp(port, "25") != 0) ||
	    entry_is_loopback(s))
		return;
	cf_check_that(p->check, ours, WARNING,
	    "mail from the world comes to us", "%s takes mail from the world "
	    "without our milter: a flag of a stranger is not removed there; "
	    "see contrib/postfix/outside-master.cf", s->name);
	cf_check_that(p->check, cf_pf_overrides(p, s, "no_header_body_checks"),
	    ERROR, "a stranger's flag does not lead to the hop",
	    "%s has no no_header_body_checks in receive_override_options: a "
	    "stranger's flag leads to the hop, where it counts; see "
	    "contrib/postfix/outside-master.cf", s->name);
}

/* Does a list of restrictions refuse who sends as another, before it lets
 * him through? */
static bool
list_ties(const char *list)
{
	static const char *const words[] = { "reject_sender_login_mismatch",
	    "reject_authenticated_sender_login_mismatch",
	    "reject_known_sender_login_mismatch" };
	const char *through = cf_postfix_word(list,
	    "permit_sasl_authenticated");
	const char *found;
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++) {
		found = cf_postfix_word(list, words[i]);
		if (found != NULL && (through == NULL || found < through))
			return true;
	}
	return false;
}

static bool
ties_sender(const struct cf_pf *p, const struct cf_postfix_service *s)
{
	static const char *const lists[] = { "client", "helo", "sender",
	    "relay", "recipient", "data", "end_of_data" };
	size_t i;

	if (*cf_pf_value(p, s, "smtpd_sender_login_maps") == '\0')
		return false;
	for (i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		CF_AUTO(cf_free) char *name = cf_asprintf(
		    "smtpd_%s_restrictions", lists[i]);

		if (list_ties(cf_pf_value(p, s, name)))
			return true;
	}
	return false;
}

/* Where people authenticate, may they send as anybody?  `led`: their flagged
 * mail goes to the hop, which does not know who they are. */
static void
entry_check_login(const struct cf_pf *p, const struct cf_postfix_service *s,
    bool ours, bool led)
{
	bool here = p->check->snapshot->conf.sender_is_login;

	if (strcmp(cf_pf_value(p, s, "smtpd_sasl_auth_enable"), "yes") != 0 ||
	    (!ours && !led))
		return;
	cf_pf_that(p, s, ties_sender(p, s) || (here && ours), WARNING,
	    "who authenticates may send in his own name only",
	    "%s: who authenticates may send in anybody's name, and recipients "
	    "are told that it was checked; set smtpd_sender_login_maps, and "
	    "reject_authenticated_sender_login_mismatch before "
	    "permit_sasl_authenticated in smtpd_sender_restrictions%s",
	    s->name, here ? " (sender_is_login does not help: the hop does "
	    "not know the login)" : ours ? ", or sender_is_login here" : "");
}

/* Are all clients that may use the flag on this machine? */
static bool
only_loopback(const struct cf_snapshot *s)
{
	struct cf_network v4, v6;
	size_t i;

	if (!cf_network_parse("127.0.0.0/8", &v4) ||
	    !cf_network_parse("::1", &v6))
		cf_bug("networks of this machine");
	for (i = 0; i < s->network_count; i++)
		if (!cf_network_has(&v4, &s->networks[i]) &&
		    !cf_network_has(&v6, &s->networks[i]))
			return false;
	return true;
}

/*
 * Beside the hop, a listener with our socket from which nothing leads there:
 * who may use the flag there may have one recipient.
 */
static void
check_beside_hop(const struct cf_pf *p, const struct cf_postfix_service *s)
{
	const struct cf_snapshot *snapshot = p->check->snapshot;
	bool login = snapshot->conf.trust_authenticated &&
	    strcmp(cf_pf_value(p, s, "smtpd_sasl_auth_enable"), "yes") == 0;

	if (!cf_pf_overrides(p, s, "no_header_body_checks") ||
	    (snapshot->network_count == 0 && !login))
		return;
	if (only_loopback(snapshot) && !login)
		cf_check_say(p->check, OK, "%s: flagged mail that a program "
		    "of this machine hands in here may have one recipient; "
		    "sendmail(1) and the port for your people take several",
		    s->name);
	else
		cf_check_say(p->check, WARNING, "%s: flagged mail of %s that "
		    "comes in here to several recipients is refused, as it "
		    "does not lead to the hop; let them use the port for your "
		    "people, or take them out of %s", s->name, login ?
		    "clients that authenticate" : "clients in networks",
		    login ? "smtpd_sasl_auth_enable there" : "networks");
}

/*
 * Promise of the flag: what has it is sealed or refused.  So at each listener
 * either we see it, or it leads to where we do.  What a filter gives back on
 * this machine had its flag looked at before: FILTER wins over
 * content_filter.  With smtpd_proxy_filter it comes in where that gives it
 * back.
 */
static void
check_clear(const struct cf_pf *p, const struct cf_postfix_service *s,
    bool ours, enum cf_pf_way way, bool led)
{
	bool checks = !cf_pf_overrides(p, s, "no_header_body_checks");

	if (ours || way != CF_PF_ELSEWHERE ||
	    *cf_pf_value(p, s, "smtpd_proxy_filter") != '\0')
		return;
	if (led && !checks && entry_is_loopback(s))
		cf_check_say(p->check, WARNING, "%s: flagged mail that comes "
		    "in here leaves in clear: no milter of ours is there, and "
		    "no_header_body_checks keeps it from the hop; that is "
		    "well if only a filter gives mail back there", s->name);
	else
		cf_check_say(p->check, ERROR, "%s: flagged mail that comes in "
		    "here leaves in clear: no milter of ours is there, and %s "
		    "leads it to the hop; set header_checks as in "
		    "contrib/postfix/sender-main.cf with our table first, or "
		    "smtpd_milters to our socket", s->name, checks ?
		    "no rule of header_checks" : "no_header_body_checks in "
		    "receive_override_options is there, so nothing");
}

void
cf_pf_check_entry(const struct cf_pf *p, const struct cf_postfix_service *s,
    bool ours, bool hop, enum cf_pf_way way, bool led)
{
	if (led)
		check_world(p, s, ours);
	if (hop && ours)
		check_beside_hop(p, s);
	check_clear(p, s, ours, way, led);
	entry_check_login(p, s, ours, way == CF_PF_TO_HOP);
}
