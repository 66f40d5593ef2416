/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: E and L in what lists, gateways, programs and people make. */
#include <ctype.h>
#include <openssl/evp.h>

#include "common/clock.h"
#include "common/reading.h"
#include "common/sealer.h"
#include "tests/unit/fixture.h"

#define MAIL_MAX ((size_t)128 << 20)

static json_t *vector;
static char *der;		/* E of the vector */
static size_t der_len;
static const char *locator;	/* and its L */

static int
load(void **state)
{
	(void)state;
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

/* ---- texts made of a pattern ---- */

static void
add_b64(struct cf_buf *out, const char *bytes, size_t len, size_t columns)
{
	unsigned char *text = cf_calloc(len / 3 * 4 + 8, 1);
	size_t n = (size_t)EVP_EncodeBlock(text, (const unsigned char *)bytes,
	    (int)len), i;

	for (i = 0; i < n; i += columns) {
		cf_buf_add(out, text + i, n - i < columns ? n - i : columns);
		cf_buf_addc(out, '\n');
	}
	free(text);
}

/* Every byte that is not a letter or a digit, and soft breaks. */
static void
add_quoted(struct cf_buf *out, const char *bytes, size_t len)
{
	size_t i, column = 0;

	for (i = 0; i < len; i++) {
		if (isalnum((unsigned char)bytes[i]))
			cf_buf_addc(out, bytes[i]);
		else if (bytes[i] == '\n')
			cf_buf_adds(out, "=0A");
		else
			cf_buf_addf(out, "=%02X", (unsigned char)bytes[i]);
		if (++column % 20 == 0)
			cf_buf_adds(out, "=\n");
	}
	cf_buf_addc(out, '\n');
}

static void
add_uu(struct cf_buf *out, const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t i, k, n;
	uint32_t v;

	cf_buf_adds(out, "begin 644 smime.p7m\n");
	for (i = 0; i < len; i += 45) {
		n = len - i < 45 ? len - i : 45;
		cf_buf_addc(out, (char)(' ' + n));
		for (k = 0; k < n; k += 3) {
			v = (uint32_t)p[i + k] << 16;
			v |= k + 1 < n ? (uint32_t)p[i + k + 1] << 8 : 0;
			v |= k + 2 < n ? p[i + k + 2] : 0;
			cf_buf_addf(out, "%c%c%c%c",
			    (int)(v >> 18 & 63) + ' ', (int)(v >> 12 & 63) +
			    ' ', (int)(v >> 6 & 63) + ' ', (int)(v & 63) + ' ');
		}
		cf_buf_addc(out, '\n');
	}
	cf_buf_adds(out, "`\nend\n");
}

/*
 * `pattern` with $B: E in base64, $1: the same in one line, $>: quoted, $R:
 * E, $T: E with CR LF for LF, $Q: in quoted-printable, $U: uuencoded,
 * $L: L, $l: L in percents, $b: L broken over the lines of a quotation.
 */
static void
expand(const char *pattern, struct cf_buf *out)
{
	size_t at, i;
	const char *p;

	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '$') {
			cf_buf_addc(out, *pattern);
			continue;
		}
		switch (*++pattern) {
		case 'B':
			add_b64(out, der, der_len, 76);
			break;
		case '1':
			add_b64(out, der, der_len, 1 << 20);
			break;
		case '>':
			at = out->len;
			add_b64(out, der, der_len, 70);
			for (i = at; i < out->len; i++)
				if (out->data[i] == '\n')
					out->data[i] = '>';
			cf_buf_addc(out, '\n');
			break;
		case 'R':
			cf_buf_add(out, der, der_len);
			break;
		case 'T':
			for (i = 0; i < der_len; i++) {
				if (der[i] == '\n')
					cf_buf_addc(out, '\r');
				cf_buf_addc(out, der[i]);
			}
			break;
		case 'Q':
			add_quoted(out, der, der_len);
			break;
		case 'U':
			add_uu(out, der, der_len);
			break;
		case 'L':
			cf_buf_adds(out, locator);
			break;
		case 'b':
			cf_buf_add(out, locator, 40);
			cf_buf_adds(out, "\n> ");
			cf_buf_add(out, locator + 40, 20);
			cf_buf_adds(out, "\n> ");
			cf_buf_adds(out, locator + 60);
			break;
		case 'l':
			for (p = locator; *p != '\0'; p++)
				if (strchr(":/#", *p) != NULL)
					cf_buf_addf(out, "%%%02X", *p);
				else
					cf_buf_addc(out, *p);
			break;
		default:
			fail_msg("$%c", *pattern);
		}
	}
}

