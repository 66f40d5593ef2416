// SPDX-License-Identifier: Apache-2.0
/*
 * b64url - base64url without padding (RFC 4648 5).
 *
 * Knows: the alphabet.   Refuses: padding, bits left over that are not zero,
 * any other character, so that every byte string has exactly one spelling.
 */
import type { Bytes } from "./bytes";

const ALPHABET =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const VALUE = new Int8Array(128).fill(-1);
for (let i = 0; i < ALPHABET.length; i++)
	VALUE[ALPHABET.charCodeAt(i)] = i;

export function encode(bytes: Uint8Array): string
{
	let text = "";

	for (let i = 0; i < bytes.length; i += 3) {
		const left = bytes.length - i;
		const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8)
			| (bytes[i + 2] ?? 0);

		text += ALPHABET.charAt(word >> 18)
			+ ALPHABET.charAt((word >> 12) & 63);
		if (left > 1)
			text += ALPHABET.charAt((word >> 6) & 63);
		if (left > 2)
			text += ALPHABET.charAt(word & 63);
	}
	return text;
}

/* The bytes, or null when `text` is not exactly `len` bytes of b64url. */
export function decode(text: unknown, len: number): Bytes | null
{
	if (typeof text !== "string" || text.length !== Math.ceil(len * 4 / 3))
		return null;
	const out = new Uint8Array(len);
	let word = 0, bits = 0, at = 0;

	for (let i = 0; i < text.length; i++) {
		const value = VALUE[text.charCodeAt(i)] ?? -1;

		if (value < 0)
			return null;
		word = ((word << 6) | value) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[at++] = (word >> bits) & 0xff;
		}
	}
	return (word & ((1 << bits) - 1)) === 0 ? out : null;
}
