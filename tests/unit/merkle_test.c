/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's tree: the roots that every implementation gives, and the proofs
 * of all trees up to MAX leaves, against a tree made by the definition.
 */
#include "common/merkle.h"
#include "tests/unit/fixture.h"

#define MAX 300

#define HEIGHTS 9	/* 256 leaves and less */

static struct cf_hash leaves[MAX], roots[MAX + 1], complete[HEIGHTS][MAX];

static struct cf_hash
hash_of(const char *hex)
{
	struct cf_hash hash;
	unsigned byte;
	size_t i;

	for (i = 0; i < sizeof hash.bytes; i++) {
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		hash.bytes[i] = (unsigned char)byte;
	}
	return hash;
}

/* MTH of RFC 6962 2.1, as it is written there. */
static struct cf_hash
mth(size_t at, size_t count)
{
	struct cf_hash left, right;
	size_t k = 1;

	if (count == 0)
		return cf_merkle_empty();
	if (count == 1)
		return leaves[at];
	while (2 * k < count)
		k *= 2;
	left = mth(at, k);
	right = mth(at + k, count - k);
	return cf_merkle_node(&left, &right);
}

static int
make(void **state)
{
	size_t i, height;

	(void)state;
	for (i = 0; i < MAX; i++)
		leaves[i] = cf_merkle_leaf(&i, sizeof i);
	for (i = 0; i <= MAX; i++)
		roots[i] = mth(0, i);
	for (height = 0; height < HEIGHTS; height++)
		for (i = 0; (i + 1) << height <= MAX; i++)
			complete[height][i] = mth(i << height,
			    (size_t)1 << height);
	return 0;
}

/* Only subtrees that are complete in a tree of *arg leaves. */
static enum cf_err
get(void *arg, unsigned height, uint64_t index, struct cf_hash *ret,
    struct cf_why *why)
{
	const size_t *size = arg;

	if ((index + 1) << height > *size)
		return cf_fail(CF_E_INTERNAL, why, "not complete");
	*ret = complete[height][index];
	return CF_OK;
}

static void
assert_same(struct cf_hash a, struct cf_hash b)
{
	assert_memory_equal(a.bytes, b.bytes, sizeof a.bytes);
}

static void
t_roots_are_those_of_the_world(void **state)
{
	static const struct {
		const char *leaf;
		size_t len;
		const char *root;
	} v[] = {
		{ "", 0, "6e340b9cffb37a989ca544e6bb780a2c"
		    "78901d3fb33738768511a30617afa01d" },
		{ "\0", 1, "fac54203e7cc696cf0dfcb42c92a1d9d"
		    "baf70ad9e621f4bd8d98662f00e3c125" },
		{ "\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264"
		    "db0fa9b51af5e0ba159158f329e06e77" },
		{ "\x20\x21", 2, "d37ee418976dd95753c1c73862b9398f"
		    "a2a2cf9b4ff0fdfe8b30cd95209614b7" },
		{ "\x30\x31", 2, "4e3bbb1f7b478dcfe71fb631631519a3"
		    "bca12c9aefca1612bfce4c13a86264d4" },
		{ "\x40\x41\x42\x43", 4, "76e67dadbcdf1e10e1b74ddc608abd2f"
		    "98dfb16fbce75277b5232a127f2087ef" },
		{ "\x50\x51\x52\x53\x54\x55\x56\x57", 8,
		    "ddb89be403809e325750d3d263cd78929c2942b7942a34b7"
		    "7e122c9594a74c8c" },
		{ "\x60\x61\x62\x63\x64\x65\x66\x67"
		    "\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
		    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960"
		    "cfe370eff4604328" },
	};
	struct cf_merkle_edge edge = { 0 };
	struct cf_hash leaf;
	size_t i;

	(void)state;
	assert_same(cf_merkle_root(&edge), hash_of("e3b0c44298fc1c149afbf4c8"
	    "996fb92427ae41e4649b934ca495991b7852b855"));
	for (i = 0; i < sizeof v / sizeof v[0]; i++) {
		leaf = cf_merkle_leaf(v[i].leaf, v[i].len);
		assert_int_equal(cf_merkle_append(&edge, &leaf, NULL, NULL),
		    CF_OK);
		assert_same(cf_merkle_root(&edge), hash_of(v[i].root));
	}
}

static void
count_complete(void *arg, unsigned height, uint64_t index,
    const struct cf_hash *hash)
{
	size_t *count = arg;

	assert_same(*hash, complete[height][index]);
	(*count)++;
}

