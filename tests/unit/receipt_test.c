/* SPDX-License-Identifier: Apache-2.0 */
/* The receipt mail, and its signer. */
#include <gmime/gmime.h>
#include <openssl/cms.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/mem.h"
#include "keysrv/receipt/receipt.h"
#include "keysrv/receipt/signer.h"

#define FROM "receipts@keys.test"
#define HANDLE "AAECAwQFBgcICQoLDA0ODw"
#define BEARER "The key was given to someone who had this message and its " \
	"link; who it was, was not checked."

static char folder[] = "/tmp/receipt_test.XXXXXX";
static char cert_file[64], key_file[64];
static struct cf_signer *signer;
static const struct cf_secret secret = {
	"server secret of 32 bytes length", 32
};

static struct cf_receipt
sample(enum cf_receipt_grade grade, enum cf_assurance assurance)
{
	static char message_id[CF_RECEIPT_MESSAGE_ID_MAX + 1];
	static const unsigned char event_id[16] = { 1, 2, 3 };
	struct cf_receipt r = {
		.grade = grade,
		.assurance = assurance,
		.key_handle = HANDLE,
		.from = FROM,
		.to = "ann@a.test",
		.recipient = "bob@b.test",
		.principal = "bob's account",
		.original_message_id = "<1@a.test>",
		.message_id = message_id,
		.date_ms = 1795527300000,
		.released_ms = 1795527180000,
		.opened_ms = 1795527240000,
	};

	cf_receipt_message_id(&secret, event_id,
	    grade == CF_RECEIPT_OPENED ? "opened" : "released", FROM,
	    message_id);
	return r;
}

/* The mail as text; gives.  What holds for every mail is checked here. */
static char *
build(const struct cf_receipt *r)
{
	struct cf_buf mail = CF_BUF_INIT(CF_RECEIPT_MAX);
	struct cf_why why = { "" };
	size_t i, start = 0;

	assert_int_equal(cf_receipt_build(r, signer, &mail, &why), CF_OK);
	for (i = 0; i < mail.len; i++) {
		assert_in_range((unsigned char)mail.data[i], 9, 126);
		if (mail.data[i] != '\n') {
			assert_true(mail.data[i] != '\r' ||
			    mail.data[i + 1] == '\n');
			continue;
		}
		assert_int_equal(mail.data[i - 1], '\r');
		assert_in_range(i - start, 1, 999);
		start = i + 1;
	}
	assert_int_equal(start, mail.len);
	return cf_buf_take(&mail, NULL);
}

static enum cf_err
build_fails(const struct cf_receipt *r)
{
	struct cf_buf mail = CF_BUF_INIT(CF_RECEIPT_MAX);
	enum cf_err rc = cf_receipt_build(r, signer, &mail, NULL);

	assert_int_equal(mail.len, 0);
	cf_buf_free(&mail);
	return rc;
}

static GMimeMessage *
parse(const char *mail)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(mail,
	    strlen(mail));
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);

	g_object_unref(parser);
	g_object_unref(stream);
	assert_non_null(message);
	return message;
}

static void
find_text(GMimeObject *parent, GMimeObject *part, gpointer arg)
{
	char **ret = arg;

	(void)parent;
	if (*ret == NULL && GMIME_IS_TEXT_PART(part))
		*ret = g_mime_text_part_get_text(GMIME_TEXT_PART(part));
}

/* The decoded text of the receipt; lines stay.  Gives. */
static char *
text_of(const char *mail)
{
	GMimeMessage *message = parse(mail);
	char *text = NULL;

	g_mime_message_foreach(message, find_text, &text);
	g_object_unref(message);
	assert_non_null(text);
	return text;
}

/* The same with every run of white space as one blank. */
static char *
words_of(const char *mail)
{
	char *text = text_of(mail), *to = text;
	const char *from;

	for (from = text; *from != '\0'; from++)
		if (!strchr(" \r\n", *from))
			*to++ = *from;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	*to = '\0';
	return text;
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void
assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("\"%s\" is in:\n%s", part, text);
}

