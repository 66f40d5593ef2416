/* SPDX-License-Identifier: Apache-2.0 */
/* cf_pf_way - see postfix.h. */
#include "milter/check/postfix.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

/* Where a FILTER action leads; NULL: it is another action, or none. */
static const char *
way_of(const char *action)
{
	if (action == NULL || strncasecmp(action, "FILTER ", 7) != 0)
		return NULL;
	return action + 7 + strspn(action + 7, " \t");
}

/* The listener of ours that "transport:destination" leads to, or NULL. */
static const struct cf_postfix_service *
hop_at(const struct cf_pf *p, const char *way)
{
	const char *colon = strchr(way, ':');
	const struct cf_postfix_service *hop = colon == NULL ? NULL :
	    cf_postfix_listener(&p->conf, colon + 1);
	struct cf_postfix_milter e;

	return hop != NULL && cf_pf_place(p, hop, cf_pf_value(p, hop,
	    "smtpd_milters"), &e) >= 0 ? hop : NULL;
}

static void
check_transport(const struct cf_pf *p, const char *transport)
{
	const struct cf_postfix_service *s = cf_postfix_service(&p->conf,
	    transport, "unix");
	CF_AUTO(cf_free) char *name = cf_asprintf(
	    "%s_destination_recipient_limit", transport);
	CF_AUTO(cf_free) char *limit = cf_pf_other_value(p, name);

	if (s == NULL) {
		cf_check_say(p->check, ERROR, "flagged mail is sent to the "
		    "transport %s, which is not in master.cf; see "
		    "contrib/postfix/sender-master.cf", transport);
		return;
	}
	cf_check_that(p->check, strcmp(limit, "1") == 0, ERROR,
	    "the hop takes one recipient at a time", "%s is %s: mail to "
	    "several recipients is refused; set %s = 1", name,
	    *limit == '\0' ? "unset" : limit, name);
	cf_check_that(p->check, strcmp(cf_pf_value(p, s,
	    "disable_mime_output_conversion"), "yes") == 0 &&
	    strcmp(cf_pf_value(p, s, "smtp_line_length_limit"), "0") == 0 &&
	    *cf_pf_value(p, s, "smtp_generic_maps") == '\0' &&
	    *cf_pf_value(p, s, "smtp_header_checks") == '\0',
	    WARNING, "the hop changes nothing in the mail",
	    "transport %s may change mail before it is sealed; give it the "
	    "options of contrib/postfix/sender-master.cf", transport);
}

static void
hop_check(const struct cf_pf *p, const struct cf_postfix_service *s)
{
	const struct cf_mconf *conf = &p->check->snapshot->conf;
	const char *name = cf_pf_value(p, s, "milter_macro_daemon_name");
	const char *list = cf_pf_value(p, s, "smtpd_milters");
	struct cf_postfix_milter e;
	int place = cf_pf_place(p, s, list, &e);

	if (place < 0) {
		cf_check_say(p->check, ERROR, "the hop %s does not name our "
		    "socket (smtpd_milters is \"%s\"): flagged mail leaves "
		    "in clear; set smtpd_milters as in "
		    "contrib/postfix/sender-master.cf", s->name, list);
		return;
	}
	cf_pf_check_listener(p, s, list, &e, place, true);
	cf_check_that(p->check, cf_pf_overrides(p, s, "no_header_body_checks"),
	    ERROR, "the hop does not send mail to itself", "the hop %s has no "
	    "no_header_body_checks in receive_override_options: "
	    "header_checks would send its mail there again", s->name);
	cf_check_that(p->check, cf_pf_overrides(p, s, "no_address_mappings"),
	    WARNING, "the hop expands no addresses", "the hop %s has no "
	    "no_address_mappings in receive_override_options: aliases and "
	    "always_bcc are applied twice", s->name);
	cf_check_that(p->check,
	    *cf_pf_value(p, s, "content_filter") == '\0', ERROR,
	    "the hop has no content_filter", "the hop %s has content_filter = "
	    "%s; set it empty there", s->name,
	    cf_pf_value(p, s, "content_filter"));
	cf_check_that(p->check, cf_conf_list_has(&conf->entitled_daemons,
	    name), WARNING, "mail at the hop may use the flag",
	    "entitled_daemons does not have %s, the name of the hop %s: there "
	    "only networks count, and clients that authenticated at the front "
	    "are refused", name, s->name);
}

/* A FILTER action or content_filter: "transport:destination". */
static const struct cf_postfix_service *
check_way(const struct cf_pf *p, const char *way)
{
	size_t n = strcspn(way, ":");
	CF_AUTO(cf_free) char *transport = cf_strndup(way, n);
	const struct cf_postfix_service *hop;

	check_transport(p, transport);
	hop = cf_postfix_listener(&p->conf, way + n + (way[n] == ':'));
	if (hop == NULL)
		cf_check_say(p->check, ERROR, "flagged mail is sent to %s, "
		    "where no service of master.cf listens", way);
	else
		hop_check(p, hop);
	return hop;
}

const struct cf_postfix_service *
cf_pf_check_hop(const struct cf_pf *p, bool *ret_led)
{
	struct cf_pf_question q = { CF_PF_FLAG, true, NULL };
	const char *filter = cf_pf_value(p, NULL, "content_filter");
	const struct cf_postfix_service *hop = NULL;

	cf_pf_ask(p, cf_pf_tables(p, NULL, "header_checks"), &q, 1);
	*ret_led = true;
	if (way_of(q.answer) != NULL) {
		cf_pf_check_rules(p, q.answer);
		hop = check_way(p, way_of(q.answer));
	} else if (hop_at(p, filter) != NULL) {
		hop = check_way(p, filter);
	} else {
		*ret_led = false;
		cf_check_say(p->check, WARNING, "no rule of header_checks "
		    "(which says \"%s\" to the flag) and no content_filter "
		    "leads flagged mail to a hop with one recipient at a "
		    "time: mail to several recipients is refused; see "
		    "contrib/postfix/sender-main.cf", q.answer == NULL ?
		    "" : q.answer);
	}
	free(q.answer);
	return hop;
}

enum cf_pf_way
cf_pf_way(const struct cf_pf *p, const struct cf_postfix_service *s, bool led)
{
	const char *tables = cf_pf_tables(p, s, "header_checks");
	const char *filter = cf_pf_value(p, s, "content_filter"), *way;
	struct cf_pf_question q = { CF_PF_FLAG, true, NULL };
	enum cf_pf_way answer = CF_PF_ELSEWHERE;

	if (!cf_pf_overrides(p, s, "no_header_body_checks"))
		cf_pf_ask(p, tables, &q, 1);
	way = way_of(q.answer);
	if (way != NULL)
		answer = hop_at(p, way) != NULL || (led && strcmp(tables,
		    cf_pf_tables(p, NULL, "header_checks")) == 0) ?
		    CF_PF_TO_HOP : CF_PF_ELSEWHERE;
	else if (q.answer != NULL && (g_ascii_isdigit(*q.answer) ||
	    strncasecmp(q.answer, "REJECT", 6) == 0 ||
	    strncasecmp(q.answer, "DISCARD", 7) == 0))
		answer = CF_PF_REFUSED;
	else if (hop_at(p, filter) != NULL)
		answer = CF_PF_TO_HOP;
	free(q.answer);
	return answer;
}
