/* SPDX-License-Identifier: Apache-2.0 */
/* The composite: written and read back, the notice replaced. */
#include <gmime/gmime.h>
#include <openssl/evp.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/composite.h"
#include "common/reading.h"
#include "tests/unit/fixture.h"

#define MAIL_MAX ((size_t)128 << 20)
#define BOUNDARY "=_cf_AAECAwQFBgcICQoLDA0ODw"
#define HANDLE "Po6yvUWBMilxPdDhjLAYAw"		/* of the vector */
#define TEXT "Gr\xc3\xbc\xc3\x9f""e, open https://reader.example/m/" \
	HANDLE "#y=z\n" \
	"From me\n.\ntrailing blank \n\n"
#define HTML "<p>\xc3\xa4 = \"&amp;\"</p>\r\n"

static json_t *vector;
static char *der;		/* E of the vector */
static size_t der_len;
static const char *locator;	/* and its L */

static int
load(void **state)
{
	(void)state;
	cf_composite_init();
	vector = fixture_json("message.json");
	der = fixture_blob(vector, "container", &der_len);
	locator = fixture_text(vector, "link");
	return 0;
}

static int
unload(void **state)
{
	(void)state;
	free(der);
	json_decref(vector);
	return 0;
}

static enum cf_err
collect(void *arg, const void *data, size_t len, struct cf_why *why)
{
	struct cf_buf *buf = arg;

	cf_buf_add(buf, data, len);
	return cf_buf_check(buf, why);
}

static struct cf_composite_parts
parts_of(const void *head, size_t head_len, const void *cipher, size_t len,
    const void *tail, size_t tail_len)
{
	struct cf_composite_parts p = { BOUNDARY, TEXT, HTML, locator, head,
	    head_len, cipher, -1, len, tail, tail_len, 0 };

	return p;
}

/* The vector's E in P, header and all, into `mail`. */
static void
make_mail(struct cf_buf *mail)
{
	struct cf_composite_parts p = parts_of(der, 100, der + 100,
	    der_len - 120, der + der_len - 20, 20);

	cf_buf_adds(mail, "From: a@x.example\r\nSubject: s\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
	    "boundary=\"" BOUNDARY "\"\r\nCounterfoil-Version: 1\r\n\r\n");
	assert_int_equal(cf_composite_write(&p, collect, mail, NULL), CF_OK);
}

static enum cf_err
parse(const struct cf_buf *mail, struct cf_composite *c, struct cf_why *why)
{
	return cf_composite_parse(cf_buf_str(mail), mail->len, HANDLE, c,
	    why);
}

/* E and L are read back from what was written. */
static void
assert_read(const struct cf_buf *mail, const void *e, size_t len)
{
	struct cf_reading r;
	struct cf_why why;
	char link[CF_LINK_MAX + 1];

	if (cf_reading_parse(mail->data, mail->len, &r, &why) != CF_OK)
		fail_msg("%s", why.text);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.part[0].e.len, len);
	assert_memory_equal(r.part[0].e.data, e, len);
	assert_true(r.part[0].has_link);
	cf_link_format(&r.part[0].link, link);
	assert_string_equal(link, locator);
	cf_reading_free(&r);
}

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

	make_mail(&mail);
	for (i = 0; i < count; i++)
		cf_buf_adds(&mail, line);
	rc = parse(&mail, &c, why);
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

	make_mail(&mail);
	for (i = 0; i < count; i++)
		cf_buf_adds(&all, line);
	cf_buf_add(&all, mail.data, mail.len);
	rc = parse(&all, &c, NULL);
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

