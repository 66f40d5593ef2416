/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_check_postfix - see check_parts.h.
 *
 * Looks at the way of flagged mail to the hop, at each listener, and at what
 * must not carry the text of a message in between; postfix.h has the parts.
 */
#include <string.h>

#include "common/mem.h"
#include "milter/check/check_parts.h"
#include "milter/check/postfix.h"

/* Gives the number of listeners that name our socket. */
static unsigned
check_listeners(const struct cf_pf *p, const struct cf_postfix_service *hop,
    bool led)
{
	const struct cf_postfix_service *s;
	const char *list;
	struct cf_postfix_milter e;
	bool outbound = p->check->snapshot->mode & CF_MODE_OUTBOUND;
	unsigned found = 0;
	enum cf_pf_way way;
	size_t i;
	int place;

	for (i = 0; i < p->conf.service_count; i++) {
		s = &p->conf.service[i];
		if (strcmp(s->command, "smtpd") != 0 || s == hop)
			continue;
		list = cf_pf_value(p, s, "smtpd_milters");
		place = cf_pf_place(p, s, list, &e);
		found += place >= 0;
		if (place >= 0)
			cf_pf_check_listener(p, s, list, &e, place,
			    p->check->snapshot->mode == CF_MODE_OUTBOUND);
		way = outbound ? cf_pf_way(p, s, led) : CF_PF_ELSEWHERE;
		cf_pf_check_filter(p, s, place >= 0, way == CF_PF_TO_HOP);
		if (outbound)
			cf_pf_check_entry(p, s, place >= 0, hop != NULL, way,
			    led);
	}
	return found + (hop != NULL);
}

static bool
check_all(const struct cf_pf *p)
{
	bool outbound = p->check->snapshot->mode & CF_MODE_OUTBOUND;
	const struct cf_postfix_service *hop = NULL;
	const char *owner = cf_pf_value(p, NULL, "mail_owner");
	struct cf_postfix_milter e;
	bool led = false;
	unsigned found;

	if (outbound)
		hop = cf_pf_check_hop(p, &led);
	found = check_listeners(p, hop, led);
	if (found == 0 && cf_pf_place(p, NULL, cf_pf_value(p, NULL,
	    "non_smtpd_milters"), &e) < 0) {
		cf_check_say(p->check, ERROR, "no smtpd of this Postfix names "
		    "our socket %s in smtpd_milters",
		    p->check->snapshot->conf.socket);
		return false;
	}
	cf_pf_check_leaks(p, led);
	cf_check_socket(p->check, *owner == '\0' ? "postfix" : owner);
	return true;
}

/* Does any part of this Postfix name our socket? */
static bool
uses_us(const struct cf_pf *p)
{
	struct cf_postfix_milter e;
	const struct cf_postfix_service *s;
	bool found = cf_pf_place(p, NULL, cf_pf_value(p, NULL,
	    "non_smtpd_milters"), &e) >= 0;
	size_t i;

	for (i = 0; i < p->conf.service_count && !found; i++) {
		s = &p->conf.service[i];
		found = cf_pf_place(p, s, cf_pf_value(p, s, "smtpd_milters"),
		    &e) >= 0;
	}
	return found;
}

bool
cf_check_postfix(struct cf_check *check, const char *directory, bool guessed)
{
	bool used = false;
	CF_AUTO(cf_free) char *subject = cf_asprintf("Postfix %s", directory);
	struct cf_pf p = { 0 };

	p.check = check;
	p.directory = directory;
	check->f.subject = subject;
	if (cf_pf_read(&p))
		used = (guessed && !uses_us(&p)) ? false : check_all(&p);
	else
		cf_check_say(check, ERROR, "postconf -c %s gives no "
		    "configuration", directory);
	cf_postfix_conf_free(&p.conf);
	check->f.subject = "";
	return used;
}
