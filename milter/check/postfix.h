/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_pf - what the parts of cf_check_postfix() share: one Postfix instance,
 * how it is asked, and each part, which is a file of its own.
 *
 * Knows: one instance by postconf(1) and postmap(1), as Postfix itself
 * understands its files.   Does not know: which instances there are.
 * Threads: one.   Logging: never; findings go to `check`.
 */
#ifndef CF_MILTER_CHECK_POSTFIX_H
#define CF_MILTER_CHECK_POSTFIX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/wire.h"
#include "milter/check/check.h"
#include "milter/check/postfix_conf.h"

/* For these files alone, whose sentences are long. */
#define OK CF_FINDING_OK
#define WARNING CF_FINDING_WARNING
#define ERROR CF_FINDING_ERROR

struct cf_pf {
	struct cf_check *check;
	const char *directory;	/* of its configuration */
	struct cf_postfix_conf conf;
};

/* As cf_check_that(), with the name of the service. */
#define cf_pf_that(p, s, good, finding, ok_text, ...) \
	((good) ? cf_check_say((p)->check, OK, "%s: " ok_text, (s)->name) : \
	cf_check_say((p)->check, (finding), __VA_ARGS__))

/* ---- postfix_ask.c: postconf and postmap ---- */

/* False: postconf gives no configuration.  Free p->conf all the same. */
bool cf_pf_read(struct cf_pf *p);
/* The value in force for a service (NULL: in general), or "".  Lends. */
const char *cf_pf_value(const struct cf_pf *p,
    const struct cf_postfix_service *s, const char *name);
/* A parameter that cf_pf_read() does not ask for.  Gives; "" if unset. */
char *cf_pf_other_value(const struct cf_pf *p, const char *name);
/* Is the word in receive_override_options? */
bool cf_pf_overrides(const struct cf_pf *p,
    const struct cf_postfix_service *s, const char *word);

/* A line of a header or body, and what the rules say to it. */
struct cf_pf_question {
	const char *line;
	bool is_flag;
	char *answer;		/* NULL: nothing.  The caller frees it. */
};

/*
 * The list of tables that looks at what comes in at a service (NULL: in
 * general).  `parameter`: header_checks or body_checks.  Lends.
 */
const char *cf_pf_tables(const struct cf_pf *p,
    const struct cf_postfix_service *s, const char *parameter);
/* As Postfix does: the first table that has an answer gives it. */
void cf_pf_ask(const struct cf_pf *p, const char *tables,
    struct cf_pf_question *q, size_t count);

/* ---- postfix_place.c: which milter is us ---- */

/*
 * Our place in a list of milters, from 0, and what the list says of us; -1:
 * not there.  A chroot that hides our socket is a finding.
 */
int cf_pf_place(const struct cf_pf *p, const struct cf_postfix_service *s,
    const char *list, struct cf_postfix_milter *ret);

/* ---- postfix_listener.c: a listener and its filters ---- */

/*
 * What every listener with our socket must stand: `list` is its milters, `e`
 * what that says of us, who stand at `place`.  `outbound`: no mail from
 * outside comes in there.
 */
void cf_pf_check_listener(const struct cf_pf *p,
    const struct cf_postfix_service *s, const char *list,
    const struct cf_postfix_milter *e, int place, bool outbound);
/*
 * A filter behind the queue: does it see mail too late, or not at all?
 * `ours`: the listener names our socket; `leads`: flagged mail goes from
 * there to the hop.
 */
void cf_pf_check_filter(const struct cf_pf *p,
    const struct cf_postfix_service *s, bool ours, bool leads);

/* ---- postfix_rules.c: what header_checks and body_checks do ---- */

/* The flag as most people write it. */
#define CF_PF_FLAG CF_FLAG_FIELD ": yes"

/*
 * Does every way to write the flag, a near flag and what a trigger needs get
 * the same answer, and nothing else?  `action`: what the flag gets.
 */
void cf_pf_check_rules(const struct cf_pf *p, const char *action);

/* ---- postfix_hop.c: the way of flagged mail ---- */

/*
 * The hop where flagged mail is sealed one recipient at a time, and the way
 * there.  Gives the hop, or NULL: there is none.  *ret_led: mail is sent to
 * one.
 */
const struct cf_postfix_service *cf_pf_check_hop(const struct cf_pf *p,
    bool *ret_led);

enum cf_pf_way {
	CF_PF_TO_HOP,		/* or to what was taken for one */
	CF_PF_REFUSED,		/* or thrown away */
	CF_PF_ELSEWHERE
};

/*
 * Where does flagged mail go that comes in at this service, `led` being what
 * header_checks and content_filter do in general?
 */
enum cf_pf_way cf_pf_way(const struct cf_pf *p,
    const struct cf_postfix_service *s, bool led);

/* ---- postfix_entry.c: where mail comes in ---- */

/*
 * Who may use the flag at a listener, and is what has it sealed or refused?
 * `ours`: it names our socket; `hop`: there is one; `way`: of flagged mail
 * from here; `led`: as for cf_pf_way().  Of outbound mail alone.
 */
void cf_pf_check_entry(const struct cf_pf *p,
    const struct cf_postfix_service *s, bool ours, bool hop,
    enum cf_pf_way way, bool led);

/* ---- postfix_leaks.c: what must not carry the text ---- */

/* Bounces, line ends, and mail that Postfix makes itself.  `led`: as above. */
void cf_pf_check_leaks(const struct cf_pf *p, bool led);

#endif
