// SPDX-License-Identifier: Apache-2.0
/*
 * transfer - a part's bytes out of its transfer encoding.
 *
 * An encoding that changes nothing, or that is not known, gives the bytes as
 * they stand.  What is not well-formed is decoded as Python and GMime do
 * where the two agree; nothing is refused.
 *
 * Knows: RFC 2045 6, uuencode.   Does not know: fields, text.
 */
import { latin1, type Bytes } from "./bytes";

const LF = 0x0a, CR = 0x0d, SP = 0x20, EQUALS = 0x3d;

/* The value of a hexadecimal digit, or -1. */
function hexValue(byte: number | undefined): number
{
	if (byte === undefined)
		return -1;
	if (byte >= 0x30 && byte <= 0x39)
		return byte - 0x30;
	const letter = byte | 0x20;

	return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/*
 * An `=` at the end of a line takes the line end away; one in front of
 * anything but two digits stands for itself, and so do blanks.
 */
function quotedPrintable(bytes: Bytes): Bytes
{
	const out = new Uint8Array(bytes.length);
	let len = 0;

	for (let at = 0; at < bytes.length; ) {
		const next = bytes.indexOf(EQUALS, at);
		const plain = bytes.subarray(at, next < 0 ? bytes.length : next);

		out.set(plain, len);
		len += plain.length;
		if (next < 0 || next + 1 === bytes.length)
			break;
		const high = hexValue(bytes[next + 1]);
		const low = hexValue(bytes[next + 2]);

		at = next + 1;
		if (bytes[at] === LF)
			at++;
		else if (bytes[at] === CR
		    && (bytes[at + 1] === LF || at + 1 === bytes.length))
			at += 2;
		else if (high >= 0 && low >= 0) {
			out[len++] = high << 4 | low;
			at += 2;
		} else
			out[len++] = EQUALS;
	}
	return out.subarray(0, len);
}

const ALPHABET =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE = new Int8Array(256).fill(-1);

for (let i = 0; i < ALPHABET.length; i++)
	VALUE[ALPHABET.charCodeAt(i)] = i;

/*
 * Other characters are passed over.  Padding that completes four characters
 * is the end: what somebody added behind it is not of the file.
 */
function base64(bytes: Bytes): Bytes
{
	const out = new Uint8Array(Math.ceil(bytes.length / 4) * 3);
	let word = 0, chars = 0, padding = 0, len = 0;

	for (let at = 0; at < bytes.length; at++) {
		const byte = bytes[at] ?? 0;
		const value = VALUE[byte] ?? -1;

		if (value >= 0) {
			word = word << 6 | value;
			padding = 0;
			if (++chars < 4)
				continue;
			out[len++] = word >> 16;
			out[len++] = word >> 8;
			out[len++] = word;
			word = chars = 0;
		} else if (byte === EQUALS && chars >= 2
		    && chars + ++padding === 4)
			break;
	}
	if (chars >= 2)
		out[len++] = word >> (chars === 3 ? 10 : 4);
	if (chars === 3)
		out[len++] = word >> 2;
	return out.subarray(0, len);
}

/* The lines between `begin` and `end`; null where nothing begins. */
function uuLines(bytes: Bytes): Uint8Array[] | null
{
	let lines: Uint8Array[] | null = null;

	for (let at = 0, next; at < bytes.length; at = next) {
		const end = bytes.indexOf(LF, at);

		next = end < 0 ? bytes.length : end + 1;
		const line = bytes.subarray(at, end < 0 ? next
			: bytes[end - 1] === CR ? end - 1 : end);

		if (lines === null) {
			if (/^begin [0-7]{3,4}( |$)/.test(latin1(line.subarray(0, 11))))
				lines = [];
		} else if (/^end[ \t]*$/.test(latin1(line.subarray(0, 80))))
			break;
		else if (line.length > 0)
			lines.push(line);
	}
	return lines;
}

/* The first file in it; blanks that were cut off a line's end are zeros. */
function uuencoded(bytes: Bytes): Bytes
{
	const lines = uuLines(bytes);
	const bits = (byte: number | undefined): number =>
		((byte ?? SP) - SP) & 63;

	if (lines === null)
		return bytes;
	const out = new Uint8Array(lines.reduce(
		(sum, line) => sum + bits(line[0]), 0));
	let len = 0;

	for (const line of lines) {
		const end = len + bits(line[0]);

		for (let at = 1; len < end; at += 4) {
			const word = bits(line[at]) << 18 | bits(line[at + 1]) << 12
				| bits(line[at + 2]) << 6 | bits(line[at + 3]);

			for (let shift = 16; shift >= 0 && len < end; shift -= 8)
				out[len++] = word >> shift;
		}
	}
	return out;
}

/* What `body` is under the transfer encoding called `name`. */
export function transferDecoded(body: Bytes, name: string): Bytes
{
	const [word = ""] = name.toLowerCase().trim().split(/[\s;(]/);

	switch (word.replace(/^"|"$/g, "")) {
	case "quoted-printable":
		return quotedPrintable(body);
	case "base64":
		return base64(body);
	case "x-uuencode": case "uuencode": case "x-uue": case "uue":
		return uuencoded(body);
	default:
		return body;
	}
}
