/* SPDX-License-Identifier: Apache-2.0 */
/* cf_link_reading - see link_reading.h. */
#include "common/link_reading.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define V3_MAX 4096
#define B64_MAX 64		/* code of "**X": runs of 2 to 65 */

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789-_+/";

/* ---- what programs put into a text ---- */

static const struct {
	const char *from, *to;
} changes[] = {
	/* zero width, soft hyphen, marks of direction, byte order mark */
	{ "\u200b", "" }, { "\u200c", "" }, { "\u200d", "" },
	{ "\u200e", "" }, { "\u200f", "" }, { "\u2060", "" },
	{ "\ufeff", "" }, { "\u00ad", "" }, { "\u00a0", " " },
	{ "\u2028", " " }, { "\u2029", " " },
	{ "\u202a", "" }, { "\u202b", "" }, { "\u202c", "" },
	{ "\u2066", "" }, { "\u2067", "" }, { "\u2068", "" },
	{ "\u2069", "" },
	/* links that shall not be clickable */
	{ "hxxp", "http" }, { "[.]", "." }, { "(.)", "." },
	{ "[dot]", "." }, { "(dot)", "." }, { "[:]", ":" },
	{ "[://]", "://" },
	/* HTML */
	{ "&amp;", "&" }, { "&lt;", "<" }, { "&gt;", ">" },
	{ "&quot;", "\"" }, { "&num;", "#" }, { "&sol;", "/" },
	{ "&colon;", ":" }, { "&period;", "." }, { "&lowbar;", "_" },
	{ "&percnt;", "%" }, { "&equals;", "=" }, { "&nbsp;", " " },
	{ "&shy;", "" }, { "&zwnj;", "" }, { "&ZeroWidthSpace;", "" },
	{ "<wbr>", "" }, { "<wbr/>", "" }, { "<wbr />", "" },
	/* quoted-printable: the soft line break */
	{ "=\r\n", "" }, { "=\n", "" },
};

static bool
is_digit(char c, int base)
{
	return (c >= '0' && c <= '9') || (base == 16 &&
	    ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
}

/* The number at `s`, of at most `max` digits.  Their count. */
static size_t
read_number(const char *s, int base, size_t max, long *ret)
{
	char digits[9];
	size_t n = 0;

	for (; n < max && is_digit(s[n], base); n++)
		digits[n] = s[n];
	digits[n] = '\0';
	*ret = strtol(digits, NULL, base);
	return n;
}

/* Any character; what is not ASCII ends a link unless it is invisible. */
static void
add_code(struct cf_buf *out, long code)
{
	if (code > 0 && code < 0x80)
		cf_buf_addc(out, (char)code);
	else if (code != 0xad && code != 0x2060 && code != 0xfeff &&
	    (code < 0x200b || code > 0x200f))
		cf_buf_addc(out, ' ');
}

/* An escape of one character at `s` is written; its length, or 0. */
static size_t
read_escape(const char *s, struct cf_buf *out)
{
	size_t head, n;
	int base;
	long code;

	if (s[0] == '&' && s[1] == '#') {
		base = s[2] == 'x' || s[2] == 'X' ? 16 : 10;
		head = base == 16 ? 3 : 2;
		n = read_number(s + head, base, 7, &code);
		if (n == 0 || s[head + n] != ';')
			return 0;
		add_code(out, code);
		return head + n + 1;
	}
	/* Quoted-printable has its digits in capitals. */
	if (s[0] == '=' && read_number(s + 1, 16, 2, &code) == 2 && code != 0 &&
	    strcspn(s + 1, "abcdef") >= 2) {
		cf_buf_addc(out, (char)code);
		return 3;
	}
	if (s[0] == '\\' && s[1] == 'u' &&
	    read_number(s + 2, 16, 4, &code) == 4) {		/* JSON */
		add_code(out, code);
		return 6;
	}
	if (s[0] == '\\' && s[1] != '\0' && strchr("/_-#.:", s[1]) != NULL) {
		cf_buf_addc(out, s[1]);			/* Markdown, JSON */
		return 2;
	}
	return 0;
}

static size_t
read_change(const char *s, struct cf_buf *out)
{
	size_t i, n;

	for (i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		/* Most are told apart by their first character. */
		if (((*s ^ changes[i].from[0]) & ~0x20) != 0)
			continue;
		n = strlen(changes[i].from);
		if (strncasecmp(s, changes[i].from, n) == 0) {
			cf_buf_adds(out, changes[i].to);
			return n;
		}
	}
	return 0;
}

/*
 * White space within a link, or the soft line break of quoted-printable,
 * with the marks of a quoted reply.
 */
static size_t
read_joined(const char *s, struct cf_buf *out)
{
	static const char space[] = " \t\n\v\f\r";
	size_t n = s[0] == '=' && s[1 + strspn(s + 1, "\r")] == '\n', i;
	int lines = 0;

	if (strchr(space, s[n]) == NULL)
		return 0;
	n += strspn(s + n, " \t\n\v\f\r>|");
	for (i = 0; i < n; i++)
		lines += s[i] == '\n';
	if (lines > 1)		/* an empty line is in no link */
		cf_buf_adds(out, "\n\n");
	return n;
}

/* ---- what rewriters of links do ---- */

static int
b64_value(char c)
{
	const char *at = c == '\0' ? NULL : strchr(b64, c);

	if (at == NULL)
		return -1;
	return at - b64 < B64_MAX ? (int)(at - b64) : (int)(at - b64) - 2;
}

/* The base64 at `s`, up to what is none.  Its length. */
static size_t
reading_add_base64(const char *s, struct cf_buf *out)
{
	unsigned word = 0;
	size_t n;
	int bits = 0, value;

	for (n = 0; (value = b64_value(s[n])) >= 0; n++) {
		word = (word << 6 | (unsigned)value) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			cf_buf_addc(out, (char)(word >> bits & 0xff));
		}
	}
	return n;
}

