/* SPDX-License-Identifier: Apache-2.0 */
/* cf_merkle - see merkle.h. */
#include "common/merkle.h"

#include <string.h>

#define SIZE_LIMIT ((uint64_t)1 << CF_MERKLE_HEIGHT_MAX)

static const unsigned char leaf_prefix = 0, node_prefix = 1;

struct cf_hash
cf_merkle_empty(void)
{
	struct cf_hash hash;

	cf_digest_of("", 0, hash.bytes);
	return hash;
}

struct cf_hash
cf_merkle_leaf(const void *entry, size_t len)
{
	CF_AUTO(cf_digest_free) struct cf_digest *digest = cf_digest_new();
	struct cf_hash hash;

	cf_digest_add(digest, &leaf_prefix, 1);
	cf_digest_add(digest, entry, len);
	cf_digest_end(digest, hash.bytes);
	return hash;
}

struct cf_hash
cf_merkle_node(const struct cf_hash *left, const struct cf_hash *right)
{
	unsigned char text[1 + 2 * CF_DIGEST_LEN];
	struct cf_hash hash;

	text[0] = node_prefix;
	memcpy(text + 1, left->bytes, CF_DIGEST_LEN);
	memcpy(text + 1 + CF_DIGEST_LEN, right->bytes, CF_DIGEST_LEN);
	cf_digest_of(text, sizeof text, hash.bytes);
	return hash;
}

/* ---- growing ---- */

enum cf_err
cf_merkle_append(struct cf_merkle_edge *edge, const struct cf_hash *leaf,
    void (*complete)(void *arg, unsigned height, uint64_t index,
    const struct cf_hash *hash), void *arg)
{
	struct cf_hash hash = *leaf;
	unsigned height = 0;

	if (edge->size >= SIZE_LIMIT - 1)
		return CF_E_INTERNAL;
	for (;; height++) {
		if (complete != NULL)
			complete(arg, height, edge->size >> height, &hash);
		if ((edge->size >> height & 1) == 0)
			break;
		hash = cf_merkle_node(&edge->hash[height], &hash);
	}
	edge->hash[height] = hash;
	edge->size++;
	return CF_OK;
}

struct cf_hash
cf_merkle_root(const struct cf_merkle_edge *edge)
{
	struct cf_hash root = cf_merkle_empty();
	bool any = false;
	unsigned height;

	for (height = 0; height < CF_MERKLE_HEIGHT_MAX; height++) {
		if ((edge->size >> height & 1) == 0)
			continue;
		root = any ? cf_merkle_node(&edge->hash[height], &root) :
		    edge->hash[height];
		any = true;
	}
	return root;
}

/* ---- making proofs ---- */

/* What a proof is made from, and where it goes. */
struct source {
	cf_merkle_get *get;
	void *arg;
	struct cf_merkle_proof *proof;
	struct cf_why *why;
};

/* The largest power of two below n > 1: the leaves of the left half. */
static uint64_t
left_of(uint64_t n)
{
	uint64_t k = 1;

	while (2 * k < n)
		k *= 2;
	return k;
}

/*
 * MTH of the `count` leaves from `at` on, where a subtree of that size can
 * begin: complete subtrees from left to right, folded from the right.
 */
static enum cf_err
get_range(const struct source *s, uint64_t at, uint64_t count,
    struct cf_hash *ret)
{
	struct cf_hash part[CF_MERKLE_HEIGHT_MAX + 1];
	size_t n = 0;
	unsigned height;
	enum cf_err rc;

	for (height = CF_MERKLE_HEIGHT_MAX; height-- > 0;) {
		if ((count >> height & 1) == 0)
			continue;
		rc = s->get(s->arg, height, at >> height, &part[n++], s->why);
		if (rc != CF_OK)
			return rc;
		at += (uint64_t)1 << height;
	}
	for (*ret = part[--n]; n > 0; n--)
		*ret = cf_merkle_node(&part[n - 1], ret);
	return CF_OK;
}

static enum cf_err
add_range(const struct source *s, uint64_t at, uint64_t count)
{
	return get_range(s, at, count, &s->proof->hash[s->proof->count++]);
}

/*
 * From a tree of *size leaves, which begins with leaf *at, into its left or
 * right half; the hash of the other half belongs to the proof.
 */
static enum cf_err
go_into_half(const struct source *s, bool left, uint64_t *at, uint64_t *size)
{
	uint64_t k = left_of(*size), begin = *at, rest = *size - k;

	if (left) {
		*size = k;
		return add_range(s, begin + k, rest);
	}
	*at += k;
	*size = rest;
	return add_range(s, begin, k);
}

