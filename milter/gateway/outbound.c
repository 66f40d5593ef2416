/* SPDX-License-Identifier: Apache-2.0 */
/* cf_outbound - see outbound.h. */
#include "milter/gateway/outbound.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/b64url.h"
#include "common/clock.h"
#include "common/issue.h"
#include "common/mem.h"
#include "common/notice.h"
#include "common/reference.h"
#include "common/sealer.h"
#include "common/wire.h"
#include "milter/gateway/edits.h"
#include "milter/gateway/metrics.h"
#include "milter/gateway/subject.h"
#include "milter/store/keep.h"
#include "milter/store/room.h"
#include "milter/store/store.h"

#define HEAD_FACTOR 8		/* M's header against the message's, at most */
#define HEAD_SPARE 65536
/* Header and trace lines that the mail server adds to what we send. */
#define SIZE_SPARE 4096
#define MESSAGE_ID_LEN 400

struct cf_outbound {
	const struct cf_snapshot *snapshot;
	const char *sender, *recipient;
	const struct cf_decision *decision;
	struct cf_sealer *sealer;
	struct cf_spool cipher;
	struct cf_digest *digest;
	struct cf_edits edits;
	char boundary[CF_BOUNDARY_LEN + 1];
	/* Names as the mail server finds them: no blanks behind. */
	struct cf_field *named;
	struct cf_buf names;
	char message_id[CF_MESSAGE_ID_MAX + 1];	/* registered */
	char message_id_field[CF_MESSAGE_ID_MAX + 2];	/* made */
	bool made_message_id;
	struct cf_buf subject;		/* made, with its leading blank */
	uint64_t head_len;		/* of M */
	struct cf_issue_key key;
	struct cf_issue_answer answer;
	struct cf_buf head, tail;	/* of E */
	struct cf_blob blob;
	bool stored, kept;
	struct cf_buf text, html;	/* notice */
	char locator[CF_LINK_MAX + 1];
	struct cf_composite_parts parts;
	uint64_t size;
	int64_t key_server_ms;
};

void
cf_outbound_free(struct cf_outbound **out)
{
	struct cf_outbound *o = *out;

	if (o == NULL)
		return;
	if (o->stored && !o->kept) {
		cf_store_remove(&o->blob);
		cf_room_add(-(int64_t)cf_store_size(&o->blob));
	}
	cf_sealer_free(&o->sealer);
	cf_spool_free(&o->cipher);
	cf_digest_free(&o->digest);
	cf_edits_free(&o->edits);
	free(o->named);
	cf_buf_free(&o->names);
	cf_buf_free(&o->subject);
	cf_secret_wipe(&o->key.token);
	cf_issue_answer_wipe(&o->answer);
	cf_buf_free(&o->head);
	cf_buf_free(&o->tail);
	cf_buf_free(&o->text);
	cf_buf_free(&o->html);
	explicit_bzero(o->locator, sizeof o->locator);
	free(o);
	*out = NULL;
}

/* ---- begin ---- */

static const struct cf_field *
find(const struct cf_field *fields, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (cf_field_is(fields[i].name, name))
			return &fields[i];
	return NULL;
}

