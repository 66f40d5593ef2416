/* SPDX-License-Identifier: Apache-2.0 */
/* cf_outbound - see outbound.h. */
#include "milter/gateway/outbound_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/b64url.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/notice.h"
#include "common/sealer.h"
#include "common/wire.h"
#include "milter/gateway/subject.h"
#include "milter/store/keep.h"
#include "milter/store/room.h"

#define HEAD_FACTOR 8		/* M's header against the message's, at most */
#define HEAD_SPARE 65536
/* Header and trace lines that the mail server adds to what we send. */
#define SIZE_SPARE 4096

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
	kept_count = cf_outbound_header(o, fields, count, kept);
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
		rc = cf_outbound_key(out, progress, why);
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
