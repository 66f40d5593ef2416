/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a browser may GET without having been sent there: the front page, and
 * the page behind a link opened by itself.  Neither changes anything or
 * touches keys or messages.
 */
#include "common/link.h"
#include "common/mem.h"
#include "keysrv/http/kind.h"
#include "keysrv/key/read.h"

/* Where else a saved mail can be opened: at the sender's reader. */
static void
name_reader(struct cf_page *page, const char *reader_url)
{
	CF_AUTO(cf_free) char *url = cf_asprintf("%s/", reader_url);

	cf_page_text(page, " That page is also at the sender's reader, ");
	cf_page_link(page, url, reader_url);
	cf_page_text(page, ".");
}

/*
 * The design's "L opened by itself": explain, and point to the sender's
 * reader.  Whoever has a handle may learn that it is in use: it is no secret,
 * and stands in logs.
 */
static void
show_key_page(struct cf_req *req, const struct cf_read_item *item)
{
	struct cf_page *page = cf_req_page(req, 200, "A key, not a message");

	cf_page_para(page, "This address belongs to a sealed e-mail message. "
	    "The message itself is not here and never was: it is in the mail "
	    "that the address came with.");
	cf_page_para_open(page);
	cf_page_text(page, "To read it, open that mail again and follow the "
	    "longer link in its notice, or save the mail and drop it into the "
	    "page counterfoil.html that your mail administrator or the sender "
	    "can give you.");
	if (item->found)
		name_reader(page, item->key.reader_url);
	cf_page_text(page, " The command line program ");
	cf_page_code(page, "counterfoil open");
	cf_page_text(page, " reads a saved mail too.");
	cf_page_para_close(page);
	cf_page_para(page, "Opening this page has recorded nothing and told "
	    "nobody.");
	cf_page_end(page);
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
	struct cf_page *page = cf_req_page(req, 200, "Counterfoil key server");

	(void)why;
	cf_page_para(page, "This server keeps keys of sealed e-mail messages "
	    "and records to whom they were given. It has no messages and no "
	    "way to read them.");
	cf_page_end(page);
	return CF_OK;
}

const struct cf_action cf_ep_key_page = {
	.kind = &cf_kind_read,
	.parse = key_page,
	.free_item = cf_read_item_free,
};
const struct cf_action cf_ep_front_page = {
	.parse = front_page,
};