static void
t_a_tree_grows(void **state)
{
	struct cf_merkle_edge edge = { 0 };
	size_t i, told = 0;

	(void)state;
	for (i = 0; i < MAX; i++) {
		assert_same(cf_merkle_root(&edge), roots[i]);
		assert_int_equal(cf_merkle_append(&edge, &leaves[i],
		    count_complete, &told), CF_OK);
		assert_int_equal(edge.size, i + 1);
	}
	assert_same(cf_merkle_root(&edge), roots[MAX]);
	/* 300 + 150 + 75 + 37 + 18 + 9 + 4 + 2 + 1 */
	assert_int_equal(told, 596);
	edge.size = INT64_MAX;
	assert_int_equal(cf_merkle_append(&edge, &leaves[0], NULL, NULL),
	    CF_E_INTERNAL);
}

/* Which bit of a proof is turned; another in every proof. */
static void
flip(struct cf_merkle_proof *p)
{
	static size_t at;

	at += 7;
	p->hash[at / 8 % p->count].bytes[at % CF_DIGEST_LEN] ^=
	    (unsigned char)(1 << at % 8);
}

static void
t_every_leaf_can_be_proved(void **state)
{
	struct cf_merkle_proof p;
	size_t size, i;

	(void)state;
	for (size = 1; size <= MAX; size++)
		for (i = 0; i < size; i++) {
			assert_int_equal(cf_merkle_inclusion(i, size, get,
			    &size, &p, NULL), CF_OK);
#define HOLDS(index, of, root) cf_merkle_check_inclusion(&leaves[i], index, \
	of, &p, &roots[root])
			assert_true(HOLDS(i, size, size));
			assert_false(HOLDS(i ^ 1, size, size));
			assert_false(HOLDS(i, size, size - 1));
			assert_false(HOLDS(size, size, size));
			if (p.count == 0)
				continue;
			flip(&p);
			assert_false(HOLDS(i, size, size));
			p.count--;
			assert_false(HOLDS(i, size, size));
		}
}

static void
t_every_tree_is_the_start_of_the_next(void **state)
{
	struct cf_merkle_proof p;
	size_t size, from;

	(void)state;
	for (size = 1; size <= MAX; size++)
		for (from = 0; from <= size; from++) {
			assert_int_equal(cf_merkle_consistency(from, size, get,
			    &size, &p, NULL), CF_OK);
#undef HOLDS
#define HOLDS(a, b, root) cf_merkle_check_consistency(a, &roots[from], b, \
	&roots[root], &p)
			assert_true(HOLDS(from, size, size));
			assert_int_equal(HOLDS(from, size, size - 1),
			    from == 0);
			assert_false(HOLDS(size + 1, size, size));
			if (p.count == 0)
				continue;
			assert_false(HOLDS(from - 1, size, size));
			flip(&p);
			assert_false(HOLDS(from, size, size));
			p.count--;
			assert_false(HOLDS(from, size, size));
		}
}

static void
t_what_is_no_proof(void **state)
{
	struct cf_merkle_proof p = { .count = 0 };
	size_t size = 8;

	(void)state;
	assert_int_equal(cf_merkle_inclusion(8, 8, get, &size, &p, NULL),
	    CF_E_INTERNAL);
	assert_int_equal(cf_merkle_consistency(9, 8, get, &size, &p, NULL),
	    CF_E_INTERNAL);
	assert_int_equal(cf_merkle_inclusion(0, 9, get, &size, &p, NULL),
	    CF_E_INTERNAL);		/* what get() says */
	assert_false(cf_merkle_check_inclusion(&leaves[0], 0, 0, &p,
	    &roots[0]));
	p.count = CF_MERKLE_PROOF_MAX + 1;
	assert_false(cf_merkle_check_inclusion(&leaves[0], 0, 8, &p,
	    &roots[8]));
	assert_false(cf_merkle_check_consistency(3, &roots[3], 8, &p.hash[0],
	    &p));
	/* Longer than any tree is high, whatever its size is said to be. */
	p.count = CF_MERKLE_PROOF_MAX;
	memset(p.hash, 0, sizeof p.hash);
	assert_false(cf_merkle_check_inclusion(&leaves[0], UINT64_MAX - 1,
	    UINT64_MAX, &p, &roots[8]));
	assert_false(cf_merkle_check_consistency(UINT64_MAX - 1, &roots[3],
	    UINT64_MAX, &roots[8], &p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_roots_are_those_of_the_world),
		cmocka_unit_test(t_a_tree_grows),
		cmocka_unit_test(t_every_leaf_can_be_proved),
		cmocka_unit_test(t_every_tree_is_the_start_of_the_next),
		cmocka_unit_test(t_what_is_no_proof),
	};

	return cmocka_run_group_tests(tests, make, NULL);
}
