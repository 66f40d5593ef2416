/* SPDX-License-Identifier: Apache-2.0 */
/* cf_csrf - see csrf.h. */
#include "keysrv/web/csrf.h"

#include <openssl/crypto.h>
#include <string.h>

#include "common/digest.h"

#define SET_COOKIE "Set-Cookie"
#define VALUE_MAX 200	/* of a Set-Cookie field */

bool
cf_csrf_visitor(const struct cf_req *req, struct cf_secret *ret)
{
	const char *value;
	size_t len;

	return cf_cookie_find(req->field(req, "Cookie"), CF_CSRF_COOKIE,
	    &value, &len) && cf_secret_from_b64url(value, len,
	    CF_CSRF_COOKIE_LEN, ret, NULL) == CF_OK;
}

/*
 * A token is a challenge (proofs.h) under a secret of its own, for the first
 * bytes of the visitor's SHA-256 where those have a key id.
 */
static void
id_of(const struct cf_secret *visitor, unsigned char ret[CF_KEY_ID_LEN])
{
	unsigned char digest[CF_DIGEST_LEN];

	cf_digest_of(visitor->bytes, visitor->len, digest);
	memcpy(ret, digest, CF_KEY_ID_LEN);
}

/* ---- writing ---- */

static bool
has_cookie(const struct cf_req *req)
{
	static const char begin[] = CF_CSRF_COOKIE "=";
	size_t i;

	for (i = 0; i < req->field_count; i++)
		if (strcmp(req->fields[i].name, SET_COOKIE) == 0 &&
		    strncmp(req->fields[i].value, begin, strlen(begin)) == 0)
			return true;
	return false;
}

/* Two forms of a page are one visitor's, who gets one cookie. */
static void
give_cookie(struct cf_req *req)
{
	CF_AUTO(cf_buf_free) struct cf_buf set =
	    CF_BUF_INIT_SECRET(VALUE_MAX);
	char text[CF_B64URL_LEN(CF_CSRF_COOKIE_LEN) + 1];

	if (has_cookie(req))
		return;
	cf_secret_random(&req->visitor, CF_CSRF_COOKIE_LEN);
	cf_secret_to_b64url(&req->visitor, text);
	cf_cookie_write(&set, CF_CSRF_COOKIE, text, CF_CSRF_COOKIE_AGE_S);
	OPENSSL_cleanse(text, sizeof text);
	if (cf_req_add_field(req, SET_COOKIE, cf_buf_str(&set), NULL) !=
	    CF_OK)
		cf_bug("a cookie that no header field can have");
}

void
cf_csrf_form_open(struct cf_req *req, const char *path)
{
	unsigned char id[CF_KEY_ID_LEN], random[CF_CHALLENGE_RANDOM_LEN];
	char token[CF_CHALLENGE_TEXT_LEN + 1];

	if (!cf_csrf_visitor(req, &req->visitor))
		give_cookie(req);
	id_of(&req->visitor, id);
	cf_random(random, sizeof random);
	cf_challenge_make(req->ks->form_secret, id, cf_clock_ms() / 1000,
	    random, token);
	cf_page_form_open(&req->page, path, token);
}

/* ---- checking ---- */

/* As browsers write it: without the port that its scheme has. */
static bool
is_our_origin(const char *origin, const char *service_url)
{
	size_t len = strlen(origin);

	if (strncmp(origin, service_url, len) != 0)
		return false;
	return service_url[len] == '\0' || strcmp(service_url + len,
	    cf_link_is_plain(service_url) ? ":80" : ":443") == 0;
}

enum cf_err
cf_csrf_check_header(const struct cf_req *req, struct cf_why *why)
{
	const char *url = req->ks->settings->service_url;
	const char *origin = req->field(req, "Origin");
	const char *site = req->field(req, "Sec-Fetch-Site");

	if (origin == NULL && site == NULL)
		return cf_fail(CF_E_FORM, why, "The browser does not say "
		    "where this form comes from; please use a newer one.");
	if ((origin != NULL && !is_our_origin(origin, url)) ||
	    (site != NULL && strcmp(site, "same-origin") != 0))
		return cf_fail(CF_E_FORM, why, "Forms are taken from pages of "
		    "%s alone; please begin there.", url);
	return CF_OK;
}

enum cf_err
cf_csrf_check_token(const struct cf_req *req, json_t *form,
    struct cf_why *why)
{
	const char *token = json_string_value(json_object_get(form,
	    CF_PAGE_CSRF));
	CF_AUTO(cf_secret_wipe) struct cf_secret visitor = CF_SECRET_EMPTY;
	unsigned char id[CF_KEY_ID_LEN];
	enum cf_err rc;

	if (!cf_csrf_visitor(req, &visitor))
		return cf_fail(CF_E_FORM, why, "The cookie that came with the "
		    "page of this form is gone; please allow cookies of this "
		    "server, open the page again and fill it in anew.");
	id_of(&visitor, id);
	rc = cf_challenge_check(req->ks->form_secret, id,
	    token == NULL ? "" : token, cf_clock_ms() / 1000,
	    CF_CSRF_LIFETIME_S, NULL);
	if (rc != CF_OK)
		return cf_fail(CF_E_FORM, why, "This form is too old, or was "
		    "not made for you; please open its page again and fill it "
		    "in anew.");
	(void)json_object_del(form, CF_PAGE_CSRF);
	return CF_OK;
}