static struct cf_buf
with_crlf(const struct cf_buf *text)
{
	struct cf_buf out = CF_BUF_INIT(MAIL_MAX);
	size_t i;

	for (i = 0; i < text->len; i++) {
		if (text->data[i] == '\n')
			cf_buf_addc(&out, '\r');
		cf_buf_addc(&out, text->data[i]);
	}
	return out;
}

/* As cf_reading_parse(), with all that has more than 64 bytes in files. */
static enum cf_err
parse_mapped(const char *bytes, size_t len, struct cf_reading *ret,
    struct cf_why *why)
{
	static const struct cf_bulk_place place = { "/tmp", 64 };
	struct cf_reading_file file = { .place = &place };
	struct cf_bulk bulk;
	struct cf_buf all;
	enum cf_err rc;

	cf_bulk_init(&bulk, &place, len);
	cf_bulk_add(&bulk, bytes, len);
	assert_int_equal(cf_bulk_map(&bulk, &all, NULL), CF_OK);
	file.bytes = all.data;
	file.len = all.len;
	file.mapped = bulk.spooled;
	rc = cf_reading_parse_file(&file, ret, why);
	if (rc == CF_OK)
		assert_true(ret->part[0].bulk.spooled);
	cf_bulk_free(&bulk);
	return rc;
}

static enum cf_err
parse(bool mapped, const char *bytes, size_t len, struct cf_reading *ret,
    struct cf_why *why)
{
	return mapped ? parse_mapped(bytes, len, ret, why) :
	    cf_reading_parse(bytes, len, ret, why);
}

static void
must_read_so(bool mapped, const char *name, const struct cf_buf *file,
    bool linked)
{
	struct cf_reading r;
	struct cf_why why = { "" };
	char link[CF_LINK_MAX + 1];

	if (parse(mapped, cf_buf_str(file), file->len, &r, &why) != CF_OK)
		fail_msg("%s: %s", name, why.text);
	if (r.count != 1)
		fail_msg("%s: %zu sealed parts", name, r.count);
	assert_int_equal(r.part[0].e.len, der_len);
	assert_memory_equal(r.part[0].e.data, der, der_len);
	assert_ptr_equal(r.part[0].container.ciphertext,
	    (unsigned char *)r.part[0].e.data +
	    r.part[0].container.ciphertext_off);
	if (r.part[0].has_link != linked)
		fail_msg("%s: link %d: %s", name, r.part[0].has_link,
		    r.no_link.text);
	if (linked) {
		cf_link_format(&r.part[0].link, link);
		assert_string_equal(link, locator);
	}
	cf_reading_free(&r);
}

static void
must_read(const char *name, const struct cf_buf *file, bool linked)
{
	must_read_so(false, name, file, linked);
	must_read_so(true, name, file, linked);
}

/* The same once more as a part of something else, in three encodings. */
static void
must_read_inside(const char *name, const struct cf_buf *file, bool linked)
{
	static const char head[] = "Subject: Fwd\nMIME-Version: 1.0\n"
	    "Content-Type: multipart/mixed; boundary=F\n\n--F\n\nsee below\n"
	    "--F\nContent-Type: message/rfc822\n";
	struct cf_buf out = CF_BUF_INIT(MAIL_MAX);

	cf_buf_adds(&out, head);
	cf_buf_adds(&out, "Content-Transfer-Encoding: base64\n\n");
	add_b64(&out, file->data, file->len, 72);
	cf_buf_adds(&out, "--F--\n");
	must_read(name, &out, linked);
	cf_buf_reset(&out);
	cf_buf_adds(&out, head);
	cf_buf_adds(&out, "Content-Transfer-Encoding: quoted-printable\n\n");
	add_quoted(&out, file->data, file->len);
	cf_buf_adds(&out, "--F--\n");
	must_read(name, &out, linked);
	cf_buf_free(&out);
}

