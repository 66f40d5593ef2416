/* SPDX-License-Identifier: Apache-2.0 */
/* Flags that the mail server does not take for a header field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "milter/gateway/nearflag.h"

#define NBSP "\xc2\xa0"
#define ZERO "\xe2\x80\x8b"	/* of no width */
#define FLAG "X-Return-Receipt: yes\r\n"
#define TEXT "\r\nHello Bob\r\n"

static struct cf_near_header
noted(const char *name, const char *value)
{
	struct cf_near_header header = { 0 };
	struct cf_field field = { name, value };

	cf_near_note(&header, &field);
	return header;
}

/* ---- names ---- */

static void
t_names_near_are_found(void **state)
{
	static const char *const near[] = {
		"X_Return_Receipt", "XReturnReceipt", "x.return.receipt",
		"X--Return-Receipt", "X-Return-Receipt-", ">X-Return-Receipt",
		"\"X-Return-Receipt\"", "X-Return-Reciept", "X-Return-Recept",
		"x_return_recipt", "X-Return-Receipt" NBSP,
		NBSP "X-Return-Receipt", ZERO "X-Return-Receipt",
		"X-Ret" ZERO "urn-Receipt", "X-Return-Receip" ZERO "t",
		"X\xe2\x80\x93Return\xe2\x80\x93Receipt", "X-Return\xa0Receipt",
		"X-Return\x01-Receipt", "X Return Receipt",
		/* Letters missing, doubled, wrong, in the wrong order. */
		"X-Return-Receit", "X-Return-Receip", "X-Return-Receiptt",
		"X-Return-Receipts", "X-Return-Recipet", "X-Return-Receept",
		"X-Return-Receiot", "X-Return-Receitp", "X-Return-Reciet",
		"X-Return-Reciepts", "X-Retrun-Receipt", "X-Retun-Receipt",
		"x_retrun_reciept", "XReturnReceit", "X-Return-Receipt2",
		"X-Returned-Receipt", "Z-Return-Receipt", "-X-Retur-Receip:",
		"XX-Return-Receipt", "x-return-rceipt-",
		/* Cyrillic: Ha, Ie, Es, I, Er. */
		"\xd0\xa5-R\xd0\xb5turn-R\xd0\xb5\xd1\x81\xd0\xb5\xd1\x96\xd1"
		"\x80t",
	};
	static const char *const other[] = {
		"X-Return-Receipt-To", "Return-Receipt-To", "Return-Receipt",
		"X-Return", "X-Receipt", "X-Return-Path", "X-Read-Receipt",
		"No-Return-Receipt", "X-No-Return-Receipt", "Return-Receipts",
		"X-Return-Receipt-Id", "X-Return-Recipient", "X-Recipient",
		"X-Return-Rece", "X-Return-Receiptsss", "X-Retrun-Reicetp",
		"X-Retailer", "X-Received", "X-Return-Script", "---",
		"Disposition-Notification-To", "X-Confirm-Reading-To", "X", "",
		/* Nothing but characters that may stand for any letter. */
		("\xd0\xa5\xd0\xb5\xd0\xb5\xd0\xb5\xd0\xb5\xd0\xb5\xd0\xb5\xd0"
		"\xb5\xd0\xb5\xd0\xb5\xd0\xb5\xd0\xb5\xd0\xb5\xd0\xb5"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof near / sizeof near[0]; i++)
		if (noted(near[i], " yes").found != CF_NEAR_NAME)
			fail_msg("not found: %s", near[i]);
	for (i = 0; i < sizeof other / sizeof other[0]; i++)
		if (noted(other[i], " yes").found != CF_NEAR_NONE)
			fail_msg("found: %s", other[i]);
	assert_string_equal(noted("X_Return_Receipt", "").shown,
	    "X_Return_Receipt");
}

static void
t_long_names_are_cut(void **state)
{
	char name[5000];
	struct cf_near_header header;

	(void)state;
	memset(name, '-', sizeof name);
	memcpy(name + 4000, "X-Return-Receipt", 17);
	header = noted(name, " yes");
	assert_int_equal(header.found, CF_NEAR_NAME);
	assert_int_equal(strlen(header.shown), CF_NEAR_SHOWN);
}

/* ---- folds ---- */

static void
t_folds_with_a_flag_are_found(void **state)
{
	static const struct {
		const char *name, *value;
		enum cf_near want;
	} rows[] = {
		{ "Subject", " x\n X-Return-Receipt: yes", CF_NEAR_FOLD },
		{ "Subject", " x\n\tX-Return-Receipt: expires=7d",
		    CF_NEAR_FOLD },
		{ "Subject ", " x\n  x_return" NBSP "receipt : yes\n y",
		    CF_NEAR_FOLD },
		{ "To", " bob@b.test\n X-Return-Receipt: require=mailbox",
		    CF_NEAR_FOLD },
		/* As Postfix makes it of one in a field of addresses. */
		{ "To", " bob@b.test, \"X-Return-Receipt:yes\"@b.test",
		    CF_NEAR_FOLD },
		{ "Reply-To", " a@b.test x_return_receipt: require=bearer@b."
		    "test;,\n\texpires=7d@b.test", CF_NEAR_FOLD },
		{ "Cc", " xx@b.test, X-Return@b.test, Receipt: x@b.test;",
		    CF_NEAR_NONE },
		{ "To", " X-Return-Receipt <a@b.test>, x: y;", CF_NEAR_NONE },
		/* Text, and folded because it had to be. */
		{ "Subject", " I would like to know what you think about this "
		    "new field\n X-Return-Receipt: yes", CF_NEAR_NONE },
		{ "To", " Robert of the Long Name <robert.of.the.long.name@b."
		    "example.test>,\n X-Return-Receipt: yes", CF_NEAR_FOLD },
		/* Not a whole line, no value of the grammar, no colon. */
		{ "Subject", " X-Return-Receipt: yes", CF_NEAR_NONE },
		{ "Subject", " x\n y X-Return-Receipt: yes", CF_NEAR_NONE },
		{ "Subject", " x\n X-Return-Receipt: what is it?",
		    CF_NEAR_NONE },
		{ "Subject", " x\n X-Return-Receipt yes", CF_NEAR_NONE },
		{ "DKIM-Signature", " h=from:to:\n\tx-return-receipt:subject;"
		    "\n\tb=abc", CF_NEAR_NONE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (noted(rows[i].name, rows[i].value).found != rows[i].want)
			fail_msg("%s:%s", rows[i].name, rows[i].value);
	assert_string_equal(noted("Subject ", " x\n X-Return-Receipt: yes"
	    ).shown, "Subject");
}

/* ---- the body ---- */

/* Headers that the bodies follow. */
enum after { WHOLE, NOTHING, HALF };

static const char *const headers[][8] = {
	[WHOLE] = { "From", "To", "Subject", "Date", "Message-Id",
	    "MIME-Version", "Content-Type", NULL },
	[NOTHING] = { NULL },
	[HALF] = { "From", "Subject", NULL },
};

static struct cf_near_header
header_of(enum after after)
{
	struct cf_near_header header = { 0 };
	struct cf_field field = { NULL, " x" };
	size_t i;

	for (i = 0; headers[after][i] != NULL; i++) {
		field.name = headers[after][i];
		cf_near_note(&header, &field);
	}
	return header;
}

/* `piece` bytes at a time. */
static bool
refused(enum after after, const char *body, size_t len, size_t piece)
{
	struct cf_near_header header = header_of(after);
	struct cf_near_body near;
	enum cf_near answer = CF_NEAR_UNDECIDED;
	size_t off;

	cf_near_body_begin(&near, &header);
	for (off = 0; off < len && answer == CF_NEAR_UNDECIDED; off += piece)
		answer = cf_near_body_feed(&near, body + off,
		    len - off < piece ? len - off : piece);
	if (answer == CF_NEAR_UNDECIDED)
		answer = cf_near_body_end(&near);
	assert_true(answer == CF_NEAR_NONE || answer == CF_NEAR_BODY);
	return answer == CF_NEAR_BODY;
}

#define ROW(after, text) { after, text, sizeof text - 1 }

struct row {
	enum after after;
	const char *body;
	size_t len;
};

/* Headers that ended too early, as Postfix and Sendmail show them. */
static const struct row flagged[] = {
	/* The flag's own line ended it. */
	ROW(HALF, "X-Return Receipt: yes\r\nTo: b@b.test\r\n" TEXT),
	ROW(HALF, "X-Return\0-Receipt: yes\r\nTo: b@b.test\r\n" TEXT),
	ROW(HALF, "X-Return-" NBSP "Receipt: yes\r\nTo: b@b.test\r\n" TEXT),
	ROW(HALF, ZERO FLAG "To: b@b.test\r\n" TEXT),
	ROW(HALF, "X-Return-Receipt\xa0: yes\r\nTo: b@b.test\r\n" TEXT),
	ROW(HALF, "X-Return-Receipt yes\r\nTo: b@b.test\r\n" TEXT),
	ROW(HALF, "X-Return-Receipt=yes\r\nTo: b@b.test\r\n" TEXT),
	ROW(HALF, "X-Return-Receipt\xef\xbc\x9a yes\r\nTo: b@b.test\r\n" TEXT),
	ROW(HALF, "X-Return-\r\n Receipt: yes\r\nTo: b@b.test\r\n" TEXT),
	ROW(HALF, "X-Return\x01-Receipt: expires=7d; require=bearer\r\n" TEXT),
	ROW(WHOLE, "X-Return-Receipt" NBSP ": yes\r\n" TEXT),
	ROW(NOTHING, " " FLAG "From: a@a.test\r\nSubject: s\r\n" TEXT),
	/* Behind an empty line, or behind two. */
	ROW(WHOLE, FLAG TEXT),
	ROW(WHOLE, FLAG "Hello Bob\r\n"),
	ROW(WHOLE, "\r\n" FLAG TEXT),
	ROW(WHOLE, "X-Return-Receipt: yes"),
	ROW(WHOLE, "X-Return-Receipt: yes\nHello\n"),
	ROW(WHOLE, "X-Return-Receipt:\r\n yes\r\n" TEXT),
	ROW(NOTHING, FLAG "From: a@a.test\r\nSubject: s\r\n" TEXT),
	ROW(WHOLE, "To: b@b.test\r\nSubject: s\r\n" FLAG TEXT),
	ROW(HALF, "To: b@b.test\r\nX-Mailer: script\r\n" FLAG),
	/* Behind a line that is no field. */
	ROW(HALF, "this is no field\r\n" FLAG "MIME-Version: 1.0\r\n" TEXT),
	ROW(HALF, "this is no field\r\n" FLAG TEXT),
	ROW(HALF, "the subject, continued\r\nX-N: 1\r\nDate: x\r\n a fold\r\n"
	    FLAG TEXT),
	ROW(HALF, "From a@a.test Mon Nov 23 13:35:00 2026\r\n" FLAG TEXT),
	ROW(WHOLE, ">From a@a.test Mon Nov 23 13:35:00 2026\r\n" FLAG TEXT),
	ROW(WHOLE, "X-\xc3\x9cml\xc3\xa4ut: foo\r\n" FLAG TEXT),
	ROW(WHOLE, "Subj" ZERO "ect: foo\r\n" FLAG TEXT),
	ROW(HALF, "Reply To: a@a.test\r\nLines: 3\r\n" FLAG "To: b\r\n" TEXT),
	ROW(HALF, "no field\r\nTo: b\r\nX-Retrun-Receit : yes\r\n" TEXT),
	/* Its value is wrong, but it stands in a header. */
	ROW(HALF, "no field\r\nX-Return-Receipt: yes; expires=7d\r\nTo: b\r\n"
	    TEXT),
	ROW(HALF, "no field\r\nTo: b\r\nX-Return-Reciept: yes\r\n" TEXT),
};

/* What people write. */
static const struct row texts[] = {
	ROW(WHOLE, ""), ROW(WHOLE, "\r\n\r\n"), ROW(NOTHING, "Hello\r\n"),
	ROW(WHOLE, "X-Return-Receipt: yes is the field that asks.\r\n" TEXT),
	ROW(WHOLE, "X-Return-Receipt is what I mean\r\n" TEXT),
	ROW(WHOLE, "X-Return-Receipt: yes or no?\r\n" TEXT),
	ROW(WHOLE, "X-Return-Receipt\r\n" TEXT),
	ROW(WHOLE, "Just add\r\n" FLAG TEXT),
	ROW(WHOLE, "Hello Bob\r\n\r\n" FLAG TEXT),
	ROW(HALF, "Hello Bob,\r\nplease add this:\r\n" FLAG TEXT),
	ROW(HALF, "Please add this to the header:\r\n" FLAG TEXT),
	ROW(HALF, "On Monday Alice wrote:\r\n> " FLAG TEXT),
	ROW(HALF, "> " FLAG TEXT), ROW(HALF, ">" FLAG TEXT),
	ROW(HALF, "* " FLAG TEXT), ROW(HALF, "\"X-Return-Receipt: yes\"\r\n"),
	ROW(HALF, "\xc2\xabX-Return-Receipt: yes\xc2\xbb\r\n"),
	ROW(HALF, "\xe2\x80\xa2 " FLAG TEXT),
	ROW(HALF, "-------- Forwarded Message --------\r\nSubject: s\r\n"
	    "To: b@b.test\r\n" FLAG TEXT),
	ROW(HALF, "________________________________\r\nFrom: a\r\n" FLAG TEXT),
	ROW(HALF, "Begin forwarded message:\r\nFrom: a\r\n" FLAG TEXT),
	/* A message in a message. */
	ROW(WHOLE, "Message-ID: <1@a.test>\r\nTo: b@b.test\r\n" FLAG TEXT),
	ROW(WHOLE, FLAG "Message-ID: <1@a.test>\r\nSubject: s\r\n" TEXT),
	/* Parts. */
	ROW(HALF, "--b1\r\nContent-Type: text/plain\r\n" FLAG TEXT),
	ROW(HALF, "This is a message in MIME format.\r\n\r\n--b1\r\n"
	    "Content-Type: text/plain\r\n" FLAG TEXT),
	/* Lists of names and values. */
	ROW(WHOLE, "Note: it is like this\r\n" FLAG TEXT),
	ROW(WHOLE, "Gr\xc3\xb6\xc3\x9f" "e: 5\r\n" FLAG TEXT),
	ROW(WHOLE, "E-Mail-Gr\xf6\xdf" "e: 5\r\n" FLAG TEXT),
	ROW(WHOLE, "\xe6\xb3\xa8: 5\r\n" FLAG TEXT),
	ROW(WHOLE, "Name: Bob\r\nMail: b@b.test\r\nX-Return-Receipt: yes\r\n"
	    TEXT),
	ROW(WHOLE, "Subject: s\r\n" FLAG "Hello\r\n"),
	/* Other fields. */
	ROW(HALF, "no field\r\nTo: b\r\nX-Return-Receipts: 3\r\n" TEXT),
	ROW(HALF, "X-Return-Receipt-To: a@a.test\r\nTo: b@b.test\r\n" TEXT),
	ROW(HALF, "no field\r\nTo: b@b.test\r\nX-Mailer: x\r\n" TEXT),
};

static void
check_rows(const struct row *row, size_t count, bool want)
{
	size_t i, piece;

	for (i = 0; i < count; i++)
		for (piece = 1; piece <= row[i].len + 1; piece++)
			if (refused(row[i].after, row[i].body, row[i].len,
			    piece) != want)
				fail_msg("%zu at a time, %s: %s", piece,
				    want ? "not refused" : "refused",
				    row[i].body);
}

static void
t_body_of_a_broken_header_is_found(void **state)
{
	(void)state;
	check_rows(flagged, sizeof flagged / sizeof flagged[0], true);
}

static void
t_body_of_text_is_left(void **state)
{
	(void)state;
	check_rows(texts, sizeof texts / sizeof texts[0], false);
}

/* Long lines and long runs: one line is kept, whatever comes. */
static void
t_body_of_any_length(void **state)
{
	struct cf_near_header header = header_of(HALF);
	struct cf_near_body near;
	char x[3000];
	int i;

	(void)state;
	memset(x, 'x', sizeof x);
	cf_near_body_begin(&near, &header);
	for (i = 0; i < 2000; i++) {
		assert_int_equal(cf_near_body_feed(&near, "X-N: ", 5),
		    CF_NEAR_UNDECIDED);
		assert_int_equal(cf_near_body_feed(&near, x, sizeof x),
		    CF_NEAR_UNDECIDED);
		assert_int_equal(cf_near_body_feed(&near, "\r\n", 2),
		    CF_NEAR_UNDECIDED);
	}
	assert_int_equal(cf_near_body_feed(&near, FLAG "\r\n", 25),
	    CF_NEAR_BODY);
	/* Of a text without line ends nothing more is wanted. */
	cf_near_body_begin(&near, &header);
	assert_int_equal(cf_near_body_feed(&near, x, 1000),
	    CF_NEAR_UNDECIDED);
	assert_int_equal(cf_near_body_feed(&near, x, 1000), CF_NEAR_NONE);
	cf_near_body_begin(&near, &header);
	assert_int_equal(cf_near_body_feed(&near, FLAG, 23),
	    CF_NEAR_UNDECIDED);
	assert_int_equal(cf_near_body_feed(&near, x, sizeof x),
	    CF_NEAR_BODY);
}

static void
t_messages_as_body_are_known(void **state)
{
	(void)state;
	assert_true(noted("Content-Type", " message/rfc822").is_message);
	assert_true(noted("content-type ", "\n Text/RFC822-Headers; a=b")
	    .is_message);
	assert_false(noted("Content-Type", " text/plain").is_message);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_names_near_are_found),
		cmocka_unit_test(t_long_names_are_cut),
		cmocka_unit_test(t_folds_with_a_flag_are_found),
		cmocka_unit_test(t_body_of_a_broken_header_is_found),
		cmocka_unit_test(t_body_of_text_is_left),
		cmocka_unit_test(t_body_of_any_length),
		cmocka_unit_test(t_messages_as_body_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
