// SPDX-License-Identifier: Apache-2.0
/*
 * b64url - base64url without padding (RFC 4648 5), and plain base64.
 *
 * Knows: the alphabets.   Refuses: padding in b64url, bits left over that
 * are not zero, any other character, so that every byte string has exactly
 * one spelling.
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

/*
 * Base64 as mail carries it: white space between the characters is
 * skipped, padding ends the text.  Null on anything else.
 */
export function decodeMime(bytes: Uint8Array): Bytes | null
{
	const out = new Uint8Array(Math.floor(bytes.length * 3 / 4));
	let word = 0, bits = 0, at = 0, chars = 0, padding = 0;

	for (const byte of bytes) {
		if (byte === 0x0d || byte === 0x0a || byte === 0x20 || byte === 0x09)
			continue;
		if (byte === 0x3d) {
			padding++;
			continue;
		}
		const value = byte === 0x2b ? 62 : byte === 0x2f ? 63
			: byte === 0x2d || byte === 0x5f ? -1 : VALUE[byte] ?? -1;

		if (value < 0 || padding > 0)
			return null;
		chars++;
		word = ((word << 6) | value) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[at++] = (word >> bits) & 0xff;
		}
	}
	if ((chars + padding) % 4 !== 0 || padding > 2
	    || (word & ((1 << bits) - 1)) !== 0)
		return null;
	return out.subarray(0, at);
}