#define TOP "From: a@x.example\nSubject: s\nMIME-Version: 1.0\n" \
	"Content-Type: multipart/mixed; boundary=B1\nCounterfoil-Version: 1\n\n"
#define READER "https://reader.example/m/AAAAAAAAAAAAAAAAAAAAAA#"
#define ALT "--B1\nContent-Type: multipart/alternative; boundary=A1\n\n" \
	"--A1\nContent-Type: text/plain; charset=utf-8\n\nOpen\n" READER \
	"$l\n\n--A1\nContent-Type: text/html\n\n<a href=\"" READER "$l\">" \
	"x</a>\n--A1--\n"
#define DUMB "--B1\n\nA text without a link.\n"
#define PART "--B1\nContent-Type: application/pkcs7-mime; " \
	"smime-type=authEnveloped-data; name=\"smime.p7m\"\n" \
	"Content-Transfer-Encoding: base64\n" \
	"Counterfoil-Locator: $L\n\n"
#define FOOT "--B1\nContent-Type: text/plain\n\n____\nStaff list\n"
#define END "--B1--\n"

/* Name, text; those below `unlinked` have no L. */
static const struct {
	const char *name, *pattern;
	bool linked;
} form[] = {
	{ "P", TOP ALT PART "$B" END, true },
	{ "Locator alone", TOP DUMB PART "$B" END, true },
	{ "footer part", TOP ALT PART "$B" FOOT END, true },
	{ "footer before", TOP FOOT ALT PART "$B" END, true },
	{ "preamble", TOP "A multi-part message.\n\n" ALT PART "$B" END,
	    true },
	{ "epilogue", TOP ALT PART "$B" END "\nScanned by x\n", true },
	{ "no close", TOP ALT PART "$B", true },
	{ "no Locator", TOP ALT "--B1\nContent-Transfer-Encoding: base64\n\n$B"
	    END, true },
	{ "octet-stream", TOP DUMB "--B1\nContent-Type: application/"
	    "octet-stream; name=x\nCounterfoil-Locator: $L\n\n$B" END, true },
	{ "Locator folded", TOP DUMB "--B1\ncounterfoil-locator:\n\t$L\n\n$B"
	    END, true },
	{ "one long line", TOP ALT PART "$1" END, true },
	{ "text behind", TOP ALT PART "$B\n\n-- \nVirus checked\n" END,
	    true },
	{ "text right behind", TOP ALT PART "$BABCD\n" END, true },
	{ "quoted-printable", TOP ALT "--B1\nCounterfoil-Locator: $L\n"
	    "Content-Transfer-Encoding: quoted-printable\n\n$Q" END, true },
	{ "uuencode", TOP ALT "--B1\nCounterfoil-Locator: $L\n"
	    "Content-Transfer-Encoding: x-uuencode\n\n$U" END, true },
	{ "misplaced boundary", TOP "--B1\n--A1\n\n$L\n" PART "$B\n--A1--\n"
	    END, true },
	{ "broken Content-Type", "Content-Type: --\n multipart/mixed; "
	    "boundary=\"B1\"\n\n" ALT PART "$B" END, true },
	{ "single part", "Content-Transfer-Encoding: 7bit (x)\n"
	    "Counterfoil-Locator: $L\n\n$B", true },
	{ "mbox", "From a@x Mon Nov 23 00:00:00 2026\n" TOP ALT PART "$B" END,
	    true },
	{ "forwarded", "Subject: Fwd\nContent-Type: multipart/mixed; "
	    "boundary=F\n\n--F\n\nsee\n--F\nContent-Type: message/rfc822\n\n"
	    TOP ALT PART "$B" END "\n--F--\n", true },
	{ "forwarded inline", "Subject: Fwd\n\n> Open\n> " READER "$l\n\n"
	    "--x\nContent-Transfer-Encoding: base64\n\n$B\n", true },
	{ "quoted", "> Counterfoil-Locator: $L\n>\n> $>\nbye\n", true },
	{ "link broken over lines", TOP "--B1\n\n> Open\n> " READER "$b\n"
	    "> \n> bye\n--B1\n\n$B" END, true },
	{ "base64", "$B", false },
	{ "base64 and blanks", "\n  $B\n\n", false },
	{ "PEM", "-----BEGIN CMS-----\n$B-----END CMS-----\n", false },
	{ "PEM of any label", "x\n-----BEGIN PKCS7-----\n$B"
	    "-----END PKCS7-----\ny", false },
	{ "part with its header", "Content-Type: application/pkcs7-mime\n"
	    "Counterfoil-Locator: $L\n\n$B", true },
	{ "saved with its link", "$L\n$B", true },
};

