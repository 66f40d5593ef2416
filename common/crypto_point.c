/* SPDX-License-Identifier: Apache-2.0 */
/* cf_point - see crypto_point.h. */
#include "common/crypto_point.h"

#include <openssl/bn.h>
#include <string.h>

#include "common/err.h"

bool
cf_point_is_weak(const unsigned char point[CF_POINT_LEN])
{
	/* As y with the sign bit cleared. */
	static const unsigned char weak[][CF_POINT_LEN] = {
		{ 0 }, { 1 },
		{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3,
		    0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05,
		    0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
		    0xfc, 0x05 },
		{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c,
		    0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa,
		    0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
		    0x03, 0x7a },
	};
	unsigned char y[CF_POINT_LEN];
	size_t i;

	memcpy(y, point, sizeof y);
	y[31] &= 0x7f;
	for (i = 0; i < sizeof weak / sizeof weak[0]; i++)
		if (memcmp(y, weak[i], sizeof y) == 0)
			return true;
	/* p-1, p and p+1, p = 2^255 - 19 */
	for (i = 1; i < 31 && y[i] == 0xff; i++)
		continue;
	return i == 31 && y[31] == 0x7f && y[0] >= 0xec && y[0] <= 0xee;
}

/*
 * Has x^2 = (y^2 - 1) / (d y^2 + 1) a root?  It has one if the product of
 * the two has, for their quotient is that product over a square.
 */
static int
has_x(const BIGNUM *y, const BIGNUM *p, BN_CTX *ctx)
{
	BIGNUM *d = BN_CTX_get(ctx), *u = BN_CTX_get(ctx),
	    *v = BN_CTX_get(ctx);
	int root;

	/* d = -121665/121666 */
	if (v == NULL || BN_hex2bn(&d, "52036cee2b6ffe738cc740797779e898"
	    "00700a4d4141d8ab75eb4dca135978a3") == 0 ||
	    BN_mod_sqr(u, y, p, ctx) != 1 ||
	    BN_mod_mul(v, d, u, p, ctx) != 1 || BN_add_word(v, 1) != 1 ||
	    BN_sub_word(u, 1) != 1 || BN_mod_mul(u, u, v, p, ctx) != 1)
		return -2;
	root = BN_kronecker(u, p, ctx);
	return root == -2 ? -2 : root >= 0;
}

bool
cf_point_is_key(const unsigned char point[CF_POINT_LEN])
{
	unsigned char bytes[CF_POINT_LEN];
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = BN_new(), *y = BN_new();
	int good = -2;

	memcpy(bytes, point, sizeof bytes);
	bytes[31] &= 0x7f;
	if (ctx != NULL && p != NULL && y != NULL &&
	    BN_set_bit(p, 255) == 1 && BN_sub_word(p, 19) == 1 &&
	    BN_lebin2bn(bytes, sizeof bytes, y) != NULL) {
		BN_CTX_start(ctx);
		good = BN_cmp(y, p) < 0 ? has_x(y, p, ctx) : 0;
		BN_CTX_end(ctx);
	}
	BN_free(y);
	BN_free(p);
	BN_CTX_free(ctx);
	if (good == -2)
		cf_bug("no memory for a point");
	return good == 1 && !cf_point_is_weak(point);
}
