/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_page - see page.h.
 *
 * Markup is what the literals of this file say; all else goes through
 * escape(), which writes the five characters that mean something in text or
 * in an attribute as references.  Every attribute value is quoted.
 */
#include "keysrv/web/page.h"

#include <stdint.h>
#include <string.h>

#include "common/visible.h"

#define NAME_MAX_LEN 1000	/* bytes of a text from outside */

/* ---- escaping ---- */

static const char *
reference(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

static bool
is_control(uint32_t point)
{
	return point < ' ' || (point >= 0x7f && point <= 0x9f);
}

static void
escape(struct cf_buf *out, const char *text)
{
	size_t left = strlen(text), len;
	uint32_t point;

	for (; left > 0; text += len, left -= len) {
		len = cf_utf8_char(text, left, &point);
		if (len == 0 || is_control(point)) {
			cf_buf_adds(out, "\xef\xbf\xbd");
			len += len == 0;
		} else if (reference(*text) != NULL) {
			cf_buf_adds(out, reference(*text));
		} else {
			cf_buf_add(out, text, len);
		}
	}
}

static void
attribute(struct cf_page *page, const char *name, const char *value)
{
	cf_buf_addc(page->out, ' ');
	cf_buf_adds(page->out, name);
	cf_buf_adds(page->out, "=\"");
	escape(page->out, value);
	cf_buf_addc(page->out, '"');
}

/* Printable ASCII: a browser would read away tabs and line ends. */
static bool
is_plain(const char *url)
{
	for (; *url != '\0'; url++)
		if (*url <= ' ' || *url > '~')
			return false;
	return true;
}

static bool
is_address(const char *url)
{
	return (strncmp(url, "https://", 8) == 0 ||
	    strncmp(url, "http://", 7) == 0) && is_plain(url);
}

bool
cf_page_is_our_path(const char *url)
{
	return url[0] == '/' && url[1] != '/' && url[1] != '\\' &&
	    is_plain(url);
}

static void
must_be(const struct cf_page *page, enum cf_page_place place)
{
	if (page->place != place)
		cf_bug("a part of a page at the wrong place");
}

/* ---- the page ---- */

void
cf_page_begin(struct cf_page *page, struct cf_buf *out, const char *lang,
    const char *title)
{
	*page = (struct cf_page){ out, CF_PAGE_OPEN, false };
	cf_buf_adds(out, "<!DOCTYPE html>\n<html");
	attribute(page, "lang", lang);
	cf_buf_adds(out, "><head><meta charset=\"utf-8\">"
	    "<meta name=\"viewport\" content=\"width=device-width\">"
	    "<meta name=\"robots\" content=\"noindex\"><title>");
	escape(out, title);
	cf_buf_adds(out, "</title></head>\n<body><h1>");
	escape(out, title);
	cf_buf_adds(out, "</h1>\n");
}

void
cf_page_end(struct cf_page *page)
{
	must_be(page, CF_PAGE_OPEN);
	cf_buf_adds(page->out, "</body></html>\n");
	page->place = CF_PAGE_CLOSED;
}

void
cf_page_heading(struct cf_page *page, const char *text)
{
	must_be(page, CF_PAGE_OPEN);
	cf_buf_adds(page->out, "<h2>");
	escape(page->out, text);
	cf_buf_adds(page->out, "</h2>\n");
}

void
cf_page_para_open(struct cf_page *page)
{
	must_be(page, CF_PAGE_OPEN);
	page->place = CF_PAGE_PARA;
	cf_buf_adds(page->out, "<p>");
}

void
cf_page_para_close(struct cf_page *page)
{
	must_be(page, CF_PAGE_PARA);
	page->place = CF_PAGE_OPEN;
	cf_buf_adds(page->out, "</p>\n");
}

void
cf_page_para(struct cf_page *page, const char *text)
{
	cf_page_para_open(page);
	cf_page_text(page, text);
	cf_page_para_close(page);
}

/* ---- in a paragraph ---- */

void
cf_page_text(struct cf_page *page, const char *text)
{
	must_be(page, CF_PAGE_PARA);
	escape(page->out, text);
}

void
cf_page_name(struct cf_page *page, const char *text)
{
	CF_AUTO(cf_buf_free) struct cf_buf shown =
	    CF_BUF_INIT(4 * NAME_MAX_LEN);

	must_be(page, CF_PAGE_PARA);
	cf_visible_add(&shown, text, NAME_MAX_LEN);
	escape(page->out, cf_buf_str(&shown));
}

void
cf_page_code(struct cf_page *page, const char *text)
{
	must_be(page, CF_PAGE_PARA);
	cf_buf_adds(page->out, "<code>");
	escape(page->out, text);
	cf_buf_adds(page->out, "</code>");
}

void
cf_page_link(struct cf_page *page, const char *url, const char *text)
{
	must_be(page, CF_PAGE_PARA);
	if (!cf_page_is_our_path(url) && !is_address(url)) {
		escape(page->out, text);
		return;
	}
	cf_buf_adds(page->out, "<a");
	if (is_address(url))
		attribute(page, "rel", "noreferrer");
	attribute(page, "href", url);
	cf_buf_addc(page->out, '>');
	escape(page->out, text);
	cf_buf_adds(page->out, "</a>");
}

/* ---- forms ---- */

void
cf_page_form_open(struct cf_page *page, const char *path, const char *csrf)
{
	must_be(page, CF_PAGE_OPEN);
	if (!cf_page_is_our_path(path))
		cf_bug("a form that is not sent to us");
	page->place = CF_PAGE_FORM;
	page->has_form = true;
	cf_buf_adds(page->out, "<form method=\"post\"");
	attribute(page, "action", path);
	cf_buf_adds(page->out, ">\n");
	cf_page_hidden(page, CF_PAGE_CSRF, csrf);
}

void
cf_page_form_close(struct cf_page *page)
{
	must_be(page, CF_PAGE_FORM);
	page->place = CF_PAGE_OPEN;
	cf_buf_adds(page->out, "</form>\n");
}

void
cf_page_hidden(struct cf_page *page, const char *name, const char *value)
{
	must_be(page, CF_PAGE_FORM);
	cf_buf_adds(page->out, "<input type=\"hidden\"");
	attribute(page, "name", name);
	attribute(page, "value", value);
	cf_buf_adds(page->out, ">\n");
}

/* What a browser needs to know, so that it helps, and helps not wrongly. */
static const struct {
	const char *type, *autocomplete, *inputmode;
} inputs[CF_PAGE_INPUT__COUNT] = {
	[CF_PAGE_TEXT] = { "text", NULL, NULL },
	[CF_PAGE_EMAIL] = { "email", "email", NULL },
	[CF_PAGE_CODE] = { "text", "one-time-code", "numeric" },
	[CF_PAGE_PASSWORD] = { "password", "current-password", NULL },
	[CF_PAGE_NEW_PASSWORD] = { "password", "new-password", NULL },
	[CF_PAGE_CHECKBOX] = { "checkbox", NULL, NULL },
};

static void
field_value(struct cf_page *page, const struct cf_page_field *field)
{
	bool box = field->input == CF_PAGE_CHECKBOX;

	if (box)
		attribute(page, "value", "yes");
	else if (field->value != NULL)
		attribute(page, "value", field->value);
	if (box && field->value != NULL)
		cf_buf_adds(page->out, " checked");
	if (field->max > 0)
		cf_buf_addf(page->out, " maxlength=\"%zu\"", field->max);
	if (!field->optional)
		cf_buf_adds(page->out, " required");
}

void
cf_page_field(struct cf_page *page, const struct cf_page_field *field)
{
	const char *autocomplete = inputs[field->input].autocomplete;
	const char *inputmode = inputs[field->input].inputmode;

	must_be(page, CF_PAGE_FORM);
	cf_buf_adds(page->out, "<p><label");
	attribute(page, "for", field->name);
	cf_buf_addc(page->out, '>');
	escape(page->out, field->label);
	cf_buf_adds(page->out, "</label> <input");
	attribute(page, "type", inputs[field->input].type);
	attribute(page, "id", field->name);
	attribute(page, "name", field->name);
	if (autocomplete != NULL)
		attribute(page, "autocomplete", autocomplete);
	if (inputmode != NULL)
		attribute(page, "inputmode", inputmode);
	field_value(page, field);
	cf_buf_adds(page->out, "></p>\n");
}

void
cf_page_button(struct cf_page *page, const char *text)
{
	must_be(page, CF_PAGE_FORM);
	cf_buf_adds(page->out, "<p><button>");
	escape(page->out, text);
	cf_buf_adds(page->out, "</button></p>\n");
}