/* The domain of a Message-ID: the sender's, else the reader's host. */
static void
choose_domain(const struct cf_outbound *o, char *out, size_t cap)
{
	static const char ldh[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	const char *at = strrchr(o->sender, '@');
	const char *host = strstr(o->snapshot->conf.reader_url, "://");

	if (at != NULL && at[1] != '\0' && strlen(at + 1) < cap &&
	    strspn(at + 1, ldh) == strlen(at + 1)) {
		(void)snprintf(out, cap, "%s", at + 1);
		return;
	}
	host = host == NULL ? "localhost" : host + 3;
	(void)snprintf(out, cap, "%.*s", (int)strspn(host, ldh), host);
}

/* Unfolded; "" when it is not plain text of a sane length. */
static void
copy_message_id(const char *value, char *out, size_t cap)
{
	const char *p = out;

	if (!cf_field_unfold(value, out, cap))
		*out = '\0';
	while (*p >= ' ' && *p <= '~')
		p++;
	if (*p != '\0')
		*out = '\0';
}

/* RFC 5322 3.6.4 wants one; receipts name the message by it. */
static void
choose_message_id(struct cf_outbound *o, const struct cf_field *fields,
    size_t count)
{
	const struct cf_field *seen = find(fields, count, "Message-ID");
	unsigned char random[16];
	char domain[256], left[CF_B64URL_LEN(sizeof random) + 1];

	if (seen != NULL && seen->value[strspn(seen->value, " \t\r\n")] !=
	    '\0') {
		copy_message_id(seen->value, o->message_id,
		    sizeof o->message_id);
		return;
	}
	choose_domain(o, domain, sizeof domain);
	cf_random(random, sizeof random);
	cf_b64url_encode(random, sizeof random, left);
	(void)snprintf(o->message_id, MESSAGE_ID_LEN, "<%s.cf@%s>", left,
	    domain);
	(void)snprintf(o->message_id_field, sizeof o->message_id_field, " %s",
	    o->message_id);
	o->made_message_id = true;
	cf_edits_set_message_id(&o->edits, o->message_id_field);
}

/* Inside it stays as it was; outside it is what the site wants. */
static void
choose_subject(struct cf_outbound *o, const struct cf_field *fields,
    size_t count)
{
	const struct cf_mconf *conf = &o->snapshot->conf;
	const struct cf_field *seen = find(fields, count, "Subject");
	bool fixed = strcmp(conf->outer_subject, "keep") != 0;

	if (!fixed && (!o->decision->untag || seen == NULL))
		return;
	cf_buf_addc(&o->subject, ' ');
	if (fixed)
		cf_subject_write(conf->outer_subject, &o->subject);
	else
		cf_subject_untag(seen->value, conf->subject_tag, &o->subject);
	cf_edits_set_subject(&o->edits, fixed, cf_buf_str(&o->subject));
}

/*
 * "Name :" is a field to the mail server, and to everybody who looks for it.
 * What M leaves out is left out here, by that name.  Gives the number kept.
 */
static size_t
trim_names(struct cf_outbound *o, const struct cf_field *fields, size_t count,
    struct cf_field *ret_kept)
{
	size_t i, len, kept = 0;
	char *name;

	for (i = 0; i < count; i++)
		o->names.max += strlen(fields[i].name) + 1;
	/* At once, so that no name moves. */
	(void)cf_buf_reserve(&o->names, o->names.max);
	o->named = cf_calloc(count, sizeof *o->named);
	for (i = 0; i < count; i++) {
		len = strcspn(fields[i].name, " \t");
		name = o->names.data + o->names.len;
		cf_buf_add(&o->names, fields[i].name, len);
		cf_buf_addc(&o->names, '\0');
		o->named[i].name = name;
		o->named[i].value = fields[i].value;
		if (!cf_mform_drops(name))
			ret_kept[kept++] = fields[i];
	}
	return kept;
}

/* What servers on the way add differs from one attempt to the next. */
static void
digest_header(struct cf_outbound *o, const struct cf_field *fields,
    size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (cf_field_is(fields[i].name, "Received") ||
		    cf_field_is(fields[i].name, "DKIM-Signature"))
			continue;
		cf_digest_add(o->digest, fields[i].name,
		    strlen(fields[i].name));
		cf_digest_add(o->digest, ":", 1);
		cf_digest_add(o->digest, fields[i].value,
		    strlen(fields[i].value));
		cf_digest_add(o->digest, "\n", 1);
	}
	cf_digest_add(o->digest, "\n", 1);
}

static enum cf_err
encrypt(struct cf_outbound *o, unsigned char *data, size_t len,
    struct cf_why *why)
{
	enum cf_err rc;

	rc = cf_sealer_update(o->sealer, data, len, data, why);
	if (rc == CF_OK)
		rc = cf_spool_add(&o->cipher, data, len, why);
	return rc;
}

static enum cf_err
encrypt_head(struct cf_outbound *o, const struct cf_field *fields,
    size_t count, struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf head = CF_BUF_INIT_SECRET(
	    (size_t)o->snapshot->conf.header_limit * HEAD_FACTOR + HEAD_SPARE);
	enum cf_err rc;

	rc = cf_mform_head(fields, count, o->edits.outer, o->edits.outer_count,
	    &head, why);
	if (rc != CF_OK)
		return rc;
	o->head_len = head.len;
	return encrypt(o, (unsigned char *)head.data, head.len, why);
}

