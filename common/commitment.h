/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_commit - the message commitment: what binds a receipt to a text.
 *
 *   commitment = SHA-256("counterfoil message v1" 00 || salt || H(head) ||
 *                H(body)), H = SHA-256
 *   head  = every field of m named From, To, Cc, Subject, Date, MIME-Version,
 *           Content-Type or Content-Transfer-Encoding, grouped in this order,
 *           those of one name top down, by relaxed header canonicalization
 *           (RFC 6376 3.4.2), each ended by CR LF.  If m does not begin with
 *           a block (block.h): all in front of its first empty line, or all
 *           of m if it has none, unchanged
 *   body  = what follows the empty line, each LF without CR made CR LF, then
 *           by simple body canonicalization (RFC 6376 3.4.3)
 *   salt  = HMAC-SHA256(the gateway's reference secret, "counterfoil message
 *           salt v1" 00 || key id)
 *
 * m is the message as cf_mform_strip() gives it.  Without the salt, which
 * stands in the sealed message, nobody can try texts against a commitment.
 *
 * Knows: the canonical forms.   Does not know: records, keys, HTTP.
 * Threads: no shared state; a running one belongs to one at a time.
 * Logging: never.
 */
#ifndef CF_COMMON_COMMITMENT_H
#define CF_COMMON_COMMITMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/digest.h"
#include "common/secret.h"
#include "common/link.h"

#define CF_MESSAGE_SALT_LEN 32
#define CF_HEAD_NAMES 8		/* names of fields that count */

/* What is left of a message that was committed to. */
struct cf_commit_digests {
	unsigned char head[CF_DIGEST_LEN];
	unsigned char body[CF_DIGEST_LEN];
	/* Of the canonical fields of each name, so that one that differs can
	 * be named; of nothing where there is none, and all of them where m
	 * does not begin with a block. */
	unsigned char name[CF_HEAD_NAMES][CF_DIGEST_LEN];
	bool block;		/* m begins with one */
};

/* The names, in the order of the head, as people write them. */
extern const char *const cf_commit_names[CF_HEAD_NAMES];

struct cf_commit;

/*
 * Begin with the first `len` bytes of m, in which its whole header stands,
 * with the empty line if there is one.  Gives; cf_commit_free().
 */
struct cf_commit *cf_commit_new(const char *m, size_t len);
/* The rest of m, in whatever pieces it comes. */
void cf_commit_add(struct cf_commit *commit, const void *data, size_t len);
/* Once, after the last piece. */
void cf_commit_end(struct cf_commit *commit, struct cf_commit_digests *ret);
void cf_commit_free(struct cf_commit **commit);

void cf_commit_salt(const struct cf_secret *reference_secret,
    const unsigned char key_id[CF_KEY_ID_LEN],
    unsigned char ret[CF_MESSAGE_SALT_LEN]);
void cf_commit_make(const unsigned char salt[CF_MESSAGE_SALT_LEN],
    const struct cf_commit_digests *digests,
    unsigned char ret[CF_DIGEST_LEN]);

#endif
