/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_note - what the sender's gateway tells its later self through the key
 * server: which mail a receipt is about, without keeping a list.
 *
 *   key       = HMAC-SHA256(reference secret, "counterfoil note v1" 00 ||
 *               key id)
 *   note      = AES-256-GCM under that key, nonce of 12 zero bytes (one key,
 *               one note), AAD = "counterfoil note v1" 00 || key id:
 *               496 bytes of ciphertext || 16 of tag
 *   plaintext = SHA-256 of the values asked for (32) || the first 8 bytes of
 *               the digest of each name of the head (64) and of the body (8)
 *               || Subject in UTF-8 (392 at most), zeros
 *
 * All notes are of one length, so the key server learns nothing of it.
 * Knows: the layout and its sealing.   Does not know: receipts, HTTP.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_CRYPTO_NOTE_H
#define CF_COMMON_CRYPTO_NOTE_H

#include <stdbool.h>

#include "common/commitment.h"

#define CF_NOTE_LEN 512			/* bytes; 683 characters of b64url */
#define CF_NOTE_SUBJECT_MAX 392		/* bytes */
#define CF_NOTE_SHORT_LEN 8		/* of a digest */

struct cf_note {
	unsigned char values_sha256[CF_DIGEST_LEN];
	unsigned char name[CF_HEAD_NAMES][CF_NOTE_SHORT_LEN];
	unsigned char body[CF_NOTE_SHORT_LEN];
	char subject[CF_NOTE_SUBJECT_MAX + 1];	/* well-formed UTF-8 */
};

/*
 * What is to be told: digests cut to their first bytes, `subject` (UTF-8;
 * what is not becomes U+FFFD) cut between two characters.
 */
void cf_note_fill(struct cf_note *note,
    const unsigned char values_sha256[CF_DIGEST_LEN],
    const struct cf_commit_digests *digests, const char *subject);
void cf_note_seal(const struct cf_secret *reference_secret,
    const unsigned char key_id[CF_KEY_ID_LEN], const struct cf_note *note,
    unsigned char ret[CF_NOTE_LEN]);
/*
 * False: it was not sealed for this key id under this secret, or was changed
 * since; *ret is undefined then.
 */
bool cf_note_open(const struct cf_secret *reference_secret,
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char note[CF_NOTE_LEN], struct cf_note *ret);

#endif
