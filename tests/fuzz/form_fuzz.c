/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a browser sends for a form: what is taken is written and taken again
 * as the same, and its texts are clean.  The same bytes as a Cookie field,
 * and as a text on a page, where they are never markup.
 */
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "keysrv/http/fields.h"
#include "keysrv/web/cookie.h"
#include "keysrv/web/form.h"
#include "keysrv/web/page.h"
#include "tests/fuzz/fuzz.h"

#define COOKIE "__Host-x"

static void
write_again(const json_t *form, struct cf_buf *out)
{
	const char *name, *p;
	json_t *value;
	size_t left;

	json_object_foreach((json_t *)form, name, value) {
		PROMISE(json_is_string(value));
		if (out->len > 0)
			cf_buf_addc(out, '&');
		cf_buf_addf(out, "%s=", name);
		p = json_string_value(value);
		left = json_string_length(value);
		PROMISE(left == strlen(p) && left <= CF_FORM_VALUE_MAX);
		for (; left > 0; left--, p++) {
			PROMISE((unsigned char)*p >= ' ' && *p != 0x7f);
			cf_buf_addf(out, "%%%02x", (unsigned char)*p);
		}
	}
}

static void
read_by_table(const json_t *form)
{
	struct {
		char text[9];
		int64_t number;
	} into = { "", 3 };
	const struct cf_member table[] = {
		{ "a", CF_MEMBER_TEXT, .offset = 0, .len = 8,
		    .optional = true },
		{ "n", CF_MEMBER_INT, .offset = offsetof(__typeof__(into),
		    number), .min = 1, .max = 9, .optional = true },
	};
	struct cf_why why = { "" };

	if (cf_fields_read_form(form, table, 2, &into, &why) != CF_OK)
		PROMISE(why.text[0] != '\0');
	PROMISE(strlen(into.text) <= 8);
	PROMISE(into.number >= 1 && into.number <= 9);
}

static void
as_form(const char *text, size_t size)
{
	struct cf_buf out = CF_BUF_INIT(4u << 20);
	json_t *form = NULL, *again = NULL;
	struct cf_why why = { "" };

	if (cf_form_parse(text, size, &form, &why) != CF_OK) {
		PROMISE(form == NULL && why.text[0] != '\0');
		return;
	}
	PROMISE(json_object_size(form) <= CF_FORM_FIELDS_MAX);
	write_again(form, &out);
	PROMISE(cf_form_parse(cf_buf_str(&out), out.len, &again, &why) ==
	    CF_OK);
	PROMISE(json_equal(form, again));
	read_by_table(form);
	cf_json_free(&form);
	cf_json_free(&again);
	cf_buf_free(&out);
}

static void
as_cookie(const char *text)
{
	const char *value, *p;
	size_t len;

	if (!cf_cookie_find(text, COOKIE, &value, &len))
		return;
	PROMISE(value > text && value + len <= text + strlen(text));
	PROMISE(value[-1] == '=');
	for (p = value; p < value + len; p++)
		PROMISE(*p > ' ' && *p < 0x7f && *p != ';' && *p != ',');
}

static void
as_text(const char *text)
{
	struct cf_buf out = CF_BUF_INIT(16u << 20);
	const char *p, *begin, *end;
	struct cf_page page;

	cf_page_begin(&page, &out, "en", "x");
	cf_page_para(&page, text);
	begin = strstr(cf_buf_str(&out), "<p>") + 3;
	end = cf_buf_str(&out) + out.len - strlen("</p>\n");
	for (p = begin; p < end; p++)
		PROMISE(strchr("<>\"'", *p) == NULL);
	cf_page_para_open(&page);
	cf_page_link(&page, text, text);
	cf_page_name(&page, text);
	cf_page_para_close(&page);
	cf_page_end(&page);
	PROMISE(cf_buf_check(&out, NULL) == CF_OK);
	cf_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = cf_strndup((const char *)data, size);

	as_form((const char *)data, size);
	as_cookie(text);
	as_text(text);
	free(text);
	return 0;
}
