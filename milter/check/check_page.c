/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_check_page - see check_parts.h.
 *
 * Goes where a link in a notice leads, as a browser would.
 */
#include <string.h>

#include "common/httpc.h"
#include "common/wire.h"
#include "milter/check/check_parts.h"

/* The same for each message. */
#define PAGE CF_PATH_PAGE "AAAAAAAAAAAAAAAAAAAAAA"
#define PAGE_MAX (8 * 1024 * 1024)
/* What common/web/src/index.html says of itself. */
#define PAGE_MARK "<meta name=\"generator\" content=\"Counterfoil\">"

static enum cf_err
get_page(const struct cf_snapshot *s, const char *ca_file, long *ret_status,
    struct cf_buf *page, struct cf_why *why)
{
	CF_AUTO(cf_httpc_free) struct cf_httpc *http = NULL;
	const struct cf_httpc_options options = { .ca_file = ca_file,
	    .proxy = &s->proxy };
	const struct cf_httpc_request request = {
		.service = s->conf.reader_url,
		.path = PAGE,
		.timeout_ms = s->conf.request_timeout_s * 1000,
	};
	enum cf_err rc;

	cf_buf_reset(page);
	rc = cf_httpc_new(&options, &http, why);
	return rc == CF_OK ? cf_httpc_send(http, &request, ret_status, page,
	    why) : rc;
}

/* `known`: browsers know who signed its certificate. */
static void
say_of_page(struct cf_check *check, long status, const struct cf_buf *page,
    bool known)
{
	if (status != 200)
		cf_check_say(check, CF_FINDING_ERROR, "it answers %ld where "
		    "the links in notices lead: nobody can open a message; "
		    "does a counterfoil-reader serve it?", status);
	else if (strstr(cf_buf_str(page), PAGE_MARK) == NULL)
		cf_check_say(check, CF_FINDING_WARNING, "there is a page, but "
		    "not that of counterfoil-reader; links in notices lead "
		    "there");
	else
		cf_check_that(check, known, CF_FINDING_WARNING,
		    "the recipients' page is there", "its certificate is one "
		    "of ca_file, which browsers do not know by themselves: "
		    "recipients elsewhere are warned of it");
}

void
cf_check_page(struct cf_check *check)
{
	CF_AUTO(cf_buf_free) struct cf_buf page = CF_BUF_INIT(PAGE_MAX);
	const struct cf_mconf *conf = &check->snapshot->conf;
	struct cf_why why = { "" }, other = { "" };
	bool known = true;
	long status = 0;
	enum cf_err rc;

	check->f.subject = conf->reader_url;
	/* As a browser, which knows nothing of ca_file. */
	rc = get_page(check->snapshot, NULL, &status, &page, &why);
	if (rc == CF_E_TLS && conf->ca_file != NULL) {
		known = false;
		if (get_page(check->snapshot, conf->ca_file, &status, &page,
		    &other) == CF_OK)
			rc = CF_OK;
		else
			why = other;
	}
	if (rc == CF_OK)
		say_of_page(check, status, &page, known);
	else if (rc == CF_E_TLS)
		cf_check_say(check, CF_FINDING_ERROR, "%s; browsers refuse "
		    "it, too, and nobody can open a message", why.text);
	else
		cf_check_say(check, CF_FINDING_WARNING, "%s; links in notices "
		    "lead there: if it cannot be reached from elsewhere "
		    "either, nobody can open a message", why.text);
}
