/* SPDX-License-Identifier: Apache-2.0 */
/* cf_inbound - see inbound.h. */
#include "milter/gateway/inbound.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/notice.h"
#include "common/reading.h"
#include "milter/store/room.h"
#include "milter/store/store.h"

/*
 * Reading goes through the message several times, and writes E beside it.  One
 * of this size or more at a time keeps many of them from adding up.
 */
#define LARGE_LEN (1u << 20)
#define LARGE_AT_ONCE 1
#define PLACE_MIN 65536
/* A spool file asks for room once in so many bytes. */
#define ASK_EVERY (1u << 20)

struct cf_inbound {
	const struct cf_snapshot *snapshot;
	const char *sender;
	struct cf_spool message;	/* header and body, with CRLF */
	struct cf_composite_file whole;	/* once it is complete */
	struct cf_bulk_place place;	/* where E is read to */
	bool large;			/* has the slot */
	struct cf_reading reading;	/* count 0: not read, or nothing */
	struct cf_composite composite;
	struct cf_blob blob;
	bool full;			/* no room; `left` has more */
	struct cf_why left;
	uint64_t came;			/* bytes of the message */
	struct cf_buf text, html;
	uint64_t size;
};

void
cf_inbound_free(struct cf_inbound **in)
{
	struct cf_inbound *i = *in;

	if (i == NULL)
		return;
	cf_reading_free(&i->reading);
	cf_spool_free(&i->message);
	if (i->large)
		cf_slots_give(CF_SLOTS_LARGE_INBOUND);
	cf_buf_free(&i->text);
	cf_buf_free(&i->html);
	free(i);
	*in = NULL;
}

static enum cf_err
no_room(struct cf_inbound *in, const struct cf_why *why)
{
	in->full = true;
	in->left = *why;
	cf_spool_free(&in->message);
	return CF_OK;
}

/* It may lie in the way of mail that is sealed here, too. */
static bool
asks_for_room(const struct cf_inbound *in, uint64_t before)
{
	return in->message.fd >= 0 &&
	    before / ASK_EVERY != in->came / ASK_EVERY;
}

/* More of the message.  It is not kept any more when there is no room. */
static enum cf_err
inbound_add(struct cf_inbound *in, const void *data, size_t len,
    struct cf_why *why)
{
	const struct cf_mconf *conf = &in->snapshot->conf;
	uint64_t before = in->came;
	enum cf_err rc;

	in->came += len;
	if (in->full)
		return CF_OK;
	rc = cf_spool_add(&in->message, data, len, why);
	if (rc == CF_E_FULL)
		cf_room_is_full(why);
	else if (rc == CF_OK && asks_for_room(in, before))
		rc = cf_room_ask_spool(conf, why);
	return rc == CF_E_FULL ? no_room(in, why) : rc;
}

/* One field as it stood in the message: folds end in CRLF there. */
static enum cf_err
inbound_add_field(struct cf_inbound *in, const struct cf_field *field,
    struct cf_buf *line, struct cf_why *why)
{
	const char *p;

	cf_buf_reset(line);
	cf_buf_adds(line, field->name);
	cf_buf_addc(line, ':');
	for (p = field->value; *p != '\0'; p++) {
		if (*p == '\n' && (p == field->value || p[-1] != '\r'))
			cf_buf_addc(line, '\r');
		cf_buf_addc(line, *p);
	}
	cf_buf_adds(line, "\r\n");
	if (line->full)
		return cf_buf_check(line, why);
	return inbound_add(in, line->data, line->len, why);
}

enum cf_err
cf_inbound_begin(const struct cf_snapshot *snapshot, const char *sender,
    const struct cf_field *fields, size_t count, struct cf_inbound **ret,
    struct cf_why *why)
{
	CF_AUTO(cf_inbound_free) struct cf_inbound *in =
	    cf_calloc(1, sizeof *in);
	CF_AUTO(cf_buf_free) struct cf_buf line = CF_BUF_INIT(
	    2 * (size_t)snapshot->conf.header_limit + 1000);
	const struct cf_mconf *conf = &snapshot->conf;
	enum cf_err rc = CF_OK;
	size_t i;

