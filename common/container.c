/* SPDX-License-Identifier: Apache-2.0 */
/* cf_container - see container.h. */
#include "common/container.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <string.h>

#include "common/crypto_evp.h"
#include "common/pages.h"

#define PIECE 65536		/* bytes that are decrypted at once */

/*
 * Every byte of E in front of the ciphertext that is always the same, in
 * order.  Writer and reader use the same rows.
 */
static const unsigned char der_type[] = {	/* id-ct-authEnvelopedData */
	0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10,
	0x01, 0x17
};
static const unsigned char der_version[] = { 0x02, 0x01, 0x00 };
static const unsigned char der_recipient[] = {	/* SET { [2] { 4, kekid */
	0x31, 0x50, 0xa2, 0x4e, 0x02, 0x01, 0x04, 0x30, 0x12, 0x04, 0x10
};
static const unsigned char der_wrap[] = {	/* id-aes256-wrap, 40 bytes */
	0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
	0x01, 0x2d, 0x04, 0x28
};
static const unsigned char der_data[] = {	/* id-data */
	0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01
};
static const unsigned char der_gcm[] = {	/* id-aes256-GCM, nonce */
	0x30, 0x1e, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
	0x01, 0x2e, 0x30, 0x11, 0x04, 0x0c
};
static const unsigned char der_icvlen[] = { 0x02, 0x01, 0x10 };
static const unsigned char der_mac[] = { 0x04, 0x10 };

#define DER_SEQUENCE 0x30
#define DER_EXPLICIT_0 0xa0
#define DER_CONTENT_0 0x80

/* id-data, algorithm with nonce: what stands in front of the ciphertext. */
#define CONTENT_HEAD_LEN (sizeof der_data + sizeof der_gcm + CF_NONCE_LEN + \
	sizeof der_icvlen)
/* The version and the one recipient. */
#define RECIPIENT_LEN (sizeof der_version + sizeof der_recipient + \
	CF_KEY_ID_LEN + sizeof der_wrap + CF_WRAPPED_LEN)

/* ---- DER, writing ---- */

static size_t
length_size(uint64_t len)
{
	size_t n = 1;

	if (len >= 0x80)
		for (; len > 0; len >>= 8)
			n++;
	return n;
}

static uint64_t
tlv_size(uint64_t len)
{
	return 1 + length_size(len) + len;
}

static void
add_header(struct cf_buf *buf, unsigned tag, uint64_t len)
{
	size_t n = length_size(len) - 1;

	cf_buf_addc(buf, (char)tag);
	if (n == 0)
		cf_buf_addc(buf, (char)len);
	else
		cf_buf_addc(buf, (char)(0x80 | n));
	for (; n > 0; n--)
		cf_buf_addc(buf, (char)(len >> (8 * (n - 1))));
}

struct sizes {
	uint64_t content;	/* EncryptedContentInfo */
	uint64_t enveloped;	/* AuthEnvelopedData */
	uint64_t info;		/* ContentInfo */
};

static struct sizes
sizes_for(uint64_t plain_len)
{
	struct sizes s;

	s.content = CONTENT_HEAD_LEN + tlv_size(plain_len);
	s.enveloped = RECIPIENT_LEN + tlv_size(s.content) +
	    CF_CONTAINER_TAIL_LEN;
	s.info = sizeof der_type + tlv_size(tlv_size(s.enveloped));
	return s;
}

uint64_t
cf_container_size(uint64_t plain_len)
{
	return tlv_size(sizes_for(plain_len).info);
}

uint64_t
cf_container_head_size(uint64_t plain_len)
{
	return cf_container_size(plain_len) - plain_len -
	    CF_CONTAINER_TAIL_LEN;
}