static void
t_each_form_is_read(void **state)
{
	struct cf_buf file = CF_BUF_INIT(MAIL_MAX), crlf;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof form / sizeof form[0]; i++) {
		cf_buf_reset(&file);
		expand(form[i].pattern, &file);
		must_read(form[i].name, &file, form[i].linked);
		must_read_inside(form[i].name, &file, form[i].linked);
		crlf = with_crlf(&file);
		must_read(form[i].name, &crlf, form[i].linked);
		must_read_inside(form[i].name, &crlf, form[i].linked);
		cf_buf_free(&crlf);
	}
	cf_buf_free(&file);
}

/* What becomes of a file in the table that the page holds, too. */
static const char *
result_of(const struct cf_reading *r, enum cf_err rc, const struct cf_why *why)
{
	static const char *const lost[] = { "sealed", "opaque", "cut",
		"lowercase" };

	if (rc == CF_OK)
		return r->part[0].has_link ? "opens" : lost[r->lost];
	if (rc == CF_E_CONTAINER)
		return "damaged";
	return strstr(why->text, "unpack") != NULL ? "packed" :
	    strstr(why->text, "took it out") != NULL ? "emptied" : "nothing";
}

static void
must_become(bool mapped, const json_t *one)
{
	struct cf_why why = { "" };
	struct cf_reading r;
	const char *got;
	enum cf_err rc;
	size_t len;
	char *file = fixture_blob(one, "file", &len);

	rc = parse(mapped, file, len, &r, &why);
	got = result_of(&r, rc, &why);
	if (strcmp(got, fixture_text(one, "result")) != 0)
		fail_msg("%s: %s (%s)", fixture_text(one, "name"), got,
		    why.text);
	if (rc == CF_OK) {
		assert_int_equal(r.count, 1);
		assert_int_equal(r.part[0].e.len, der_len);
		assert_memory_equal(r.part[0].e.data, der, der_len);
		cf_reading_free(&r);
	}
	free(file);
}

static void
t_vectors(void **state)
{
	json_t *cases = fixture_json("forms.json"), *one;
	size_t i;

	(void)state;
	assert_in_range(json_array_size(cases), 40, 1000);
	json_array_foreach(cases, i, one) {
		must_become(false, one);
		must_become(true, one);
	}
	json_decref(cases);
}

/* Where E stands as it is, line ends are its own. */
static void
t_der_is_found_as_it_is(void **state)
{
	static const struct {
		const char *pattern;
		bool linked;
	} raw[] = {
		{ "$R", false }, { "$R\r\n", false }, { "$T", false },
		{ TOP ALT PART "$R\n" END, true },
		{ TOP ALT PART "$T\r\n" END, true },
	};
	struct cf_buf file = CF_BUF_INIT(MAIL_MAX);
	struct cf_reading r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof raw / sizeof raw[0]; i++) {
		cf_buf_reset(&file);
		expand(raw[i].pattern, &file);
		must_read(raw[i].pattern, &file, raw[i].linked);
	}
	/* Bare is what has nothing else with it. */
	cf_buf_reset(&file);
	expand("$R", &file);
	cf_buf_add(&file, "\0\0\0\r\n", 5);
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, NULL),
	    CF_OK);
	assert_true(r.bare);
	cf_reading_free(&r);
	cf_buf_addc(&file, 'x');
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, NULL),
	    CF_OK);
	assert_false(r.bare);
	cf_reading_free(&r);
	cf_buf_free(&file);
}

