/* SPDX-License-Identifier: Apache-2.0 */
/* cf_err - see err.h. */
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct err_row {
	enum cf_err_class class;
	int http;
	const char *slug, *smtp, *text;
};

static const struct err_row table[CF_ERR__COUNT] = {
#define CF_ERR(name, class, http, slug, smtp, text) \
	[name] = { class, http, slug, smtp, text },
#include "common/errors.def"
#undef CF_ERR
};

static const struct err_row *
row(enum cf_err rc)
{
	if ((unsigned)rc >= CF_ERR__COUNT)
		cf_bug("error code out of range");
	return &table[rc];
}

static void CF_PRINTF(2, 0)
why_say(struct cf_why *why, const char *fmt, va_list ap)
{
	char *p;

	if (why == NULL)
		return;
	(void)vsnprintf(why->text, sizeof why->text, fmt, ap);
	for (p = why->text; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

enum cf_err
cf_fail(enum cf_err rc, struct cf_why *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	why_say(why, fmt, ap);
	va_end(ap);
	return rc;
}

void
cf_why_set(struct cf_why *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	why_say(why, fmt, ap);
	va_end(ap);
}

enum cf_err_class
cf_err_class(enum cf_err rc)
{
	return row(rc)->class;
}

int
cf_err_http(enum cf_err rc)
{
	return row(rc)->http;
}

const char *
cf_err_slug(enum cf_err rc)
{
	return row(rc)->slug;
}

const char *
cf_err_smtp(enum cf_err rc)
{
	return row(rc)->smtp;
}

const char *
cf_err_text(enum cf_err rc)
{
	return row(rc)->text;
}

enum cf_err
cf_err_from_slug(const char *slug)
{
	int i;

	for (i = 0; i < CF_ERR__COUNT; i++)
		if (strcmp(table[i].slug, slug) == 0)
			return (enum cf_err)i;
	return CF_E_PROTOCOL;
}

void
cf_bug_at(const char *file, int line, const char *what)
{
	fprintf(stderr, "counterfoil: bug at %s:%d: %s\n", file, line, what);
	abort();
}
