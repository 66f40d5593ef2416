/* SPDX-License-Identifier: Apache-2.0 */
/* The composite: the notice found and replaced, whatever is around it. */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/composite_fixture.h"

/* `mail` with the first `from` replaced by `to`. */
static struct cf_buf
changed(const struct cf_buf *mail, const char *from, const char *to)
{
	struct cf_buf out = CF_BUF_INIT(MAIL_MAX);
	const char *at = strstr(mail->data, from);

	if (at == NULL)
		fail_msg("\"%s\" is not in the message", from);
	cf_buf_add(&out, mail->data, (size_t)(at - mail->data));
	cf_buf_adds(&out, to);
	cf_buf_adds(&out, at + strlen(from));
	return out;
}

/* P with `count` times `line` behind it. */
static enum cf_err
parse_with_tail(const char *line, size_t count, struct cf_why *why)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;
	enum cf_err rc;
	size_t i;

	composite_make(&mail);
	for (i = 0; i < count; i++)
		cf_buf_adds(&mail, line);
	rc = composite_parse(&mail, &c, why);
	cf_buf_free(&mail);
	return rc;
}

/* Each such line would cost memory and time far beyond its length. */
static void
t_overgrown_is_not_parsed(void **state)
{
	struct cf_why why = { "" };

	(void)state;
	assert_int_equal(parse_with_tail("--x\r\n", 90, &why), CF_OK);
	assert_int_equal(parse_with_tail("--x\r\n", 100, &why),
	    CF_E_NOT_SEALED);
	assert_non_null(strstr(why.text, "too many"));
	assert_int_equal(parse_with_tail("To: x\r\n", 19000, &why), CF_OK);
	assert_int_equal(parse_with_tail("To: x\r\n", 20000, &why),
	    CF_E_NOT_SEALED);
	assert_non_null(strstr(why.text, "too many"));
	/* No end of a line at the end. */
	assert_int_equal(parse_with_tail("-", 1, &why), CF_OK);
}

/* P with `count` times `line` on top of its header. */
static enum cf_err
parse_with_top(const char *line, size_t count)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX), all = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;
	enum cf_err rc;
	size_t i;

	composite_make(&mail);
	for (i = 0; i < count; i++)
		cf_buf_adds(&all, line);
	cf_buf_add(&all, mail.data, mail.len);
	rc = composite_parse(&all, &c, NULL);
	cf_buf_free(&mail);
	cf_buf_free(&all);
	return rc;
}

/* As many fields as the milter seals, whatever their names and folds. */
static void
t_large_header_is_parsed(void **state)
{
	(void)state;
	assert_int_equal(parse_with_top("--x: y\r\n", 15100), CF_OK);
	assert_int_equal(parse_with_top("X: y\r\n :\r\n --\r\n\t:\r\n",
	    15100), CF_OK);
	assert_int_equal(parse_with_top("X: y\r\n", 20000),
	    CF_E_NOT_SEALED);
}

/* As a Maildir keeps it. */
static void
t_lf_and_mbox_files_parse(void **state)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX), lf = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;
	size_t i;
	int pass;

	(void)state;
	composite_make(&mail);
	for (pass = 0; pass < 2; pass++) {
		cf_buf_reset(&lf);
		if (pass == 1)
			cf_buf_adds(&lf, "From a@x.example Mon Nov 23 "
			    "13:35:00 2026\n");
		for (i = 0; i < mail.len; i++)
			if (mail.data[i] != '\r')
				cf_buf_addc(&lf, mail.data[i]);
		assert_int_equal(composite_parse(&lf, &c, NULL), CF_OK);
		assert_memory_equal(lf.data + c.body_off, "--" BOUNDARY "\n",
		    CF_BOUNDARY_LEN + 3);
		assert_memory_equal(lf.data + c.text.off, "Gr=C3", 5);
	}
	cf_buf_free(&mail);
	cf_buf_free(&lf);
}