static void
t_utf16_is_read(void **state)
{
	struct cf_buf file = CF_BUF_INIT(MAIL_MAX);
	struct cf_buf wide = CF_BUF_INIT(MAIL_MAX);
	size_t i, order;

	(void)state;
	expand(TOP ALT PART "$B" END, &file);
	for (order = 0; order < 2; order++) {
		cf_buf_reset(&wide);
		cf_buf_add(&wide, order == 0 ? "\xff\xfe" : "\xfe\xff", 2);
		for (i = 0; i < file.len; i++) {
			cf_buf_addc(&wide, order == 0 ? file.data[i] : '\0');
			cf_buf_addc(&wide, order == 0 ? '\0' : file.data[i]);
		}
		must_read("UTF-16", &wide, true);
	}
	cf_buf_free(&file);
	cf_buf_free(&wide);
}

/* An E of our own with this key id. */
static void
make_other(unsigned char id, struct cf_buf *out)
{
	unsigned char key_id[CF_KEY_ID_LEN], cipher[600] = { 0 };
	struct cf_buf tail = CF_BUF_INIT(18);
	struct cf_secret kek = CF_SECRET_EMPTY;
	struct cf_sealer *s = NULL;

	memset(key_id, id, sizeof key_id);
	kek.len = CF_KEK_LEN;
	assert_int_equal(cf_sealer_new(&s, NULL), CF_OK);
	assert_int_equal(cf_sealer_update(s, cipher, sizeof cipher, cipher,
	    NULL), CF_OK);
	assert_int_equal(cf_sealer_final(s, NULL), CF_OK);
	assert_int_equal(cf_sealer_frame(s, key_id, &kek, out, &tail, NULL),
	    CF_OK);
	cf_buf_add(out, cipher, sizeof cipher);
	cf_buf_add(out, tail.data, tail.len);
	cf_sealer_free(&s);
	cf_buf_free(&tail);
}

/* The same in base64. */
static void
add_other(unsigned char id, struct cf_buf *out)
{
	struct cf_buf e = CF_BUF_INIT(4096);

	make_other(id, &e);
	add_b64(out, e.data, e.len, 76);
	cf_buf_free(&e);
}

static void
t_several_are_told_apart_and_a_key_id_is_one(void **state)
{
	struct cf_buf file = CF_BUF_INIT(MAIL_MAX);
	struct cf_reading r;
	unsigned char i;

	(void)state;
	expand(TOP ALT PART "$B" PART "$B" "--B1\n\n$Q" "--B1\n\n", &file);
	add_other(1, &file);
	cf_buf_addc(&file, '\n');
	add_other(1, &file);	/* the same key id, other bytes */
	cf_buf_adds(&file, END);
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, NULL),
	    CF_OK);
	assert_int_equal(r.count, 2);
	assert_true(r.part[0].has_link);
	assert_false(r.part[1].has_link);
	assert_string_equal(r.part[1].handle, "AQEBAQEBAQEBAQEBAQEBAQ");
	cf_reading_free(&r);
	for (i = 2; i < 40; i++) {
		cf_buf_addc(&file, '\n');
		add_other(i, &file);
	}
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, NULL),
	    CF_OK);
	assert_int_equal(r.count, CF_READING_PARTS);
	cf_reading_free(&r);
	cf_buf_free(&file);
}

/* L is the one with E's key id; a field's comes before a text's. */
/*
 * Uuencode of this has =75 in it, which quoted-printable reads as a letter.
 * Where such a key id ends a line, what is missing then is taken for zeros,
 * and it is an E of another key id.
 */
#define LIKE_QUOTED 0x75
#define UU_LINE 45	/* bytes */