	in->snapshot = snapshot;
	in->sender = sender;
	cf_spool_init(&in->message, conf->spool_directory != NULL ?
	    conf->spool_directory : conf->store_directory,
	    (size_t)conf->memory_limit);
	in->place.directory = in->message.directory;
	/* Less makes no difference to a message that needs a file. */
	in->place.memory = conf->memory_limit < PLACE_MIN ? PLACE_MIN :
	    (size_t)conf->memory_limit;
	in->text.max = in->html.max = CF_NOTICE_MAX;
	for (i = 0; i < count && rc == CF_OK; i++)
		rc = inbound_add_field(in, &fields[i], &line, why);
	if (rc == CF_OK)
		rc = inbound_add(in, "\r\n", 2, why);
	if (rc != CF_OK)
		return rc;
	*ret = in;
	in = NULL;
	return CF_OK;
}

enum cf_err
cf_inbound_body(struct cf_inbound *in, const void *data, size_t len,
    struct cf_why *why)
{
	return inbound_add(in, data, len, why);
}

/* The length of a service URL without a port that goes without saying. */
static size_t
bare_len(const char *service)
{
	const char *port = cf_link_is_plain(service) ? ":80" : ":443";
	size_t len = strlen(service), n = strlen(port);

	return len > n && strcmp(service + len - n, port) == 0 ? len - n : len;
}

static bool
is_allowed(const struct cf_snapshot *snapshot, const char *service)
{
	const struct cf_conf_list *list = &snapshot->conf.allowed_key_servers;
	size_t i, len = bare_len(service);

	for (i = 0; i < list->count; i++)
		if (bare_len(list->item[i]) == len &&
		    strncmp(list->item[i], service, len) == 0)
			return true;
	return false;
}

/*
 * Find E and L.  CF_E_FULL, CF_E_IO: E has no place; else `why` says why it
 * is not there.
 */
static enum cf_err
inbound_read(struct cf_inbound *in, struct cf_why *why)
{
	const struct cf_reading_file file = { .bytes = in->whole.bytes,
	    .len = in->whole.len, .mapped = in->whole.fd >= 0,
	    .place = in->whole.fd >= 0 ? &in->place : NULL };

	return cf_reading_parse_file(&file, &in->reading, why);
}

/* Is it ours to rewrite?  Else `why` says why not. */
static bool
inbound_is_ours(struct cf_inbound *in, struct cf_why *why)
{
	const struct cf_sealed *part = &in->reading.part[0];

	if (in->reading.count > 1)
		(void)cf_fail(CF_E_SEVERAL, why,
		    "it has more than one sealed part");
	else if (!part->has_link)
		(void)cf_fail(CF_E_NOT_SEALED, why, "no link with its key id "
		    "is in it%s%s", in->reading.no_link.text[0] == '\0' ? "" :
		    ": ", in->reading.no_link.text);
	else if (!is_allowed(in->snapshot, part->link.service))
		(void)cf_fail(CF_E_NOT_SEALED, why,
		    "its key server %s is not in allowed_key_servers",
		    part->link.service);
	else
		return cf_composite_parse_file(&in->whole, part->handle,
		    &in->composite, why) == CF_OK;
	return false;
}

static void
name_blob(struct cf_inbound *in)
{
	const struct cf_sealed *part = &in->reading.part[0];
	const struct cf_mconf *conf = &in->snapshot->conf;
	unsigned char digest[CF_DIGEST_LEN];

	cf_container_digest(&part->container, digest);
	cf_store_name(&in->snapshot->store_secret, cf_buf_str(&part->e),
	    part->container.ciphertext_off, digest, in->blob.name);
	in->blob.directory = conf->store_directory;
	in->blob.head = &part->e;
	in->blob.mapped = part->bulk.spooled;
	in->blob.keep_s = conf->store_keep_s;
}

/*
 * What is stored stays, even when the mail server does not take the message
 * after all: its next attempt needs the same file, and another message may
 * already do.
 */
static enum cf_err
inbound_store(struct cf_inbound *in, struct cf_why *why)
{
	const struct cf_mconf *conf = &in->snapshot->conf;
	bool there = false, made;
	enum cf_err rc;

	if (in->snapshot->trial)
		return CF_OK;
	rc = cf_store_renew(&in->blob, &there, why);
	if (rc != CF_OK || there)
		return rc;
	rc = cf_room_ask(conf, cf_store_size(&in->blob), why);
	if (rc != CF_OK)
		return rc;
	rc = cf_store_put(&in->blob, &made, why);
	if (made)
		cf_room_add((int64_t)cf_store_size(&in->blob));
	if (rc == CF_E_FULL)
		cf_room_is_full(why);
	return rc;
}

