/* SPDX-License-Identifier: Apache-2.0 */
/* cf_link - see link.h. */
#include "common/link.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/wire.h"

void
cf_link_wipe(struct cf_link *link)
{
	OPENSSL_cleanse(link, sizeof *link);
}

bool
cf_link_equal(const struct cf_link *a, const struct cf_link *b)
{
	return strcmp(a->service, b->service) == 0 &&
	    strcmp(a->handle, b->handle) == 0 &&
	    cf_secret_equal(&a->token, &b->token);
}

static bool
is_loopback(const char *host, size_t len)
{
	unsigned a, b, c, d;
	char copy[64];
	int used = 0;

	if (len >= sizeof copy)
		return false;
	memcpy(copy, host, len);
	copy[len] = '\0';
	if (strcmp(copy, "localhost") == 0 || strcmp(copy, "[::1]") == 0)
		return true;
	return sscanf(copy, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &used) == 4 &&
	    (size_t)used == len && a == 127 && b < 256 && c < 256 && d < 256;
}

size_t
cf_link_host_len(const char *p)
{
	size_t n;

	if (*p == '[') {
		n = strspn(p + 1, "0123456789abcdef:.");
		return n > 1 && p[n + 1] == ']' ? n + 2 : 0;
	}
	n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-.");
	if (n == 0 || n > 253 || p[0] == '.' || p[0] == '-' ||
	    p[n - 1] == '-' || memmem(p, n, "..", 2) != NULL)
		return 0;
	return n;
}

bool
cf_link_is_loopback(const char *service)
{
	const char *host = strstr(service, "//") + 2;

	return is_loopback(host, cf_link_host_len(host));
}

size_t
cf_link_authority_len(const char *text, struct cf_why *why)
{
	size_t digits, n = cf_link_host_len(text);

	if (n == 0) {
		(void)cf_fail(CF_E_LINK_SYNTAX, why,
		    "the host name must be lower-case letters, digits, - "
		    "and .");
		return 0;
	}
	if (text[n] != ':')
		return n;
	text += n + 1;
	digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 5 || text[0] == '0' ||
	    strtol(text, NULL, 10) > 65535) {
		(void)cf_fail(CF_E_LINK_SYNTAX, why,
		    "the port must be 1 to 65535");
		return 0;
	}
	return n + 1 + digits;
}

/* Length of the service URL at the start of `text`, 0 with a sentence. */
static size_t
service_len(const char *text, struct cf_why *why)
{
	bool plain = strncmp(text, "http://", 7) == 0;
	const char *host = text + (plain ? 7 : 8);
	size_t n;

	if (!plain && strncmp(text, "https://", 8) != 0) {
		(void)cf_fail(CF_E_LINK_SYNTAX, why,
		    "must begin with https:// (http:// only for loopback)");
		return 0;
	}
	n = cf_link_authority_len(host, why);
	if (n == 0)
		return 0;
	if (plain && !cf_link_is_loopback(text)) {
		(void)cf_fail(CF_E_LINK_SYNTAX, why,
		    "http:// is for loopback only; use https://");
		return 0;
	}
	return (size_t)(host - text) + n;
}

enum cf_err
cf_link_check_service(const char *url, struct cf_why *why)
{
	size_t n;

	if (strlen(url) > CF_SERVICE_MAX)
		return cf_fail(CF_E_LINK_TOO_LONG, why, "URL too long");
	n = service_len(url, why);
	if (n == 0)
		return CF_E_LINK_SYNTAX;
	if (url[n] != '\0')
		return cf_fail(CF_E_LINK_SYNTAX, why,
		    "must end after the host and port, without / or path");
	return CF_OK;
}

bool
cf_link_is_plain(const char *service)
{
	return strncmp(service, "http://", 7) == 0;
}

bool
cf_link_is_blob(const char *text)
{
	unsigned char bytes[16];

	return cf_b64url_decode(text, strlen(text), bytes, sizeof bytes);
}

