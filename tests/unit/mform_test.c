/* SPDX-License-Identifier: Apache-2.0 */
/* The plaintext form: vectors, strip(add(m)) = m for any m, refusals. */
#include <dirent.h>

#include "common/mform.h"
#include "tests/unit/fixture.h"

#define M_MAX ((size_t)64 << 20)

static struct cf_field *
outer_of(const json_t *list, size_t *ret_count)
{
	size_t i, len, count = json_array_size(list);
	struct cf_field *outer = cf_calloc(count + 1, sizeof *outer);

	for (i = 0; i < count; i++) {
		const json_t *item = json_array_get(list, i);

		outer[i].name = fixture_text(item, "name");
		outer[i].value = fixture_blob(item, "value", &len);
	}
	*ret_count = count;
	return outer;
}

static void
outer_free(struct cf_field *outer, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free((char *)(uintptr_t)outer[i].value);
	free(outer);
}

static void
assert_same(const struct cf_buf *got, const char *want, size_t len,
    const char *name)
{
	if (got->len != len || memcmp(cf_buf_str(got), want, len) != 0)
		fail_msg("%s:\n--- got\n%s\n--- want\n%s", name,
		    cf_buf_str(got), want);
}

static void
t_vectors_both_ways(void **state)
{
	json_t *list = fixture_json("mform.json"), *v;
	size_t i, m_len, form_len, count;

	(void)state;
	assert_true(json_array_size(list) >= 20);
	json_array_foreach(list, i, v) {
		struct cf_buf got = CF_BUF_INIT(M_MAX);
		struct cf_buf back = CF_BUF_INIT(M_MAX);
		struct cf_field *outer = outer_of(json_object_get(v, "outer"),
		    &count);
		char *m = fixture_blob(v, "m", &m_len);
		char *form = fixture_blob(v, "mform", &form_len);
		const char *name = fixture_text(v, "name");

		assert_int_equal(cf_mform_add(m, m_len, outer, count, &got,
		    NULL), CF_OK);
		assert_same(&got, form, form_len, name);
		assert_int_equal(fixture_strip(form, form_len, &back),
		    CF_OK);
		assert_same(&back, m, m_len, name);
		cf_buf_free(&got);
		cf_buf_free(&back);
		outer_free(outer, count);
		free(m);
		free(form);
	}
	json_decref(list);
}

static void
assert_round_trip(const void *m, size_t len, const char *name)
{
	static const struct cf_field outer[] = {
		{ "Subject", " x\n y" }, { "MIME-Version", " 1.0" },
		{ "From", " \xc3\xa4 \xc3\xb6 \xff" }, { "X", "" },
	};
	struct cf_buf form = CF_BUF_INIT(M_MAX), back = CF_BUF_INIT(M_MAX);

	assert_int_equal(cf_mform_add(m, len, outer, 4, &form, NULL), CF_OK);
	assert_int_equal(fixture_strip(form.data, form.len, &back),
	    CF_OK);
	assert_same(&back, m, len, name);
	cf_buf_free(&form);
	cf_buf_free(&back);
}

/* Random texts of the words that matter, then of any bytes. */
static void
t_any_bytes_round_trip(void **state)
{
	static const char *const word[] = { "\r\n", "\r\n", "\r\n", "\n", "\r",
	    " ", "\t", ":", ";", "\"", "(", ")", "\\", "\r\n\r\n",
	    "Content-Type: ", "content-TYPE:", "MIME-Version: 1.0",
	    "text/plain", "hp=\"cipher\"", "; charset=x", "HP-Outer: X: y",
	    "Counterfoil-M: v=1; outer=1; ct=made; mv=made; form=plain\r\n",
	    ";\r\n hp=\"cipher\"\r\n", "Subject: x", "\xff", "A",
	    "Content-Type: text/plain; charset=us-ascii; hp=\"cipher\"\r\n" };
	uint64_t seed = 4;
	int round, i, n;

	(void)state;
	for (round = 0; round < 60000; round++) {
		struct cf_buf m = CF_BUF_INIT(M_MAX);

		n = (int)(fixture_next(&seed) % 14);
		for (i = 0; i < n; i++) {
			if (fixture_next(&seed) % 40 == 0)
				cf_buf_addc(&m, '\0');
			cf_buf_adds(&m, word[(fixture_next(&seed) >> 20) %
			    (sizeof word / sizeof word[0])]);
		}
		assert_round_trip(cf_buf_str(&m), m.len, "random words");
		cf_buf_free(&m);
	}
	for (round = 0; round < 2000; round++) {
		unsigned char bytes[300];
		size_t len = fixture_next(&seed) % sizeof bytes;

		fixture_fill(&seed, bytes, sizeof bytes);
		assert_round_trip(bytes, len, "random bytes");
	}
}