static enum cf_err
inbound_write_notice(struct cf_inbound *in, struct cf_why *why)
{
	char link[CF_READER_LINK_MAX + 1];
	struct cf_notice notice = { 0 };
	enum cf_err rc;

	cf_link_format_reader(&in->reading.part[0].link,
	    in->snapshot->conf.reader_url, in->blob.name, link);
	/* The envelope's sender is what somebody said it is. */
	notice.sender = in->sender;
	notice.service = in->reading.part[0].link.service;
	notice.link = link;
	rc = cf_notice_build(&notice, &in->text, &in->html, why);
	explicit_bzero(link, sizeof link);
	return rc;
}

static enum cf_err
count_bytes(void *arg, const void *data, size_t len, struct cf_why *why)
{
	uint64_t *sum = arg;

	(void)data;
	(void)why;
	*sum += len;
	return CF_OK;
}

static enum cf_err
take_turn(struct cf_inbound *in, struct cf_progress *progress,
    struct cf_why *why)
{
	int64_t deadline = cf_clock_mono_ms() +
	    in->snapshot->conf.deadline_s * 1000;

	if (in->message.len < LARGE_LEN)
		return CF_OK;
	in->large = cf_slots_take(CF_SLOTS_LARGE_INBOUND, LARGE_AT_ONCE,
	    deadline, progress);
	if (!in->large)
		return cf_fail(CF_E_BUSY, why,
		    "other large messages were not done in time");
	return CF_OK;
}

/* Its turn, E and L; *ret_ours: it is to be rewritten. */
static enum cf_err
inbound_look(struct cf_inbound *in, struct cf_progress *progress,
    bool *ret_ours, struct cf_why *why)
{
	enum cf_err rc;

	rc = take_turn(in, progress, why);
	if (rc == CF_OK)
		rc = cf_spool_map(&in->message, &in->whole.bytes, why);
	if (rc != CF_OK)
		return rc;
	in->whole.len = in->message.len;
	in->whole.fd = in->message.fd;
	rc = inbound_read(in, why);
	if (rc == CF_E_IO)
		return rc;
	/* What the site has no room for passes as it came. */
	if (rc == CF_E_FULL) {
		cf_room_is_full(why);
		in->full = true;
		return CF_OK;
	}
	*ret_ours = rc == CF_OK && inbound_is_ours(in, why);
	return CF_OK;
}

enum cf_err
cf_inbound_finish(struct cf_inbound *in, struct cf_progress *progress,
    bool *ret_rewrite, struct cf_why *why)
{
	uint64_t limit = (uint64_t)in->snapshot->conf.message_size_limit;
	bool ours = false;
	enum cf_err rc;

	*ret_rewrite = false;
	if (in->full) {
		*why = in->left;
		return CF_OK;
	}
	rc = inbound_look(in, progress, &ours, why);
	if (rc != CF_OK || !ours)
		return rc;
	name_blob(in);
	rc = inbound_write_notice(in, why);
	if (rc == CF_OK)
		rc = cf_inbound_write(in, count_bytes, &in->size, why);
	if (rc != CF_OK)
		return rc;
	if (limit > 0 && in->composite.body_off + in->size > limit) {
		(void)cf_fail(CF_E_TOO_LARGE, why,
		    "it would be over message_size_limit");
		return CF_OK;
	}
	rc = inbound_store(in, why);
	*ret_rewrite = rc == CF_OK;
	/* Its attachment and its sender's reader open it all the same. */
	in->full |= rc == CF_E_FULL;
	return rc == CF_E_FULL ? CF_OK : rc;
}

enum cf_err
cf_inbound_write(struct cf_inbound *in, cf_composite_write_fn *write,
    void *arg, struct cf_why *why)
{
	return cf_composite_rewrite_file(&in->whole, &in->composite,
	    cf_buf_str(&in->text), cf_buf_str(&in->html), write, arg, why);
}

void
cf_inbound_facts(const struct cf_inbound *in, struct cf_inbound_facts *ret)
{
	memset(ret, 0, sizeof *ret);
	if (in == NULL)
		return;
	if (in->reading.count > 0)
		memcpy(ret->handle, in->reading.part[0].handle,
		    sizeof ret->handle);
	ret->bytes_in = in->came;
	ret->bytes_out = in->size;
	ret->full = in->full;
}
