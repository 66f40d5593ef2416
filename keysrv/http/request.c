/* SPDX-License-Identifier: Apache-2.0 */
/* cf_req - see request.h. */
#include "keysrv/http/request.h"

#include <string.h>

#include "common/mem.h"

void
cf_req_drop_fields(struct cf_req *req)
{
	while (req->field_count > 0)
		cf_free(&req->fields[--req->field_count].value);
}

/* Of a reply that was begun before, nothing is left. */
static void
begin_reply(struct cf_req *req)
{
	req->type = NULL;
	cf_buf_reset(&req->reply);
	memset(&req->page, 0, sizeof req->page);
	cf_req_drop_fields(req);
}

struct cf_buf *
cf_req_ok(struct cf_req *req, int status)
{
	begin_reply(req);
	req->rc = CF_OK;
	req->status = status;
	return &req->reply;
}

struct cf_page *
cf_req_page(struct cf_req *req, int status, const char *title)
{
	cf_page_begin(&req->page, cf_req_ok(req, status), "en", title);
	req->type = CF_PAGE_TYPE;
	return &req->page;
}

enum cf_err
cf_req_add_field(struct cf_req *req, const char *name, const char *value,
    struct cf_why *why)
{
	const char *p;

	for (p = value; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			return cf_fail(CF_E_SYNTAX, why, "%s cannot have a "
			    "control character or a letter with an accent.",
			    name);
	if (req->field_count == CF_REPLY_FIELDS_MAX)
		cf_bug("too many header fields in a reply");
	req->fields[req->field_count++] = (struct cf_reply_field){ name,
	    cf_strdup(value) };
	return CF_OK;
}

enum cf_err
cf_req_redirect(struct cf_req *req, const char *path, struct cf_why *why)
{
	struct cf_page *page;

	if (!cf_page_is_our_path(path))
		return cf_fail(CF_E_SYNTAX, why,
		    "That is not an address of this server.");
	page = cf_req_page(req, 303, "Please go on");
	cf_page_para_open(page);
	cf_page_link(page, path, path);
	cf_page_para_close(page);
	cf_page_end(page);
	return cf_req_add_field(req, "Location", path, why);
}

void
cf_req_fail(struct cf_req *req, enum cf_err rc, const struct cf_why *why)
{
	begin_reply(req);
	req->rc = rc;
	memset(&req->why, 0, sizeof req->why);
	if (why != NULL)
		req->why = *why;
}