#define ALT "Content-Type: multipart/alternative"
#define FOOT "\r\n--" BOUNDARY "\r\n\r\nA list.\r\n--" BOUNDARY "--\r\n"
#define IMAGE "Content-Type: multipart/related; boundary=R\r\n\r\n--R\r\n"
#define NEW_TEXT "new " HANDLE "\n.\n"
#define NEW_HTML "<b>new</b>\n"

/* What lists and gateways do around the notice, and to its fields. */
static const char *const harmless[][2] = {
	{ "From: ", "From: " },
	{ "Counterfoil-Version: 1", "counterfoil-version:  1 (said a list)" },
	{ "Counterfoil-Version: 1", "Counterfoil-Version: 1\r\n"
	    "Counterfoil-Version: 1" },
	{ "MIME-Version: 1.0\r\n", "" },
	{ "MIME-Version: 1.0", "MIME-Version: 1.0 (made by a gateway)" },
	{ "\r\n\r\n--", "\r\n\r\nA multi-part message.\r\n\r\n--" },
	{ "\r\n--" BOUNDARY "--", FOOT "Scanned by a gateway.\r\n" },
	{ "\r\n--" BOUNDARY "--", "\r\n" },
	{ "multipart/mixed", "multipart/related" },
	{ "--" BOUNDARY "\r\n" ALT, "--" BOUNDARY "\r\n\r\nAbove.\r\n--"
	    BOUNDARY "\r\n" ALT },
	{ ALT, IMAGE ALT },
	{ "Encoding: quoted-printable", "Encoding: \"Quoted-Printable\" (x)" },
	{ "Encoding: base64", "Encoding: 7bit" },
	{ "charset=utf-8", "charset=us-ascii" },
	{ "; charset=utf-8", "" },
	{ "application/octet-stream", "text/plain" },
	{ "Content-Disposition: attachment", "Content-Disposition: inline\r\n"
	    "Content-Disposition: attachment" },
	{ "Counterfoil-Locator: ", "X-Was: " },
};

/* The rest of a message, from the end of the notice. */
static const char *
rest(const struct cf_buf *mail, const struct cf_composite *c)
{
	return mail->data + c->html.off + c->html.len;
}

/* A mapped file is read and written as what is in memory. */
static void
assert_mapped(const struct cf_buf *mail, const struct cf_composite *want,
    const struct cf_buf *written)
{
	char path[] = "/tmp/cf-composite-test.XXXXXX";
	struct cf_composite_file file = { .len = mail->len,
	    .fd = mkstemp(path) };
	struct cf_buf out = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;
	void *map;

	unlink(path);
	assert_int_equal(write(file.fd, mail->data, mail->len), mail->len);
	map = mmap(NULL, mail->len, PROT_READ, MAP_SHARED, file.fd, 0);
	assert_true(map != MAP_FAILED);
	file.bytes = map;
	assert_int_equal(cf_composite_parse_file(&file, HANDLE, &c, NULL),
	    CF_OK);
	assert_int_equal(c.text.off, want->text.off);
	assert_int_equal(c.html.len, want->html.len);
	cf_buf_add(&out, mail->data, c.body_off);
	assert_int_equal(cf_composite_rewrite_file(&file, &c, NEW_TEXT,
	    NEW_HTML, composite_collect, &out, NULL), CF_OK);
	assert_int_equal(out.len, written->len);
	assert_memory_equal(out.data, written->data, out.len);
	munmap(map, mail->len);
	close(file.fd);
	cf_buf_free(&out);
}

