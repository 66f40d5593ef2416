/* SPDX-License-Identifier: Apache-2.0 */
/* cf_receipt - see receipt.h. */
#include "keysrv/receipt/receipt.h"

#include <openssl/crypto.h>
#include <string.h>

#include "common/address.h"
#include "common/b64url.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/field.h"
#include "common/qp.h"
#include "common/visible.h"
#include "keysrv/receipt/mailer.h"

#include "config.h"

#define HANDLE_LEN 22
#define TEXT_MAX 16384		/* bytes of text before encoding */
#define OUTSIDE_MAX 400		/* bytes shown of one value from outside */
#define ORIGINAL_ID_MAX 400
#define KIND_MAX 32		/* characters of a kind in the outbox */

static const char *const grade_names[CF_RECEIPT_GRADE__COUNT] = {
	[CF_RECEIPT_RELEASED] = "released",
	[CF_RECEIPT_OPENED] = "opened",
};

/*
 * The recipient asked for it by a click (manual-action); this mail about it
 * goes out by itself.
 */
#define DISPLAYED "manual-action/MDN-sent-automatically; displayed"

/*
 * The table.  At bearer nobody is named and nothing looks like a read
 * receipt, because a link scanner may have done it; a release alone is
 * never a displayed message.
 */
static const struct cf_receipt_words
words[CF_RECEIPT_GRADE__COUNT][CF_ASSURANCE__COUNT] = {
	[CF_RECEIPT_RELEASED] = {
		[CF_ASSURANCE_BEARER] = {
			"key given, to whom unknown",
			"The key was given to someone who had this message "
			"and its link; who it was, was not checked.",
			NULL
		},
		[CF_ASSURANCE_MAILBOX] = {
			"key given to the mailbox",
			"The key was given to someone who typed a code that "
			"had been mailed to the recipient's address.",
			NULL
		},
		[CF_ASSURANCE_ACCOUNT] = {
			"key given to an account",
			"The key was given to someone who signed in to the "
			"account named below.",
			NULL
		},
		[CF_ASSURANCE_CERTIFICATE] = {
			"key given to a certificate",
			"The key was given to someone who proved to hold the "
			"key of the certificate named below.",
			NULL
		},
	},
	[CF_RECEIPT_OPENED] = {
		[CF_ASSURANCE_BEARER] = {
			"opened, by whom unknown",
			"The message was opened by someone or something that "
			"held the message. The key was given to someone who "
			"had this message and its link; who it was, was not "
			"checked.",
			NULL
		},
		[CF_ASSURANCE_MAILBOX] = {
			"opened with a mailbox code",
			"The message was opened with a key that was given to "
			"someone who typed a code that had been mailed to the "
			"recipient's address.",
			DISPLAYED
		},
		[CF_ASSURANCE_ACCOUNT] = {
			"opened by an account",
			"The message was opened with a key that was given to "
			"someone who signed in to the account named below.",
			DISPLAYED
		},
		[CF_ASSURANCE_CERTIFICATE] = {
			"opened with a certificate",
			"The message was opened with a key that was given to "
			"someone who proved to hold the key of the "
			"certificate named below.",
			DISPLAYED
		},
	},
};

const struct cf_receipt_words *
cf_receipt_words(enum cf_receipt_grade grade,
    enum cf_assurance assurance)
{
	return &words[grade][assurance];
}

bool
cf_receipt_grade_parse(const char *name, enum cf_receipt_grade *ret)
{
	int i;

	for (i = 0; i < CF_RECEIPT_GRADE__COUNT; i++) {
		if (strcmp(name, grade_names[i]) == 0) {
			*ret = (enum cf_receipt_grade)i;
			return true;
		}
	}
	return false;
}

static const char *
domain_of(const char *address)
{
	return strrchr(address, '@') + 1;
}

void
cf_receipt_message_id(const struct cf_secret *server_secret,
    const unsigned char event_id[CF_EVENT_ID_LEN], const char *kind,
    const char *from,
    char out[CF_RECEIPT_MESSAGE_ID_MAX + 1])
{
	static const char label[] = "counterfoil receipt v1";
	unsigned char mac[32], in[sizeof label + KIND_MAX + CF_EVENT_ID_LEN];
	char text[CF_B64URL_LEN(sizeof mac) + 1];
	size_t len = strlen(kind);

	if (len > KIND_MAX)
		cf_bug("a kind of mail with a long name");
	/* label 00 kind event id: no two mails share one, whatever happens. */
	memcpy(in, label, sizeof label);
	memcpy(in + sizeof label, kind, len);
	memcpy(in + sizeof label + len, event_id, CF_EVENT_ID_LEN);
	cf_hmac(server_secret, in, sizeof label + len +
	    CF_EVENT_ID_LEN, mac);
	cf_b64url_encode(mac, sizeof mac, text);
	(void)snprintf(out, CF_RECEIPT_MESSAGE_ID_MAX + 1, "<%s@%.255s>", text,
	    domain_of(from));
}

