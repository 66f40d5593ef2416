/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_page - the one writer of HTML: a page of text, links and forms, whole
 * and well nested, whatever the text.
 *
 * Each call writes one thing and escapes what it is given for the place where
 * it stands; markup cannot be passed in.  Sentences stand at the callers, in
 * the language that the page says it is in.
 * Knows: HTML.   Does not know: HTTP, what a page is about.
 * A call at a place where its element cannot stand is our bug, as is a page
 * that is not closed.
 * Threads: a page belongs to one.   Logging: never.
 */
#ifndef CF_KEYSRV_PAGE_H
#define CF_KEYSRV_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

#define CF_PAGE_TYPE "text/html; charset=utf-8"

enum cf_page_place {
	CF_PAGE_CLOSED,
	CF_PAGE_OPEN,		/* between its parts */
	CF_PAGE_FORM,		/* between the fields of a form */
	CF_PAGE_PARA		/* in a paragraph */
};

struct cf_page {
	struct cf_buf *out;	/* lent */
	enum cf_page_place place;
	bool has_form;		/* which the browser must be let send */
};

enum cf_page_input {
	CF_PAGE_TEXT,
	CF_PAGE_EMAIL,
	CF_PAGE_CODE,		/* digits, typed from a mail */
	CF_PAGE_PASSWORD,	/* one that exists */
	CF_PAGE_NEW_PASSWORD,
	CF_PAGE_CHECKBOX,	/* sent, as "yes", if ticked */
	CF_PAGE_INPUT__COUNT
};

/* What a person fills in. */
struct cf_page_field {
	const char *name;	/* as in the form's table; unique on the page */
	const char *label;
	enum cf_page_input input;
	const char *value;	/* that stands there; NULL: nothing.  Ticked */
	size_t max;		/* characters; 0: as many as one likes */
	bool optional;		/* may be left empty */
};

/* `lang`: RFC 5646, of all that the page says.  The title is its heading. */
void cf_page_begin(struct cf_page *page, struct cf_buf *out,
    const char *lang, const char *title);
void cf_page_end(struct cf_page *page);

/*
 * Is it a path of ours, printable ASCII after one slash?  A browser takes
 * "//host/" and "/\\host/" for another host's.
 */
bool cf_page_is_our_path(const char *url);

/* ---- between its parts ---- */

void cf_page_heading(struct cf_page *page, const char *text);
/* A paragraph of this text alone. */
void cf_page_para(struct cf_page *page, const char *text);
void cf_page_para_open(struct cf_page *page);
void cf_page_para_close(struct cf_page *page);

/* ---- in a paragraph ---- */

/* Ours.  What is not UTF-8, or a control character, is U+FFFD. */
void cf_page_text(struct cf_page *page, const char *text);
/* From outside, a name for example, as visible.h shows it: one line. */
void cf_page_name(struct cf_page *page, const char *text);
/* Something to be typed. */
void cf_page_code(struct cf_page *page, const char *text);
/*
 * `url` is https, http, or a path of ours that begins with one slash; with
 * any other, which may come from outside, the text stands there unlinked.
 */
void cf_page_link(struct cf_page *page, const char *url, const char *text);

/* ---- forms ---- */

#define CF_PAGE_CSRF "csrf"	/* the name of the token's field */

/*
 * To be sent by POST to `path`, one of ours.  `csrf` is the token that
 * proves that we wrote it.
 */
void cf_page_form_open(struct cf_page *page, const char *path,
    const char *csrf);
void cf_page_field(struct cf_page *page, const struct cf_page_field *field);
/* A value that goes with it, unseen. */
void cf_page_hidden(struct cf_page *page, const char *name,
    const char *value);
void cf_page_button(struct cf_page *page, const char *text);
void cf_page_form_close(struct cf_page *page);

#endif