bool
cf_link_begins_blob(const char *text)
{
	char blob[CF_BLOB_LEN + 1] = "";

	memcpy(blob, text, strnlen(text, CF_BLOB_LEN));
	if (!cf_link_is_blob(blob))
		return false;
	text += CF_BLOB_LEN;
	text += strspn(text, "/.,;:!?)]}>'\"*");
	return *text == '\0' || *text == '&' || *text == '#' ||
	    (*text == '%' && strncmp(text, "%00", 3) != 0);
}

static enum cf_err
parse_into(const char *text, struct cf_link *link, struct cf_why *why)
{
	size_t n = service_len(text, why);
	const char *p = text + n;

	if (n == 0)
		return CF_E_LINK_SYNTAX;
	if (n > CF_SERVICE_MAX)
		return cf_fail(CF_E_LINK_TOO_LONG, why, "host name too long");
	memcpy(link->service, text, n);
	if (strncmp(p, CF_PATH_KEY, 3) != 0)
		return cf_fail(CF_E_LINK_SYNTAX, why,
		    "no " CF_PATH_KEY " after the host: not a key "
		    "retrieval link");
	p += 3;
	if (strcspn(p, "#") != CF_HANDLE_LEN || p[CF_HANDLE_LEN] != '#' ||
	    !cf_b64url_decode(p, CF_HANDLE_LEN, link->key_id, CF_KEY_ID_LEN))
		return cf_fail(CF_E_LINK_SYNTAX, why,
		    "the key id in the link is incomplete");
	memcpy(link->handle, p, CF_HANDLE_LEN);
	p += CF_HANDLE_LEN + 1;
	if (cf_secret_from_b64url(p, strlen(p), CF_TOKEN_LEN, &link->token,
	    NULL) != CF_OK)
		return cf_fail(CF_E_LINK_SYNTAX, why,
		    "the link is incomplete: its end is missing or changed");
	return CF_OK;
}

enum cf_err
cf_link_parse(const char *text, struct cf_link *ret, struct cf_why *why)
{
	struct cf_link link = { 0 };
	enum cf_err rc;

	if (strlen(text) > CF_LINK_MAX)
		return cf_fail(CF_E_LINK_TOO_LONG, why, "the link is too long");
	rc = parse_into(text, &link, why);
	if (rc == CF_OK)
		*ret = link;
	cf_link_wipe(&link);
	return rc;
}

void
cf_link_format(const struct cf_link *link, char *out)
{
	char token[CF_TOKEN_TEXT_LEN + 1];

	cf_secret_to_b64url(&link->token, token);
	(void)snprintf(out, CF_LINK_MAX + 1, "%s" CF_PATH_KEY "%s#%s",
	    link->service, link->handle, token);
	OPENSSL_cleanse(token, sizeof token);
}

void
cf_link_format_reader(const struct cf_link *link, const char *reader_url,
    const char *blob, char *out)
{
	char text[CF_LINK_MAX + 1];
	const char *host = strstr(link->service, "//") + 2;
	bool plain = cf_link_is_plain(link->service);
	int n;

	n = snprintf(out, CF_READER_LINK_MAX + 1, "%s" CF_PATH_PAGE "%s#",
	    reader_url, blob);
	if (n < 0 || n > CF_SERVICE_MAX + 3 + CF_BLOB_LEN + 1)
		cf_bug("reader URL was not checked");
	/* Without its scheme, loopback would be taken for the reader's. */
	if (cf_link_is_loopback(link->service) &&
	    plain != cf_link_is_plain(reader_url)) {
		cf_link_format(link, text);
	} else {
		char token[CF_TOKEN_TEXT_LEN + 1];

		cf_secret_to_b64url(&link->token, token);
		(void)snprintf(text, sizeof text, "%s/%s/%s", host,
		    link->handle, token);
		OPENSSL_cleanse(token, sizeof token);
	}
	memcpy(out + n, text, strlen(text) + 1);
	OPENSSL_cleanse(text, sizeof text);
}
