// SPDX-License-Identifier: Apache-2.0
/*
 * layers - the texts that stand in a text in another encoding.
 *
 * No label is believed: whatever may be base64, uuencode, quoted-printable
 * or UTF-16 is decoded.  The command does the same (common/scan_layers.c); the
 * rules stand in counterfoil-format(7).
 *
 * Knows: how these encodings look, and what programs do to them.
 * Does not know: MIME, what is looked for.
 */
import type { Bytes } from "./bytes";

/* How many bytes a text may have now; 0: none any more. */
type Room = () => number;

const NUL = 0x00, TAB = 0x09, LF = 0x0a, CR = 0x0d, SP = 0x20, DASH = 0x2d,
	EQUALS = 0x3d, GRAVE = 0x60;

const B64_LINE = 60;	/* a longer line of base64 is no text */
const B64_RUN = 16;	/* a shorter one is a word */
const WIDE_RUN = 8;	/* characters of UTF-16 that are no accident */

const ALPHABET =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
const VALUE = new Int8Array(256).fill(-1);

for (let i = 0; i < ALPHABET.length; i++)
	VALUE[ALPHABET.charCodeAt(i)] = i < 64 ? i : i - 2;

/* Where the line ends that begins at `at`, or goes on there. */
export function lineEnd(text: Bytes, at: number): number
{
	const end = text.indexOf(LF, at);

	return end < 0 ? text.length : end;
}

/*
 * Up to `len` bytes of base64 between `at` and `end`, over all that is none,
 * to a line that begins with "--": there the part ends.  Padding ends a
 * piece, and another may follow.  With the place behind.
 */
export function base64At(text: Bytes, at: number, len: number,
	end = text.length): [Bytes, number]
{
	const out = new Uint8Array(Math.min(len,
		Math.ceil((end - at) / 4) * 3));
	let word = 0, bits = 0, done = 0;

	for (; done < out.length && at < end; at++) {
		const byte = text[at] ?? 0;
		const value = VALUE[byte] ?? -1;

		if (value < 0) {
			if (byte === EQUALS)
				bits = 0;
			else if (byte === LF && end - at > 2
			    && text[at + 1] === DASH && text[at + 2] === DASH)
				break;
			continue;
		}
		word = (word << 6 | value) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[done++] = word >> bits;
		}
	}
	return [out.subarray(0, done), at];
}

/* How many characters of base64 the line is, 0 when it has others. */
function base64Line(text: Bytes, at: number, end: number): number
{
	const from = at;

	while (at < end && (VALUE[text[at] ?? 0] ?? -1) >= 0)
		at++;
	const len = at - from;

	while (at < end && text[at] === EQUALS)
		at++;
	while (at < end && (text[at] === CR || text[at] === SP
	    || text[at] === TAB))
		at++;
	return at === end ? len : 0;
}

/* Each run of lines of base64, unless `isKnown` says what begins there. */
export function* runs(text: Bytes, room: Room,
	isKnown: (at: number, end: number) => boolean): Generator<Bytes>
{
	for (let at = 0, end, next; at < text.length; at = next) {
		end = lineEnd(text, at);
		next = end + 1;
		if (base64Line(text, at, end) < B64_RUN)
			continue;
		for (; next < text.length; next = end + 1) {
			end = lineEnd(text, next);
			if (base64Line(text, next, end) === 0)
				break;
		}
		if (!isKnown(at, Math.min(next, text.length)))
			yield base64At(text, at, room(),
				Math.min(next, text.length))[0];
	}
}

/* A text in the making, of at most `max` bytes. */
class Text {
	private readonly out: Bytes;
	private len = 0;

	constructor(private readonly max: number)
	{
		this.out = new Uint8Array(max);
	}

	add(byte: number): void
	{
		this.out[this.len++] = byte;
	}

	/* Nothing if it was too much. */
	bytes(): Bytes
	{
		return this.out.subarray(0, this.len > this.max ? 0 : this.len);
	}
}

const bitsOf = (byte: number): number =>
	byte >= SP && byte <= GRAVE ? (byte - SP) & 63 : 0;

/*
 * A line of uuencode may have what looks like quoted-printable in it.  As it
 * was written it is no longer than it says, but for a checksum's character;
 * quoted it would be.
 */
function isPlainUu(text: Bytes, at: number, end: number): boolean
{
	const count = at < end ? bitsOf(text[at] ?? 0) : 0;

	if (end > at && text[end - 1] === CR)
		end--;
	return count > 0 && end - at <= Math.ceil(count / 3) * 4 + 2;
}

/* One line of uuencode; false at the end of it. */
function uuLine(text: Bytes, at: number, end: number, out: Text): boolean
{
	let left = at < end ? bitsOf(text[at] ?? 0) : 0;
	const bits = (i: number): number => i < end ? bitsOf(text[i] ?? 0) : 0;

	if (!isPlainUu(text, at, end))
		return false;
	for (at++; left > 0; at += 4) {
		const word = bits(at) << 18 | bits(at + 1) << 12
			| bits(at + 2) << 6 | bits(at + 3);

		for (let shift = 16; shift >= 0 && left > 0; shift -= 8, left--)
			out.add(word >> shift & 0xff);
	}
	return true;
}

