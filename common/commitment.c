/* SPDX-License-Identifier: Apache-2.0 */
/* cf_commit - see commitment.h. */
#include "common/commitment.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "common/block.h"
#include "common/buf.h"
#include "common/mem.h"

/* Both with their NUL, which ends the label. */
#define LABEL "counterfoil message v1"
#define SALT_LABEL "counterfoil message salt v1"

const char *const cf_commit_names[CF_HEAD_NAMES] = {
	"From", "To", "Cc", "Subject", "Date", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding"
};

struct cf_commit {
	struct cf_commit_digests digests;
	struct cf_digest *body;
	/* Seen and not yet known to be followed by text: they count as one
	 * line end at the end of the body, else as they are. */
	size_t line_ends;
	bool cr;		/* a CR, and what follows is not known */
};

/* ---- head ---- */

/* RFC 6376 3.4.2: of one field, with its folds, up to its CRLF. */
static void
add_relaxed(struct cf_buf *out, struct cf_span field)
{
	size_t name = cf_block_name_len(field.p, field.len), i;
	bool blank = false;

	for (i = 0; i < name; i++)
		cf_buf_addc(out, g_ascii_tolower(field.p[i]));
	cf_buf_addc(out, ':');
	name = out->len;
	for (i++; i < field.len; i++) {
		switch (field.p[i]) {
		case ' ':
		case '\t':
			blank = true;
			break;
		case '\r':
		case '\n':
			break;
		default:
			if (blank && out->len > name)
				cf_buf_addc(out, ' ');
			blank = false;
			cf_buf_addc(out, field.p[i]);
		}
	}
	cf_buf_adds(out, "\r\n");
}

/* All fields of one name, behind what is there. */
static void
add_fields(struct cf_buf *out, const char *block, size_t len,
    const char *name)
{
	struct cf_span field = { block, 0 };

	for (; field.p < block + len; field.p += field.len) {
		field.len = cf_block_field_len(field.p,
		    len - (size_t)(field.p - block));
		if (cf_block_name_is(field.p, field.len, name))
			add_relaxed(out, field);
	}
}

/* No field becomes longer, and each is taken once at most. */
static void
digest_block(struct cf_commit_digests *d, const char *block, size_t len)
{
	CF_AUTO(cf_buf_free) struct cf_buf head =
	    CF_BUF_INIT_SECRET(len + 1);
	size_t i, at;

	d->block = true;
	for (i = 0; i < CF_HEAD_NAMES; i++) {
		at = head.len;
		add_fields(&head, block, len, cf_commit_names[i]);
		cf_digest_of(head.data == NULL ? "" : head.data + at,
		    head.len - at, d->name[i]);
	}
	cf_digest_of(head.data == NULL ? "" : head.data, head.len, d->head);
}

/* Digests the head at the start of m; how long it is, with the empty line. */
static size_t
digest_head(struct cf_commit_digests *d, const char *m, size_t len)
{
	size_t head = len, rest = len, i;
	const char *end;

	if (cf_block_find(m, len, &head)) {
		digest_block(d, m, head);
		return head + 2;
	}
	if (len >= 2 && memcmp(m, "\r\n", 2) == 0) {
		head = 0;
		rest = 2;
	} else if ((end = memmem(m, len, "\r\n\r\n", 4)) != NULL) {
		head = (size_t)(end - m) + 2;
		rest = head + 2;
	}
	cf_digest_of(m, head, d->head);
	for (i = 0; i < CF_HEAD_NAMES; i++)
		memcpy(d->name[i], d->head, CF_DIGEST_LEN);
	return rest;
}

/* ---- body ---- */

/* What was held back, now that text follows. */
static void
add_held(struct cf_commit *c)
{
	static const char ends[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
	size_t n;

	for (; c->line_ends > 0; c->line_ends -= n) {
		n = MIN(c->line_ends, (sizeof ends - 1) / 2);
		cf_digest_add(c->body, ends, n * 2);
	}
	if (c->cr)
		cf_digest_add(c->body, "\r", 1);
	c->cr = false;
}

/* A run in which every LF has its CR, be it the one that was held back. */
static void
add_run(struct cf_commit *c, const char *p, size_t len)
{
	size_t text, ends = 0;
	bool cr;

	if (len > 0 && c->cr && p[0] == '\n') {
		c->cr = false;
		c->line_ends++;
		p++;
		len--;
	}
	if (len == 0)
		return;
	cr = p[len - 1] == '\r';
	for (text = len - (cr ? 1 : 0); text >= 2 && p[text - 1] == '\n';
	    text -= 2)
		ends++;
	if (text > 0 || c->cr) {
		add_held(c);
		cf_digest_add(c->body, p, text);
	}
	c->line_ends += ends;
	c->cr = cr;
}

void
cf_commit_add(struct cf_commit *c, const void *data, size_t len)
{
	const char *p = data, *end = p + len, *from = p, *lf;

	if (len == 0)
		return;
	for (lf = p; (lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL;
	    lf++) {
		if (lf > p ? lf[-1] == '\r' : c->cr)
			continue;
		add_run(c, from, (size_t)(lf - from));
		c->line_ends++;
		from = lf + 1;
	}
	add_run(c, from, (size_t)(end - from));
}

/* ---- all of it ---- */

struct cf_commit *
cf_commit_new(const char *m, size_t len)
{
	struct cf_commit *c = cf_calloc(1, sizeof *c);
	size_t head = digest_head(&c->digests, m, len);

	c->body = cf_digest_new();
	cf_commit_add(c, m + head, len - head);
	return c;
}

void
cf_commit_end(struct cf_commit *c, struct cf_commit_digests *ret)
{
	c->line_ends = c->cr ? c->line_ends : 0;
	add_held(c);
	cf_digest_add(c->body, "\r\n", 2);
	cf_digest_end(c->body, c->digests.body);
	*ret = c->digests;
}

void
cf_commit_free(struct cf_commit **commit)
{
	struct cf_commit *c = *commit;

	if (c == NULL)
		return;
	cf_digest_free(&c->body);
	free(c);
	*commit = NULL;
}

void
cf_commit_salt(const struct cf_secret *secret,
    const unsigned char key_id[CF_KEY_ID_LEN],
    unsigned char ret[CF_MESSAGE_SALT_LEN])
{
	unsigned char text[sizeof SALT_LABEL + CF_KEY_ID_LEN];

	memcpy(text, SALT_LABEL, sizeof SALT_LABEL);
	memcpy(text + sizeof SALT_LABEL, key_id, CF_KEY_ID_LEN);
	cf_hmac(secret, text, sizeof text, ret);
}

void
cf_commit_make(const unsigned char salt[CF_MESSAGE_SALT_LEN],
    const struct cf_commit_digests *digests, unsigned char ret[CF_DIGEST_LEN])
{
	CF_AUTO(cf_digest_free) struct cf_digest *digest = cf_digest_new();

	cf_digest_add(digest, LABEL, sizeof LABEL);
	cf_digest_add(digest, salt, CF_MESSAGE_SALT_LEN);
	cf_digest_add(digest, digests->head, CF_DIGEST_LEN);
	cf_digest_add(digest, digests->body, CF_DIGEST_LEN);
	cf_digest_end(digest, ret);
}
