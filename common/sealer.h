/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_sealer - a message becomes a container E, piece by piece.
 *
 * Knows: AES-GCM; E (container.h); which public keys come out of a message
 * (proofs.h).   Does not know: MIME, links, key servers.
 * Threads: no shared state; one sealer belongs to one thread at a time.
 * Logging: never.
 */
#ifndef CF_COMMON_SEALER_H
#define CF_COMMON_SEALER_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/container.h"
#include "common/err.h"
#include "common/secret.h"

/*
 * One message being encrypted: its CEK and nonce, running GCM, running
 * SHA-256 over the ciphertext.  The order is new, update (any number of
 * times), final, then public_keys and frame (any number of times).  Another
 * order is our bug and aborts.
 */
struct cf_sealer;

/* A fresh random CEK and nonce.  Gives; free with cf_sealer_free(). */
CF_MUST_USE enum cf_err cf_sealer_new(struct cf_sealer **ret,
    struct cf_why *why);
/* Wipes.  NULL inside is fine. */
void cf_sealer_free(struct cf_sealer **sealer);
/*
 * Encrypt `len` bytes (0 is fine) to `len` bytes at `ret_cipher`, which may
 * be `plain` itself but must not overlap it otherwise.
 * CF_E_TOO_LARGE  more than CF_PLAIN_MAX in all
 */
CF_MUST_USE enum cf_err cf_sealer_update(struct cf_sealer *sealer,
    const void *plain, size_t len, unsigned char *ret_cipher,
    struct cf_why *why);
/* The end of the plaintext: tag and digest are fixed now. */
CF_MUST_USE enum cf_err cf_sealer_final(struct cf_sealer *sealer,
    struct cf_why *why);
/* SHA-256(ciphertext || tag), after cf_sealer_final(). */
void cf_sealer_digest(const struct cf_sealer *sealer,
    unsigned char ret_digest[CF_DIGEST_LEN]);
/* How many bytes went in. */
uint64_t cf_sealer_len(const struct cf_sealer *sealer);
/* The public halves to register with the key request (see proofs.h). */
void cf_sealer_public_keys(const struct cf_sealer *sealer,
    unsigned char ret_opening[CF_PUBLIC_KEY_LEN],
    unsigned char ret_possession[CF_PUBLIC_KEY_LEN]);
/*
 * Wrap the CEK under `kek` (CF_KEK_LEN bytes) and append what stands in E
 * before the ciphertext to `head`, what stands behind it to `tail`:
 * E = head || ciphertext || tail.  Neither holds a secret.
 * CF_E_TOO_LARGE  a ceiling of `head` or `tail` is too low
 */
CF_MUST_USE enum cf_err cf_sealer_frame(const struct cf_sealer *sealer,
    const unsigned char key_id[CF_KEY_ID_LEN], const struct cf_secret *kek,
    struct cf_buf *head, struct cf_buf *tail, struct cf_why *why);

#endif