static void
add_head(const struct cf_container *c, struct cf_buf *head)
{
	struct sizes n = sizes_for(c->ciphertext_len);

	add_header(head, DER_SEQUENCE, n.info);
	cf_buf_add(head, der_type, sizeof der_type);
	add_header(head, DER_EXPLICIT_0, tlv_size(n.enveloped));
	add_header(head, DER_SEQUENCE, n.enveloped);
	cf_buf_add(head, der_version, sizeof der_version);
	cf_buf_add(head, der_recipient, sizeof der_recipient);
	cf_buf_add(head, c->key_id, CF_KEY_ID_LEN);
	cf_buf_add(head, der_wrap, sizeof der_wrap);
	cf_buf_add(head, c->wrapped_key, CF_WRAPPED_LEN);
	add_header(head, DER_SEQUENCE, n.content);
	cf_buf_add(head, der_data, sizeof der_data);
	cf_buf_add(head, der_gcm, sizeof der_gcm);
	cf_buf_add(head, c->nonce, CF_NONCE_LEN);
	cf_buf_add(head, der_icvlen, sizeof der_icvlen);
	add_header(head, DER_CONTENT_0, c->ciphertext_len);
}

enum cf_err
cf_container_frame(const struct cf_container *c, struct cf_buf *head,
    struct cf_buf *tail, struct cf_why *why)
{
	enum cf_err rc;

	add_head(c, head);
	cf_buf_add(tail, der_mac, sizeof der_mac);
	cf_buf_add(tail, c->tag, CF_TAG_LEN);
	rc = cf_buf_check(head, why);
	return rc != CF_OK ? rc : cf_buf_check(tail, why);
}

/* ---- DER, reading ---- */

/*
 * A walk over E.  The first refusal sets `bad`; every step after it does
 * nothing, so a run of steps is checked once.
 */
struct walk {
	const unsigned char *der;
	size_t have;		/* bytes that are there */
	uint64_t total;		/* bytes of E */
	uint64_t pos;		/* <= have */
	const char *bad;	/* a sentence, or NULL */
};

static bool
available(struct walk *w, size_t len)
{
	if (w->bad == NULL && len > w->have - w->pos)
		w->bad = "it is cut off";
	return w->bad == NULL;
}

static void
expect(struct walk *w, const unsigned char *bytes, size_t len,
    const char *what)
{
	if (!available(w, len))
		return;
	if (memcmp(w->der + w->pos, bytes, len) != 0)
		w->bad = what;
	else
		w->pos += len;
}

static void
take(struct walk *w, unsigned char *ret, size_t len)
{
	if (!available(w, len))
		return;
	memcpy(ret, w->der + w->pos, len);
	w->pos += len;
}

/*
 * Enter a value: tag, then a definite length in the shortest form of at most
 * four bytes (DER; X.690 10.1), which must make it end at `end`.
 */
static void
enter(struct walk *w, unsigned char tag, uint64_t end, const char *what)
{
	uint64_t len = 0;
	unsigned char first;
	size_t i, n;

	expect(w, &tag, 1, what);
	if (!available(w, 1))
		return;
	first = w->der[w->pos++];
	n = first & 0x7f;
	if (first < 0x80) {
		len = first;
	} else if (n == 0 || n > 4) {
		w->bad = "a length is indefinite or longer than four bytes";
		return;
	} else if (available(w, n)) {
		for (i = 0; i < n; i++)
			len = len << 8 | w->der[w->pos++];
		if (length_size(len) != n + 1)
			w->bad = "a length is not in its shortest form";
	}
	if (w->bad == NULL && (w->pos > end || len != end - w->pos))
		w->bad = "a length inside does not fit the whole: cut off, "
		    "bytes too many, or attributes";
}