static void
t_written_is_read_back(void **state)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;
	struct cf_why why;

	(void)state;
	make_mail(&mail);
	assert_read(&mail, der, der_len);
	if (parse(&mail, &c, &why) != CF_OK)
		fail_msg("%s", why.text);
	assert_memory_equal(mail.data + c.body_off, "--" BOUNDARY "\r\n",
	    CF_BOUNDARY_LEN + 4);
	assert_memory_equal(mail.data + c.body_off - 4, "\r\n\r\n", 4);
	assert_false(c.text.base64 || c.html.base64);
	assert_memory_equal(mail.data + c.text.off, "Gr=C3=BC=C3=9Fe, ", 17);
	assert_memory_equal(mail.data + c.text.off + c.text.len,
	    "\r\n--=_cn_", 9);
	assert_memory_equal(mail.data + c.html.off, "<p>=C3=A4 =3D ", 14);
	assert_memory_equal(mail.data + c.html.off + c.html.len,
	    "\r\n--=_cn_", 9);
	cf_buf_free(&mail);
}

/* 7-bit, CRLF only, 76 columns, but for the one line of L. */
static void
t_written_lines_pass_any_mta(void **state)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite_parts p;
	char wide[3000], *line, *eol;
	size_t i;

	(void)state;
	for (i = 0; i + 1 < sizeof wide; i++)
		wide[i] = (char)(i % 7 == 0 ? 0xc3 : i % 11 == 0 ? ' ' :
		    i % 13 == 0 ? '.' : i % 17 == 0 ? '=' : 'F');
	wide[sizeof wide - 1] = '\0';
	p = parts_of(der, der_len, "", 0, "", 0);
	p.html = wide;
	p.text = TEXT "blank at the very end ";
	assert_int_equal(cf_composite_write(&p, collect, &mail, NULL), CF_OK);
	assert_int_equal(mail.len, cf_composite_size(&p));
	for (line = mail.data; *line != '\0'; line = eol + 2) {
		eol = strpbrk(line, "\r\n");
		assert_non_null(eol);
		assert_memory_equal(eol, "\r\n", 2);
		for (i = 0; line + i < eol; i++)
			assert_true(line[i] >= ' ' && line[i] <= '~');
		if (strncmp(line, "Counterfoil-Locator: ", 21) == 0)
			assert_memory_equal(line + 21, locator,
			    strlen(locator));
		else
			assert_true(eol - line <= 76);
		assert_memory_not_equal(line, "From ", 5);
		assert_memory_not_equal(line, ".", 1);
		/* Blanks at the end may get lost on the way. */
		assert_true(eol == line || (eol[-1] != ' ' && eol[-1] != '\t'));
	}
	cf_buf_free(&mail);
}

static char *
sealed_part(const struct cf_buf *mail)
{
	return strstr(mail->data, "Content-Type: application/octet-stream");
}

static void
t_base64_is_right_at_every_split(void **state)
{
	static const size_t size[] = { 0, 1, 2, 3, 55, 56, 57, 58, 113, 114,
	    115, 47879, 47880, 47881, 95760, 200003 };
	unsigned char *bytes = cf_calloc(200003, 1);
	uint64_t seed = 6;
	size_t i, cut;
	int fd, pass;
	char path[] = "/tmp/cfcompositeXXXXXX";

	(void)state;
	fixture_fill(&seed, bytes, 200003);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	for (i = 0; i < 2 * sizeof size / sizeof size[0]; i++) {
		size_t len = size[i / 2], chars = (len + 2) / 3 * 4, k;
		struct cf_buf mail = CF_BUF_INIT(MAIL_MAX);
		unsigned char *want = cf_calloc(chars + 1, 1);
		struct cf_composite_parts p;
		char *at;

		pass = (int)(i % 2);
		cut = len / 3;
		p = parts_of(bytes, cut, bytes + cut, len - 2 * cut,
		    bytes + len - cut, cut);
		if (pass == 1) {
			assert_int_equal(ftruncate(fd, 0), 0);
			assert_int_equal(pwrite(fd, bytes + cut, len - 2 * cut,
			    0), len - 2 * cut);
			p.ciphertext = NULL;
			p.ciphertext_fd = fd;
		}
		assert_int_equal(cf_composite_write(&p, collect, &mail, NULL),
		    CF_OK);
		assert_int_equal(mail.len, cf_composite_size(&p));
		EVP_EncodeBlock(want, bytes, (int)len);
		at = strstr(sealed_part(&mail), "\r\n\r\n") + 4;
		for (k = 0; k < chars; k += 76) {
			size_t n = chars - k < 76 ? chars - k : 76;

			assert_memory_equal(at, want + k, n);
			assert_memory_equal(at + n, "\r\n", 2);
			at += n + 2;
		}
		assert_string_equal(at, "--" BOUNDARY "--\r\n");
		free(want);
		cf_buf_free(&mail);
	}
	close(fd);
	free(bytes);
}

