/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A composite made of the vector's E and L, for the tests that write and read
 * it.  composite_load() before all of them, composite_unload() behind.
 */
#ifndef CF_TESTS_UNIT_COMPOSITE_FIXTURE_H
#define CF_TESTS_UNIT_COMPOSITE_FIXTURE_H

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

static inline int
composite_load(void **state)
{
	(void)state;
	cf_composite_init();
	vector = fixture_json("message.json");
	der = fixture_blob(vector, "container", &der_len);
	locator = fixture_text(vector, "link");
	return 0;
}

static inline int
composite_unload(void **state)
{
	(void)state;
	free(der);
	json_decref(vector);
	return 0;
}

static inline enum cf_err
composite_collect(void *arg, const void *data, size_t len, struct cf_why *why)
{
	struct cf_buf *buf = arg;

	cf_buf_add(buf, data, len);
	return cf_buf_check(buf, why);
}

static inline struct cf_composite_parts
composite_parts(const void *head, size_t head_len, const void *cipher,
    size_t len, const void *tail, size_t tail_len)
{
	struct cf_composite_parts p = { BOUNDARY, TEXT, HTML, locator, head,
	    head_len, cipher, -1, len, tail, tail_len, 0 };

	return p;
}

/* The vector's E in P, header and all, into `mail`. */
static inline void
composite_make(struct cf_buf *mail)
{
	struct cf_composite_parts p = composite_parts(der, 100, der + 100,
	    der_len - 120, der + der_len - 20, 20);

	cf_buf_adds(mail, "From: a@x.example\r\nSubject: s\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
	    "boundary=\"" BOUNDARY "\"\r\nCounterfoil-Version: 1\r\n\r\n");
	assert_int_equal(cf_composite_write(&p, composite_collect, mail,
	    NULL), CF_OK);
}

static inline enum cf_err
composite_parse(const struct cf_buf *mail, struct cf_composite *c,
    struct cf_why *why)
{
	return cf_composite_parse(cf_buf_str(mail), mail->len, HANDLE, c,
	    why);
}

/* E and L are read back from what was written. */
static inline void
composite_assert_read(const struct cf_buf *mail, const void *e, size_t len)
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

#endif
