/* SPDX-License-Identifier: Apache-2.0 */
/* cf_link_find - see link_find.h. */
#include "common/link_find.h"

#include <string.h>
#include <strings.h>

#include "common/b64url.h"
#include "common/buf.h"
#include "common/link_reading.h"
#include "common/wire.h"

#define ROUNDS 3		/* of undoing, after the text as it is */
#define SLASHES_MAX 3

static const char host_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";

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
	size_t n = strspn(handle, CF_B64URL_CHARS), len;
	const char *token = handle + CF_HANDLE_LEN + 1;

	if (n > CF_HANDLE_LEN)
		return;
	if (n < CF_HANDLE_LEN || handle[n] != mark) {
		f->cut |= mark == '/' ? handle[n] == '\0' :
		    handle[n] != '#' && handle[n] != '/';
		return;
	}
	len = strspn(token, CF_B64URL_CHARS);
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
	cf_buf_adds(text, CF_PATH_KEY);
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
	else if (strncasecmp(p, CF_PATH_KEY, 3) == 0)
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
	    strspn(path + 3, CF_B64URL_CHARS) == CF_HANDLE_LEN &&
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
		else if ((*s | 0x20) == 'h' && strncasecmp(s, "http", 4) == 0)
			read_url(f, s, s == text);
		else if (*s == '/' && strncasecmp(s, CF_PATH_KEY, 3) == 0)
			read_bare(f, text, s);
}

static void
search(struct find *f, const char *text, bool joined)
{
	CF_AUTO(cf_buf_free) struct cf_buf now =
	    CF_BUF_INIT_SECRET(CF_LINK_READING_MAX);
	int round;
	bool other = true;	/* than in the round before */

	f->joined = joined;
	cf_buf_adds(&now, text);
	for (round = 0; round <= ROUNDS && other; round++) {
		other = round == 0 || cf_link_reading_undo(&now);
		other |= cf_link_reading_clean(&now, joined);
		if (other)
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
	if (strlen(text) > CF_LINK_READING_MAX)
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