static bool
has_header(const char *mail, const char *line)
{
	const char *end = strstr(mail, "\r\n\r\n");
	const char *p = strstr(mail, line);

	return p != NULL && p < end && (p == mail || p[-1] == '\n');
}

/* What is said is written down here a second time, on purpose. */
static const struct {
	const char *grade, *assurance, *subject, *sentence;
	bool report;
} wanted[] = {
	{ "released", "bearer", "key given, to whom unknown", BEARER, false },
	{ "released", "mailbox", "key given to the mailbox",
	  "The key was given to someone who typed a code that had been mailed "
	  "to the recipient's address.", false },
	{ "released", "account", "key given to an account",
	  "The key was given to someone who signed in to the account named "
	  "below.", false },
	{ "released", "certificate", "key given to a certificate",
	  "The key was given to someone who proved to hold the key of the "
	  "certificate named below.", false },
	{ "opened", "bearer", "opened, by whom unknown",
	  "The message was opened by someone or something that held the "
	  "message. " BEARER, false },
	{ "opened", "mailbox", "opened with a mailbox code",
	  "The message was opened with a key that was given to someone who "
	  "typed a code that had been mailed to the recipient's address.",
	  true },
	{ "opened", "account", "opened by an account",
	  "The message was opened with a key that was given to someone who "
	  "signed in to the account named below.", true },
	{ "opened", "certificate", "opened with a certificate",
	  "The message was opened with a key that was given to someone who "
	  "proved to hold the key of the certificate named below.", true },
};

static void
check_form(const char *mail, bool report)
{
	const char *end = strstr(mail, "\r\n\r\n");
	const char *top = strstr(mail, "Content-Type: ");

	assert_true(top < end);
	if (!report) {
		assert_memory_equal(top, "Content-Type: multipart/signed;", 31);
		assert_lacks(mail, "isposition-notification");
		assert_lacks(mail, "isposition: manual");
		return;
	}
	assert_memory_equal(top, "Content-Type: multipart/report;\r\n"
	    " report-type=disposition-notification;", 71);
	/* The first part is the signed one. */
	assert_memory_equal(strstr(end + 4, "\r\n"),
	    "\r\nContent-Type: multipart/signed;", 33);
	assert_has(mail, "\r\nContent-Type: message/disposition-notification"
	    "\r\n\r\nReporting-UA: keys.test; Counterfoil ");
	assert_has(mail, "\r\nFinal-Recipient: rfc822; bob@b.test\r\n"
	    "Original-Message-ID: <1@a.test>\r\n"
	    "Disposition: manual-action/MDN-sent-automatically; displayed"
	    "\r\n");
}

static void
t_every_combination_says_what_is_known(void **state)
{
	char subject[200];
	size_t i;

	(void)state;
	assert_int_equal(sizeof wanted / sizeof wanted[0],
	    CF_RECEIPT_GRADE__COUNT * CF_ASSURANCE__COUNT);
	for (i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		enum cf_receipt_grade g;
		enum cf_assurance a;
		struct cf_receipt r;
		char *mail, *words;

		assert_true(cf_receipt_grade_parse(wanted[i].grade, &g));
		assert_true(cf_assurance_parse(wanted[i].assurance,
		    &a));
		assert_int_equal(i, g * CF_ASSURANCE__COUNT + a);
		r = sample(g, a);
		mail = build(&r);
		words = words_of(mail);
		printf("# %s, %s: \"%s\"\n#   %s\n#   %s\n", wanted[i].grade,
		    wanted[i].assurance, cf_receipt_words(g, a)->subject,
		    cf_receipt_words(g, a)->sentence,
		    cf_receipt_words(g, a)->disposition != NULL ?
		    cf_receipt_words(g, a)->disposition : "not RFC 8098");
		(void)snprintf(subject, sizeof subject,
		    "Subject: Message key ID # " HANDLE ": %s\r\n",
		    wanted[i].subject);
		assert_true(has_header(mail, subject));
		assert_in_range(strlen(subject), 1, 80);
		assert_has(words, wanted[i].sentence);
		assert_has(words, "Message key ID # " HANDLE " ");
		assert_has(words, "Your message: <1@a.test> ");
		assert_has(words, "Key given out: Tue, 24 Nov 2026 ");
		check_form(mail, wanted[i].report);
		/* Nobody is named where nobody was checked. */
		assert_int_equal(strstr(words, "bob's account") != NULL,
		    a != CF_ASSURANCE_BEARER);
		assert_has(words, g == CF_RECEIPT_OPENED ?
		    "Opened: Tue, 24 Nov 2026 " :
		    "Opened: no proof of it so far ");
		g_free(words);
		free(mail);
	}
}

