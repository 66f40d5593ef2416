/* SPDX-License-Identifier: Apache-2.0 */
/* cf_notice - see notice.h. */
#include "common/notice.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"
#include "common/container.h"

/* The sentence with the sender, the same in both forms. */
struct wording {
	char who[CF_ADDRESS_MAX + 100];	/* "ann@a.test", "The sender" */
	const char *opening;		/* what follows `who` */
	char told[CF_ADDRESS_MAX + 100];	/* "ann@a.test", "the sender" */
	const char *host;		/* of the key server */
};

/*
 * Can this be shown as an address without misleading anybody?  Mail programs
 * make a link of what looks like one, and in a local part a stranger may
 * write what he likes: "http://evil.test/"@b.test, www.evil.test/x@b.test.
 */
static bool
is_showable(const char *sender)
{
	size_t local = strcspn(sender, "@");

	return cf_address_ok(sender) &&
	    strspn(sender, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-='") == local &&
	    strncasecmp(sender, "www.", 4) != 0;
}

static void
choose_words(const struct cf_notice *notice, struct wording *w)
{
	const char *slashes = strstr(notice->service, "://");

	w->host = slashes == NULL ? notice->service : slashes + 3;
	if (!is_showable(notice->sender)) {
		(void)snprintf(w->who, sizeof w->who, "Somebody");
		(void)snprintf(w->told, sizeof w->told, "the sender");
		w->opening = "has sent you a message and asks for a return "
		    "receipt.";
	} else {
		(void)snprintf(w->who, sizeof w->who, "%s", notice->sender);
		(void)snprintf(w->told, sizeof w->told, "%s",
		    notice->sender_known ? notice->sender : "the sender");
		w->opening = notice->sender_known ?
		    "has sent you a message and asks for a return receipt." :
		    "is named as the sender of this message, which asks for "
		    "a return receipt.";
	}
}

static const char follow[] =
    "Following the link records nothing yet.  A page opens, shows whose "
    "account the message was sent with, and asks you before it opens the "
    "message.";
static const char broken[] =
    "If the link does not work: copy all of it into the address line of "
    "your browser; it may be cut off at a line end.  If that does not help "
    "either, keep this mail, for the message itself is in the attachment "
    CF_CONTAINER_NAME ", and ask the sender.";
static const char nothing[] =
    "You need not install anything or sign up anywhere.  If you do not "
    "expect such a message, ask the sender in your own words before you "
    "open it.";

static void
say_what_is_recorded(const struct wording *w, char *out, size_t cap)
{
	(void)snprintf(out, cap,
	    "When you open it, the time is recorded at the key server %s, and "
	    "%s is told that the message was opened and when.  Who opened it "
	    "is not checked.  The key server does not get the message: it is "
	    "decrypted in your browser.", w->host, w->told);
}

/* Fill a paragraph to 72 columns; the link never goes through here. */
static void
add_filled(struct cf_buf *out, const char *text)
{
	size_t column = 0, len;

	for (text += strspn(text, " "); *text != '\0';
	    text += strspn(text, " ")) {
		len = strcspn(text, " ");
		if (column > 0 && column + 1 + len > 72) {
			cf_buf_addc(out, '\n');
			column = 0;
		} else if (column > 0) {
			cf_buf_addc(out, ' ');
			column++;
		}
		cf_buf_add(out, text, len);
		column += len;
		text += len;
	}
	cf_buf_adds(out, "\n\n");
}

static void
build_text(const struct cf_notice *notice, const struct wording *w,
    struct cf_buf *out)
{
	char line[2000];

	(void)snprintf(line, sizeof line, "%s %s", w->who, w->opening);
	add_filled(out, line);
	cf_buf_adds(out, "To read it, open this link:\n\n");
	cf_buf_addf(out, "%s\n\n", notice->link);
	add_filled(out, follow);
	say_what_is_recorded(w, line, sizeof line);
	add_filled(out, line);
	add_filled(out, broken);
	add_filled(out, nothing);
}

static void
add_escaped(struct cf_buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '&':
			cf_buf_adds(out, "&amp;");
			break;
		case '<':
			cf_buf_adds(out, "&lt;");
			break;
		case '>':
			cf_buf_adds(out, "&gt;");
			break;
		case '"':
			cf_buf_adds(out, "&quot;");
			break;
		case '\'':
			cf_buf_adds(out, "&#39;");
			break;
		default:
			cf_buf_addc(out, *text);
		}
}

static void
add_paragraph(struct cf_buf *out, const char *text)
{
	cf_buf_adds(out, "<p>");
	add_escaped(out, text);
	cf_buf_adds(out, "</p>\n");
}

static void
build_html(const struct cf_notice *notice, const struct wording *w,
    struct cf_buf *out)
{
	char line[2000];

	cf_buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>"
	    "<meta charset=\"utf-8\">"
	    "<title>A message with a return receipt</title></head>\n"
	    "<body style=\"font-family:sans-serif;line-height:1.5;"
	    "max-width:40em\">\n<p><strong>");
	add_escaped(out, w->who);
	cf_buf_adds(out, "</strong> ");
	add_escaped(out, w->opening);
	/* For the eye; whoever distrusts buttons has the whole link below. */
	cf_buf_adds(out, "</p>\n<p><a style=\"display:inline-block;"
	    "padding:0.6em 1.2em;border-radius:6px;background:#1f5c58;"
	    "color:#ffffff;text-decoration:none;font-weight:bold\" href=\"");
	add_escaped(out, notice->link);
	cf_buf_adds(out, "\">Go to the message</a></p>\n"
	    "<p>The same link to look at or to copy:</p>\n"
	    "<p style=\"word-break:break-all;font-size:small\"><a href=\"");
	add_escaped(out, notice->link);
	cf_buf_adds(out, "\">");
	add_escaped(out, notice->link);
	cf_buf_adds(out, "</a></p>\n");
	add_paragraph(out, follow);
	say_what_is_recorded(w, line, sizeof line);
	add_paragraph(out, line);
	add_paragraph(out, broken);
	add_paragraph(out, nothing);
	cf_buf_adds(out, "</body>\n</html>\n");
}

enum cf_err
cf_notice_build(const struct cf_notice *notice, struct cf_buf *text,
    struct cf_buf *html, struct cf_why *why)
{
	struct wording w;
	enum cf_err rc;

	choose_words(notice, &w);
	build_text(notice, &w, text);
	build_html(notice, &w, html);
	rc = cf_buf_check(text, why);
	return rc != CF_OK ? rc : cf_buf_check(html, why);
}
