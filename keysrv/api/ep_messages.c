/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/messages - an account's own messages and how they stand,
 * newest first.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "keysrv/db/db_status.h"
#include "keysrv/http/json_out.h"
#include "keysrv/http/kind.h"
#include "keysrv/http/request.h"
#include "keysrv/key/issue.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200

struct item {
	int64_t limit;
	int64_t before_ms;
	bool has_ref, has_reference;
	unsigned char reference[CF_REF_CHECK_LEN];
	unsigned char message_ref[CF_REF_LEN];
};

static enum cf_err
parse_limit(const char *text, int64_t *ret, struct cf_why *why)
{
	size_t len = strspn(text, "0123456789");
	long n = len > 0 && len < 5 && text[len] == '\0'
	    ? strtol(text, NULL, 10) : 0;

	if (n < 1 || n > LIMIT_MAX)
		return cf_fail(CF_E_SYNTAX, why,
		    "\"limit\" is not a number from 1 to %d.", LIMIT_MAX);
	*ret = n;
	return CF_OK;
}

static enum cf_err
parse_query(const struct cf_req *req, struct item *item, struct cf_why *why)
{
	char limit[8], before[CF_TIME_LEN + 1];
	char ref[CF_B64URL_LEN(CF_REF_LEN) + 1];
	char reference[CF_B64URL_LEN(CF_REF_CHECK_LEN) + 1];
	bool has_limit = req->query(req, "limit", limit, sizeof limit);
	bool has_before = req->query(req, "before", before, sizeof before);
	bool has_ref = req->query(req, "ref", ref, sizeof ref);
	bool has_reference = req->query(req, "reference", reference,
	    sizeof reference);
	int known = has_limit + has_before + has_ref + has_reference;

	item->limit = LIMIT_DEFAULT;
	item->before_ms = cf_clock_ms() + 1;
	if (req->query_count != known)
		return cf_fail(CF_E_SYNTAX, why, "The query has a parameter "
		    "that is not known here, or one twice.");
	if (has_before && !cf_clock_parse(before, &item->before_ms))
		return cf_fail(CF_E_SYNTAX, why, "\"before\" is not a time "
		    "like 2026-11-23T13:35:00.123Z.");
	if (has_ref && !cf_b64url_decode(ref, strlen(ref),
	    item->message_ref, sizeof item->message_ref))
		return cf_fail(CF_E_SYNTAX, why, "\"ref\" is not the "
		    "base64url text of %d bytes.", CF_REF_LEN);
	item->has_ref = has_ref;
	if (has_reference && !cf_b64url_decode(reference, strlen(reference),
	    item->reference, sizeof item->reference))
		return cf_fail(CF_E_SYNTAX, why, "\"reference\" is not the "
		    "base64url text of %d bytes.", CF_REF_CHECK_LEN);
	item->has_reference = has_reference;
	return has_limit ? parse_limit(limit, &item->limit, why) : CF_OK;
}

static enum cf_err
parse(struct cf_req *req, struct cf_why *why)
{
	struct item *item = cf_calloc(1, sizeof *item);

	req->item = item;
	return parse_query(req, item, why);
}

static void
write_row(struct cf_jout *out, const struct cf_status_row *r)
{
	cf_jout_open(out, NULL, '{');
	cf_jout_b64(out, "handle", r->key_id, sizeof r->key_id);
	cf_jout_b64(out, "message_ref", r->message_ref,
	    sizeof r->message_ref);
	cf_jout_str(out, "message_id", r->message_id);
	cf_jout_str(out, "sender", r->sender);
	cf_jout_str(out, "recipient", r->recipient);
	cf_jout_time(out, "issued_at", r->issued_at_ms);
	cf_jout_str(out, "status", r->status);
	cf_jout_str(out, "assurance", cf_assurance_name(r->assurance));
	cf_jout_time(out, "released_at", r->released_at_ms);
	cf_jout_time(out, "opened_at", r->opened_at_ms);
	cf_jout_str(out, "receipt", r->receipt);
	cf_jout_close(out, '}');
}

static void
reply(const struct cf_db *db, struct cf_req *req, size_t list)
{
	struct cf_status_row row;
	struct cf_jout out;
	size_t i;

	cf_jout_begin(&out, cf_req_ok(req, 200));
	cf_jout_open(&out, "messages", '[');
	for (i = 0; i < cf_db_rows(db, list); i++) {
		cf_db_status_get(db, list, i, &row);
		write_row(&out, &row);
	}
	cf_jout_close(&out, ']');
	cf_jout_end(&out);
}

static enum cf_err
run(struct cf_db *db, struct cf_req *req, struct cf_why *why)
{
	const struct cf_caller *caller = &req->caller;
	const struct item *item = req->item;
	const struct cf_status_query q = { caller->account_id,
	    item->before_ms, item->has_ref ? item->message_ref : NULL,
	    item->limit };
	struct cf_why other = { "" };
	enum cf_err rc = CF_OK;
	size_t list;

	/* The caller's secret, if he says which he has. */
	if (item->has_reference)
		rc = cf_issue_reference(caller->account,
		    caller->has_reference ? caller->reference : NULL,
		    item->reference, &other);
	if (rc != CF_OK) {
		cf_req_fail(req, rc, &other);
		return CF_OK;
	}
	list = cf_db_status_send(db, &q);
	rc = cf_db_flush(db, why);
	if (rc == CF_OK)
		reply(db, req, list);
	return rc;
}

const struct cf_action cf_ep_messages = {
	.kind = &cf_kind_single,
	.parse = parse,
	.free_item = free,
	.mode = CF_DB_READ,
	.run = run,
};