static void
t_uuencode_is_not_read_as_quoted(void **state)
{
	struct cf_buf e = CF_BUF_INIT(4096), file = CF_BUF_INIT(MAIL_MAX);
	struct cf_buf shifted = CF_BUF_INIT(4096);
	char key_id[CF_KEY_ID_LEN];
	struct cf_reading r;
	const char *at;

	(void)state;
	make_other(LIKE_QUOTED, &e);
	memset(key_id, LIKE_QUOTED, sizeof key_id);
	at = memmem(e.data, e.len, key_id, sizeof key_id);
	assert_non_null(at);
	while ((shifted.len + (size_t)(at - e.data) + sizeof key_id) %
	    UU_LINE != 0)
		cf_buf_addc(&shifted, ' ');
	cf_buf_add(&shifted, e.data, e.len);
	add_uu(&file, shifted.data, shifted.len);
	assert_non_null(memmem(file.data, file.len, "=75U=75U", 8));
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, NULL),
	    CF_OK);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.part[0].e.len, e.len);
	assert_memory_equal(r.part[0].e.data, e.data, e.len);
	cf_reading_free(&r);
	cf_buf_free(&e);
	cf_buf_free(&shifted);
	cf_buf_free(&file);
}

static void
t_the_link_is_that_of_the_key_id(void **state)
{
	static const char other[] =
	    "https://keys.example/k/AQEBAQEBAQEBAQEBAQEBAQ#"
	    "bQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
	struct cf_buf file = CF_BUF_INIT(MAIL_MAX), mail = CF_BUF_INIT(MAIL_MAX);
	struct cf_reading r;
	char *same, *at;

	(void)state;
	cf_buf_addf(&file, "See %s\nCounterfoil-Locator: %s\n\n", other,
	    other);
	expand("$L\n\n$B", &file);
	must_read("others before", &file, true);
	cf_buf_reset(&file);
	cf_buf_addf(&file, "Counterfoil-Locator: %s\n\n", other);
	expand("\n$B", &file);
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, NULL),
	    CF_OK);
	assert_false(r.part[0].has_link);
	assert_non_null(strstr(r.no_link.text, "another message"));
	cf_reading_free(&r);
	/* Of two for one key the field's, however deep that is. */
	same = cf_strdup(locator);
	at = strchr(same, '#') + 1;
	*at = *at == 'A' ? 'B' : 'A';
	cf_buf_reset(&file);
	expand("Counterfoil-Locator: $L\n\n$B", &file);
	cf_buf_addf(&mail, "%s\n\n", same);
	add_b64(&mail, file.data, file.len, 76);
	must_read("field first", &mail, true);
	free(same);
	cf_buf_free(&mail);
	/* A field that is none says so. */
	cf_buf_reset(&file);
	cf_buf_adds(&file, "Counterfoil-Locator: https://keys.example/k/x\n");
	expand("\n$B", &file);
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, NULL),
	    CF_OK);
	assert_false(r.part[0].has_link);
	assert_non_null(strstr(r.no_link.text, "Counterfoil-Locator"));
	cf_reading_free(&r);
	cf_buf_free(&file);
}

/*
 * The lines of E are passed over by whoever looks for something else: what
 * stands before and behind them is not.
 */
static void
t_what_is_around_the_lines_of_e_is_read(void **state)
{
	static const char *const before[] = { "", "x\n", "x ", "> ", "x=\n",
	    "begin 644 x\n", "QUJD\n" };
	static const char *const behind[] = { "$L", "\n$L\n",
	    "Counterfoil-Locator: $L\n", "a=3D\n$l\n" };
	static const size_t columns[] = { 19, 60, 61, 64, 76, 1 << 20 };
	struct cf_buf file = CF_BUF_INIT(MAIL_MAX);
	size_t i, k, n;

	(void)state;
	for (i = 0; i < sizeof before / sizeof before[0]; i++)
		for (k = 0; k < sizeof columns / sizeof columns[0]; k++)
			for (n = 0; n < sizeof behind / sizeof behind[0]; n++) {
				cf_buf_reset(&file);
				cf_buf_adds(&file, before[i]);
				add_b64(&file, der, der_len, columns[k]);
				expand(behind[n], &file);
				must_read(before[i], &file, true);
				cf_buf_reset(&file);
				expand(behind[n], &file);
				cf_buf_addc(&file, '\n');
				expand(before[i], &file);
				add_b64(&file, der, der_len, columns[k]);
				must_read(before[i], &file, true);
			}
	cf_buf_free(&file);
}

