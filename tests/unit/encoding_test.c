/* SPDX-License-Identifier: Apache-2.0 */
/* base64 in lines, and quoted-printable: GMime's decoders are the judges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <gmime/gmime.h>

#include "common/b64.h"
#include "common/hex.h"
#include "common/qp.h"
#include "tests/unit/fixture.h"

#define MAIL_MAX 65536

/* ---- base64 ---- */

static void
assert_base64(const char *bytes, const char *want)
{
	struct cf_buf out = CF_BUF_INIT(MAIL_MAX);

	cf_b64_add(&out, bytes, strlen(bytes));
	assert_string_equal(cf_buf_str(&out), want);
	cf_buf_free(&out);
}

/* RFC 4648 10. */
static void
t_base64_is_that_of_the_standard(void **state)
{
	(void)state;
	assert_base64("", "");
	assert_base64("f", "Zg==\r\n");
	assert_base64("fo", "Zm8=\r\n");
	assert_base64("foo", "Zm9v\r\n");
	assert_base64("foob", "Zm9vYg==\r\n");
	assert_base64("fooba", "Zm9vYmE=\r\n");
	assert_base64("foobar", "Zm9vYmFy\r\n");
	assert_base64("\xfb\xff\xbf", "+/+/\r\n");
}

/* Every length, by both ways, and no line is too long. */
static void
t_base64_decodes(void **state)
{
	static struct cf_b64_table table;
	struct cf_buf out = CF_BUF_INIT(MAIL_MAX), lines = CF_BUF_INIT(MAIL_MAX);
	unsigned char in[300], line[CF_B64_LINE_OUT];
	char got[400];
	GMimeEncoding decoder;
	uint64_t seed = 7;
	size_t len, at, n;

	(void)state;
	cf_b64_fill(&table);
	for (at = 0; at < sizeof in; at++)
		in[at] = (unsigned char)(fixture_next(&seed) >> 16);
	for (len = 0; len <= sizeof in; len++) {
		cf_buf_reset(&out);
		cf_buf_reset(&lines);
		cf_b64_add(&out, in, len);
		assert_int_equal(out.len, cf_b64_size(len));
		for (at = 0; at < len; at += n) {
			n = len - at < CF_B64_LINE_IN ? len - at :
			    CF_B64_LINE_IN;
			cf_buf_add(&lines, line, cf_b64_line(&table, in + at,
			    n, line));
		}
		assert_string_equal(cf_buf_str(&out), cf_buf_str(&lines));
		g_mime_encoding_init_decode(&decoder,
		    GMIME_CONTENT_ENCODING_BASE64);
		n = g_mime_encoding_step(&decoder, cf_buf_str(&out), out.len,
		    got);
		assert_int_equal(n, len);
		assert_memory_equal(got, in, len);
	}
	cf_buf_free(&out);
	cf_buf_free(&lines);
}

/* ---- quoted-printable ---- */

static void
assert_quoted_as(const char *text, const char *want)
{
	struct cf_buf out = CF_BUF_INIT(MAIL_MAX);

	cf_qp_add(&out, text);
	assert_string_equal(cf_buf_str(&out), want);
	cf_buf_free(&out);
}

static void
t_quoted_lines_survive_mail_servers(void **state)
{
	char text[200], want[220];

	(void)state;
	assert_quoted_as(".\n..\na.\n", "=2E\r\n=2E.\r\na.\r\n");
	assert_quoted_as("From you\nFromage\na From b\n",
	    "=46rom you\r\nFromage\r\na From b\r\n");
	assert_quoted_as("--x\n- y\na-b", "=2D-x\r\n=2D y\r\na-b\r\n");
	assert_quoted_as("a \nb\t\r\n \n", "a=20\r\nb=09\r\n=20\r\n");
	assert_quoted_as("1=2\xc3\xa4\x7f", "1=3D2=C3=A4=7F\r\n");
	assert_quoted_as("a\rb", "a=0Db\r\n");
	assert_quoted_as("\n\n", "\r\n\r\n");
	/* The limit, and a rule for the first character after it. */
	memset(text, 'a', sizeof text);
	memcpy(text + 75, ".\n", 3);
	(void)snprintf(want, sizeof want, "%.75s=\r\n=2E\r\n", text);
	assert_quoted_as(text, want);
}

/* GMime's decoder is the judge of our quoted-printable. */
static void
assert_quoted(const char *text, const char *want)
{
	struct cf_buf quoted = CF_BUF_INIT(MAIL_MAX);
	struct cf_buf got = CF_BUF_INIT(MAIL_MAX);
	GMimeEncoding decoder;

	cf_qp_add(&quoted, text);
	assert_true(cf_buf_reserve(&got, quoted.len + 10));
	g_mime_encoding_init_decode(&decoder,
	    GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
	got.len = g_mime_encoding_step(&decoder, cf_buf_str(&quoted),
	    quoted.len, got.data);
	if (got.len != strlen(want) || memcmp(got.data, want, got.len) != 0)
		fail_msg("\"%s\" became \"%.*s\"", want, (int)got.len,
		    got.data);
	cf_buf_free(&quoted);
	cf_buf_free(&got);
}

static void
t_quoted_text_decodes(void **state)
{
	char text[400], want[500];
	uint64_t seed = 5;
	size_t i, n, w;
	int round;

	(void)state;
	assert_quoted("", "");
	assert_quoted("a", "a\r\n");
	assert_quoted("a \n", "a \r\n");
	assert_quoted("\t", "\t\r\n");
	for (round = 0; round < 20000; round++) {
		n = fixture_next(&seed) % (sizeof text - 2);
		for (i = w = 0; i < n; i++) {
			static const char some[] = "aaaa  \t=.F\xc3\xa4\n\rxy";

			text[i] = some[fixture_next(&seed) >> 8 & 15];
			if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
				want[w++] = '\r';
			want[w++] = text[i];
		}
		text[n] = '\0';
		if (n > 0 && text[n - 1] != '\n') {
			want[w++] = '\r';
			want[w++] = '\n';
		}
		want[w] = '\0';
		assert_quoted(text, want);
	}
}

static void
t_two_digits_are_a_byte(void **state)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	char text[3];
	int a, b, want;

	(void)state;
	for (a = -128; a < 128; a++) {
		for (b = -128; b < 128; b++) {
			(void)snprintf(text, sizeof text, "%c%c", a, b);
			want = a == 0 || b == 0 || strspn(text, digits) != 2
			    ? -1 : (int)strtol(text, NULL, 16);
			assert_int_equal(cf_hex_byte(text), want);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_base64_is_that_of_the_standard),
		cmocka_unit_test(t_base64_decodes),
		cmocka_unit_test(t_quoted_lines_survive_mail_servers),
		cmocka_unit_test(t_quoted_text_decodes),
		cmocka_unit_test(t_two_digits_are_a_byte),
	};

	g_mime_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
