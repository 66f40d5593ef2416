/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reader - see reader.h. */
#include "milter/reader/reader.h"

#include <stdio.h>
#include <string.h>

#include "common/b64url.h"
#include "common/container.h"
#include "common/digest.h"
#include "common/wire.h"

#define HTML "text/html; charset=utf-8"
#define PLAIN "text/plain; charset=utf-8"

static const char not_found_page[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n"
    "<title>Not found</title>\n"
    "<style>body{font:1.1em/1.5 system-ui,sans-serif;max-width:36em;"
    "margin:3em auto;padding:0 1em;color:#222;background:#fff}</style>\n"
    "<h1>There is nothing at this address</h1>\n"
    "<p>If you followed a link in a sealed message, the link was changed or "
    "cut off on its way. Copy the whole link from the message into the "
    "address line, or open the <a href=\"/\">start page</a> and drop the "
    "message there.</p>\n"
    "<p>A sealed message may also have been removed from here. It is still "
    "attached to the mail you received, and can be opened from there.</p>\n"
    "</html>\n";

static const struct cf_reader_kind kinds[CF_READER__COUNT] = {
	[CF_READER_PAGE] = { 200, HTML, "index.html", NULL, NULL, "/",
	    "page", "ok" },
	[CF_READER_SCRIPT] = { 200, "text/javascript; charset=utf-8",
	    "page.js", NULL, NULL, "/page.js",
	    "script", "ok" },
	[CF_READER_STYLE] = { 200, "text/css; charset=utf-8", "page.css",
	    NULL, NULL, "/page.css",
	    "style", "ok" },
	[CF_READER_SINGLE] = { 200, HTML, "counterfoil.html", NULL,
	    "counterfoil.html", "/counterfoil.html",
	    "single", "ok" },
	[CF_READER_HEALTH] = { 200, CF_MEDIA_JSON, NULL,
	    "{\"status\":\"ok\"}\n", NULL, CF_PATH_HEALTH,
	    "healthz", "ok" },
	[CF_READER_SEALED] = { 200, CF_CONTAINER_TYPE, NULL, NULL,
	    CF_CONTAINER_NAME, CF_PATH_SEALED,
	    "sealed", "ok" },
	[CF_READER_NOT_FOUND] = { 404, HTML, NULL, not_found_page, NULL,
	    "(unknown)",
	    "other", "not-found" },
	[CF_READER_METHOD] = { 405, PLAIN, NULL,
	    "Only GET and HEAD are taken here.\n", NULL, "(not asked)",
	    "other", "method-not-allowed" },
	[CF_READER_LARGE] = { 413, PLAIN, NULL,
	    "A request to this server has no body.\n", NULL, "(not asked)",
	    "other", "too-large" },
	[CF_READER_LONG] = { 414, PLAIN, NULL,
	    "No address here is that long.\n", NULL, "(too long)",
	    "other", "too-long" },
	[CF_READER_UNSOUND] = { 400, PLAIN, NULL,
	    "The request's header is not well formed.\n", NULL,
	    "(not asked)",
	    "other", "malformed" },
};

static const struct {
	const char *path;
	enum cf_reader_body body;
} routes[] = {
	{ "/", CF_READER_PAGE },
	{ "/counterfoil.html", CF_READER_SINGLE },
	{ CF_PATH_HEALTH, CF_READER_HEALTH },
};

static const struct cf_reader_header headers[] = {
	{ "Referrer-Policy", "no-referrer" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Permissions-Policy", "accelerometer=(), autoplay=(), camera=(), "
	    "display-capture=(), fullscreen=(), geolocation=(), "
	    "gyroscope=(), magnetometer=(), microphone=(), midi=(), "
	    "payment=(), usb=()" },
	{ "X-Robots-Tag", "noindex, nofollow" },
	{ NULL, NULL }
};

const struct cf_reader_kind *
cf_reader_kind(enum cf_reader_body body)
{
	return &kinds[body];
}

const struct cf_reader_header *
cf_reader_headers(void)
{
	return headers;
}

/* common/web/build.mjs makes the same, and has it in the page. */
void
cf_reader_name(const char *name, const void *content, size_t len,
    char ret[CF_READER_NAME_MAX + 1])
{
	const char *dot = strchr(name, '.');
	unsigned char digest[CF_DIGEST_LEN];
	char hash[CF_READER_HASH_LEN + 1];

	cf_digest_of(content, len, digest);
	cf_b64url_encode(digest, CF_READER_HASH_LEN / 4 * 3, hash);
	(void)snprintf(ret, CF_READER_NAME_MAX + 1, "/%.*s.%s%s",
	    (int)(dot - name), name, hash, dot);
}

bool
cf_reader_is_hashed(enum cf_reader_body body)
{
	return body == CF_READER_SCRIPT || body == CF_READER_STYLE;
}

/* RFC 9112 3.2.2: a server takes http://host/path as well as /path. */
static const char *
skip_authority(const char *path)
{
	const char *slash;

	if (strncmp(path, "http://", 7) == 0)
		path += 7;
	else if (strncmp(path, "https://", 8) == 0)
		path += 8;
	else
		return path;
	slash = strchr(path, '/');
	return slash == NULL ? "/" : slash;
}

static bool
take_blob(const char *path, const char *prefix, bool (*fits)(const char *),
    char *ret_blob)
{
	size_t n = strlen(prefix);

	if (strncmp(path, prefix, n) != 0 || !fits(path + n))
		return false;
	memcpy(ret_blob, path + n, CF_BLOB_LEN);
	ret_blob[CF_BLOB_LEN] = '\0';
	return true;
}

static enum cf_reader_body
route(const struct cf_reader_names *names, const char *path, char *ret_blob)
{
	size_t i;

	if (strlen(path) > CF_READER_PATH_MAX)
		return CF_READER_LONG;
	path = skip_authority(path);
	for (i = 0; i < sizeof routes / sizeof routes[0]; i++)
		if (strcmp(path, routes[i].path) == 0)
			return routes[i].body;
	if (strcmp(path, names->script) == 0)
		return CF_READER_SCRIPT;
	if (strcmp(path, names->style) == 0)
		return CF_READER_STYLE;
	/* The page finds L in its own address, too. */
	if (take_blob(path, CF_PATH_PAGE, cf_link_begins_blob, ret_blob))
		return CF_READER_PAGE;
	if (take_blob(path, CF_PATH_SEALED, cf_link_is_blob, ret_blob))
		return CF_READER_SEALED;
	return CF_READER_NOT_FOUND;
}

void
cf_reader_decide(const struct cf_reader_names *names, const char *method,
    const char *path, bool has_body, struct cf_reader_answer *ret)
{
	memset(ret, 0, sizeof *ret);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		ret->body = CF_READER_METHOD;
	else if (has_body)
		ret->body = CF_READER_LARGE;
	else
		ret->body = route(names, path, ret->blob);
}

enum cf_err
cf_reader_policy(const struct cf_conf_list *key_servers, struct cf_buf *ret,
    struct cf_why *why)
{
	size_t i;

	/* A srcdoc frame inherits this; HTML mail needs the last two. */
	cf_buf_adds(ret, "default-src 'none'; script-src 'self'; "
	    "style-src 'self' 'unsafe-inline'; img-src data: blob:; "
	    "connect-src 'self'");
	for (i = 0; i < key_servers->count; i++) {
		cf_buf_addc(ret, ' ');
		cf_buf_adds(ret, key_servers->item[i]);
	}
	cf_buf_adds(ret, "; frame-src 'self'; form-action 'none'; "
	    "base-uri 'none'; frame-ancestors 'none'; "
	    "require-trusted-types-for 'script'; "
	    "trusted-types counterfoil dompurify");
	if (ret->full)
		return cf_fail(CF_E_CONFIG, why,
		    "allowed_key_servers: too many for one policy header");
	return CF_OK;
}