static void
add_line(struct cf_buf *text, const char *label, const char *value)
{
	cf_buf_addf(text, "%-15s", label);
	cf_visible_add(text, value, OUTSIDE_MAX);
	cf_buf_addc(text, '\n');
}

static void
add_time(struct cf_buf *text, const char *label, int64_t ms)
{
	char when[32];

	cf_clock_format_mail(ms, when);
	add_line(text, label, when);
}

/* Blanks turned into line ends where 72 columns are reached. */
static void
add_paragraph(struct cf_buf *text, const char *s)
{
	size_t column = 0, word;

	for (; *s != '\0'; s += word) {
		word = strcspn(s, " ");
		if (column > 0 && column + 1 + word > 72) {
			cf_buf_addc(text, '\n');
			column = 0;
		} else if (column > 0) {
			cf_buf_addc(text, ' ');
			column++;
		}
		cf_buf_add(text, s, word);
		column += word;
		word += strspn(s + word, " ");
	}
	cf_buf_adds(text, "\n\n");
}

static const char *
outlook(const struct cf_receipt *r)
{
	if (r->grade == CF_RECEIPT_RELEASED)
		return "If the message is opened later, one more receipt says "
		    "so; it is the last one for this recipient.";
	if (r->second)
		return "An earlier receipt said that the key was given out. "
		    "The proof that the message was opened has come since. "
		    "This receipt is the second and last one for this "
		    "recipient.";
	return "No other receipt follows for this recipient.";
}

static void
add_text(struct cf_buf *text, const struct cf_receipt *r)
{
	cf_buf_addf(text, "Message key ID # %s\n\n", r->key_handle);
	add_paragraph(text, words[r->grade][r->assurance].sentence);
	add_time(text, "Key given out:", r->released_ms);
	if (r->grade == CF_RECEIPT_OPENED)
		add_time(text, "Opened:", r->opened_ms);
	else
		add_line(text, "Opened:", "no proof of it so far");
	add_line(text, "By:", r->assurance == CF_ASSURANCE_BEARER ?
	    "not checked" : r->principal);
	add_line(text, "Assurance:", cf_assurance_name(r->assurance));
	add_line(text, "Your message:", r->original_message_id[0] != '\0' ?
	    r->original_message_id : "(it had no Message-ID)");
	add_line(text, "Sent by:", r->to);
	add_line(text, "Sent to:", r->recipient);
	cf_buf_addc(text, '\n');
	add_paragraph(text, outlook(r));
	add_paragraph(text, "The server that sends this receipt keeps keys "
	    "and records. It never had the message.");
}

static bool
is_ascii(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)s[i] > 0x7e)
			return false;
	return true;
}

/* The entity that is signed. */
static enum cf_err
add_text_part(struct cf_buf *out, const struct cf_receipt *r,
    struct cf_why *why)
{
	struct cf_buf text = CF_BUF_INIT(TEXT_MAX);
	enum cf_err rc;

	add_text(&text, r);
	rc = cf_buf_check(&text, why);
	if (rc == CF_OK) {
		cf_buf_addf(out, "Content-Type: text/plain; charset=%s\r\n"
		    "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
		    is_ascii(text.data, text.len) ? "us-ascii" : "utf-8");
		cf_qp_add(out, cf_buf_str(&text));
		rc = cf_buf_check(out, why);
	}
	cf_buf_free(&text);
	return rc;
}

/* A message id that may stand in a header as it is. */
static bool
is_message_id(const char *s)
{
	size_t i, len = strlen(s);

	if (len < 5 || len > ORIGINAL_ID_MAX || s[0] != '<' ||
	    s[len - 1] != '>')
		return false;
	for (i = 1; i + 1 < len; i++)
		if (s[i] <= ' ' || s[i] > 126 || strchr("<>()\",;\\", s[i]))
			return false;
	return strchr(s, '@') != NULL;
}

static bool
is_handle(const char *s)
{
	unsigned char id[16];

	return strlen(s) == HANDLE_LEN &&
	    cf_b64url_decode(s, HANDLE_LEN, id, sizeof id);
}

/*
 * "rfc822; bob@b.test", or the 7-bit form of an address that is not ASCII
 * (RFC 6533 3, utf-8-addr-xtext).  False when it can be neither.
 */
static bool
add_typed_address(struct cf_buf *out, const char *address)
{
	const char *p = address;
	size_t left = strlen(address), n;
	uint32_t c = 0;

	if (cf_address_ok(address)) {
		cf_buf_addf(out, "rfc822; %s", address);
		return true;
	}
	cf_buf_adds(out, "utf-8; ");
	for (; left > 0; p += n, left -= n) {
		n = cf_utf8_char(p, left, &c);
		if (n == 0)
			return false;
		if (c > 0x20 && c < 0x7f && c != '+' && c != '=' && c != '\\')
			cf_buf_addc(out, (char)c);
		else
			cf_buf_addf(out, "\\x{%02X}", c);
	}
	return out->len > strlen("utf-8; ");
}

