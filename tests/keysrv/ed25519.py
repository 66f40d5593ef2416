# SPDX-License-Identifier: Apache-2.0
"""Ed25519 (RFC 8032) in plain Python, for tests: slow, not constant-time.

An opinion of its own: it shares no code with what it tests.
"""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def _x_of(y, sign):
	x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
	x = pow(x2, (P + 3) // 8, P)
	if (x * x - x2) % P:
		x = x * SQRT_M1 % P
	if x & 1 != sign:
		x = P - x
	return x


_BY = 4 * pow(5, P - 2, P) % P
_BX = _x_of(_BY, 0)
BASE = (_BX, _BY, 1, _BX * _BY % P)
ZERO = (0, 1, 1, 0)


def _add(p, q):
	a = (p[1] - p[0]) * (q[1] - q[0]) % P
	b = (p[1] + p[0]) * (q[1] + q[0]) % P
	c = 2 * p[3] * q[3] * D % P
	d = 2 * p[2] * q[2] % P
	e, f, g, h = b - a, d - c, d + c, b + a
	return e * f % P, g * h % P, f * g % P, e * h % P


# Powers of two of the base point: a product is then additions only.
_POWERS = []
_p = BASE
for _ in range(256):
	_POWERS.append(_p)
	_p = _add(_p, _p)


def _times_base(n):
	r = ZERO
	for i in range(256):
		if n >> i & 1:
			r = _add(r, _POWERS[i])
	return r


def _encode(p):
	z = pow(p[2], P - 2, P)
	x, y = p[0] * z % P, p[1] * z % P
	return (y | (x & 1) << 255).to_bytes(32, "little")


def _expand(seed):
	h = hashlib.sha512(seed).digest()
	a = int.from_bytes(h[:32], "little")
	a &= (1 << 254) - 8
	a |= 1 << 254
	return a, h[32:]


def public_key(seed):
	return _encode(_times_base(_expand(seed)[0]))


def sign(seed, text):
	a, prefix = _expand(seed)
	public = _encode(_times_base(a))
	r = int.from_bytes(hashlib.sha512(prefix + text).digest(),
	    "little") % L
	rs = _encode(_times_base(r))
	k = int.from_bytes(hashlib.sha512(rs + public + text).digest(),
	    "little") % L
	return rs + ((r + k * a) % L).to_bytes(32, "little")
