// SPDX-License-Identifier: Apache-2.0
/*
 * bytes - small helpers for byte strings.
 *
 * Knows: arrays of bytes, ASCII and UTF-8.   Does not know: mail, keys.
 */

/* Bytes that WebCrypto takes: never backed by shared memory. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

export function utf8(text: string): Bytes
{
	return encoder.encode(text) as Bytes;
}

/* Header text: every byte becomes the character of the same number. */
export function latin1(bytes: Uint8Array): string
{
	let text = "";

	for (let at = 0; at < bytes.length; at += 8192)
		text += String.fromCharCode(...bytes.subarray(at, at + 8192));
	return text;
}

export function concat(...parts: Uint8Array[]): Bytes
{
	const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
	let at = 0;

	for (const part of parts) {
		out.set(part, at);
		at += part.length;
	}
	return out;
}

/*
 * Compares without stopping at the first difference.  The values compared
 * here are public, the habit is not.
 */
export function equal(a: Uint8Array, b: Uint8Array): boolean
{
	let difference = a.length ^ b.length;

	for (let i = 0; i < a.length; i++)
		difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
	return difference === 0;
}
