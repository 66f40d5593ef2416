/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a browser or a monitor may GET: the page behind a link opened by
 * itself, the front page, healthz and readyz.  None of them changes
 * anything, and no page here touches keys or messages.
 */
#include <stdlib.h>

#include "common/link.h"
#include "common/mem.h"
#include "keysrv/health.h"
#include "keysrv/http/json_out.h"
#include "keysrv/key/read.h"

static const char page_head[] = "<!DOCTYPE html>\n<html lang=\"en\"><head>"
    "<meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><meta name=\"robots\" "
    "content=\"noindex\">";

static void
send_page(struct cf_req *req, const char *title, const char *body)
{
	req->type = "text/html; charset=utf-8";
	cf_buf_addf(cf_req_ok(req, 200),
	    "%s<title>%s</title></head><body><h1>%s</h1>%s</body></html>\n",
	    page_head, title, title, body);
}

/*
 * The design's "L opened by itself": explain, and point to the sender's
 * reader.  The reader's URL is a service URL (cf_link_check_service at
 * issue), so nothing in it needs escaping.  Whoever has a handle may learn
 * that it is in use: it is no secret, and stands in logs.
 */
static void
show_key_page(struct cf_req *req, const struct cf_read_item *item)
{
	CF_AUTO(cf_free) char *reader = NULL;
	CF_AUTO(cf_free) char *body = NULL;

	if (item->found)
		reader = cf_asprintf(" That page is also at the sender's "
		    "reader, <a rel=\"noreferrer\" href=\"%s/\">%s</a>.",
		    item->key.reader_url, item->key.reader_url);
	body = cf_asprintf(
	    "<p>This address belongs to a sealed e-mail message. The message "
	    "itself is not here and never was: it is in the mail that the "
	    "address came with.</p><p>To read it, open that mail again and "
	    "follow the longer link in its notice, or save the mail and drop "
	    "it into the page counterfoil.html that your mail administrator "
	    "or the sender can give you.%s The command line program "
	    "<code>counterfoil open</code> reads a saved mail too.</p>"
	    "<p>Opening this page has recorded nothing and told nobody.</p>",
	    reader == NULL ? "" : reader);
	send_page(req, "A key, not a message", body);
}

static enum cf_err
key_page(struct cf_req *req, struct cf_why *why)
{
	struct cf_read_item *item;

	/* A `#` that became %23 is for people, who must learn what to do. */
	if (!cf_link_begins_blob(req->tail))
		return cf_fail(CF_E_NOT_FOUND, why,
		    "There is no key with such a name.");
	item = cf_read_item_new(req);
	item->has_key = false;	/* no token is asked for, and none is told */
	(void)cf_b64url_decode(req->tail, CF_HANDLE_LEN, item->ask.key_id,
	    CF_KEY_ID_LEN);
	item->answer = show_key_page;
	return CF_OK;
}

static enum cf_err
front_page(struct cf_req *req, struct cf_why *why)
{
	(void)why;
	send_page(req, "Counterfoil key server",
	    "<p>This server keeps keys of sealed e-mail messages and records "
	    "to whom they were given. It has no messages and no way to read "
	    "them.</p>");
	return CF_OK;
}

/* Alive means: HTTP is answered.  It never asks the database. */
static enum cf_err
healthz(struct cf_req *req, struct cf_why *why)
{
	struct cf_jout out;

	(void)why;
	cf_jout_begin(&out, cf_req_ok(req, 200));
	cf_jout_str(&out, "status", "ok");
	cf_jout_end(&out);
	return CF_OK;
}

/* No worker's work: they may all wait for a commit that hangs. */
static void
readyz(struct cf_req *req)
{
	cf_health_ask(req->ks->health, req);
}

const struct cf_action cf_ep_key_page = {
	.kind = &cf_kind_read,
	.parse = key_page,
	.free_item = cf_read_item_free,
};
const struct cf_action cf_ep_front_page = {
	.parse = front_page,
};
const struct cf_action cf_ep_healthz = {
	.parse = healthz,
};
const struct cf_action cf_ep_readyz = {
	.ask = readyz,
};
