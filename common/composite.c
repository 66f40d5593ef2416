/* SPDX-License-Identifier: Apache-2.0 */
/* cf_composite - see composite.h; writing. */
#include "common/composite.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/b64.h"
#include "common/b64url.h"
#include "common/mem.h"
#include "common/qp.h"
#include "common/secret.h"
#include "common/wire.h"

#define READ_MAX (CF_B64_LINE_IN * 1150)	/* 64 kB, in whole lines */
#define PIECE_MAX 65535	/* what libmilter sends in one packet */

void
cf_composite_init(void)
{
	g_mime_init();	/* counts its calls */
}

void
cf_composite_boundary(char ret[CF_BOUNDARY_LEN + 1])
{
	unsigned char random[16];

	cf_random(random, sizeof random);
	memcpy(ret, "=_cf_", 5);
	cf_b64url_encode(random, sizeof random, ret + 5);
}

/* Everything in front of the base64 lines. */
static void
add_prologue(const struct cf_composite_parts *p, struct cf_buf *out)
{
	/* Neither boundary begins with the other (RFC 2046 5.1.1). */
	const char *id = p->boundary + 5;

	/* Most of it at once: what grows is copied and wiped each time. */
	(void)cf_buf_reserve(out, strlen(p->text) + strlen(p->html) + 2048);
	cf_buf_addf(out, "--%s\r\n"
	    "Content-Type: multipart/alternative; boundary=\"=_cn_%s\"\r\n"
	    "\r\n--=_cn_%s\r\n", p->boundary, id, id);
	cf_buf_adds(out, "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	cf_qp_add(out, p->text);
	cf_buf_addf(out, "\r\n--=_cn_%s\r\n"
	    "Content-Type: text/html; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n", id);
	cf_qp_add(out, p->html);
	cf_buf_addf(out, "\r\n--=_cn_%s--\r\n--%s\r\n"
	    "Content-Type: " CF_CONTAINER_TYPE ";\r\n"
	    " name=\"" CF_CONTAINER_NAME "\"\r\n"
	    "Content-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n"
	    " filename=\"" CF_CONTAINER_NAME "\"\r\n"
	    CF_LOCATOR_FIELD ": %s\r\n\r\n", id, p->boundary, p->locator);
}

static void
add_epilogue(const struct cf_composite_parts *p, struct cf_buf *out)
{
	cf_buf_addf(out, "--%s--\r\n", p->boundary);
}

/*
 * The body in the making.  It goes out in pieces as large as one milter
 * packet; what begins a piece may be the notice with its link.
 */
struct writer {
	cf_composite_write_fn *write;
	void *arg;
	size_t len, used;		/* of `out`: now, and at most so far */
	size_t part_len;
	unsigned char part[CF_B64_LINE_IN];	/* of a line not full yet */
	unsigned char out[PIECE_MAX];
	struct cf_b64_table table;
};

static void
writer_free(struct writer **w)
{
	OPENSSL_cleanse((*w)->out, (*w)->len > (*w)->used ? (*w)->len :
	    (*w)->used);
	free(*w);
}

static enum cf_err
flush(struct writer *w, struct cf_why *why)
{
	size_t len = w->len;

	if (len > w->used)
		w->used = len;
	w->len = 0;
	return len == 0 ? CF_OK : w->write(w->arg, w->out, len, why);
}

static enum cf_err
put(struct writer *w, const char *data, size_t len, struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	size_t n;

	for (; len > 0 && rc == CF_OK; data += n, len -= n) {
		n = PIECE_MAX - w->len;
		n = len < n ? len : n;
		memcpy(w->out + w->len, data, n);
		w->len += n;
		if (w->len == PIECE_MAX)
			rc = flush(w, why);
	}
	return rc;
}

/* One line of base64. */
static enum cf_err
put_line(struct writer *w, const unsigned char *bytes, size_t len,
    struct cf_why *why)
{
	enum cf_err rc = CF_OK;

	if (PIECE_MAX - w->len < CF_B64_LINE_OUT)
		rc = flush(w, why);
	if (rc != CF_OK)
		return rc;
	w->len += cf_b64_line(&w->table, bytes, len, w->out + w->len);
	return CF_OK;
}

static enum cf_err
end_lines(struct writer *w, struct cf_why *why)
{
	size_t len = w->part_len;

	w->part_len = 0;
	return len == 0 ? CF_OK : put_line(w, w->part, len, why);
}

static enum cf_err
encode(struct writer *w, const void *data, size_t len, struct cf_why *why)
{
	const unsigned char *p = data;
	enum cf_err rc = CF_OK;
	size_t n;

	while (len > 0 && rc == CF_OK) {
		if (w->part_len == 0 && len >= CF_B64_LINE_IN) {
			n = CF_B64_LINE_IN;
			rc = put_line(w, p, n, why);
		} else {
			n = CF_B64_LINE_IN - w->part_len;
			n = len < n ? len : n;
			memcpy(w->part + w->part_len, p, n);
			w->part_len += n;
			if (w->part_len == CF_B64_LINE_IN)
				rc = end_lines(w, why);
		}
		p += n;
		len -= n;
	}
	return rc;
}

static enum cf_err
encode_fd(struct writer *w, const struct cf_composite_parts *p,
    struct cf_why *why)
{
	CF_AUTO(cf_free) unsigned char *in = cf_calloc(1, READ_MAX);
	enum cf_err rc = CF_OK;
	uint64_t done = 0, left = p->ciphertext_len;
	ssize_t n;

	while (left > 0 && rc == CF_OK) {
		n = pread(p->ciphertext_fd, in, left < READ_MAX ?
		    (size_t)left : READ_MAX, (off_t)(p->ciphertext_off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return cf_fail(CF_E_IO, why, "reading the sealed "
			    "message back: %s", n == 0 ? "it is too short" :
			    strerrordesc_np(errno));
		rc = encode(w, in, (size_t)n, why);
		done += (uint64_t)n;
		left -= (uint64_t)n;
	}
	return rc;
}

static enum cf_err
write_sealed(struct writer *w, const struct cf_composite_parts *p,
    struct cf_why *why)
{
	enum cf_err rc;

	rc = encode(w, p->head, p->head_len, why);
	if (rc == CF_OK && p->ciphertext != NULL)
		rc = encode(w, p->ciphertext, (size_t)p->ciphertext_len, why);
	else if (rc == CF_OK)
		rc = encode_fd(w, p, why);
	if (rc == CF_OK)
		rc = encode(w, p->tail, p->tail_len, why);
	return rc == CF_OK ? end_lines(w, why) : rc;
}

enum cf_err
cf_composite_write(const struct cf_composite_parts *parts,
    cf_composite_write_fn *write, void *arg, struct cf_why *why)
{
	CF_AUTO(writer_free) struct writer *w = cf_calloc(1, sizeof *w);
	CF_AUTO(cf_buf_free) struct cf_buf text =
	    CF_BUF_INIT_SECRET(CF_COMPOSITE_NOTICE_MAX);
	struct cf_link link;
	enum cf_err rc;

	if (strlen(parts->boundary) != CF_BOUNDARY_LEN ||
	    strncmp(parts->boundary, "=_cf_", 5) != 0)
		cf_bug("boundary of another form");
	/* What is no L could end the line and begin another field. */
	rc = cf_link_parse(parts->locator, &link, why);
	if (rc != CF_OK)
		return rc;
	cf_link_wipe(&link);
	w->write = write;
	w->arg = arg;
	cf_b64_fill(&w->table);
	add_prologue(parts, &text);
	rc = cf_buf_check(&text, why);
	if (rc == CF_OK)
		rc = put(w, text.data, text.len, why);
	if (rc == CF_OK)
		rc = write_sealed(w, parts, why);
	if (rc != CF_OK)
		return rc;
	cf_buf_reset(&text);
	add_epilogue(parts, &text);
	rc = put(w, text.data, text.len, why);
	return rc == CF_OK ? flush(w, why) : rc;
}

uint64_t
cf_composite_size(const struct cf_composite_parts *parts)
{
	CF_AUTO(cf_buf_free) struct cf_buf text =
	    CF_BUF_INIT_SECRET(CF_COMPOSITE_NOTICE_MAX);
	uint64_t e_len;

	add_prologue(parts, &text);
	add_epilogue(parts, &text);
	e_len = parts->head_len + parts->ciphertext_len + parts->tail_len;
	return text.len + cf_b64_size(e_len);
}