static void
t_what_is_not_e_is_refused(void **state)
{
	static const struct {
		const char *pattern, *says;
		enum cf_err want;
	} bad[] = {
		{ "", "no sealed part", CF_E_NOT_SEALED },
		{ "To: x\n\nMIIB\n", "no sealed part", CF_E_NOT_SEALED },
		{ TOP ALT DUMB END, "took it out", CF_E_NOT_SEALED },
	};
	struct cf_buf file = CF_BUF_INIT(MAIL_MAX), odd = CF_BUF_INIT(MAIL_MAX);
	struct cf_reading r;
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		cf_buf_reset(&file);
		expand(bad[i].pattern, &file);
		assert_int_equal(cf_reading_parse(cf_buf_str(&file), file.len,
		    &r, &why), bad[i].want);
		assert_non_null(strstr(why.text, bad[i].says));
	}
	cf_buf_reset(&file);
	expand(TOP PART "$B", &file);
	/* Cut at every byte: all of E or nothing. */
	for (i = 0; i < file.len - 1; i++)
		if (cf_reading_parse(file.data, i, &r, &why) == CF_OK) {
			/* Padding says nothing. */
			assert_true(i + 3 >= file.len);
			assert_memory_equal(r.part[0].e.data, der, der_len);
			cf_reading_free(&r);
		}
	assert_int_equal(cf_reading_parse(file.data, file.len - 90, &r, &why),
	    CF_E_CONTAINER);
	assert_non_null(strstr(why.text, "cut off"));
	/* Every fixed byte in front of the ciphertext, changed. */
	for (i = 0; i < 30; i++) {
		cf_buf_reset(&odd);
		cf_buf_add(&odd, der, der_len);
		odd.data[i] ^= 0x40;
		assert_int_not_equal(cf_reading_parse(odd.data, odd.len, &r,
		    NULL), CF_OK);
	}
	cf_buf_free(&file);
	cf_buf_free(&odd);
}

/*
 * Work is bounded: many heads that promise all the rest, links without end,
 * encodings around one another.  Each of these would take minutes else.
 */
static void
t_hostile_files_cost_little(void **state)
{
	struct cf_buf file = CF_BUF_INIT(MAIL_MAX), next = CF_BUF_INIT(MAIL_MAX);
	struct cf_buf head = CF_BUF_INIT(4096);
	struct cf_reading r;
	struct cf_why why = { "" };
	int64_t start = cf_clock_mono_ms();
	size_t i;

	(void)state;
	cf_buf_add(&head, der, 120);
	/* 30 84: a length that just fits. */
	memcpy(head.data, "\x30\x84\x00\x60\x00\x00", 6);
	memcpy(head.data + 6, der + 4, 100);
	while (file.len < (size_t)12 << 20)
		add_b64(&file, head.data, 120, 76);
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, &why),
	    CF_E_CONTAINER);
	cf_buf_reset(&file);
	while (file.len < (size_t)8 << 20)
		expand("$L?$l?$l\n", &file);
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, &why),
	    CF_E_NOT_SEALED);
	cf_buf_reset(&file);
	for (i = 0; i < 200000; i++)
		cf_buf_adds(&file, "begin 644 x\n#=FAA\n=3D=\nQUJDQUJDQUJDQUJD\n\n");
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, &why),
	    CF_E_NOT_SEALED);
	/* Deeper than anybody goes: not found, and no harm. */
	cf_buf_reset(&file);
	expand(TOP PART "$B" END, &file);
	for (i = 0; i < 12; i++) {
		cf_buf_reset(&next);
		cf_buf_adds(&next, "Content-Type: message/rfc822\n\n");
		add_b64(&next, file.data, file.len, 76);
		cf_buf_reset(&file);
		cf_buf_add(&file, next.data, next.len);
	}
	assert_int_equal(cf_reading_parse(file.data, file.len, &r, &why),
	    CF_E_NOT_SEALED);
	print_message("# hostile files: %lld ms\n",
	    (long long)(cf_clock_mono_ms() - start));
	cf_buf_free(&file);
	cf_buf_free(&next);
	cf_buf_free(&head);
}

