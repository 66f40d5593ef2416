/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flag's value: what is taken is written and taken again as the same;
 * what is not has a sentence.  The same bytes as a Subject: a tag that is
 * found goes, and what is left fits into a header.
 */
#include <string.h>

#include "common/mem.h"
#include "milter/gateway/subject.h"
#include "milter/gateway/want.h"
#include "tests/fuzz/fuzz.h"

#define TAG "[receipt]"

static void
flag(const char *text)
{
	struct cf_want want = { .expires_s = 0 }, again = { .expires_s = 0 };
	struct cf_buf buf = CF_BUF_INIT(CF_WANT_MAX);
	struct cf_why why = { "" };
	int place;

	for (place = CF_WANT_IN_FLAG; place <= CF_WANT_IN_RULE; place++) {
		if (cf_want_parse(text, (enum cf_want_place)place, &want,
		    &why) != CF_OK) {
			PROMISE(why.text[0] != '\0');
			continue;
		}
		cf_buf_reset(&buf);
		cf_want_format(&want, &buf);
		/* "yes" gives nothing. */
		if (buf.len > 0) {
			PROMISE(cf_want_parse(cf_buf_str(&buf),
			    (enum cf_want_place)place, &again, &why) == CF_OK);
			PROMISE(memcmp(want.given, again.given,
			    sizeof want.given) == 0);
			PROMISE(want.expires_s == again.expires_s &&
			    want.always == again.always);
		}
	}
	cf_buf_free(&buf);
}

static void
subject(const char *text)
{
	struct cf_buf buf = CF_BUF_INIT(CF_SUBJECT_MAX);
	size_t i;

	if (!cf_subject_has_tag(text, TAG))
		return;
	cf_subject_untag(text, TAG, &buf);
	PROMISE(!buf.full);
	for (i = 0; i < buf.len; i++)
		PROMISE(buf.data[i] >= ' ' && buf.data[i] <= '~');
	PROMISE(buf.len == 0 || (buf.data[0] != ' ' &&
	    buf.data[buf.len - 1] != ' '));
	cf_buf_free(&buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = cf_strndup((const char *)data, size);

	flag(text);
	subject(text);
	free(text);
	return 0;
}