static void
t_bearer_names_nobody_as_reader(void **state)
{
	struct cf_receipt r = sample(CF_RECEIPT_OPENED, CF_ASSURANCE_BEARER);
	char *mail = build(&r), *words = words_of(mail);

	(void)state;
	assert_has(words, "opened by someone or something that held the "
	    "message");
	assert_has(words, "By: not checked ");
	assert_lacks(words, "read by");
	g_free(words);
	free(mail);
}

static void
t_second_mail_says_that_it_is(void **state)
{
	struct cf_receipt r = sample(CF_RECEIPT_OPENED, CF_ASSURANCE_BEARER);
	char *mail, *words;

	(void)state;
	mail = build(&r);
	words = words_of(mail);
	assert_has(words, "No other receipt follows");
	g_free(words);
	free(mail);
	r.second = true;
	mail = build(&r);
	words = words_of(mail);
	assert_has(words, "This receipt is the second and last one for this "
	    "recipient.");
	g_free(words);
	free(mail);
}

static void
t_header_is_complete(void **state)
{
	struct cf_receipt r = sample(CF_RECEIPT_RELEASED, CF_ASSURANCE_BEARER);
	char *mail = build(&r);

	(void)state;
	assert_true(has_header(mail, "From: " FROM "\r\n"));
	assert_true(has_header(mail, "To: ann@a.test\r\n"));
	assert_true(has_header(mail, "Date: Tue, 24 Nov 2026 "));
	assert_true(has_header(mail, "In-Reply-To: <1@a.test>\r\n"));
	assert_true(has_header(mail, "References: <1@a.test>\r\n"));
	assert_true(has_header(mail, "Auto-Submitted: auto-replied\r\n"));
	assert_true(has_header(mail, "MIME-Version: 1.0\r\n"));
	assert_true(has_header(mail, "Message-ID: <"));
	assert_false(has_header(mail, "X-Return-Receipt"));
	free(mail);
}

static void
t_bad_envelope_is_refused(void **state)
{
	static const char *const bad[] = {
		"ann@a.test\r\nBcc: eve@e.test", "ann@a.test\n", "a nn@a.test",
		"ann", "ann@a.test>", "", "ann@a.test, eve@e.test",
		"\xc3\xa4nn@a.test", "\"a\"@a.test",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct cf_receipt r = sample(CF_RECEIPT_OPENED,
		    CF_ASSURANCE_MAILBOX);

		r.to = bad[i];
		assert_int_equal(build_fails(&r), CF_E_ADDRESS);
		r = sample(CF_RECEIPT_OPENED, CF_ASSURANCE_MAILBOX);
		r.from = bad[i];
		assert_int_equal(build_fails(&r), CF_E_ADDRESS);
	}
}

static void
t_bad_ids_are_refused(void **state)
{
	static const char *const handles[] = {
		"", "AAECAwQFBgcICQoLDA0OD", HANDLE "A",
		"AAECAwQFBgcICQoLDA\r\nX:", "AAECAwQFBgcICQoLDA0ODx",
	};
	struct cf_receipt r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof handles / sizeof handles[0]; i++) {
		r = sample(CF_RECEIPT_OPENED, CF_ASSURANCE_MAILBOX);
		r.key_handle = handles[i];
		assert_int_equal(build_fails(&r), CF_E_SYNTAX);
	}
	r = sample(CF_RECEIPT_OPENED, CF_ASSURANCE_MAILBOX);
	r.message_id = "<0123456789012345678901234567890123456789\r\n@x>";
	assert_int_equal(build_fails(&r), CF_E_SYNTAX);
}