/* The message of the vectors, with much in it. */
static void
make_large(size_t len, struct cf_buf *out)
{
	unsigned char *cipher = cf_calloc(len, 1);
	struct cf_container c;
	struct cf_buf tail = CF_BUF_INIT(18);
	uint64_t seed = 4;

	fixture_fill(&seed, cipher, len);
	assert_int_equal(cf_container_parse(der, der_len, &c, NULL), CF_OK);
	c.ciphertext_len = len;
	assert_int_equal(cf_container_frame(&c, out, &tail, NULL), CF_OK);
	cf_buf_add(out, cipher, len);
	cf_buf_add(out, tail.data, tail.len);
	cf_buf_free(&tail);
	free(cipher);
}

/* E over many windows of a mapping, in each encoding, and in one more. */
static void
t_large_e_is_read(void **state)
{
	static const char *const forms[] = {
		TOP ALT PART "$B" END, TOP ALT PART "$1" END,
		TOP ALT PART "$R\n" END, TOP ALT PART "$T\r\n" END,
		TOP ALT PART "$U" END, TOP ALT PART "$>" END,
	};
	struct cf_buf e = CF_BUF_INIT(4 << 20), file = CF_BUF_INIT(64 << 20);
	struct cf_buf outer = CF_BUF_INIT(64 << 20);
	char *small = der;
	size_t small_len = der_len, i;

	(void)state;
	make_large(2 << 20, &e);
	der = e.data;
	der_len = e.len;
	for (i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		cf_buf_reset(&file);
		expand(forms[i], &file);
		must_read_so(true, forms[i], &file, true);
		cf_buf_reset(&outer);
		cf_buf_adds(&outer, "Content-Type: message/rfc822\n\n");
		add_b64(&outer, file.data, file.len, 76);
		must_read_so(true, "in base64", &outer, true);
	}
	der = small;
	der_len = small_len;
	cf_buf_free(&e);
	cf_buf_free(&file);
	cf_buf_free(&outer);
}

static void
t_no_room_is_no_damage(void **state)
{
	const struct cf_bulk_place nowhere = { "/tmp/cf-is-not-there", 64 };
	static const char *const forms[] = { TOP ALT PART "$B" END,
	    TOP ALT "=41=42=43=44=45=46=47=48=49=4A=4B=4C=4D=4E=4F\n" };
	struct cf_buf file = CF_BUF_INIT(MAIL_MAX);
	struct cf_reading_file f = { .place = &nowhere };
	struct cf_reading r;
	struct cf_why why;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		cf_buf_reset(&file);
		expand(forms[i], &file);
		f.bytes = file.data;
		f.len = file.len;
		assert_int_equal(cf_reading_parse_file(&f, &r, &why),
		    CF_E_IO);
		assert_non_null(strstr(why.text, nowhere.directory));
	}
	cf_buf_free(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_each_form_is_read),
		cmocka_unit_test(t_vectors),
		cmocka_unit_test(t_der_is_found_as_it_is),
		cmocka_unit_test(t_utf16_is_read),
		cmocka_unit_test(t_several_are_told_apart_and_a_key_id_is_one),
		cmocka_unit_test(t_uuencode_is_not_read_as_quoted),
		cmocka_unit_test(t_the_link_is_that_of_the_key_id),
		cmocka_unit_test(t_what_is_around_the_lines_of_e_is_read),
		cmocka_unit_test(t_what_is_not_e_is_refused),
		cmocka_unit_test(t_hostile_files_cost_little),
		cmocka_unit_test(t_large_e_is_read),
		cmocka_unit_test(t_no_room_is_no_damage),
	};

	return cmocka_run_group_tests_name("reading", tests, load, unload);
}