static void
assert_rewritten(const struct cf_buf *mail, const char *name)
{
	struct cf_buf again = CF_BUF_INIT(MAIL_MAX);
	struct cf_buf twice = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c, c2;
	struct cf_why why;

	if (composite_parse(mail, &c, &why) != CF_OK)
		fail_msg("%s: %s", name, why.text);
	cf_buf_add(&again, mail->data, c.body_off);
	assert_int_equal(cf_composite_rewrite(mail->data, mail->len, &c,
	    NEW_TEXT, NEW_HTML, composite_collect, &again, NULL), CF_OK);
	assert_mapped(mail, &c, &again);
	assert_memory_equal(again.data, mail->data, c.text.off);
	assert_null(strstr(again.data, "Gr=C3"));
	assert_null(strstr(again.data, "<p>"));
	if (composite_parse(&again, &c2, &why) != CF_OK)
		fail_msg("%s, again: %s", name, why.text);
	assert_string_equal(rest(&again, &c2), rest(mail, &c));
	if (!c.text.base64)
		assert_memory_equal(again.data + c2.text.off, "new " HANDLE
		    "\r\n=2E\r\n\r\n--", 36);
	/* Twice is as once. */
	cf_buf_add(&twice, again.data, c2.body_off);
	assert_int_equal(cf_composite_rewrite(again.data, again.len, &c2,
	    NEW_TEXT, NEW_HTML, composite_collect, &twice, NULL), CF_OK);
	assert_string_equal(twice.data, again.data);
	composite_assert_read(&again, der, der_len);
	cf_buf_free(&again);
	cf_buf_free(&twice);
}

static void
t_the_notice_alone_is_replaced(void **state)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX), odd;
	size_t i;

	(void)state;
	composite_make(&mail);
	for (i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
		odd = changed(&mail, harmless[i][0], harmless[i][1]);
		assert_rewritten(&odd, harmless[i][1]);
		cf_buf_free(&odd);
	}
	/* Larger than what stays of a mapping, behind the sealed part. */
	for (i = 0; i < 100000; i++)
		cf_buf_adds(&mail, "A line that a list put there.\r\n");
	assert_rewritten(&mail, "large");
	cf_buf_free(&mail);
}

/* A gateway may have written it anew in base64; then so do we. */
static void
t_a_notice_in_base64_is_replaced(void **state)
{
	static const char head[] = "Counterfoil-Version: 1\r\n"
	    "Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n" ALT
	    "; boundary=A\r\n\r\n--A\r\nContent-Type: text/plain\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--A\r\n"
	    "Content-Type: text/html\r\nContent-Transfer-Encoding: base64"
	    "\r\n\r\n%s\r\n--A--\r\n--B\r\n\r\nx\r\n--B--\r\n";
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX), out = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;

	(void)state;
	cf_buf_addf(&mail, head, "UG82eXZVV0JNaWx4UGREaGpMQVlBdw==", "eA==");
	assert_int_equal(composite_parse(&mail, &c, NULL), CF_OK);
	assert_true(c.text.base64 && c.html.base64);
	cf_buf_add(&out, mail.data, c.body_off);
	assert_int_equal(cf_composite_rewrite(mail.data, mail.len, &c,
	    "a\n" HANDLE "\n", "b\n", composite_collect, &out, NULL), CF_OK);
	cf_buf_reset(&mail);
	cf_buf_addf(&mail, head, "YQ0KUG82eXZVV0JNaWx4UGREaGpMQVlBdw0K\r\n",
	    "Yg0K\r\n");
	assert_string_equal(out.data, mail.data);
	cf_buf_free(&mail);
	cf_buf_free(&out);
}

