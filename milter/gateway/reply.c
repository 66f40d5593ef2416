/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reply - see reply.h. */
#include "milter/gateway/reply.h"

#include <stdarg.h>
#include <stdio.h>

/* With the numbers of errors.def. */
static void CF_PRINTF(3, 4)
reply_to(enum cf_err rc, struct cf_reply *ret, const char *fmt, ...)
{
	char code[4], enhanced[8], text[sizeof ret->text];
	va_list ap;

	(void)snprintf(code, sizeof code, "%.3s", cf_err_smtp(rc));
	(void)snprintf(enhanced, sizeof enhanced, "%s", cf_err_smtp(rc) + 4);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	cf_reply_set(ret, code, enhanced, "%s", text);
}

static const char *
options_not_offered(const struct cf_mctx *m, struct cf_reply *ret)
{
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(200);

	cf_want_format(&m->decision.want, &text);
	reply_to(CF_E_POLICY, ret, "This message asks for a return receipt "
	    "with options (%s) that the service which keeps its key does not "
	    "offer", text.len > 0 ? cf_buf_str(&text) : "none");
	return "options";
}

static const char *
too_large(const struct cf_mctx *m, struct cf_reply *ret)
{
	if (m->outbound == NULL) {
		reply_to(CF_E_TOO_LARGE, ret,
		    "The header of this message is too large to be sealed");
		return "header-size";
	}
	reply_to(CF_E_TOO_LARGE, ret,
	    "This message asks for a return receipt, and sealing makes it too "
	    "large for this gateway: with a receipt it may have at most about "
	    "%llu bytes",
	    (unsigned long long)cf_outbound_largest(m->outbound));
	return "size";
}

/* The word for the log; a file is a file on both ways. */
static const char *
cause_of(enum cf_err rc)
{
	return rc == CF_E_IO || rc == CF_E_FULL ? "file" : cf_err_slug(rc);
}

static const char *
not_sealed(const struct cf_mctx *m, enum cf_err rc, struct cf_reply *ret)
{
	if (rc == CF_E_TOO_LARGE)
		return too_large(m, ret);
	if (rc == CF_E_POLICY)
		return options_not_offered(m, ret);
	if (rc == CF_E_IO || rc == CF_E_FULL ||
	    cf_err_class(rc) == CF_CLASS_BUG)
		reply_to(rc, ret,
		    "This message asks for a return receipt and could not be "
		    "sealed because of trouble at this mail gateway; nothing "
		    "was sent, it will be tried again");
	/* Its answer was no; only somebody at this gateway can change it. */
	else if (cf_err_class(rc) == CF_CLASS_PERM)
		reply_to(rc, ret,
		    "This message asks for a return receipt, and the service "
		    "that keeps its key refuses this mail gateway or sender: "
		    "the mail administrator must look; nothing was sent, it "
		    "will be tried again");
	else
		reply_to(rc, ret,
		    "This message asks for a return receipt, and the service "
		    "that keeps its key gives no answer at present; nothing "
		    "was sent, it will be tried again");
	return cause_of(rc);
}

const char *
cf_mctx_reply(const struct cf_mctx *m, enum cf_err rc, struct cf_reply *ret)
{
	if (!m->in_flight) {
		cf_reply_set(ret, "451", "4.3.2",
		    "This mail gateway is being restarted; try again later");
		return "stopping";
	}
	if (m->decision.action == CF_ACTION_REFUSE) {
		*ret = m->decision.reply;
		return m->decision.cause;
	}
	if (m->limit != NULL) {
		cf_reply_set(ret, "451", "4.3.2",
		    "This mail gateway has too much to do at present; nothing "
		    "was sent, it will be tried again");
		return "limit";
	}
	if (m->decision.action == CF_ACTION_SEAL)
		return not_sealed(m, rc, ret);
	reply_to(CF_E_INTERNAL, ret,
	    "Trouble at this mail gateway; try again later");
	return cause_of(rc);
}
