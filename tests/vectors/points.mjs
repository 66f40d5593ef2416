// SPDX-License-Identifier: Apache-2.0
/* Which 32 bytes are an Ed25519 public key (RFC 8032 5.1.3), by BigInt. */
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";

const P = 2n ** 255n - 19n;
const mod = n => ((n % P) + P) % P;

function power(x, n)
{
	let result = 1n;

	for (; n > 0n; n >>= 1n, x = mod(x * x))
		if (n & 1n)
			result = mod(result * x);
	return result;
}

const D = mod(-121665n * power(121666n, P - 2n));
const onCurve = y => {
	const square = mod((y * y - 1n) * power(mod(D * y * y + 1n), P - 2n));

	return square === 0n || power(square, (P - 1n) / 2n) === 1n;
};
const encode = (y, sign = 0n) => Buffer.from(
	(y | sign << 255n).toString(16).padStart(64, "0"), "hex").reverse();
const b64 = bytes => Buffer.from(bytes).toString("base64url");
const sha256 = text => createHash("sha256").update(text).digest();

/* y of the points of order 8: two of the four roots of it. */
const WEAK = [
	0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
	0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n];

export function pointCases()
{
	const cases = [];
	const add = (about, bytes, key) =>
		cases.push({ about, point: b64(bytes), key });

	for (let i = 0; i < 40; i++) {
		const bytes = sha256(`counterfoil point ${i}`);
		const y = BigInt("0x" + Buffer.from(bytes).reverse()
			.toString("hex")) & 2n ** 255n - 1n;

		add("any bytes", bytes, onCurve(y));
	}
	for (let i = 0; i < 5; i++) {
		const spki = createPublicKey(createPrivateKey({ format: "der",
			type: "pkcs8", key: Buffer.concat([Buffer.from(
				"302e020100300506032b657004220420", "hex"),
				sha256(`counterfoil seed ${i}`)]) }))
			.export({ format: "der", type: "spki" });

		add("a key", spki.subarray(-32), true);
	}
	for (const sign of [0n, 1n]) {
		add("order 1", encode(1n, sign), false);
		add("order 2", encode(P - 1n, sign), false);
		add("order 4", encode(0n, sign), false);
		for (const y of WEAK)
			add("order 8", encode(y, sign), false);
		add("order 4, y not below p", encode(P, sign), false);
		add("order 1, y not below p", encode(P + 1n, sign), false);
		for (let y = 2n; y < 19n; y++)
			if (onCurve(y)) {
				add("a small y", encode(y, sign), true);
				add("that y, not below p", encode(P + y, sign),
					false);
			}
	}
	return { points: cases };
}