static void
t_what_has_no_notice_says_why(void **state)
{
	static const struct {
		const char *from, *to, *says;
	} bad[] = {
		{ "Counterfoil-Version: 1", "Counterfoil-Version: 2",
		    "Counterfoil-Version" },
		{ "Counterfoil-Version: 1", "Counterfoil-Version: 11",
		    "Counterfoil-Version" },
		{ "Counterfoil-Version: 1", "X-Version: 1",
		    "Counterfoil-Version" },
		{ "multipart/alternative", "multipart/related",
		    "is not there" },
		{ "text/html", "text/plain", "is not there" },
		{ "multipart/mixed", "multipart/signed", "signed" },
		{ "multipart/mixed", "text/plain", "is not there" },
		{ "charset=utf-8", "charset=utf-16", "character set" },
		{ "Encoding: quoted-printable", "Encoding: 8bit",
		    "quoted-printable" },
		{ ALT, "Content-Type: message/rfc822\r\n\r\n" ALT,
		    "is not there" },
	};
	static const char other[] = "AAAAAAAAAAAAAAAAAAAAAA";
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX), odd;
	struct cf_composite c;
	struct cf_why why;
	char *at;
	size_t i;

	(void)state;
	composite_make(&mail);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		odd = changed(&mail, bad[i].from, bad[i].to);
		if (composite_parse(&odd, &c, &why) != CF_E_NOT_SEALED)
			fail_msg("with %s: found", bad[i].to);
		if (strstr(why.text, bad[i].says) == NULL)
			fail_msg("with %s: %s", bad[i].to, why.text);
		cf_buf_free(&odd);
	}
	/* Somebody's own texts are not ours to replace. */
	assert_int_equal(cf_composite_parse(mail.data, mail.len, other, &c,
	    &why), CF_E_NOT_SEALED);
	/* Nor is one of two. */
	memset(&odd, 0, sizeof odd);
	odd.max = MAIL_MAX;
	at = strstr(mail.data, "--" BOUNDARY);
	cf_buf_add(&odd, mail.data, mail.len - strlen("--" BOUNDARY "--\r\n"));
	cf_buf_add(&odd, at, (size_t)(strstr(at + 4, "--" BOUNDARY) - at));
	assert_int_equal(composite_parse(&odd, &c, &why), CF_E_NOT_SEALED);
	assert_non_null(strstr(why.text, "more than once"));
	cf_buf_free(&odd);
	cf_buf_free(&mail);
}

static void
t_truncated_at_every_byte_never_lies(void **state)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;
	size_t len;
	char *cut;

	(void)state;
	composite_make(&mail);
	for (len = 0; len < mail.len - 2; len++) {
		cut = cf_realloc(NULL, len == 0 ? 1 : len, 1);
		memcpy(cut, mail.data, len);
		if (cf_composite_parse(cut, len, HANDLE, &c, NULL) == CF_OK) {
			assert_true(c.text.off + c.text.len < c.html.off);
			assert_true(c.html.off + c.html.len <= len);
		}
		free(cut);
	}
	cf_buf_free(&mail);
}

static void
t_deep_nesting_is_survived(void **state)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;
	int i;

	(void)state;
	cf_buf_adds(&mail, "MIME-Version: 1.0\r\n");
	for (i = 0; i < 100000; i++)
		cf_buf_addf(&mail, "Content-Type: multipart/mixed; "
		    "boundary=b%d\r\n\r\n--b%d\r\n", i, i);
	assert_int_equal(composite_parse(&mail, &c, NULL), CF_E_NOT_SEALED);
	cf_buf_reset(&mail);
	for (i = 0; i < 100000; i++)
		cf_buf_adds(&mail, "Content-Type: message/rfc822\r\n\r\n");
	assert_int_equal(composite_parse(&mail, &c, NULL), CF_E_NOT_SEALED);
	cf_buf_free(&mail);
	assert_int_equal(cf_composite_parse("", 0, HANDLE, &c, NULL),
	    CF_E_NOT_SEALED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_lf_and_mbox_files_parse),
		cmocka_unit_test(t_the_notice_alone_is_replaced),
		cmocka_unit_test(t_a_notice_in_base64_is_replaced),
		cmocka_unit_test(t_what_has_no_notice_says_why),
		cmocka_unit_test(t_truncated_at_every_byte_never_lies),
		cmocka_unit_test(t_deep_nesting_is_survived),
		cmocka_unit_test(t_overgrown_is_not_parsed),
		cmocka_unit_test(t_large_header_is_parsed),
	};

	return cmocka_run_group_tests_name("composite", tests,
	    composite_load, composite_unload);
}