/* Put the hashes the other way round: they were found from root to leaf. */
static void
reverse(struct cf_merkle_proof *proof)
{
	struct cf_hash hash;
	size_t i;

	for (i = 0; i < proof->count / 2; i++) {
		hash = proof->hash[i];
		proof->hash[i] = proof->hash[proof->count - 1 - i];
		proof->hash[proof->count - 1 - i] = hash;
	}
}

enum cf_err
cf_merkle_inclusion(uint64_t index, uint64_t size, cf_merkle_get *get,
    void *arg, struct cf_merkle_proof *ret, struct cf_why *why)
{
	const struct source s = { get, arg, ret, why };
	uint64_t at = 0;
	enum cf_err rc = CF_OK;

	ret->count = 0;
	if (index >= size || size >= SIZE_LIMIT)
		return cf_fail(CF_E_INTERNAL, why, "no such leaf in the tree");
	while (size > 1 && rc == CF_OK)
		rc = go_into_half(&s, index - at < left_of(size), &at, &size);
	reverse(ret);
	return rc;
}

enum cf_err
cf_merkle_consistency(uint64_t from, uint64_t size, cf_merkle_get *get,
    void *arg, struct cf_merkle_proof *ret, struct cf_why *why)
{
	const struct source s = { get, arg, ret, why };
	uint64_t at = 0;
	bool left;
	bool known = true;	/* its root is that of the tree of `from` */
	enum cf_err rc = CF_OK;

	ret->count = 0;
	if (from > size || size >= SIZE_LIMIT)
		return cf_fail(CF_E_INTERNAL, why, "no tree becomes smaller");
	if (from == 0)
		return CF_OK;
	while (from - at < size && rc == CF_OK) {
		left = from - at <= left_of(size);
		known &= left;
		rc = go_into_half(&s, left, &at, &size);
	}
	if (rc == CF_OK && !known)
		rc = add_range(&s, at, size);
	reverse(ret);
	return rc;
}

/* ---- checking proofs ---- */

static bool
same(const struct cf_hash *a, const struct cf_hash *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* Up, past the levels at which the right edge has no neighbour. */
static void
climb(uint64_t *fn, uint64_t *sn)
{
	while ((*fn & 1) == 0 && *fn != 0) {
		*fn >>= 1;
		*sn >>= 1;
	}
}

bool
cf_merkle_check_inclusion(const struct cf_hash *leaf, uint64_t index,
    uint64_t size, const struct cf_merkle_proof *proof,
    const struct cf_hash *root)
{
	struct cf_hash r = *leaf;
	uint64_t fn = index, sn = size - 1;
	size_t i;

	if (index >= size || proof->count > CF_MERKLE_PROOF_MAX)
		return false;
	for (i = 0; i < proof->count; i++, fn >>= 1, sn >>= 1) {
		if (sn == 0)
			return false;
		if ((fn & 1) == 1 || fn == sn) {
			r = cf_merkle_node(&proof->hash[i], &r);
			climb(&fn, &sn);
		} else {
			r = cf_merkle_node(&r, &proof->hash[i]);
		}
	}
	return sn == 0 && same(&r, root);
}

/* RFC 9162 2.1.4.2, of proofs in front of which `first` stands. */
static bool
check_extension(uint64_t from, const struct cf_hash *from_root, uint64_t size,
    const struct cf_hash *root, const struct cf_hash *first,
    const struct cf_hash *hash, size_t count)
{
	struct cf_hash a = *first, b = *first;
	uint64_t fn = from - 1, sn = size - 1;
	size_t i;

	for (; (fn & 1) == 1; fn >>= 1)
		sn >>= 1;
	for (i = 0; i < count; i++, fn >>= 1, sn >>= 1) {
		if (sn == 0)
			return false;
		if ((fn & 1) == 1 || fn == sn) {
			a = cf_merkle_node(&hash[i], &a);
			b = cf_merkle_node(&hash[i], &b);
			climb(&fn, &sn);
		} else {
			b = cf_merkle_node(&b, &hash[i]);
		}
	}
	return sn == 0 && same(&a, from_root) && same(&b, root);
}

bool
cf_merkle_check_consistency(uint64_t from, const struct cf_hash *from_root,
    uint64_t size, const struct cf_hash *root,
    const struct cf_merkle_proof *proof)
{
	const struct cf_hash empty = cf_merkle_empty();

	if (from > size || proof->count > CF_MERKLE_PROOF_MAX)
		return false;
	if (from == 0)
		return proof->count == 0 && same(from_root, &empty) &&
		    (size > 0 || same(root, &empty));
	if (from == size)
		return proof->count == 0 && same(from_root, root);
	if ((from & (from - 1)) == 0)
		return check_extension(from, from_root, size, root, from_root,
		    proof->hash, proof->count);
	return proof->count > 0 && check_extension(from, from_root, size,
	    root, &proof->hash[0], proof->hash + 1, proof->count - 1);
}