static void
read_head(struct walk *w, struct cf_container *c)
{
	uint64_t content_end;

	if (w->total < CF_CONTAINER_TAIL_LEN) {
		w->bad = "it is cut off";
		return;
	}
	content_end = w->total - CF_CONTAINER_TAIL_LEN;
	enter(w, DER_SEQUENCE, w->total, "it is not DER");
	expect(w, der_type, sizeof der_type, "it is not AuthEnvelopedData");
	enter(w, DER_EXPLICIT_0, w->total, "it is not AuthEnvelopedData");
	enter(w, DER_SEQUENCE, w->total, "it is not AuthEnvelopedData");
	expect(w, der_version, sizeof der_version,
	    "it is not AuthEnvelopedData version 0");
	expect(w, der_recipient, sizeof der_recipient,
	    "it has not exactly one recipient with a 16-byte key id");
	take(w, c->key_id, CF_KEY_ID_LEN);
	expect(w, der_wrap, sizeof der_wrap,
	    "its key is not wrapped with AES-256-KW");
	take(w, c->wrapped_key, CF_WRAPPED_LEN);
	enter(w, DER_SEQUENCE, content_end, "its encrypted content is missing");
	expect(w, der_data, sizeof der_data, "its content is not id-data");
	expect(w, der_gcm, sizeof der_gcm,
	    "it is not AES-256-GCM with a 12-byte nonce");
	take(w, c->nonce, CF_NONCE_LEN);
	expect(w, der_icvlen, sizeof der_icvlen,
	    "its tag is not declared as 16 bytes");
	enter(w, DER_CONTENT_0, content_end, "its ciphertext is not in one "
	    "piece");
	if (w->bad != NULL)
		return;
	c->ciphertext_off = (size_t)w->pos;
	c->ciphertext_len = (size_t)(content_end - w->pos);
}

static void
read_tail(struct walk *w, struct cf_container *c)
{
	if (w->bad != NULL)
		return;
	c->ciphertext = w->der + w->pos;
	w->pos += c->ciphertext_len;
	expect(w, der_mac, sizeof der_mac, "its tag is not 16 bytes");
	take(w, c->tag, CF_TAG_LEN);
}

static enum cf_err
walked(const struct walk *w, const struct cf_container *c,
    struct cf_container *ret, struct cf_why *why)
{
	if (w->bad != NULL)
		return cf_fail(CF_E_CONTAINER, why,
		    "the sealed part is not a Counterfoil container: %s",
		    w->bad);
	*ret = *c;
	return CF_OK;
}

enum cf_err
cf_container_parse_head(const void *prefix, size_t have, uint64_t total_len,
    struct cf_container *ret, struct cf_why *why)
{
	struct walk w = { prefix, have, total_len, 0, NULL };
	struct cf_container c = { 0 };

	if (have > total_len)
		cf_bug("more bytes than there are");
	read_head(&w, &c);
	return walked(&w, &c, ret, why);
}

enum cf_err
cf_container_parse(const void *der, size_t len, struct cf_container *ret,
    struct cf_why *why)
{
	struct walk w = { der, len, len, 0, NULL };
	struct cf_container c = { 0 };

	read_head(&w, &c);
	read_tail(&w, &c);
	return walked(&w, &c, ret, why);
}

void
cf_container_digest(const struct cf_container *c,
    unsigned char ret_digest[CF_DIGEST_LEN])
{
	CF_AUTO(cf_digest_free) struct cf_digest *digest = cf_digest_new();
	struct cf_pages pages = cf_pages_begin(c->ciphertext, c->mapped);
	size_t done, n;

	if (c->ciphertext == NULL)
		cf_bug("digest of a head");
	for (done = 0; done < c->ciphertext_len; done += n) {
		n = c->ciphertext_len - done;
		n = n < PIECE ? n : PIECE;
		cf_digest_add(digest, c->ciphertext + done, n);
		cf_pages_pass(&pages, (const char *)c->ciphertext + done);
	}
	cf_digest_add(digest, c->tag, CF_TAG_LEN);
	cf_digest_end(digest, ret_digest);
}

enum cf_err
cf_container_wrap(const struct cf_secret *cek, const struct cf_secret *kek,
    unsigned char ret[CF_WRAPPED_LEN], struct cf_why *why)
{
	CF_AUTO(cf_cipher_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;

	if (cek->len != CF_CEK_LEN || kek->len != CF_KEK_LEN)
		cf_bug("a key of another size");
	if (ctx == NULL)
		return cf_evp_fail(CF_E_INTERNAL, why, "wrapping the key");
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_EncryptInit_ex(ctx, EVP_aes_256_wrap(), NULL, kek->bytes,
	    NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, ret, &len, cek->bytes, CF_CEK_LEN) != 1 ||
	    len != CF_WRAPPED_LEN)
		return cf_evp_fail(CF_E_INTERNAL, why, "wrapping the key");
	return CF_OK;
}