enum cf_err
cf_outbound_begin(const struct cf_snapshot *snapshot, const char *sender,
    const char *recipient, const struct cf_field *fields, size_t count,
    const struct cf_decision *decision, struct cf_outbound **ret,
    struct cf_why *why)
{
	CF_AUTO(cf_outbound_free) struct cf_outbound *o =
	    cf_calloc(1, sizeof *o);
	CF_AUTO(cf_free) struct cf_field *kept =
	    cf_calloc(count, sizeof *kept);
	const struct cf_mconf *conf = &snapshot->conf;
	size_t kept_count;
	enum cf_err rc;

	o->snapshot = snapshot;
	o->sender = sender;
	o->recipient = recipient;
	o->decision = decision;
	cf_spool_init(&o->cipher, conf->spool_directory != NULL ?
	    conf->spool_directory : conf->store_directory,
	    (size_t)conf->memory_limit);
	if (conf->spool_directory == NULL)
		cf_spool_for_store(&o->cipher, cf_container_head_size);
	o->head.max = CF_CONTAINER_HEAD_MAX;
	o->tail.max = CF_CONTAINER_TAIL_LEN;
	o->text.max = o->html.max = CF_NOTICE_MAX;
	o->subject.max = CF_SUBJECT_MAX + 1;
	o->digest = cf_digest_new();
	cf_composite_boundary(o->boundary);
	kept_count = trim_names(o, fields, count, kept);
	cf_edits_make(o->named, count, o->boundary, &o->edits);
	choose_message_id(o, fields, count);
	choose_subject(o, fields, count);
	digest_header(o, kept, kept_count);
	rc = cf_sealer_new(&o->sealer, why);
	if (rc == CF_OK)
		rc = encrypt_head(o, kept, kept_count, why);
	if (rc != CF_OK)
		return rc;
	*ret = o;
	o = NULL;
	return CF_OK;
}

enum cf_err
cf_outbound_body(struct cf_outbound *out, unsigned char *data, size_t len,
    struct cf_why *why)
{
	cf_digest_add(out->digest, data, len);
	return encrypt(out, data, len, why);
}

/* ---- finish ---- */

static uint64_t
limit(const struct cf_outbound *o)
{
	return (uint64_t)o->snapshot->conf.message_size_limit;
}

static uint64_t
outer_len(const struct cf_outbound *o)
{
	uint64_t len = SIZE_SPARE;
	size_t i;

	for (i = 0; i < o->edits.outer_count; i++)
		len += strlen(o->edits.outer[i].name) +
		    strlen(o->edits.outer[i].value) + 4;
	return len;
}

/* Without asking for a key that would be thrown away. */
static enum cf_err
check_size_early(const struct cf_outbound *o, struct cf_why *why)
{
	uint64_t e = cf_container_size(cf_sealer_len(o->sealer));

	if (limit(o) == 0 || cf_b64_size(e) + outer_len(o) <= limit(o))
		return CF_OK;
	return cf_fail(CF_E_TOO_LARGE, why, "too large when sealed");
}

static enum cf_err
check_size(struct cf_outbound *o, struct cf_why *why)
{
	o->size = cf_composite_size(&o->parts);
	if (limit(o) == 0 || o->size + outer_len(o) <= limit(o))
		return CF_OK;
	return cf_fail(CF_E_TOO_LARGE, why, "too large when sealed");
}

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