/*
 * Every file in $CF_SHARED/corpus/dev, when that is set: awkward real mail,
 * as it is and with CRLF.  Without it the fixtures of this file remain.
 */
static void
t_real_mail_round_trips(void **state)
{
	const char *shared = getenv("CF_SHARED");
	char *dir = cf_asprintf("%s/corpus/dev", shared == NULL ? "/nonexistent"
	    : shared), *path;
	DIR *d = opendir(dir);
	struct dirent *entry;
	size_t i;

	(void)state;
	if (shared != NULL && shared[0] != '\0' && d == NULL)
		fail_msg("CF_SHARED is set, but there is no %s", dir);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		struct cf_buf m = CF_BUF_INIT(M_MAX), crlf = CF_BUF_INIT(M_MAX);

		if (entry->d_name[0] == '.')
			continue;
		path = cf_asprintf("%s/%s", dir, entry->d_name);
		assert_int_equal(cf_file_read(path, &m, NULL), CF_OK);
		assert_round_trip(cf_buf_str(&m), m.len, path);
		for (i = 0; i < m.len; i++) {
			if (m.data[i] == '\n' &&
			    (i == 0 || m.data[i - 1] != '\r'))
				cf_buf_addc(&crlf, '\r');
			cf_buf_addc(&crlf, m.data[i]);
		}
		assert_round_trip(cf_buf_str(&crlf), crlf.len, path);
		cf_buf_free(&m);
		cf_buf_free(&crlf);
		free(path);
	}
	if (d != NULL)
		closedir(d);
	free(dir);
}