const BEGIN = Array.from("begin ", c => c.charCodeAt(0));

function isUuBegin(text: Bytes, at: number, end: number): boolean
{
	const digit = text[at + BEGIN.length] ?? 0;

	return end - at > BEGIN.length && digit >= 0x30 && digit <= 0x39
		&& BEGIN.every((byte, i) => text[at + i] === byte);
}

/* What follows each line "begin ", digit. */
export function* uuencoded(text: Bytes, room: Room): Generator<Bytes>
{
	for (let at = 0, end; at < text.length; at = end + 1) {
		end = lineEnd(text, at);
		if (!isUuBegin(text, at, end))
			continue;
		const out = new Text(Math.min(text.length - at, room()));

		do {
			at = end + 1;
			end = lineEnd(text, at);
		} while (uuLine(text, at, end, out));
		yield out.bytes();
	}
}

function hex(byte: number | undefined = 0): number
{
	const letter = byte | 0x20;

	if (byte >= 0x30 && byte <= 0x39)
		return byte - 0x30;
	return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/* One line of quoted-printable.  True: it was written in it, not plain. */
function unquoteLine(text: Bytes, at: number, end: number, out: Text): boolean
{
	let isQuoted = false, stop = end;

	while (stop > at && (text[stop - 1] === CR || text[stop - 1] === SP
	    || text[stop - 1] === TAB))
		stop--;
	for (; at < stop; at++) {
		const byte = text[at] ?? 0;

		if (byte !== EQUALS) {
			out.add(byte);
			continue;
		}
		if (at + 1 === stop)
			return true;		/* the next line goes on */
		const high = hex(text[at + 1]), low = hex(text[at + 2]);

		if (stop - at > 2 && high >= 0 && low >= 0) {
			out.add(high << 4 | low);
			isQuoted = true;
			at += 2;
		} else
			out.add(EQUALS);
	}
	if (end < text.length) {
		if (end > at && text[end - 1] === CR)
			out.add(CR);
		out.add(LF);
	}
	return isQuoted;
}

/* Does quoted-printable join the next line to this one? */
function isBrokenSoftly(text: Bytes, at: number, end: number): boolean
{
	while (end > at && (text[end - 1] === CR || text[end - 1] === SP
	    || text[end - 1] === TAB))
		end--;
	return end > at && text[end - 1] === EQUALS;
}

/*
 * All of it taken for quoted-printable, but for uuencode, and for the lines
 * that are nothing but base64: these are most of a large mail.
 */
export function* quoted(text: Bytes, room: Room): Generator<Bytes>
{
	const max = Math.min(text.length, room());
	let equals = text.indexOf(EQUALS);
	let isQuoted = false, inUu = false, isJoined = false;

	if (max === 0 || equals < 0)
		return;
	const out = new Text(max);

	for (let at = 0, end; at < text.length; at = end + 1) {
		end = lineEnd(text, at);
		if (equals >= 0 && equals < at)
			equals = text.indexOf(EQUALS, at);
		if (inUu && !isJoined && isPlainUu(text, at, end)) {
			for (let i = at; i < Math.min(end + 1, text.length); i++)
				out.add(text[i] ?? 0);
			continue;
		}
		inUu = isUuBegin(text, at, end) || (inUu && (isJoined
			|| (at < end && bitsOf(text[at] ?? 0) > 0)));
		isJoined = isBrokenSoftly(text, at, end);
		if (base64Line(text, at, end) < B64_LINE
		    || (equals >= 0 && equals < end))
			isQuoted = unquoteLine(text, at, end, out) || isQuoted;
	}
	if (isQuoted)
		yield out.bytes();
}

/*
 * All that is UTF-16, of either order: a file that some program saved, or a
 * text within another's format.  What matters in it is ASCII.
 */
export function* wide(text: Bytes, room: Room): Generator<Bytes>
{
	let zero = text.indexOf(NUL);

	if (zero < 0)
		return;
	const out = new Text(Math.min(text.length, room()));

	for (let at = 0; zero >= 0; zero = text.indexOf(NUL, at)) {
		let from = zero > at ? zero - 1 : zero;
		const isLast = from > 0 && text[from - 1] === NUL;

		for (at = from; at + 1 < text.length && text[at] !== NUL
		    && text[at + 1] === NUL; at += 2)
			;
		if (at - from >= 2 * WIDE_RUN) {
			for (; from < at; from += 2)
				out.add(text[from] ?? 0);
			/* In the other order this one belongs to the 0. */
			if (isLast && at < text.length && text[at] !== NUL)
				out.add(text[at] ?? 0);
			out.add(LF);
		}
		at = Math.max(at, zero + 1);
	}
	yield out.bytes();
}