static void
t_text_from_outside_makes_no_line(void **state)
{
	static const char evil[] = "bob@b.test\r\nBcc: eve@e.test\n\r\n--x"
	    "\xe2\x80\xae\xe2\x80\xa8right\xff\xc0\x80\x1b[31m";
	struct cf_receipt r = sample(CF_RECEIPT_OPENED, CF_ASSURANCE_MAILBOX);
	char *mail, *text;

	(void)state;
	r.recipient = r.principal = evil;
	r.original_message_id = "<1@a.test>\r\nX-Evil: yes";
	mail = build(&r);
	assert_lacks(mail, "\nBcc:");
	assert_lacks(mail, "\nX-Evil:");
	assert_lacks(mail, "\n--x");
	assert_false(has_header(mail, "In-Reply-To:"));
	assert_lacks(mail, "Original-Message-ID");
	text = text_of(mail);
	assert_lacks(text, "\nBcc:");
	assert_lacks(text, "\nX-Evil:");
	assert_has(text, "bob@b.test Bcc: eve@e.test --x\ufffd\ufffdright"
	    "\ufffd\ufffd\ufffd\ufffd[31m");
	g_free(text);
	free(mail);
}

/* Where a long line is broken, a mail server must find nothing to change. */
static void
t_no_line_begins_with_what_servers_change(void **state)
{
	static const char *const fill[] = { ".", "From ", "--" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof fill / sizeof fill[0]; i++) {
		struct cf_receipt r = sample(CF_RECEIPT_RELEASED,
		    CF_ASSURANCE_BEARER);
		char recipient[300] = "", *mail, begins[16];

		while (strlen(recipient) + strlen(fill[i]) < 298)
			strncat(recipient, fill[i], sizeof recipient -
			    strlen(recipient) - 1);
		r.recipient = recipient;
		mail = build(&r);
		(void)snprintf(begins, sizeof begins, "=\r\n%s", fill[i]);
		assert_has(mail, "=\r\n");
		assert_lacks(mail, begins);
		free(mail);
	}
}

static void
t_original_message_id_only_when_it_is_one(void **state)
{
	static const char *const bad[] = {
		"", "1@a.test", "<1>", "<1@a.test", "<1 2@a.test>", "<>",
		"<1@a.test> <2@a.test>", "<1@\xc3\xa4.test>", "<a\"@b>",
	};
	char long_id[1200];
	size_t i;

	(void)state;
	memset(long_id, 'a', sizeof long_id);
	memcpy(long_id, "<1@", 3);
	memcpy(long_id + sizeof long_id - 2, ">", 2);
	for (i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
		struct cf_receipt r = sample(CF_RECEIPT_OPENED,
		    CF_ASSURANCE_MAILBOX);
		char *mail;

		r.original_message_id = i < sizeof bad / sizeof bad[0] ?
		    bad[i] : long_id;
		mail = build(&r);
		assert_false(has_header(mail, "In-Reply-To:"));
		assert_false(has_header(mail, "References:"));
		free(mail);
	}
}

