/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_proof - the proofs that make a receipt mean something.
 *
 * Two Ed25519 key pairs come out of the message: the possession key out of
 * the ciphertext, the opening key out of the CEK.  Here are their seeds, the
 * key commitment, the texts that are signed, signing, verifying, and the key
 * server's challenge.
 *
 * Knows: the derivations and lines of counterfoil-format(7).
 * Does not know: HTTP, JSON, SQL, DER.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_PROOFS_H
#define CF_COMMON_PROOFS_H

#include <stddef.h>
#include <stdint.h>

#include "common/b64url.h"
#include "common/buf.h"
#include "common/container.h"
#include "common/err.h"
#include "common/link.h"
#include "common/secret.h"

#define CF_SEED_LEN 32			/* Ed25519 private seed, RFC 8032 */
#define CF_SIGNATURE_LEN 64
#define CF_COMMITMENT_LEN 32
#define CF_RELEASE_ID_LEN 16		/* bytes; 22 characters */
#define CF_RELEASE_ID_TEXT_LEN CF_B64URL_LEN(CF_RELEASE_ID_LEN)
#define CF_RELEASE_SECRET_LEN 32
#define CF_CHALLENGE_LEN (8 + 16 + 32)	/* bytes */
#define CF_CHALLENGE_TEXT_LEN CF_B64URL_LEN(CF_CHALLENGE_LEN)	/* 75 */
#define CF_CHALLENGE_RANDOM_LEN 16
#define CF_ORIGIN_MAX 300		/* characters of an origin line */

/* ---- seeds, keys, commitment ---- */

/* HKDF-SHA256(CEK, empty salt, "counterfoil opening v1"). */
void cf_proof_opening_seed(const struct cf_secret *cek,
    struct cf_secret *ret_seed);
/*
 * SHA-256("counterfoil possession v1" 00 || nonce || digest), where digest
 * is SHA-256(ciphertext || tag): cf_container_digest().
 */
void cf_proof_possession_seed(const unsigned char nonce[CF_NONCE_LEN],
    const unsigned char digest[CF_DIGEST_LEN], struct cf_secret *ret_seed);
/* The same two steps for a parsed E. */
void cf_proof_possession_of(const struct cf_container *c,
    struct cf_secret *ret_seed);
/* SHA-256("counterfoil key v1" 00 || x); x = Kd, or SPKI of Ke. */
void cf_proof_key_commitment(const void *x, size_t x_len,
    unsigned char ret[CF_COMMITMENT_LEN]);
void cf_proof_public_key(const struct cf_secret *seed,
    unsigned char ret[CF_PUBLIC_KEY_LEN]);

/*
 * What the agent must ask before it shows a byte: do the CEK and Kd it used
 * belong to the values registered at issue?
 * CF_E_MISMATCH  no; show nothing, report a mismatch
 */
CF_MUST_USE enum cf_err cf_proof_check_registered(const struct cf_secret *cek,
    const struct cf_secret *kd,
    const unsigned char opening_key[CF_PUBLIC_KEY_LEN],
    const unsigned char key_commitment[CF_COMMITMENT_LEN],
    struct cf_why *why);

/* ---- signed texts ---- */

enum cf_proof_verb {
	CF_PROOF_DESCRIBE,	/* possession key */
	CF_PROOF_RETRIEVE,	/* possession key */
	CF_PROOF_OPEN,		/* opening key */
	CF_PROOF_MISMATCH,	/* possession key */
	CF_PROOF__COUNT
};

/*
 * Append the text of a describe or retrieve request:
 *   counterfoil <verb> v1 LF handle LF challenge LF origin LF time LF
 * All arguments are checked here, at the writer: handle 22 and challenge 75
 * characters of b64url, origin printable ASCII without blanks, 1 to
 * CF_ORIGIN_MAX of them (`null` from disk, `-` without the header), time in
 * the form of cf_clock_format().  On failure `text` is as it was.
 * CF_E_SYNTAX  one of them is not of its form
 */
CF_MUST_USE enum cf_err cf_proof_text_ask(enum cf_proof_verb verb,
    const char *handle, const char *challenge, const char *origin,
    const char *time, struct cf_buf *text, struct cf_why *why);
/*
 * Append the text of an opening proof or a mismatch report:
 *   counterfoil <verb> v1 LF handle LF release id LF
 *   b64url(SHA-256(release secret)) LF time LF
 * Checked and failing likewise.
 */
CF_MUST_USE enum cf_err cf_proof_text_done(enum cf_proof_verb verb,
    const char *handle, const char *release_id,
    const unsigned char secret_sha256[CF_DIGEST_LEN], const char *time,
    struct cf_buf *text, struct cf_why *why);
/* SHA-256 of a release secret, or of a token. */
void cf_proof_sha256(const struct cf_secret *secret,
    unsigned char ret[CF_DIGEST_LEN]);

void cf_proof_sign(const struct cf_secret *seed, const void *text, size_t len,
    unsigned char ret_signature[CF_SIGNATURE_LEN]);
/*
 * CF_E_BAD_SIGNATURE  not made by the holder of that key over that text, or
 *                     the key is one that nobody holds (of small order)
 */
CF_MUST_USE enum cf_err cf_proof_verify(
    const unsigned char public_key[CF_PUBLIC_KEY_LEN],
    const void *text, size_t len,
    const unsigned char signature[CF_SIGNATURE_LEN], struct cf_why *why);

/* ---- the key server's challenge ---- */

/*
 * Write time || random || HMAC-SHA256(secret, key id || time || random) as
 * b64url.  `time_s` is Unix time, 8 bytes big-endian.
 */
void cf_challenge_make(const struct cf_secret *secret,
    const unsigned char key_id[CF_KEY_ID_LEN], int64_t time_s,
    const unsigned char random[CF_CHALLENGE_RANDOM_LEN],
    char ret[CF_CHALLENGE_TEXT_LEN + 1]);
/*
 * Is `text` ours, for this key, and not older than `lifetime_s` (nor from
 * the future, beyond 5 s)?  The comparison is constant-time.
 * CF_E_BAD_CHALLENGE  no
 */
CF_MUST_USE enum cf_err cf_challenge_check(const struct cf_secret *secret,
    const unsigned char key_id[CF_KEY_ID_LEN], const char *text,
    int64_t now_s, int64_t lifetime_s, struct cf_why *why);

#endif
