/* SPDX-License-Identifier: Apache-2.0 */
/* cf_outbound - see outbound.h; the key request. */
#include "milter/gateway/outbound_parts.h"

#include <stdio.h>

#include "common/b64url.h"
#include "common/clock.h"
#include "common/reference.h"
#include "common/wire.h"
#include "milter/gateway/metrics.h"

static int
tick(void *arg)
{
	return cf_progress_tick(arg) ? 0 : 1;
}

static void
fill_key(struct cf_outbound *o)
{
	cf_random(o->key.key_id, CF_KEY_ID_LEN);
	cf_secret_random(&o->key.token, CF_TOKEN_LEN);
	o->key.expires_in_s = o->decision->want.expires_s;
	cf_sealer_public_keys(o->sealer, o->key.opening_key,
	    o->key.possession_key);
}

static enum cf_err
ask_for_key(struct cf_outbound *o, int64_t deadline_ms,
    struct cf_progress *progress, struct cf_why *why)
{
	const struct cf_mconf *conf = &o->snapshot->conf;
	struct cf_issue_client client = { 0 };
	struct cf_issue_request request = { 0 };

	cf_random(request.request_id, CF_ISSUE_ID_LEN);
	/* One we made is new each time: it does not make another mail. */
	cf_ref_make(o->digest, &o->snapshot->ref_secret, o->sender,
	    o->recipient, o->made_message_id ? "" : o->message_id,
	    request.message_ref);
	cf_ref_check(&o->snapshot->ref_secret, request.reference_check);
	request.message_id = o->message_id;
	request.sender = o->sender;
	request.recipients = &o->recipient;
	request.recipient_count = 1;
	request.reader_url = conf->reader_url;
	request.keys = &o->key;
	request.key_count = 1;
	client.http = o->snapshot->http;
	client.servers = conf->key_servers.item;
	client.server_count = conf->key_servers.count;
	client.down_until_ms = o->snapshot->down_until_ms;
	client.bearer = &o->snapshot->api_token;
	client.request_timeout_ms = conf->request_timeout_s * 1000;
	client.deadline_ms = deadline_ms;
	client.tick = tick;
	client.tick_arg = progress;
	client.observe = cf_metrics_key_request;
	return cf_issue(&client, &request, &o->answer, why);
}

/* Of no use to anybody: no key server knows it. */
static enum cf_err
make_up_key(struct cf_outbound *o, struct cf_why *why)
{
	char text[CF_LINK_MAX + 1], token[CF_TOKEN_TEXT_LEN + 1];
	char handle[CF_HANDLE_LEN + 1];

	cf_secret_random(&o->answer.kek, CF_KEK_LEN);
	cf_b64url_encode(o->key.key_id, CF_KEY_ID_LEN, handle);
	cf_secret_to_b64url(&o->key.token, token);
	(void)snprintf(text, sizeof text, "%s" CF_PATH_KEY "%s#%s",
	    o->snapshot->conf.key_servers.item[0], handle, token);
	return cf_link_parse(text, &o->answer.locator, why);
}

enum cf_err
cf_outbound_key(struct cf_outbound *o, struct cf_progress *progress,
    struct cf_why *why)
{
	int64_t began = cf_clock_mono_ms();
	int64_t deadline = began + o->snapshot->conf.deadline_s * 1000;
	enum cf_err rc;

	fill_key(o);
	if (o->snapshot->trial)
		return make_up_key(o, why);
	if (!cf_slots_take(CF_SLOTS_KEY_REQUESTS,
	    o->snapshot->conf.max_key_requests, deadline,
	    progress))
		return cf_fail(CF_E_BUSY, why,
		    "no key request slot came free in time");
	rc = ask_for_key(o, deadline, progress, why);
	cf_slots_give(CF_SLOTS_KEY_REQUESTS);
	o->key_server_ms = cf_clock_mono_ms() - began;
	return rc;
}
