/* SPDX-License-Identifier: Apache-2.0 */
/* cf_link_find - see link_find.h. */
#include "common/link_find.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/mem.h"

#define ROUNDS 3		/* of undoing, after the text as it is */
#define TEXT_MAX 16384
#define SLASHES_MAX 3
#define V3_MAX 4096
#define B64_MAX 64		/* code of "**X": runs of 2 to 65 */

static const char b64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789-_";
static const char host_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";
static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789-_+/";

/* Services whose links do not have the original link in them. */
static const struct {
	const char *domain, *name;
} opaque[] = {
	{ "mimecast.com", "Mimecast" },
	{ "mimecastprotect.com", "Mimecast" },
	{ "mailanyone.net", "Mailanyone" },
	{ "inky.com", "Inky" },
	{ "sendgrid.net", "SendGrid" },
	{ "mandrillapp.com", "Mandrill" },
	{ "list-manage.com", "Mailchimp" },
	{ "t.co", "X (Twitter)" },
	{ "bit.ly", "Bitly" },
	{ "tinyurl.com", "TinyURL" },
	{ "lnkd.in", "LinkedIn" },
};

struct find {
	struct cf_link link;
	const char *service;
	int count;
	bool cut, alike;
	bool plain;		/* the last URL was http: */
	bool joined;		/* without the white space */
};

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
number(const char *s, int base, size_t max, long *ret)
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
escape(const char *s, struct cf_buf *out)
{
	size_t head, n;
	int base;
	long code;

	if (s[0] == '&' && s[1] == '#') {
		base = s[2] == 'x' || s[2] == 'X' ? 16 : 10;
		head = base == 16 ? 3 : 2;
		n = number(s + head, base, 7, &code);
		if (n == 0 || s[head + n] != ';')
			return 0;
		add_code(out, code);
		return head + n + 1;
	}
	/* Quoted-printable has its digits in capitals. */
	if (s[0] == '=' && number(s + 1, 16, 2, &code) == 2 && code != 0 &&
	    strcspn(s + 1, "abcdef") >= 2) {
		cf_buf_addc(out, (char)code);
		return 3;
	}
	if (s[0] == '\\' && s[1] == 'u' &&
	    number(s + 2, 16, 4, &code) == 4) {		/* JSON */
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
change(const char *s, struct cf_buf *out)
{
	size_t i, n;

	if (strchr("hH[(&<=\xc2\xe2\xef", *s) == NULL)
		return 0;
	for (i = 0; i < sizeof changes / sizeof changes[0]; i++) {
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
join(const char *s, struct cf_buf *out)
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
add_base64(const char *s, struct cf_buf *out)
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
		if (*p == '-' && number(p + 1, 16, 2, &code) == 2 &&
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
	    CF_BUF_INIT_SECRET(TEXT_MAX);
	const char *p = s + strlen("/v3/__"), *end;
	size_t at = 0, length;
	int run;

	if (strncmp(s, "/v3/__", (size_t)(p - s)) != 0)
		return 0;
	end = memmem(p, strnlen(p, V3_MAX), "__;", 3);
	if (end == NULL)
		return 0;
	length = (size_t)(end + 3 - s) + add_base64(end + 3, &bytes);
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
undo(const char *s, struct cf_buf *out)
{
	size_t n;
	long code;

	if (*s == '%') {
		n = number(s + 1, 16, 2, &code);
		if (n == 2 && code != 0)
			cf_buf_addc(out, (char)code);
		else if (s[1 + n] != '\0' || n == 2)
			return 0;
		return 1 + n;
	}
	/* "http" in base64 */
	if (strncmp(s, "aHR0c", 5) == 0)
		return add_base64(s, out);
	n = proofpoint2(s, out);
	return n > 0 ? n : proofpoint3(s, out);
}

/* `text` anew: what `step` does not write stays as it is. */
static void
rewrite(struct cf_buf *text, size_t (*step)(const char *, struct cf_buf *))
{
	struct cf_buf out = CF_BUF_INIT_SECRET(TEXT_MAX);
	const char *s = cf_buf_str(text);
	size_t n;

	while (*s != '\0') {
		n = step(s, &out);
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
}

/* ---- the grammar within a text ---- */

static const char *
opaque_name(const char *host, size_t len)
{
	size_t i, n;

	for (i = 0; i < sizeof opaque / sizeof opaque[0]; i++) {
		n = strlen(opaque[i].domain);
		if (len >= n && strncasecmp(host + len - n, opaque[i].domain,
		    n) == 0 && (len == n || host[len - n - 1] == '.'))
			return opaque[i].name;
	}
	return NULL;
}

/* Letters of one case alone: so many at random have both. */
static bool
is_alike(const char *handle, const char *token)
{
	size_t i;
	bool small = false, capital = false;

	for (i = 0; i < CF_HANDLE_LEN + CF_TOKEN_TEXT_LEN; i++) {
		char c = i < CF_HANDLE_LEN ? handle[i] :
		    token[i - CF_HANDLE_LEN];

		small |= c >= 'a' && c <= 'z';
		capital |= c >= 'A' && c <= 'Z';
	}
	return !(small && capital);
}

static void
keep(struct find *f, const char *text)
{
	CF_AUTO(cf_link_wipe) struct cf_link link = { 0 };

	if (cf_link_parse(text, &link, NULL) != CF_OK ||
	    (f->count > 0 && memcmp(&link, &f->link, sizeof link) == 0))
		return;
	f->link = link;
	f->count++;
}

/*
 * Handle, `mark` and token behind the service in `text`, which is used up.
 * In a reader link the mark is a slash, and half a handle is told from other
 * things by the end of the text alone.
 */
static void
read_secret(struct find *f, struct cf_buf *text, const char *handle,
    char mark)
{
	size_t n = strspn(handle, b64url), len;
	const char *token = handle + CF_HANDLE_LEN + 1;

	if (n > CF_HANDLE_LEN)
		return;
	if (n < CF_HANDLE_LEN || handle[n] != mark) {
		f->cut |= mark == '/' ? handle[n] == '\0' :
		    handle[n] != '#' && handle[n] != '/';
		return;
	}
	len = strspn(token, b64url);
	if (len < CF_TOKEN_TEXT_LEN) {
		f->cut |= token[len] != '#' && token[len] != '/';
		return;
	}
	/* Underscores are also what some put around a link. */
	if (len - CF_TOKEN_TEXT_LEN > strspn(token + CF_TOKEN_TEXT_LEN, "_"))
		return;
	if (is_alike(handle, token)) {
		f->alike = true;
		return;
	}
	cf_buf_adds(text, "/k/");
	cf_buf_add(text, handle, CF_HANDLE_LEN);
	cf_buf_addc(text, '#');
	cf_buf_add(text, token, CF_TOKEN_TEXT_LEN);
	keep(f, cf_buf_str(text));
}

/* What a host may be made of at `s`; too much is cut behind the most. */
static size_t
host_span(const char *s)
{
	size_t n;

	for (n = 0; n <= CF_SERVICE_MAX && s[n] != '\0' &&
	    strchr(host_chars, s[n]) != NULL; n++)
		;
	return n;
}

/* Scheme and host in small letters; is it a service? */
static bool
put_service(struct cf_buf *text, bool plain, const char *host, size_t len)
{
	size_t i;

	cf_buf_reset(text);
	cf_buf_adds(text, plain ? "http://" : "https://");
	for (i = 0; i < len; i++)
		cf_buf_addc(text, (char)(host[i] >= 'A' && host[i] <= 'Z' ?
		    host[i] | 0x20 : host[i]));
	return !text->full &&
	    cf_link_check_service(cf_buf_str(text), NULL) == CF_OK;
}

/* A reader link's fragment at `s`; loopback has the scheme of its reader. */
static void
read_fragment(struct find *f, const char *s)
{
	CF_AUTO(cf_buf_free) struct cf_buf text =
	    CF_BUF_INIT_SECRET(CF_LINK_MAX);
	size_t n = host_span(s);

	if (n > 0 && s[n] == '/' && ((f->plain &&
	    put_service(&text, true, s, n)) || put_service(&text, false, s, n)))
		read_secret(f, &text, s + n + 1, '/');
}

/* The URL at `s`; it is the `first` thing of the text, or is not. */
static void
read_url(struct find *f, const char *s, bool first)
{
	CF_AUTO(cf_buf_free) struct cf_buf text =
	    CF_BUF_INIT_SECRET(CF_LINK_MAX);
	bool plain = (s[4] | 0x20) != 's';
	const char *p = s + (plain ? 4 : 5);
	size_t slashes, n;
	const char *name;

	if (*p == '\0' || strcmp(p, ":") == 0) {
		f->cut |= first;
		return;
	}
	if (*p++ != ':')
		return;
	slashes = strspn(p, "/");	/* some make one of two */
	p += slashes;
	n = host_span(p);
	if (p[n] == '\0' && first) {
		f->cut = true;
		return;
	}
	if (slashes == 0 || slashes > SLASHES_MAX || n > CF_SERVICE_MAX)
		return;
	name = opaque_name(p, n);
	if (name != NULL)
		f->service = name;
	f->plain = plain;
	if (!put_service(&text, plain, p, n))
		return;
	p += n;
	if (strcmp(p, "/") == 0 || strcasecmp(p, "/k") == 0)
		f->cut = true;
	else if (strncasecmp(p, "/k/", 3) == 0)
		read_secret(f, &text, p + 3, '#');
}

/* Does an address begin at `s`, which may have lost "https:" before it? */
static bool
begins_bare(const char *text, const char *s)
{
	static const char before[] = " \t\r\n<>()\"'|,;=";

	if (s - text >= 2 && s[-1] == '/' && s[-2] == '/')
		s -= 2;
	return s == text || strchr(before, s[-1]) != NULL ||
	    (s == text + 1 && *text == ':');
}

/*
 * At the path of L, whose scheme some programs leave out: then it is https.
 * Joined to a word before it the host would be another.
 */
static void
read_bare(struct find *f, const char *text, const char *path)
{
	CF_AUTO(cf_buf_free) struct cf_buf found =
	    CF_BUF_INIT_SECRET(CF_LINK_MAX);
	const char *host = path;

	while (host > text && path - host <= CF_SERVICE_MAX &&
	    strchr(host_chars, host[-1]) != NULL)
		host--;
	host += *host == ':';	/* of the scheme */
	if (!f->joined && host < path && begins_bare(text, host) &&
	    strncasecmp(host, "http", 4) != 0 &&
	    strspn(path + 3, b64url) == CF_HANDLE_LEN &&
	    path[3 + CF_HANDLE_LEN] == '#' &&
	    put_service(&found, false, host, (size_t)(path - host)))
		read_secret(f, &found, path + 3, '#');
}

static void
scan(struct find *f, const char *text)
{
	const char *s;

	/* "h" to "htt" */
	if (*text != '\0' && strlen(text) < 4 &&
	    strncasecmp(text, "http", strlen(text)) == 0)
		f->cut = true;
	f->plain = true;
	read_fragment(f, text);
	for (s = text; *s != '\0'; s++)
		if (*s == '#')
			read_fragment(f, s + 1);
		else if (strncasecmp(s, "http", 4) == 0)
			read_url(f, s, s == text);
		else if (strncasecmp(s, "/k/", 3) == 0)
			read_bare(f, text, s);
}

static void
search(struct find *f, const char *text, bool joined)
{
	CF_AUTO(cf_buf_free) struct cf_buf now =
	    CF_BUF_INIT_SECRET(TEXT_MAX);
	int round;

	f->joined = joined;
	cf_buf_adds(&now, text);
	for (round = 0; round <= ROUNDS; round++) {
		if (round > 0)
			rewrite(&now, undo);
		if (joined)
			rewrite(&now, join);
		rewrite(&now, escape);
		rewrite(&now, change);
		if (joined)		/* what was written as an escape */
			rewrite(&now, join);
		scan(f, cf_buf_str(&now));
	}
}

enum cf_link_found
cf_link_look(const char *text, struct cf_link *ret, const char **ret_service)
{
	struct find f = { .service = NULL };
	enum cf_link_found found = CF_LINK_UNKNOWN;

	text += strspn(text, " \t\r\n");
	text += *text == '#';
	if (*text == '\0')
		return CF_LINK_NONE;
	if (strlen(text) > TEXT_MAX)
		return CF_LINK_UNKNOWN;
	search(&f, text, false);
	if (f.count == 0)
		search(&f, text, true);
	if (f.count == 1) {
		*ret = f.link;
		found = CF_LINK_OK;
	} else if (f.count > 1) {
		found = CF_LINK_AMBIGUOUS;
	} else if (f.alike) {
		found = CF_LINK_LOWERCASE;
	} else if (f.cut) {
		found = CF_LINK_INCOMPLETE;
	} else if (f.service != NULL) {
		*ret_service = f.service;
		found = CF_LINK_OPAQUE;
	}
	cf_link_wipe(&f.link);
	return found;
}

enum cf_err
cf_link_find(const char *text, struct cf_link *ret, struct cf_why *why)
{
	const char *service = NULL;

	switch (cf_link_look(text, ret, &service)) {
	case CF_LINK_OK:
		return CF_OK;
	case CF_LINK_NONE:
		return cf_fail(CF_E_LINK_SYNTAX, why, "no link was given");
	case CF_LINK_INCOMPLETE:
		return cf_fail(CF_E_LINK_SYNTAX, why, "the link is "
		    "incomplete: its end is missing");
	case CF_LINK_LOWERCASE:
		return cf_fail(CF_E_LINK_LOST, why, "the link has letters "
		    "of one case alone: a program on the way made small "
		    "letters of capitals, and the secret in it is lost");
	case CF_LINK_AMBIGUOUS:
		return cf_fail(CF_E_LINK_SYNTAX, why, "there are two "
		    "different links in it; give the one of this message");
	case CF_LINK_OPAQUE:
		return cf_fail(CF_E_LINK_LOST, why, "this is %s's own "
		    "link, and the link of the message is not in it",
		    service);
	case CF_LINK_UNKNOWN:
		break;
	}
	return cf_fail(CF_E_LINK_SYNTAX, why,
	    "there is no link of a sealed message in it");
}
