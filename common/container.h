/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_container - the container E: its writer and a strict reader.
 *
 * E is CMS AuthEnvelopedData (RFC 5083) in DER with exactly one set of
 * choices: one KEKRecipientInfo (key id of 16 bytes, AES-256-KW),
 * id-data, AES-256-GCM with a 12-byte nonce and a 16-byte tag, no
 * attributes.  `openssl cms -decrypt` opens it; the reader here opens
 * nothing else.
 *
 * Knows: DER, AES-GCM, AES-KW.   Does not know: MIME, links, key servers.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_CONTAINER_H
#define CF_COMMON_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/bulk.h"
#include "common/digest.h"
#include "common/err.h"
#include "common/link.h"
#include "common/secret.h"

#define CF_NONCE_LEN 12
#define CF_TAG_LEN 16
#define CF_KEK_LEN 32		/* Kd = Ke, what the key server holds */
#define CF_CEK_LEN 32		/* encrypts this one message */
#define CF_WRAPPED_LEN (CF_CEK_LEN + 8)
#define CF_PUBLIC_KEY_LEN 32	/* Ed25519 */

/*
 * E in a mail, and by HTTP.  Measured: another label or name makes it spam,
 * or a mail program's own business (counterfoil-format(7)).
 */
#define CF_CONTAINER_TYPE "application/octet-stream"
#define CF_CONTAINER_NAME "message.counterfoil"

/* No E has more bytes than this before its ciphertext. */
#define CF_CONTAINER_HEAD_MAX 256
/* Tag of E that follows the ciphertext: 04 10 and the 16 bytes. */
#define CF_CONTAINER_TAIL_LEN (2 + CF_TAG_LEN)
/* A ciphertext may have at most this many bytes (4-byte DER lengths). */
#define CF_PLAIN_MAX (UINT64_C(0xffffffff) - CF_CONTAINER_HEAD_MAX)

/* E taken apart, or what it is to be made of. */
struct cf_container {
	unsigned char key_id[CF_KEY_ID_LEN];
	unsigned char nonce[CF_NONCE_LEN];
	unsigned char tag[CF_TAG_LEN];		/* zero after parse_head */
	unsigned char wrapped_key[CF_WRAPPED_LEN];
	size_t ciphertext_off;			/* from the start of E */
	size_t ciphertext_len;
	/* Lends from the DER; NULL after parse_head. */
	const unsigned char *ciphertext;
	bool mapped;		/* it is a file's; set it after parse */
};

/* ---- writing (a whole message: sealer.h) ---- */

/*
 * Append what stands in E before the ciphertext to `head`, what stands behind
 * it to `tail`: E = head || ciphertext || tail.  The ciphertext itself need
 * not be there, its length counts.
 * CF_E_TOO_LARGE  a ceiling of `head` or `tail` is too low
 */
CF_MUST_USE enum cf_err cf_container_frame(const struct cf_container *c,
    struct cf_buf *head, struct cf_buf *tail, struct cf_why *why);
/* Wrap the CEK under `kek` (RFC 3394), into `wrapped_key` of E. */
CF_MUST_USE enum cf_err cf_container_wrap(const struct cf_secret *cek,
    const struct cf_secret *kek, unsigned char ret[CF_WRAPPED_LEN],
    struct cf_why *why);

/* The length of E for a plaintext of `plain_len` (<= CF_PLAIN_MAX) bytes. */
uint64_t cf_container_size(uint64_t plain_len);
/* The length of what stands in front of the ciphertext then. */
uint64_t cf_container_head_size(uint64_t plain_len);

/* ---- reading ---- */

/*
 * Parse all of E (untrusted).  *ret lends from `der` while that lives.
 * CF_E_CONTAINER  anything but the one form above: other algorithms or
 *                 content type, attributes, BER, more than one recipient,
 *                 a cut or a byte too many
 */
CF_MUST_USE enum cf_err cf_container_parse(const void *der, size_t len,
    struct cf_container *ret, struct cf_why *why);
/*
 * The same for a stream of which only the first `have` bytes are there
 * (CF_CONTAINER_HEAD_MAX suffice, or all of E if it is shorter) and
 * `total_len` is known.  The lengths inside must add up to `total_len`; the
 * tag is the last CF_TAG_LEN bytes and is not looked at.
 */
CF_MUST_USE enum cf_err cf_container_parse_head(const void *prefix,
    size_t have, uint64_t total_len, struct cf_container *ret,
    struct cf_why *why);
/* SHA-256(ciphertext || tag), what the possession seed is made of. */
void cf_container_digest(const struct cf_container *c,
    unsigned char ret_digest[CF_DIGEST_LEN]);
/*
 * Unwrap the CEK with `kek`.
 * CF_E_WRONG_KEY  the AES-KW check fails: another key, or a changed one
 */
CF_MUST_USE enum cf_err cf_container_unwrap(const struct cf_container *c,
    const struct cf_secret *kek, struct cf_secret *ret_cek,
    struct cf_why *why);
/*
 * Decrypt and add to `plain`, which is empty.  Nothing is there afterwards,
 * and nothing unverified stays in memory, unless the tag holds.  Check the
 * registered keys BEFORE this is shown to anybody
 * (cf_proof_check_registered): GCM does not commit to its key.
 * CF_E_DAMAGED    the tag does not hold
 * CF_E_TOO_LARGE  more than the ceiling of `plain`
 * CF_E_FULL, CF_E_IO  its place
 */
CF_MUST_USE enum cf_err cf_container_decrypt(const struct cf_container *c,
    const struct cf_secret *cek, struct cf_bulk *plain, struct cf_why *why);

#endif