static enum cf_err
refuse(void *arg, const void *data, size_t len, struct cf_why *why)
{
	int *left = arg;

	(void)data;
	(void)len;
	return (*left)-- == 0 ? cf_fail(CF_E_BUSY, why, "no more") : CF_OK;
}

static void
t_write_errors_come_through(void **state)
{
	struct cf_composite_parts p = parts_of(der, der_len, NULL, 10, "", 0);
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX);
	char path[] = "/tmp/cfcompositeXXXXXX";
	static char large[200000];
	int n, left, pieces;

	(void)state;
	p.ciphertext_fd = mkstemp(path);
	unlink(path);
	assert_int_equal(ftruncate(p.ciphertext_fd, 9), 0);
	assert_int_equal(cf_composite_write(&p, collect, &mail, NULL),
	    CF_E_IO);
	cf_buf_reset(&mail);
	close(p.ciphertext_fd);
	/* A small one goes out in one piece, a large one in full packets. */
	p.ciphertext = large;
	p.ciphertext_len = 9;
	left = 1;
	assert_int_equal(cf_composite_write(&p, refuse, &left, NULL), CF_OK);
	p.ciphertext_len = sizeof large;
	pieces = (int)((cf_composite_size(&p) + 65534) / 65535);
	assert_true(pieces > 3);
	for (n = 0; n < pieces; n++) {
		left = n;
		assert_int_equal(cf_composite_write(&p, refuse, &left, NULL),
		    CF_E_BUSY);
	}
	left = pieces;
	assert_int_equal(cf_composite_write(&p, refuse, &left, NULL), CF_OK);
	p.locator = "https://keys.example/k/x\r\nX-Forged: field";
	assert_int_equal(cf_composite_write(&p, collect, &mail, NULL),
	    CF_E_LINK_SYNTAX);
	assert_int_equal(mail.len, 0);
	p.locator = locator;
	{
		char *text = cf_calloc((5 << 20) + 1, 1);

		memset(text, 'x', 5 << 20);
		p.text = text;
		assert_int_equal(cf_composite_write(&p, collect, &mail, NULL),
		    CF_E_TOO_LARGE);
		free(text);
	}
	cf_buf_free(&mail);
}

static void
t_boundaries_are_fresh(void **state)
{
	char a[CF_BOUNDARY_LEN + 1], b[CF_BOUNDARY_LEN + 1];

	(void)state;
	cf_composite_boundary(a);
	cf_composite_boundary(b);
	assert_int_equal(strlen(a), CF_BOUNDARY_LEN);
	assert_memory_equal(a, "=_cf_", 5);
	assert_string_not_equal(a, b);
}

/* ---- the notice ---- */

