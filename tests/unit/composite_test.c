/* SPDX-License-Identifier: Apache-2.0 */
/* The composite: written and read back. */
#include <openssl/evp.h>
#include <strings.h>
#include <unistd.h>

#include "tests/unit/composite_fixture.h"

static void
t_written_is_read_back(void **state)
{
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX);
	struct cf_composite c;
	struct cf_why why;

	(void)state;
	composite_make(&mail);
	composite_assert_read(&mail, der, der_len);
	if (composite_parse(&mail, &c, &why) != CF_OK)
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
	p = composite_parts(der, der_len, "", 0, "", 0);
	p.html = wide;
	p.text = TEXT "blank at the very end ";
	assert_int_equal(cf_composite_write(&p, composite_collect, &mail,
	    NULL), CF_OK);
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
		p = composite_parts(bytes, cut, bytes + cut, len - 2 * cut,
		    bytes + len - cut, cut);
		if (pass == 1) {
			assert_int_equal(ftruncate(fd, 0), 0);
			assert_int_equal(pwrite(fd, bytes + cut, len - 2 * cut,
			    0), len - 2 * cut);
			p.ciphertext = NULL;
			p.ciphertext_fd = fd;
		}
		assert_int_equal(cf_composite_write(&p, composite_collect,
		    &mail, NULL), CF_OK);
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
	struct cf_composite_parts p = composite_parts(der, der_len, NULL, 10,
	    "", 0);
	struct cf_buf mail = CF_BUF_INIT(MAIL_MAX);
	char path[] = "/tmp/cfcompositeXXXXXX";
	static char large[200000];
	int n, left, pieces;

	(void)state;
	p.ciphertext_fd = mkstemp(path);
	unlink(path);
	assert_int_equal(ftruncate(p.ciphertext_fd, 9), 0);
	assert_int_equal(cf_composite_write(&p, composite_collect,
	    &mail, NULL), CF_E_IO);
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
	assert_int_equal(cf_composite_write(&p, composite_collect,
	    &mail, NULL), CF_E_LINK_SYNTAX);
	assert_int_equal(mail.len, 0);
	p.locator = locator;
	{
		char *text = cf_calloc((5 << 20) + 1, 1);

		memset(text, 'x', 5 << 20);
		p.text = text;
		assert_int_equal(cf_composite_write(&p, composite_collect,
		    &mail, NULL), CF_E_TOO_LARGE);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_written_is_read_back),
		cmocka_unit_test(t_written_lines_pass_any_mta),
		cmocka_unit_test(t_base64_is_right_at_every_split),
		cmocka_unit_test(t_write_errors_come_through),
		cmocka_unit_test(t_boundaries_are_fresh),
	};

	return cmocka_run_group_tests_name("composite", tests,
	    composite_load, composite_unload);
}