/* The machine-readable part, RFC 8098 3.1; empty if it cannot be written. */
static void
add_disposition(struct cf_buf *out, const struct cf_receipt *r,
    const char *disposition)
{
	struct cf_buf address = CF_BUF_INIT(CF_LINE_MAX -
	    sizeof "Final-Recipient: ");

	if (add_typed_address(&address, r->recipient) && !address.full) {
		cf_buf_addf(out, "Reporting-UA: %s; Counterfoil %s\r\n",
		    domain_of(r->from), PACKAGE_VERSION);
		cf_buf_addf(out, "Final-Recipient: %s\r\n", address.data);
		if (is_message_id(r->original_message_id))
			cf_buf_addf(out, "Original-Message-ID: %s\r\n",
			    r->original_message_id);
		cf_buf_addf(out, "Disposition: %s\r\n", disposition);
	}
	cf_buf_free(&address);
}

static void
add_header(struct cf_buf *mail, const struct cf_receipt *r)
{
	char date[32];

	cf_clock_format_mail(r->date_ms, date);
	cf_buf_addf(mail, "Date: %s\r\n", date);
	cf_buf_addf(mail, "From: %s\r\n", r->from);
	cf_buf_addf(mail, "To: %s\r\n", r->to);
	cf_buf_addf(mail, "Subject: Message key ID # %s: %s\r\n",
	    r->key_handle, words[r->grade][r->assurance].subject);
	cf_buf_addf(mail, "Message-ID: %s\r\n", r->message_id);
	if (is_message_id(r->original_message_id)) {
		cf_buf_addf(mail, "In-Reply-To: %s\r\n",
		    r->original_message_id);
		cf_buf_addf(mail, "References: %s\r\n",
		    r->original_message_id);
	}
	cf_buf_adds(mail, "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n");
}

static void
add_report(struct cf_buf *mail, const struct cf_receipt *r,
    const struct cf_buf *signed_part, const struct cf_buf *disposition)
{
	char b[32];

	/* No encoded text can hold it: "=_" is not quoted-printable. */
	(void)snprintf(b, sizeof b, "=_cf_r_%.22s", r->message_id + 1);
	cf_buf_addf(mail, "Content-Type: multipart/report;\r\n"
	    " report-type=disposition-notification;\r\n"
	    " boundary=\"%s\"\r\n\r\n--%s\r\n", b, b);
	cf_buf_add(mail, signed_part->data, signed_part->len);
	cf_buf_addf(mail, "\r\n--%s\r\n"
	    "Content-Type: message/disposition-notification\r\n\r\n", b);
	cf_buf_add(mail, disposition->data, disposition->len);
	cf_buf_addf(mail, "\r\n--%s--\r\n", b);
}

static enum cf_err
check(const struct cf_receipt *r, struct cf_why *why)
{
	if (!cf_address_ok(r->from))
		return cf_fail(CF_E_ADDRESS, why,
		    "\"%s\" cannot be the sender of receipts", r->from);
	if (!cf_address_ok(r->to))
		return cf_fail(CF_E_ADDRESS, why,
		    "no mail can be sent to \"%s\"", r->to);
	if (!is_handle(r->key_handle))
		return cf_fail(CF_E_SYNTAX, why, "not a key handle");
	if (!is_message_id(r->message_id) || strlen(r->message_id) < 40)
		return cf_fail(CF_E_SYNTAX, why, "not a message id of ours");
	return CF_OK;
}

enum cf_err
cf_receipt_build(const struct cf_receipt *r, const struct cf_signer *signer,
    struct cf_buf *mail, struct cf_why *why)
{
	const char *disposition = words[r->grade][r->assurance].disposition;
	CF_AUTO(cf_buf_free) struct cf_buf part = CF_BUF_INIT(CF_RECEIPT_MAX);
	CF_AUTO(cf_buf_free) struct cf_buf whole = CF_BUF_INIT(CF_RECEIPT_MAX);
	CF_AUTO(cf_buf_free) struct cf_buf report = CF_BUF_INIT(4096);
	enum cf_err rc;

	rc = check(r, why);
	if (rc == CF_OK)
		rc = add_text_part(&part, r, why);
	if (rc == CF_OK)
		rc = cf_signer_wrap(signer, part.data, part.len, &whole, why);
	if (rc != CF_OK)
		return rc;
	add_header(mail, r);
	if (disposition != NULL)
		add_disposition(&report, r, disposition);
	if (report.len > 0)
		add_report(mail, r, &whole, &report);
	else
		cf_buf_add(mail, whole.data, whole.len);
	return cf_buf_check(mail, why);
}