static const struct cf_field fields[] = {
	{ "Received", " from a\n\tby b;\n\tnow" },
	{ "received", " from c" },
	{ "Bcc", " hidden@x.example" },
	{ "X-RETURN-receipt", " yes" },
	{ "Subject", "tight" },
	{ "resent-bcc", " also" },
	{ "Content-Type", "  text/plain;\n charset=\"x\" " },
	{ "X-Empty", "" },
	{ "Bccx", " stays" },
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

static void
t_milter_view_loses_only_what_it_must(void **state)
{
	static const char want[] =
	    "Counterfoil-M: v=1; outer=2; ct=suffix; mv=made; form=plain\r\n"
	    "HP-Outer: Subject:tight\r\n"
	    "HP-Outer: Received: from a\r\n\tby b;\r\n\tnow\r\n"
	    "Received: from a\r\n\tby b;\r\n\tnow\r\n"
	    "received: from c\r\nSubject:tight\r\n"
	    "Content-Type:  text/plain;\r\n charset=\"x\" ;\r\n"
	    " hp=\"cipher\"\r\nX-Empty:\r\nBccx: stays\r\n"
	    "MIME-Version: 1.0\r\n\r\n";
	static const char original[] =
	    "Received: from a\r\n\tby b;\r\n\tnow\r\n"
	    "received: from c\r\nSubject:tight\r\n"
	    "Content-Type:  text/plain;\r\n charset=\"x\" \r\n"
	    "X-Empty:\r\nBccx: stays\r\n\r\nbody\n\r.\r\n";
	const struct cf_field outer[] = { fields[4], fields[6], fields[0] };
	struct cf_buf m = CF_BUF_INIT(M_MAX), back = CF_BUF_INIT(M_MAX);

	(void)state;
	assert_int_equal(cf_mform_head(fields, N_FIELDS, outer, 3, &m, NULL),
	    CF_OK);
	assert_same(&m, want, sizeof want - 1, "head");
	cf_buf_adds(&m, "body\n\r.\r\n");
	assert_int_equal(fixture_strip(m.data, m.len, &back), CF_OK);
	assert_same(&back, original, sizeof original - 1, "original");
	cf_buf_free(&m);
	cf_buf_free(&back);
}

/* A name or value of the bytes that matter, or of any; no NUL, no CR LF. */
static char *
random_text(uint64_t *seed, bool is_name)
{
	static const char *const word[] = { " ", "\t", "\n ", "\n\t", "\n", "\r",
	    ":", ";", "\"", "(", "\\", "=", "hp=\"cipher\"", "text/plain",
	    "\xc3\xa4", "\xff", "Counterfoil-M", "HP-Outer", "\n\n", "a" };
	static const char *const name[] = { "Content-Type", "content-type ",
	    "MIME-Version", "Bcc", "Resent-Bcc", "X-Return-Receipt", "bcc ",
	    "HP-Outer", "Counterfoil-M", "Subject", "X", "Content-Type:" };
	struct cf_buf text = CF_BUF_INIT(M_MAX);
	size_t i, n = fixture_next(seed) % 6;

	if (is_name && n > 0) {
		cf_buf_adds(&text, name[(fixture_next(seed) >> 20) %
		    (sizeof name / sizeof name[0])]);
		n = 0;
	}
	for (i = 0; i < n; i++) {
		unsigned pick = (unsigned)(fixture_next(seed) >> 20);

		if (pick % 4 == 0)
			cf_buf_addc(&text, (char)(1 + pick / 4 % 255));
		else
			cf_buf_adds(&text, word[pick / 4 %
			    (sizeof word / sizeof word[0])]);
	}
	return cf_buf_take(&text, NULL);
}

/* What must come out: the fields that are not dropped, with CRLF. */
static void
add_wanted(struct cf_buf *want, const struct cf_field *f)
{
	const char *p;

	if (cf_mform_drops(f->name))
		return;
	cf_buf_addf(want, "%s:", f->name);
	for (p = f->value; *p != '\0'; p++)
		if (*p == '\n')
			cf_buf_adds(want, "\r\n");
		else
			cf_buf_addc(want, *p);
	cf_buf_adds(want, "\r\n");
}

/* Any fields, any of them outside, any body: nothing is lost or added. */
static void
t_any_fields_round_trip(void **state)
{
	uint64_t seed = 11;
	int round;

	(void)state;
	for (round = 0; round < 40000; round++) {
		struct cf_buf m = CF_BUF_INIT(M_MAX), back = CF_BUF_INIT(M_MAX);
		struct cf_buf want = CF_BUF_INIT(M_MAX);
		size_t i, n = fixture_next(&seed) % 7;
		struct cf_field any[7];
		unsigned char body[60];
		size_t body_len = fixture_next(&seed) % sizeof body;

		for (i = 0; i < n; i++) {
			any[i].name = random_text(&seed, true);
			any[i].value = random_text(&seed, false);
			add_wanted(&want, &any[i]);
		}
		fixture_fill(&seed, body, sizeof body);
		assert_int_equal(cf_mform_head(any, n, any,
		    n == 0 ? 0 : fixture_next(&seed) % n, &m, NULL), CF_OK);
		cf_buf_adds(&want, "\r\n");
		cf_buf_add(&want, body, body_len);
		cf_buf_add(&m, body, body_len);
		assert_int_equal(fixture_strip(m.data, m.len, &back),
		    CF_OK);
		assert_same(&back, want.data, want.len, "any fields");
		for (i = 0; i < n; i++) {
			free((char *)(uintptr_t)any[i].name);
			free((char *)(uintptr_t)any[i].value);
		}
		cf_buf_free(&m);
		cf_buf_free(&back);
		cf_buf_free(&want);
	}
}

/* Fields that could not be told from other lines: all of it is wrapped. */
static void
t_milter_view_wraps_what_is_ambiguous(void **state)
{
	static const struct {
		struct cf_field field;
		const char *want;
	} odd[] = {
		{ { "Subject", " x\n\nbody?" }, "Subject: x\r\n\r\nbody?" },
		{ { "Subject", " x\ry" }, "Subject: x\ry" },
		{ { "Subject", " x\n" }, "Subject: x\r\n" },
		{ { "Sub ject", " x" }, "Sub ject: x" },
		{ { "", " x" }, ": x" },
		{ { "S\xc3\xa4", " x" }, "S\xc3\xa4: x" },
	};
	struct cf_field two[2] = { { "From", " a" }, { NULL, NULL } };
	struct cf_field bad_outer = { "X:", " y" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		struct cf_buf m = CF_BUF_INIT(M_MAX), b = CF_BUF_INIT(M_MAX);
		struct cf_buf want = CF_BUF_INIT(M_MAX);

		two[1] = odd[i].field;
		cf_buf_addf(&want, "From: a\r\n%s\r\n\r\nbody", odd[i].want);
		/* Whether it will be seen outside or not. */
		assert_int_equal(cf_mform_head(two, 2, two, i % 2 * 2, &m,
		    NULL), CF_OK);
		assert_non_null(strstr(m.data, "; form=rfc822\r\nContent-Type:"
		    " message/rfc822\r\n\r\nFrom: a\r\n"));
		cf_buf_adds(&m, "body");
		assert_int_equal(fixture_strip(m.data, m.len, &b),
		    CF_OK);
		assert_same(&b, want.data, want.len, odd[i].want);
		cf_buf_free(&m);
		cf_buf_free(&b);
		cf_buf_free(&want);
	}
	{
		struct cf_buf m = CF_BUF_INIT(M_MAX);

		assert_int_equal(cf_mform_head(two, 1, &bad_outer, 1, &m,
		    NULL), CF_OK);
		assert_non_null(strstr(m.data, "form=rfc822"));
		cf_buf_free(&m);
	}
}

static void
t_ceilings_are_kept(void **state)
{
	struct cf_buf m = CF_BUF_INIT(100);

	(void)state;
	assert_int_equal(cf_mform_head(fields, N_FIELDS, NULL, 0, &m, NULL),
	    CF_E_TOO_LARGE);
	cf_buf_free(&m);
	m.max = 20;
	assert_int_equal(cf_mform_add("Subject: x\r\n\r\n", 14, NULL, 0, &m,
	    NULL), CF_E_TOO_LARGE);
	cf_buf_free(&m);
}

#define P "Counterfoil-M: v=1; "
#define MADE "Content-Type: text/plain; charset=us-ascii; hp=\"cipher\"\r\n"

static const char *const refused[] = {
	"", "\r\n", "Subject: x\r\n\r\n",
	P "outer=0; ct=kept; mv=kept; form=plain",
	P "outer=0; ct=kept; mv=kept; form=plain\r\n",
	P "outer=0; ct=kept; mv=kept; form=plain\r\nSubject: x\r\n",
	P "outer=0; ct=kept; mv=kept; form=plain\r\nno field\r\n\r\n",
	P "outer=0; ct=kept; mv=kept; form=plain\r\nS: \rx\r\n\r\n",
	P "outer=0; ct=kept; mv=kept; form=plain \r\n\r\n",
	P "outer=0; ct=kept; mv=kept; form=odd\r\n\r\n",
	P "outer=0; ct=odd; mv=kept; form=plain\r\n\r\n",
	P "outer=0; ct=kept; mv=odd; form=plain\r\n\r\n",
	P "outer=; ct=kept; mv=kept; form=plain\r\n\r\n",
	P "outer=00; ct=kept; mv=kept; form=plain\r\n\r\n",
	P "outer=-1; ct=kept; mv=kept; form=plain\r\n\r\n",
	P "outer=100000; ct=kept; mv=kept; form=plain\r\n\r\n",
	P "outer=0;  ct=kept; mv=kept; form=plain\r\n\r\n",
	"Counterfoil-M: v=2; outer=0; ct=kept; mv=kept; form=plain\r\n\r\n",
	"counterfoil-m: v=1; outer=0; ct=kept; mv=kept; form=plain\r\n\r\n",
	P "outer=1; ct=kept; mv=kept; form=plain\r\n\r\n",
	P "outer=1; ct=kept; mv=kept; form=plain\r\nX: y\r\n\r\n",
	P "outer=1; ct=kept; mv=kept; form=plain\r\nHP-Outer: x\r\n\r\n",
	P "outer=1; ct=kept; mv=kept; form=plain\r\nHP-Outer: X: y",
	P "outer=2; ct=kept; mv=kept; form=plain\r\nHP-Outer: X: y\r\n\r\n",
	P "outer=0; ct=made; mv=kept; form=plain\r\n\r\n",
	P "outer=0; ct=made; mv=kept; form=plain\r\n" MADE "X: y\r\n\r\n",
	P "outer=0; ct=made; mv=kept; form=plain\r\nX: y\r\n " MADE "\r\n",
	P "outer=0; ct=made; mv=made; form=plain\r\n" MADE "\r\n",
	P "outer=0; ct=made; mv=made; form=plain\r\n" MADE
	    "MIME-Version: 1.0\r\n\r\n",
	P "outer=0; ct=kept; mv=made; form=plain\r\nMIME-Version: 1.0 \r\n\r\n",
	P "outer=0; ct=kept; mv=made; form=plain\r\nX: MIME-Version: 1.0\r\n"
	    "\r\n",
	P "outer=0; ct=suffix; mv=kept; form=plain\r\n\r\n",
	P "outer=0; ct=suffix; mv=kept; form=plain\r\nContent-Type: x\r\n\r\n",
	P "outer=0; ct=suffix; mv=kept; form=plain\r\nContent-Type: a/b; "
	    "hp=\"cipher\"\r\n\r\n",
	P "outer=0; ct=suffix; mv=kept; form=plain\r\nContent-Type: a/b\r\n"
	    "Content-Type: a/b;\r\n hp=\"cipher\"\r\n\r\n",
	P "outer=0; ct=kept; mv=kept; form=rfc822\r\n\r\n",
	P "outer=0; ct=kept; mv=kept; form=rfc822\r\nContent-Type: "
	    "message/rfc822\r\n",
	P "outer=0; ct=made; mv=kept; form=rfc822\r\nContent-Type: "
	    "message/rfc822\r\n\r\n",
	P "outer=0; ct=kept; mv=made; form=rfc822\r\nContent-Type: "
	    "message/rfc822\r\n\r\n",
};

static void
t_strip_refuses_false_claims(void **state)
{
	struct cf_buf back = CF_BUF_INIT(M_MAX);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		if (fixture_strip(refused[i], strlen(refused[i]), &back) !=
		    CF_E_MFORM)
			fail_msg("accepted: %s", refused[i]);
		assert_int_equal(back.len, 0);
	}
	cf_buf_free(&back);
}