/* Proofpoint v2: a link in which - is %, and _ is /. */
static size_t
proofpoint2(const char *s, struct cf_buf *out)
{
	const char *p = s + strlen("/v2/url?u=");
	long code;

	if (strncmp(s, "/v2/url?u=", (size_t)(p - s)) != 0)
		return 0;
	cf_buf_addc(out, ' ');
	for (; *p != '\0' && strchr("& \t\r\n", *p) == NULL; p++)
		if (*p == '-' && read_number(p + 1, 16, 2, &code) == 2 &&
		    code != 0) {
			cf_buf_addc(out, (char)code);
			p += 2;
		} else {
			cf_buf_addc(out, *p == '_' ? '/' : *p);
		}
	return (size_t)(p - s);
}

/*
 * Proofpoint v3: __link__;base64.  Each * in the link stands for the next
 * byte of the base64, and **X for 2 of them (X is A), 3 (B), and so on.
 */
static size_t
proofpoint3(const char *s, struct cf_buf *out)
{
	CF_AUTO(cf_buf_free) struct cf_buf bytes =
	    CF_BUF_INIT_SECRET(CF_LINK_READING_MAX);
	const char *p = s + strlen("/v3/__"), *end;
	size_t at = 0, length;
	int run;

	if (strncmp(s, "/v3/__", (size_t)(p - s)) != 0)
		return 0;
	end = memmem(p, strnlen(p, V3_MAX), "__;", 3);
	if (end == NULL)
		return 0;
	length = (size_t)(end + 3 - s) + reading_add_base64(end + 3, &bytes);
	cf_buf_addc(out, ' ');
	for (; p < end; p++) {
		run = 1;
		if (*p != '*') {
			cf_buf_addc(out, *p);
			continue;
		}
		if (p[1] == '*' && b64_value(p[2]) >= 0) {
			run = b64_value(p[2]) + 2;
			p += 2;
		}
		for (; run > 0 && at < bytes.len; run--)
			cf_buf_addc(out, bytes.data[at++]);
	}
	cf_buf_addc(out, ' ');
	return length;
}

/* One step back of what rewriters do; a stray % stays, a cut one goes. */
static size_t
read_rewritten(const char *s, struct cf_buf *out)
{
	size_t n;
	long code;

	if (*s == '%') {
		n = read_number(s + 1, 16, 2, &code);
		if (n == 2 && code != 0)
			cf_buf_addc(out, (char)code);
		else if (s[1 + n] != '\0' || n == 2)
			return 0;
		return 1 + n;
	}
	/* "http" in base64 */
	if (strncmp(s, "aHR0c", 5) == 0)
		return reading_add_base64(s, out);
	n = proofpoint2(s, out);
	return n > 0 ? n : proofpoint3(s, out);
}

/*
 * `text` anew: what `step` does not write, which begins with one of `begin`
 * alone, stays as it is.  True: it wrote something.
 */
static bool
reading_rewrite(struct cf_buf *text, const char *begin,
    size_t (*step)(const char *, struct cf_buf *))
{
	struct cf_buf out = CF_BUF_INIT_SECRET(CF_LINK_READING_MAX);
	const char *s = cf_buf_str(text);
	size_t n = strcspn(s, begin);
	bool wrote = false;

	if (s[n] == '\0')
		return false;
	(void)!cf_buf_reserve(&out, text->len);
	for (; *s != '\0'; n = strcspn(s, begin)) {
		cf_buf_add(&out, s, n);
		s += n;
		if (*s == '\0')
			break;
		n = step(s, &out);
		wrote |= n > 0;
		if (n == 0)
			cf_buf_addc(&out, *s++);
		s += n;
	}
	/* A NUL that base64 brought would hide what is behind it. */
	for (n = 0; n < out.len; n++)
		if (out.data[n] == '\0')
			out.data[n] = ' ';
	cf_buf_free(text);
	*text = out;
	return wrote;
}

bool
cf_link_reading_undo(struct cf_buf *text)
{
	return reading_rewrite(text, "%a/", read_rewritten);
}

bool
cf_link_reading_clean(struct cf_buf *text, bool joined)
{
	static const char spaces[] = "= \t\n\v\f\r";
	bool wrote = false;

	if (joined)
		wrote |= reading_rewrite(text, spaces, read_joined);
	wrote |= reading_rewrite(text, "&=\\", read_escape);
	wrote |= reading_rewrite(text, "hH[(&<=\xc2\xe2\xef", read_change);
	if (joined)		/* what was written as an escape */
		wrote |= reading_rewrite(text, spaces, read_joined);
	return wrote;
}