static enum cf_err
get_key(struct cf_outbound *o, struct cf_progress *progress,
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

static enum cf_err
write_notice(struct cf_outbound *o, struct cf_why *why)
{
	char link[CF_READER_LINK_MAX + 1];
	struct cf_notice notice = { 0 };
	enum cf_err rc;

	cf_link_format_reader(&o->answer.locator,
	    o->snapshot->conf.reader_url, o->blob.name, link);
	notice.sender = o->sender;
	notice.sender_known = true;
	notice.service = o->answer.locator.service;
	notice.link = link;
	rc = cf_notice_build(&notice, &o->text, &o->html, why);
	explicit_bzero(link, sizeof link);
	return rc;
}

static void
fill_parts(struct cf_outbound *o)
{
	cf_link_format(&o->answer.locator, o->locator);
	o->parts.boundary = o->boundary;
	o->parts.text = cf_buf_str(&o->text);
	o->parts.html = cf_buf_str(&o->html);
	o->parts.locator = o->locator;
	o->parts.head = cf_buf_str(&o->head);
	o->parts.head_len = o->head.len;
	o->parts.ciphertext = o->cipher.fd < 0 ?
	    cf_buf_str(&o->cipher.memory) : NULL;
	o->parts.ciphertext_fd = o->cipher.fd;
	o->parts.ciphertext_len = o->cipher.len;
	o->parts.ciphertext_off = o->cipher.base;
	o->parts.tail = cf_buf_str(&o->tail);
	o->parts.tail_len = o->tail.len;
}

static enum cf_err
store(struct cf_outbound *o, struct cf_why *why)
{
	const struct cf_mconf *conf = &o->snapshot->conf;
	int64_t expires_s = o->decision->want.expires_s;
	unsigned char digest[CF_DIGEST_LEN];
	enum cf_err rc;

	cf_sealer_digest(o->sealer, digest);
	cf_store_name(&o->snapshot->store_secret, cf_buf_str(&o->head),
	    o->head.len, digest, o->blob.name);
	if (o->snapshot->trial)
		return CF_OK;
	o->blob.directory = conf->store_directory;
	o->blob.head = &o->head;
	o->blob.spool = &o->cipher;
	o->blob.tail = &o->tail;
	o->blob.keep_s = conf->store_keep_s;
	if (expires_s > 0)
		o->blob.end = cf_clock_ms() / 1000 + expires_s +
		    CF_KEEP_AFTER_END_S;
	rc = cf_store_put(&o->blob, &o->stored, why);
	if (o->stored)
		cf_room_add((int64_t)cf_store_size(&o->blob));
	return rc;
}

enum cf_err
cf_outbound_finish(struct cf_outbound *out, struct cf_progress *progress,
    struct cf_why *why)
{
	enum cf_err rc;

	/* Nothing that failed on the way may be missing in the middle. */
	if (out->cipher.len != cf_sealer_len(out->sealer))
		return cf_fail(CF_E_INTERNAL, why, "ciphertext is missing");
	rc = cf_sealer_final(out->sealer, why);
	if (rc == CF_OK)
		rc = check_size_early(out, why);
	if (rc == CF_OK)
		rc = get_key(out, progress, why);
	if (rc == CF_OK)
		rc = cf_sealer_frame(out->sealer, out->key.key_id,
		    &out->answer.kek, &out->head, &out->tail, why);
	if (rc == CF_OK)
		rc = store(out, why);
	if (rc == CF_OK)
		rc = write_notice(out, why);
	if (rc != CF_OK)
		return rc;
	fill_parts(out);
	return check_size(out, why);
}

const struct cf_edits *
cf_outbound_edits(const struct cf_outbound *out)
{
	return &out->edits;
}

enum cf_err
cf_outbound_write(struct cf_outbound *out, cf_composite_write_fn *write,
    void *arg, struct cf_why *why)
{
	/* Nothing but a finished message has its parts. */
	if (out->parts.locator == NULL)
		cf_bug("a body that was not sealed");
	return cf_composite_write(&out->parts, write, arg, why);
}

void
cf_outbound_keep(struct cf_outbound *out)
{
	out->kept = true;
}

uint64_t
cf_outbound_largest(const struct cf_outbound *out)
{
	uint64_t fixed = outer_len(out) + CF_NOTICE_MAX +
	    (out->head_len + CF_CONTAINER_HEAD_MAX) * 2;
	uint64_t room = limit(out) > fixed ? limit(out) - fixed : 0;

	return room / CF_B64_LINE_OUT * CF_B64_LINE_IN / 1000 * 1000;
}

void
cf_outbound_facts(const struct cf_outbound *out,
    struct cf_outbound_facts *ret)
{
	memset(ret, 0, sizeof *ret);
	if (out == NULL)
		return;
	if (out->key.token.len > 0)
		cf_b64url_encode(out->key.key_id, CF_KEY_ID_LEN, ret->handle);
	ret->bytes_in = out->cipher.len;
	ret->bytes_out = out->size;
	ret->key_server_ms = out->key_server_ms;
}
