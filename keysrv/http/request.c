/* SPDX-License-Identifier: Apache-2.0 */
/* cf_req, cf_batch - see request.h. */
#include "keysrv/http/request.h"

#include <string.h>

#include "common/mem.h"
#include "keysrv/counts.h"
#include "keysrv/health.h"

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

/* Nobody may be answered with what a failed transaction had decided. */
static void
poison(struct cf_batch *batch)
{
	size_t i;

	for (i = 0; i < batch->count; i++)
		batch->req[i]->rc = CF_ERR__COUNT;
}

static void
fail_all(struct cf_batch *batch, enum cf_err rc)
{
	size_t i;

	/* The database's own words are for the log, not for strangers. */
	for (i = 0; i < batch->count; i++)
		cf_req_fail(batch->req[i], rc, NULL);
}

static void
check_decided(const struct cf_batch *batch)
{
	size_t i;

	for (i = 0; i < batch->count; i++)
		if (batch->req[i]->rc == CF_ERR__COUNT)
			cf_bug("a request was not decided");
}

/* cf_db_run() may call it several times; each begins from nothing. */
struct run {
	struct cf_batch *batch;
	enum cf_err (*fn)(struct cf_db *db, void *batch, struct cf_why *why);
};

static enum cf_err
run_poisoned(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct run *run = arg;

	poison(run->batch);
	return run->fn(db, run->batch, why);
}

void
cf_batch_run(struct cf_batch *batch, enum cf_db_mode mode, const char *name,
    enum cf_err (*fn)(struct cf_db *db, void *batch, struct cf_why *why))
{
	struct run run = { batch, fn };
	struct cf_batch one = *batch;
	struct cf_why why = { "" };
	enum cf_err rc;
	size_t i;

	rc = mode == CF_DB_WRITE ? cf_health_may_write(batch->ks->health)
	    : CF_OK;
	if (rc == CF_OK)
		rc = cf_db_run(batch->db, mode, name, run_poisoned, &run,
		    &why);
	if (mode == CF_DB_WRITE && (rc == CF_OK || rc == CF_E_DATABASE))
		cf_health_wrote(batch->ks->health, rc == CF_OK);
	if (rc == CF_E_DATABASE || rc == CF_E_INTERNAL || rc == CF_E_BUSY)
		cf_counts_failed(batch->ks->counts, rc);
	if (rc == CF_OK) {
		check_decided(batch);
	} else if (rc != CF_E_INTERNAL || batch->count == 1) {
		fail_all(batch, rc);
	} else {
		for (i = 0; i < batch->count; i++) {
			one.req = &batch->req[i];
			one.count = 1;
			cf_batch_run(&one, mode, name, fn);
		}
	}
}
