/* SPDX-License-Identifier: Apache-2.0 */
/* cf_qp - see qp.h. */
#include "common/qp.h"

#include <stdbool.h>
#include <string.h>

#define LINE_MAX_LEN 75		/* and "=" */

/*
 * What a mail server might change at the beginning of a line, and so break a
 * signature, is encoded: a dot, "From " (RFC 8551 3.1.2), and what may look
 * like a boundary.
 */
static bool
is_literal(const char *p, size_t col)
{
	if (*p == ' ' || *p == '\t')
		return p[1] != '\0' && p[1] != '\n' &&
		    (p[1] != '\r' || p[2] != '\n');
	if (col == 0 && (*p == '.' || *p == '-' ||
	    strncmp(p, "From ", 5) == 0))
		return false;
	return *p > ' ' && *p <= '~' && *p != '=';
}

/* How many characters from here may stand as they are, `max` at most. */
static size_t
literal_run(const char *text, size_t col, size_t max)
{
	size_t n = 0;

	while (n < max && is_literal(text + n, col + n))
		n++;
	return n;
}

void
cf_qp_add(struct cf_buf *out, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	char code[3] = "=";
	size_t col = 0, n;

	while (*text != '\0') {
		if (*text == '\n' || (*text == '\r' && text[1] == '\n')) {
			text += *text == '\r' ? 2 : 1;
			cf_buf_add(out, "\r\n", 2);
			col = 0;
			continue;
		}
		n = literal_run(text, col, LINE_MAX_LEN - col);
		cf_buf_add(out, text, n);
		text += n;
		col += n;
		if (n > 0)
			continue;
		if (col + 3 > LINE_MAX_LEN) {
			cf_buf_add(out, "=\r\n", 3);
			col = 0;
			continue;
		}
		code[1] = hex[(unsigned char)*text >> 4];
		code[2] = hex[(unsigned char)*text & 15];
		cf_buf_add(out, code, 3);
		col += 3;
		text++;
	}
	if (col > 0)
		cf_buf_add(out, "\r\n", 2);
}
