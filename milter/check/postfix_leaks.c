/* SPDX-License-Identifier: Apache-2.0 */
/* cf_pf_check_leaks - see postfix.h. */
#include "milter/check/postfix.h"

#include <string.h>

static void
check_bounces(const struct cf_pf *p)
{
	const char *classes = cf_pf_value(p, NULL, "notify_classes");

	cf_check_that(p->check, strcmp(cf_pf_value(p, NULL,
	    "bounce_size_limit"), "1") == 0, ERROR,
	    "a bounce does not carry the text",
	    "bounce_size_limit is %s: a bounce made before the mail is sealed "
	    "carries its text; set bounce_size_limit = 1",
	    cf_pf_value(p, NULL, "bounce_size_limit"));
	cf_check_that(p->check, cf_postfix_word(classes, "bounce") == NULL &&
	    cf_postfix_word(classes, "2bounce") == NULL, ERROR,
	    "the postmaster gets no copies of bounces",
	    "notify_classes is %s: the postmaster gets copies of bounces; "
	    "take out bounce and 2bounce", classes);
}

static void
check_line_ends(const struct cf_pf *p)
{
	const char *bare = cf_pf_value(p, NULL, "smtpd_forbid_bare_newline");
	const char *but = cf_pf_value(p, NULL,
	    "smtpd_forbid_bare_newline_exclusions");

	cf_check_that(p->check, *bare != '\0' && strcmp(bare, "no") != 0,
	    ERROR, "a bare line feed ends no message",
	    "smtpd_forbid_bare_newline is %s: a second message can be hidden "
	    "in one, and leaves unsealed; set normalize", *bare == '\0' ?
	    "unknown to this Postfix, which needs an update" : bare);
	cf_check_that(p->check, *but == '\0', WARNING,
	    "nobody is excepted from that",
	    "smtpd_forbid_bare_newline_exclusions is %s: set it empty", but);
	cf_check_that(p->check, strcmp(cf_pf_value(p, NULL,
	    "cleanup_replace_stray_cr_lf"), "yes") == 0, ERROR,
	    "stray CR and LF are replaced where mail comes in",
	    "cleanup_replace_stray_cr_lf is %s: mail would be changed after "
	    "it was signed or sealed; set yes",
	    cf_pf_value(p, NULL, "cleanup_replace_stray_cr_lf"));
}

static void
check_inside(const struct cf_pf *p, bool led)
{
	const char *classes = cf_pf_value(p, NULL,
	    "internal_mail_filter_classes");
	const char *late = cf_pf_value(p, NULL, "milter_header_checks");
	struct cf_postfix_milter e;
	bool ours = cf_pf_place(p, NULL, cf_pf_value(p, NULL,
	    "non_smtpd_milters"), &e) >= 0;
	bool outbound = p->check->snapshot->mode & CF_MODE_OUTBOUND;
	enum cf_pf_way way = cf_pf_way(p, cf_postfix_service(&p->conf, "pickup",
	    "unix"), led);

	led = way == CF_PF_TO_HOP;
	if (outbound && led)
		cf_check_that(p->check, !ours, WARNING,
		    "mail of sendmail(1) is sealed at the hop alone",
		    "our socket is in non_smtpd_milters beside the hop: mail "
		    "of sendmail(1) to several recipients bounces; take it "
		    "out");
	else if (outbound && way != CF_PF_REFUSED)
		cf_check_that(p->check, ours, ERROR,
		    "mail of sendmail(1) is sealed, too",
		    "our socket is not in non_smtpd_milters, and nothing "
		    "leads to the hop: flagged mail of sendmail(1) leaves in "
		    "clear; put it there");
	cf_check_that(p->check, *classes == '\0' || !ours, WARNING,
	    "mail that Postfix makes itself does not come to us",
	    "internal_mail_filter_classes is %s: Postfix's own notices come "
	    "to us; set it empty", classes);
	cf_check_that(p->check, *late == '\0', WARNING,
	    "no milter_header_checks", "milter_header_checks is %s: its rules "
	    "see the fields that we write, and may hold or drop sealed mail "
	    "without a word", late);
}

void
cf_pf_check_leaks(const struct cf_pf *p, bool led)
{
	if (p->check->snapshot->mode & CF_MODE_OUTBOUND)
		check_bounces(p);
	check_line_ends(p);
	check_inside(p, led);
}