/* As a Maildir keeps it. */
static void
t_lf_and_mbox_files_parse(void **state)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX), lf = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;
	size_t i;
	int pass;

	(void)state;
	make_mail(&mail);
	for (pass = 0; pass < 2; pass++) {
		cf_buf_reset(&lf);
		if (pass == 1)
			cf_buf_adds(&lf, "From a@x.example Mon Nov 23 "
			    "13:35:00 2026\n");
		for (i = 0; i < mail.len; i++)
			if (mail.data[i] != '\r')
				cf_buf_addc(&lf, mail.data[i]);
		assert_int_equal(parse(&lf, &c, NULL), CF_OK);
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
	    NEW_HTML, collect, &out, NULL), CF_OK);
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

	if (parse(mail, &c, &why) != CF_OK)
		fail_msg("%s: %s", name, why.text);
	cf_buf_add(&again, mail->data, c.body_off);
	assert_int_equal(cf_composite_rewrite(mail->data, mail->len, &c,
	    NEW_TEXT, NEW_HTML, collect, &again, NULL), CF_OK);
	assert_mapped(mail, &c, &again);
	assert_memory_equal(again.data, mail->data, c.text.off);
	assert_null(strstr(again.data, "Gr=C3"));
	assert_null(strstr(again.data, "<p>"));
	if (parse(&again, &c2, &why) != CF_OK)
		fail_msg("%s, again: %s", name, why.text);
	assert_string_equal(rest(&again, &c2), rest(mail, &c));
	if (!c.text.base64)
		assert_memory_equal(again.data + c2.text.off, "new " HANDLE
		    "\r\n=2E\r\n\r\n--", 36);
	/* Twice is as once. */
	cf_buf_add(&twice, again.data, c2.body_off);
	assert_int_equal(cf_composite_rewrite(again.data, again.len, &c2,
	    NEW_TEXT, NEW_HTML, collect, &twice, NULL), CF_OK);
	assert_string_equal(twice.data, again.data);
	assert_read(&again, der, der_len);
	cf_buf_free(&again);
	cf_buf_free(&twice);
}

static void
t_the_notice_alone_is_replaced(void **state)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX), odd;
	size_t i;

	(void)state;
	make_mail(&mail);
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
	assert_int_equal(parse(&mail, &c, NULL), CF_OK);
	assert_true(c.text.base64 && c.html.base64);
	cf_buf_add(&out, mail.data, c.body_off);
	assert_int_equal(cf_composite_rewrite(mail.data, mail.len, &c,
	    "a\n" HANDLE "\n", "b\n", collect, &out, NULL), CF_OK);
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
	make_mail(&mail);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		odd = changed(&mail, bad[i].from, bad[i].to);
		if (parse(&odd, &c, &why) != CF_E_NOT_SEALED)
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
	assert_int_equal(parse(&odd, &c, &why), CF_E_NOT_SEALED);
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
	make_mail(&mail);
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
	assert_int_equal(parse(&mail, &c, NULL), CF_E_NOT_SEALED);
	cf_buf_reset(&mail);
	for (i = 0; i < 100000; i++)
		cf_buf_adds(&mail, "Content-Type: message/rfc822\r\n\r\n");
	assert_int_equal(parse(&mail, &c, NULL), CF_E_NOT_SEALED);
	cf_buf_free(&mail);
	assert_int_equal(cf_composite_parse("", 0, HANDLE, &c, NULL),
	    CF_E_NOT_SEALED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_written_is_read_back),
		cmocka_unit_test(t_written_lines_pass_any_mta),
		cmocka_unit_test(t_base64_is_right_at_every_split),
		cmocka_unit_test(t_write_errors_come_through),
		cmocka_unit_test(t_boundaries_are_fresh),
		cmocka_unit_test(t_lf_and_mbox_files_parse),
		cmocka_unit_test(t_the_notice_alone_is_replaced),
		cmocka_unit_test(t_a_notice_in_base64_is_replaced),
		cmocka_unit_test(t_what_has_no_notice_says_why),
		cmocka_unit_test(t_truncated_at_every_byte_never_lies),
		cmocka_unit_test(t_deep_nesting_is_survived),
		cmocka_unit_test(t_overgrown_is_not_parsed),
		cmocka_unit_test(t_large_header_is_parsed),
	};

	return cmocka_run_group_tests_name("composite", tests, load, unload);
}