enum cf_err
cf_container_unwrap(const struct cf_container *c, const struct cf_secret *kek,
    struct cf_secret *ret_cek, struct cf_why *why)
{
	CF_AUTO(cf_cipher_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	/* The library may write a block more than it returns. */
	unsigned char cek[CF_WRAPPED_LEN + 8];
	enum cf_err rc = CF_OK;
	int len = 0;

	if (kek->len != CF_KEK_LEN)
		return cf_fail(CF_E_WRONG_KEY, why,
		    "the key must have %d bytes", CF_KEK_LEN);
	if (ctx == NULL)
		return cf_evp_fail(CF_E_INTERNAL, why, "unwrapping the key");
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_DecryptInit_ex(ctx, EVP_aes_256_wrap(), NULL, kek->bytes,
	    NULL) != 1)
		return cf_evp_fail(CF_E_INTERNAL, why, "unwrapping the key");
	if (EVP_DecryptUpdate(ctx, cek, &len, c->wrapped_key,
	    CF_WRAPPED_LEN) != 1 || len != CF_CEK_LEN) {
		ERR_clear_error();
		rc = cf_fail(CF_E_WRONG_KEY, why,
		    "the key does not open this message's key");
	} else {
		cf_secret_set(ret_cek, cek, CF_CEK_LEN);
	}
	OPENSSL_cleanse(cek, sizeof cek);
	return rc;
}

/* GCM over all of it, through `piece`.  False: damaged, or `plain` failed. */
static bool
open_gcm(const struct cf_container *c, const struct cf_secret *cek,
    EVP_CIPHER_CTX *ctx, unsigned char piece[PIECE], struct cf_bulk *plain)
{
	struct cf_pages pages = cf_pages_begin(c->ciphertext, c->mapped);
	unsigned char tag[CF_TAG_LEN], none[16];
	size_t done, n;
	int len;

	memcpy(tag, c->tag, CF_TAG_LEN);
	if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, cek->bytes,
	    c->nonce) != 1)
		return false;
	for (done = 0; done < c->ciphertext_len; done += n) {
		n = c->ciphertext_len - done;
		n = n < PIECE ? n : PIECE;
		if (EVP_DecryptUpdate(ctx, piece, &len, c->ciphertext + done,
		    (int)n) != 1 || (size_t)len != n)
			return false;
		cf_bulk_add(plain, piece, n);
		cf_pages_pass(&pages, (const char *)c->ciphertext + done);
	}
	return plain->failed == CF_OK &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CF_TAG_LEN,
	    tag) == 1 && EVP_DecryptFinal_ex(ctx, none, &len) == 1;
}

enum cf_err
cf_container_decrypt(const struct cf_container *c,
    const struct cf_secret *cek, struct cf_bulk *plain, struct cf_why *why)
{
	CF_AUTO(cf_cipher_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char piece[PIECE];
	enum cf_err rc;
	bool good;

	if (c->ciphertext == NULL || cek->len != CF_CEK_LEN)
		cf_bug("decrypting a head, or with a key of another size");
	if (ctx == NULL)
		return cf_evp_fail(CF_E_INTERNAL, why, "decrypting");
	good = open_gcm(c, cek, ctx, piece, plain);
	OPENSSL_cleanse(piece, sizeof piece);
	if (good)
		return CF_OK;
	ERR_clear_error();
	rc = cf_bulk_check(plain, why);
	cf_bulk_free(plain);
	return rc != CF_OK ? rc : cf_fail(CF_E_DAMAGED, why,
	    "the sealed message was changed or damaged on its way");
}