static void
t_long_and_international_recipients(void **state)
{
	struct cf_receipt r = sample(CF_RECEIPT_OPENED, CF_ASSURANCE_MAILBOX);
	char longest[CF_ADDRESS_MAX + 1], wide[4 * 300 + 20];
	char *mail, *text;
	size_t i;

	(void)state;
	memset(longest, 'b', sizeof longest);
	memcpy(longest + sizeof longest - 8, "@b.test", 8);
	r.recipient = longest;
	mail = build(&r);
	assert_has(mail, "\r\nFinal-Recipient: rfc822; bbbb");
	free(mail);

	r.recipient = "j\xc3\xbcrg+x@b\xc3\xbc" "cher.test";
	mail = build(&r);
	assert_has(mail, "\r\nFinal-Recipient: "
	    "utf-8; j\\x{FC}rg\\x{2B}x@b\\x{FC}cher.test\r\n");
	text = text_of(mail);
	assert_has(text, "Sent to:       j\xc3\xbcrg+x@b\xc3\xbc" "cher.test");
	g_free(text);
	free(mail);

	/* Too long for a line: a receipt still, only not in that form. */
	for (i = 0; i < 300; i++)
		memcpy(wide + 4 * i, "\xf0\x9f\x92\x8c", 4);
	memcpy(wide + 1200, "@b.test", 8);
	r.recipient = wide;
	mail = build(&r);
	assert_true(has_header(mail, "Content-Type: multipart/signed;"));
	text = text_of(mail);
	assert_has(text, "\xf0\x9f\x92\x8c...");
	g_free(text);
	free(mail);
}

static void
t_message_id_is_stable_and_secret(void **state)
{
	static const struct cf_secret other = {
		"another server secret, as long  ", 32
	};
	static const unsigned char one[16] = { 1 }, two[16] = { 2 };
	char a[CF_RECEIPT_MESSAGE_ID_MAX + 1], b[sizeof a];

	(void)state;
	cf_receipt_message_id(&secret, one, "released", FROM, a);
	cf_receipt_message_id(&secret, one, "released", FROM, b);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), 43 + strlen("<@keys.test>"));
	cf_receipt_message_id(&secret, two, "released", FROM, b);
	assert_string_not_equal(a, b);
	cf_receipt_message_id(&secret, one, "opened", FROM, b);
	assert_string_not_equal(a, b);
	cf_receipt_message_id(&other, one, "released", FROM, b);
	assert_string_not_equal(a, b);
}

/* Does `der` sign exactly `data`?  The certificate is trusted as it is. */
static bool
is_signed(const char *data, size_t len, const char *base64, size_t base64_len)
{
	BIO *content = BIO_new_mem_buf(data, (int)len);
	BIO *b64 = BIO_push(BIO_new(BIO_f_base64()),
	    BIO_new_mem_buf(base64, (int)base64_len));
	CMS_ContentInfo *cms = d2i_CMS_bio(b64, NULL);
	X509_STORE *store = X509_STORE_new();
	BIO *file = BIO_new_file(cert_file, "r");
	X509 *cert = PEM_read_bio_X509(file, NULL, NULL, NULL);
	bool ok;

	assert_non_null(cms);
	assert_int_equal(X509_STORE_add_cert(store, cert), 1);
	ok = CMS_verify(cms, NULL, store, content, NULL, CMS_BINARY) == 1;
	X509_free(cert);
	BIO_free(file);
	X509_STORE_free(store);
	CMS_ContentInfo_free(cms);
	BIO_free_all(b64);
	BIO_free(content);
	return ok;
}

static void
check_signature(char *mail)
{
	char *p = strstr(mail, "Content-Type: multipart/signed;");
	char *boundary, *begin, *end, *der, *der_end;
	char delimiter[100];

	boundary = strstr(p, "boundary=\"") + 10;
	(void)snprintf(delimiter, sizeof delimiter, "\r\n--%.*s",
	    (int)strcspn(boundary, "\""), boundary);
	begin = strstr(p, delimiter) + strlen(delimiter) + 2;
	end = strstr(begin, delimiter);
	der = strstr(end, "\r\n\r\n") + 4;
	der_end = strstr(der, delimiter);
	assert_true(is_signed(begin, (size_t)(end - begin), der,
	    (size_t)(der_end - der)));
	begin[(end - begin) / 2] ^= 1;
	assert_false(is_signed(begin, (size_t)(end - begin), der,
	    (size_t)(der_end - der)));
}