static void
t_truncated_and_flipped_headers_never_crash(void **state)
{
	struct cf_buf m = CF_BUF_INIT(M_MAX);
	size_t i, bit;
	char *cut;

	(void)state;
	assert_int_equal(cf_mform_head(fields, N_FIELDS, fields, N_FIELDS, &m,
	    NULL), CF_OK);
	for (i = 0; i < m.len; i++) {
		struct cf_buf back = CF_BUF_INIT(M_MAX);

		cut = cf_realloc(NULL, i == 0 ? 1 : i, 1);
		memcpy(cut, m.data, i);
		assert_int_equal(fixture_strip(cut, i, &back),
		    CF_E_MFORM);
		free(cut);
		for (bit = 0; bit < 8; bit++) {
			m.data[i] ^= (char)(1 << bit);
			if (fixture_strip(m.data, m.len, &back) != CF_OK)
				assert_int_equal(back.len, 0);
			cf_buf_free(&back);
			m.data[i] ^= (char)(1 << bit);
		}
	}
	cf_buf_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_vectors_both_ways),
		cmocka_unit_test(t_any_bytes_round_trip),
		cmocka_unit_test(t_real_mail_round_trips),
		cmocka_unit_test(t_milter_view_loses_only_what_it_must),
		cmocka_unit_test(t_any_fields_round_trip),
		cmocka_unit_test(t_milter_view_wraps_what_is_ambiguous),
		cmocka_unit_test(t_ceilings_are_kept),
		cmocka_unit_test(t_strip_refuses_false_claims),
		cmocka_unit_test(t_truncated_and_flipped_headers_never_crash),
	};

	return cmocka_run_group_tests_name("mform", tests, NULL, NULL);
}
