/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_merkle - the tree of the key server's log (RFC 6962 2.1, RFC 9162 2.1).
 *
 *   empty = SHA-256(""), leaf = SHA-256(00 || entry),
 *   node  = SHA-256(01 || left || right)
 *
 * A tree of n > 1 leaves is split at the largest power of two below n.  A
 * subtree of height h at index i has the leaves [i * 2^h, (i + 1) * 2^h) and
 * never changes once it is complete.
 *
 * Knows: hashes and proofs.   Does not know: where they are kept, tiles, what
 * an entry is.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_MERKLE_H
#define CF_COMMON_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"

#define CF_MERKLE_HEIGHT_MAX 63			/* so a size fits int64_t */
#define CF_MERKLE_PROOF_MAX (2 * CF_MERKLE_HEIGHT_MAX)	/* hashes */

struct cf_hash {
	unsigned char bytes[CF_DIGEST_LEN];
};

struct cf_merkle_proof {
	size_t count;
	struct cf_hash hash[CF_MERKLE_PROOF_MAX];
};

struct cf_hash cf_merkle_empty(void);
struct cf_hash cf_merkle_leaf(const void *entry, size_t len);
struct cf_hash cf_merkle_node(const struct cf_hash *left,
    const struct cf_hash *right);

/* ---- growing ---- */

/*
 * All that is needed to add leaves: the roots of the complete subtrees of
 * which the tree is made, one for each bit of its size, that of the lowest
 * bit at hash[0]'s end; by height.  Zeroed, it is the empty tree.
 */
struct cf_merkle_edge {
	uint64_t size;			/* leaves */
	struct cf_hash hash[CF_MERKLE_HEIGHT_MAX];	/* by height */
};

/*
 * Add a leaf's hash.  `complete`, if not NULL, is told of each subtree that
 * it completes, height 0 (itself) first.  CF_E_INTERNAL: the tree is full.
 */
CF_MUST_USE enum cf_err cf_merkle_append(struct cf_merkle_edge *edge,
    const struct cf_hash *leaf, void (*complete)(void *arg, unsigned height,
    uint64_t index, const struct cf_hash *hash), void *arg);
struct cf_hash cf_merkle_root(const struct cf_merkle_edge *edge);

/* ---- proofs ---- */

/* Gives the root of a complete subtree; CF_OK, or why it has none. */
typedef enum cf_err cf_merkle_get(void *arg, unsigned height, uint64_t index,
    struct cf_hash *ret, struct cf_why *why);

/*
 * That leaf `index` is in the tree of `size` leaves: PATH(index, D[size]),
 * from leaf to root.  CF_E_INTERNAL: it is not in it; and what `get` returns.
 */
CF_MUST_USE enum cf_err cf_merkle_inclusion(uint64_t index, uint64_t size,
    cf_merkle_get *get, void *arg, struct cf_merkle_proof *ret,
    struct cf_why *why);
/* That the tree of `from` leaves is the start of that of `size`. */
CF_MUST_USE enum cf_err cf_merkle_consistency(uint64_t from, uint64_t size,
    cf_merkle_get *get, void *arg, struct cf_merkle_proof *ret,
    struct cf_why *why);

/* RFC 9162 2.1.3.2 and 2.1.4.2; of any input. */
bool cf_merkle_check_inclusion(const struct cf_hash *leaf, uint64_t index,
    uint64_t size, const struct cf_merkle_proof *proof,
    const struct cf_hash *root);
bool cf_merkle_check_consistency(uint64_t from,
    const struct cf_hash *from_root, uint64_t size,
    const struct cf_hash *root, const struct cf_merkle_proof *proof);

#endif