static void
t_both_forms_are_signed(void **state)
{
	struct cf_receipt r = sample(CF_RECEIPT_RELEASED, CF_ASSURANCE_BEARER);
	char *mail = build(&r);

	(void)state;
	check_signature(mail);
	free(mail);
	r = sample(CF_RECEIPT_OPENED, CF_ASSURANCE_ACCOUNT);
	mail = build(&r);
	check_signature(mail);
	free(mail);
}

static enum cf_err
load(const char *cert, const char *key, const char *address)
{
	struct cf_signer *s = NULL;
	struct cf_why why = { "" };
	enum cf_err rc = cf_signer_load(cert, key, address, &s, &why);

	assert_int_equal(rc == CF_OK, s != NULL);
	cf_signer_free(&s);
	return rc;
}

static void
t_signer_files_are_checked(void **state)
{
	char cert[80], key[80];
	struct stat st;

	(void)state;
	(void)snprintf(cert, sizeof cert, "%s/second.pem", folder);
	(void)snprintf(key, sizeof key, "%s/second.key", folder);
	assert_int_equal(cf_signer_create(CF_SIGNER_RSA3072, FROM, cert, key,
	    NULL), CF_OK);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(load(cert, key, FROM), CF_OK);
	assert_int_equal(load(cert, key, "Receipts@keys.test"), CF_E_CONFIG);
	assert_int_equal(load(cert, key, "other@keys.test"), CF_E_CONFIG);
	assert_int_equal(load(cert_file, key, FROM), CF_E_CONFIG);
	assert_int_equal(load("/nothing", key, FROM), CF_E_CONFIG);
	assert_int_equal(load(cert, cert, FROM), CF_E_CONFIG);
	/* Nothing that exists is lost. */
	assert_int_equal(cf_signer_create(CF_SIGNER_P256, FROM, cert, key,
	    NULL), CF_E_IO);
	assert_int_equal(load(cert, key, FROM), CF_OK);
	assert_int_equal(chmod(key, 0604), 0);
	assert_int_equal(load(cert, key, FROM), CF_E_CONFIG);
	assert_int_equal(cf_signer_create(CF_SIGNER_P256, "no address", cert,
	    key, NULL), CF_E_ADDRESS);
	(void)unlink(cert);
	(void)unlink(key);
}

static void
t_certificate_lasts(void **state)
{
	(void)state;
	assert_true(cf_signer_not_after_ms(signer) >
	    cf_clock_ms() + (int64_t)3650 * 24 * 3600 * 1000);
}

static int
set_up(void **state)
{
	struct cf_why why = { "" };

	(void)state;
	g_mime_init();
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(cert_file, sizeof cert_file, "%s/cert.pem", folder);
	(void)snprintf(key_file, sizeof key_file, "%s/key.pem", folder);
	if (cf_signer_create(CF_SIGNER_P256, FROM, cert_file, key_file,
	    &why) != CF_OK || cf_signer_load(cert_file, key_file, FROM,
	    &signer, &why) != CF_OK) {
		printf("# %s\n", why.text);
		return -1;
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	cf_signer_free(&signer);
	(void)unlink(cert_file);
	(void)unlink(key_file);
	g_mime_shutdown();
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_every_combination_says_what_is_known),
		cmocka_unit_test(t_bearer_names_nobody_as_reader),
		cmocka_unit_test(t_second_mail_says_that_it_is),
		cmocka_unit_test(t_header_is_complete),
		cmocka_unit_test(t_bad_envelope_is_refused),
		cmocka_unit_test(t_bad_ids_are_refused),
		cmocka_unit_test(t_text_from_outside_makes_no_line),
		cmocka_unit_test(t_no_line_begins_with_what_servers_change),
		cmocka_unit_test(t_original_message_id_only_when_it_is_one),
		cmocka_unit_test(t_long_and_international_recipients),
		cmocka_unit_test(t_message_id_is_stable_and_secret),
		cmocka_unit_test(t_both_forms_are_signed),
		cmocka_unit_test(t_signer_files_are_checked),
		cmocka_unit_test(t_certificate_lasts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
