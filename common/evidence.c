/* SPDX-License-Identifier: Apache-2.0 */
/* cf_evidence - see evidence.h. */
#include "common/evidence.h"

#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/link.h"
#include "common/mem.h"

#define FIRST "counterfoil-receipt/v1\nservice "
#define EVENT "event\nsalt "
#define NOTE "note "
#define LEAF "counterfoil leaf v1"	/* with its NUL */

struct cf_hash
cf_evidence_entry(const unsigned char salt[CF_LEAF_SALT_LEN],
    const char *record, size_t len)
{
	CF_AUTO(cf_digest_free) struct cf_digest *digest = cf_digest_new();
	struct cf_hash entry;

	cf_digest_add(digest, LEAF, sizeof LEAF);
	cf_digest_add(digest, salt, CF_LEAF_SALT_LEN);
	cf_digest_add(digest, record, len);
	cf_digest_end(digest, entry.bytes);
	return entry;
}

/* ---- reading ---- */

/* A block, with the LF of its last line. */
struct block {
	const char *p;
	size_t len;
};

static bool
eat(struct block *b, const char *text)
{
	size_t n = strlen(text);

	if (b->len < n || memcmp(b->p, text, n) != 0)
		return false;
	b->p += n;
	b->len -= n;
	return true;
}

/* b64url of `len` bytes and LF. */
static bool
eat_bytes(struct block *b, void *ret, size_t len)
{
	size_t n = CF_B64URL_LEN(len);

	if (b->len <= n || b->p[n] != '\n' ||
	    !cf_b64url_decode(b->p, n, ret, len))
		return false;
	b->p += n + 1;
	b->len -= n + 1;
	return true;
}

/* The next block of the text, which *rest then is behind. */
static struct block
next_block(struct block *rest)
{
	const char *end = memmem(rest->p, rest->len, "\n\n", 2);
	struct block b = *rest;

	if (end == NULL) {
		rest->p += rest->len;
		rest->len = 0;
		return b;
	}
	b.len = (size_t)(end + 1 - rest->p);
	rest->p += b.len + 1;
	rest->len -= b.len + 1;
	return b;
}

static enum cf_err
read_service(struct block b, struct cf_evidence *e, struct cf_why *why)
{
	if (!eat(&b, FIRST) || b.len < 2 || b.p[b.len - 1] != '\n')
		return cf_fail(CF_E_SYNTAX, why,
		    "it does not begin as a receipt of version 1");
	e->service = cf_strndup(b.p, b.len - 1);
	if (strlen(e->service) != b.len - 1 ||
	    cf_link_check_service(e->service, NULL) != CF_OK)
		return cf_fail(CF_E_SYNTAX, why,
		    "it does not name a key server");
	return CF_OK;
}

static enum cf_err
read_event(struct block b, struct cf_evidence *e, struct cf_why *why)
{
	struct cf_evidence_event *event, *first = e->event;
	enum cf_err rc;

	if (e->count == CF_EVIDENCE_EVENTS_MAX)
		return cf_fail(CF_E_SYNTAX, why, "it has more than %d events",
		    CF_EVIDENCE_EVENTS_MAX);
	event = &e->event[e->count++];
	if (!eat_bytes(&b, event->salt, sizeof event->salt))
		return cf_fail(CF_E_SYNTAX, why,
		    "event %zu of it has no salt", e->count);
	event->entry = cf_evidence_entry(event->salt, b.p, b.len);
	rc = cf_rec_read(b.p, b.len, &event->rec, why);
	if (rc != CF_OK)
		return rc;
	if (strcmp(cf_rec_value(&event->rec, "key"),
	    cf_rec_value(&first->rec, "key")) != 0)
		return cf_fail(CF_E_SYNTAX, why,
		    "its events are not of one key");
	if (event > first && cf_rec_seq(&event->rec) <=
	    cf_rec_seq(&event[-1].rec))
		return cf_fail(CF_E_SYNTAX, why,
		    "its events are not in their order");
	return CF_OK;
}

static enum cf_err
read_blocks(struct block rest, struct cf_evidence *e, struct cf_why *why)
{
	struct block b = next_block(&rest);
	enum cf_err rc = read_service(b, e, why);

	while (rc == CF_OK && rest.len > 0) {
		b = next_block(&rest);
		if (!e->has_note && eat(&b, EVENT)) {
			rc = read_event(b, e, why);
		} else if (!e->has_note && e->count > 0 && eat(&b, NOTE) &&
		    eat_bytes(&b, e->note, sizeof e->note) && b.len == 0) {
			e->has_note = true;
		} else {
			return cf_fail(CF_E_SYNTAX, why,
			    "it has a part that does not belong there");
		}
	}
	return rc;
}

enum cf_err
cf_evidence_read(const char *text, size_t len, struct cf_evidence *ret,
    struct cf_why *why)
{
	enum cf_err rc;

	memset(ret, 0, sizeof *ret);
	if (len > CF_EVIDENCE_MAX)
		return cf_fail(CF_E_SYNTAX, why, "it is longer than any "
		    "receipt");
	ret->event = cf_calloc(CF_EVIDENCE_EVENTS_MAX, sizeof *ret->event);
	rc = read_blocks((struct block){ text, len }, ret, why);
	if (rc == CF_OK && (ret->count == 0 || text[len - 1] != '\n' ||
	    text[len - 2] == '\n'))
		return cf_fail(CF_E_SYNTAX, why, "it is not complete");
	return rc;
}

void
cf_evidence_free(struct cf_evidence *e)
{
	size_t i;

	for (i = 0; i < e->count; i++)
		cf_rec_free(&e->event[i].rec);
	free(e->event);
	free(e->service);
	memset(e, 0, sizeof *e);
}

/* ---- writing ---- */

static void
add_bytes(struct cf_buf *out, const char *name, const void *bytes, size_t len)
{
	CF_AUTO(cf_free) char *text = cf_calloc(CF_B64URL_LEN(len) + 1, 1);

	cf_b64url_encode(bytes, len, text);
	cf_buf_addf(out, "%s%s\n", name, text);
}

void
cf_evidence_begin(struct cf_buf *out, const char *service)
{
	cf_buf_addf(out, FIRST "%s\n", service);
}

void
cf_evidence_add_event(struct cf_buf *out,
    const unsigned char salt[CF_LEAF_SALT_LEN], const char *record)
{
	add_bytes(out, "\n" EVENT, salt, CF_LEAF_SALT_LEN);
	cf_buf_adds(out, record);
}

void
cf_evidence_add_note(struct cf_buf *out, const unsigned char note[CF_NOTE_LEN])
{
	add_bytes(out, "\n" NOTE, note, CF_NOTE_LEN);
}
