// SPDX-License-Identifier: Apache-2.0
/*
 * composite - find E and L in a file that a person has chosen.
 *
 * E is known by what it is, not by what is said of it, and so is L, which
 * names the key of E: neither MIME nor any label is asked for.  The command
 * finds by the same rules (common/reading.c), which counterfoil-format(7)
 * has; tests/vectors/forms.json holds both to one table of cases.  Nothing
 * is looked for in what a message holds when it is opened.
 *
 * Knows: P and what becomes of it on the way.
 * Does not know: pages, what a person pasted.
 */
import { encode } from "./b64url";
import { latin1, type Bytes } from "./bytes";
import { AUTH_ENVELOPED_TYPE, keyIdOf, sealedLength, START_LEN }
	from "./container";
import { DerError } from "./der";
import { base64At, lineEnd, quoted, runs, uuencoded, wide } from "./layers";
import { locatorIn, type Locator } from "./link";
import { fieldText } from "./words";

export interface Found {
	e: Bytes;
	handle: string;		/* the key id */
	name: string;		/* Subject of the mail around it, or "" */
	locator: Locator | null;	/* L; null where the file has none */
}

export interface Contents {
	sealed: Found[];	/* the first of each key id */
	isCut: boolean;		/* there is an E that is not whole */
	isPacked: boolean;	/* zip or the like, in which nobody looks */
	isMail: boolean;	/* it begins with the fields of a mail */
	hasLink: boolean;	/* a link to some sealed message */
	lost: LostLink | null;	/* one that does not help, however copied */
}

/* What became of a link; which is told first: RANK. */
export type LostLink =
	| { kind: "opaque", service: string }	/* perhaps another link */
	| { kind: "cut" }
	| { kind: "lowercase" };

const RANK = { opaque: 1, cut: 2, lowercase: 3 };
/* A word of the length of a key id, which others hardly have. */
const KEY_ID = /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{21}[AQgw](?![A-Za-z0-9_-])/;

/* What a hostile file can make us do; counterfoil-format(7) has them too. */
const MAX_DEPTH = 8;	/* encodings around one another */
const MAX_LAYERS = 1000;	/* decoded texts in all */
const MAX_GROWTH = 4;	/* times the file: their bytes in all */
const MAX_FALSE = 32;	/* E's that are decoded whole and are none */
const MAX_SEALED = 16;	/* different E's */
const MAX_LINKS = 256;	/* different L's */
const MAX_WORDS = 512 * 1024;	/* bytes of words, and of fields, with an L */
const MIN_WORD = 60;	/* no L is shorter */
const MAX_WORD = 8192;
const MAX_LINES = 2048;	/* bytes of a link that was broken */

const B64_HEAD = 160;	/* the head of E, and what may be between */
const OID_SPAN = 32;	/* how far its ends can come to be apart */
const MAX_HEADER = 65536;

const TAB = 0x09, LF = 0x0a, CR = 0x0d, SP = 0x20, QUOTE = 0x22,
	APOSTROPHE = 0x27, LESS = 0x3c, GREATER = 0x3e;

const FIELD = "counterfoil-locator:";
const SUBJECT = /^[> ]*subject:(.*(?:\r?\n[ \t].*)*)/gim;
const MAIL = /^(>?From [^\n]*\n)?([!-9;-~]{2,}[ \t]*:[^\n]*\n([ \t].*\n)*){2}/;
const PACKED = /^(PK\x03\x04|\x1f\x8b\x08|7z\xbc\xaf|Rar!)/;

/* `len` bytes that some program took for text: each LF became CR LF. */
function withoutCr(bytes: Bytes, len: number): Bytes
{
	const out = new Uint8Array(Math.min(len, bytes.length));
	let done = 0;

	for (let at = 0; done < out.length && at < bytes.length; at++)
		if (bytes[at] !== CR || bytes[at + 1] !== LF)
			out[done++] = bytes[at] ?? 0;
	return out.subarray(0, done);
}

const isAt = (text: Bytes, at: number, what: number[]): boolean =>
	what.every((byte, i) => text[at + i] === byte);

/* 30 81 to 30 84 begin with MIE to MIT. */
const isOtherLength = (letter = 0): boolean =>
	(letter > 0x54 && letter < 0x7b) || (letter > 0x40 && letter < 0x45);

/* How long the E is that begins with this base64, 0 if none does. */
const encodedLength = (text: Bytes, at: number, end = text.length): number =>
	sealedLength(base64At(text, at, START_LEN,
		Math.min(end, at + B64_HEAD))[0], 0);

/* A `<wbr>` is where a long word may be broken, and no end. */
function endsWord(text: Bytes, at: number): boolean
{
	const byte = text[at] ?? 0;

	return byte <= SP || byte === QUOTE || byte === APOSTROPHE
		|| byte === GREATER || (byte === LESS && !/^<wbr/i.test(
			latin1(text.subarray(at, at + 4))));
}

/* What a word has in it. */
class Marks {
	begins = false;		/* a scheme, or what is made of it */
	escapes = false;	/* # or %: all of a link without its scheme */
	private last = 0;

	add(byte: number): void
	{
		this.last = this.last << 8 | byte;
		this.escapes ||= byte === 0x23 || byte === 0x25;
		/* "ttp", "TTP", "hxxp", "HR0c" of "aHR0c" */
		this.begins ||= (this.last & 0xffffff) === 0x747470
			|| (this.last & 0xffffff) === 0x545450
			|| this.last === 0x68787870 || this.last === 0x48523063;
	}
}

function wordEnd(text: Bytes, at: number, marks: Marks): number
{
	for (; at < text.length && !endsWord(text, at); at++) {
		if (text[at] === LESS) {
			at = text.indexOf(GREATER, at);
			if (at < 0)
				return text.length;
		}
		marks.add(text[at] ?? 0);
	}
	return at;
}

function endsLine(text: Bytes, at: number): boolean
{
	while (text[at] === SP || text[at] === TAB)
		at++;
	return text[at] === LF || text[at] === CR;
}

/* The end of the lines over which a link may go on that begins at `at`. */
function linesEnd(text: Bytes, at: number): number
{
	const stop = Math.min(text.length, at + MAX_LINES);
	let isBlank = false;

	for (; at < stop; at++) {
		const byte = text[at] ?? 0;

		if (byte === QUOTE || byte === APOSTROPHE || byte === LESS
		    || (byte === LF && isBlank))
			return at;
		if (byte === LF)
			isBlank = true;
		else if (byte !== GREATER && byte !== SP && byte !== TAB
		    && byte !== CR)
			isBlank = false;
	}
	return stop;
}

interface Link {
	locator: Locator;
	isInField: boolean;
}

class Search {
	readonly sealed: Omit<Found, "locator">[] = [];
	readonly links: Link[] = [];
	isCut = false;
	isPacked = false;
	hasPacked = false;	/* something in it is */
	lost: LostLink | null = null;
	private attempts = 0;
	private words = 0;	/* their bytes, so far */
	private fieldBytes = 0;
	private layers = 0;
	private left: number;

	constructor(file: Bytes)
	{
		this.left = MAX_GROWTH * file.length;
		this.read(file, 0, "");
	}

	/* --- E ---------------------------------------------------------- */

	/* Is it E?  One key id once more: the same, or decoded wrongly. */
	private keep(e: Bytes, name: () => string): boolean
	{
		const { sealed } = this;

		try {
			const handle = encode(keyIdOf(e));

			if (sealed.length < MAX_SEALED
			    && !sealed.some(one => one.handle === handle))
				sealed.push({ e, handle, name: name() });
			return true;
		} catch (error) {
			if (!(error instanceof DerError))
				throw error;
			this.isCut = true;
			return false;
		}
	}

	/* May what begins like E be decoded whole? */
	private mayTry(isThere: boolean): boolean
	{
		const may = isThere && this.attempts < MAX_FALSE;

		this.isCut ||= !may;
		return may;
	}

	/* E as it is. */
	private der(text: Bytes, name: (at: number) => string): void
	{
		for (let at = text.indexOf(0x30); at >= 0;
		    at = text.indexOf(0x30, at + 1)) {
			const len = sealedLength(text, at), from = at;
			const named = (): string => name(from);

			if (len === 0 || !this.mayTry(len <= text.length - at))
				continue;
			if (this.keep(text.subarray(at, at + len), named)
			    || this.keep(withoutCr(text.subarray(at), len), named))
				at += len - 1;
			else
				this.attempts++;
		}
	}

	/* What remains of E where a program took its bytes for letters. */
	private ruins(text: Bytes): void
	{
		const type = AUTH_ENVELOPED_TYPE;
		const head = type.slice(0, 3), tail = type.slice(-5);

		for (let at = text.indexOf(0x01); at >= 0;
		    at = text.indexOf(0x01, at + 1)) {
			if (!isAt(text, at, tail))
				continue;
			const stop = Math.max(0, at - OID_SPAN);

			for (let from = stop; from + head.length <= at; from++)
				if (isAt(text, from, head)) {
					this.isCut ||= !isAt(text, from, type);
					break;
				}
		}
	}

	/* E in base64, which begins with MIE to MIT. */
	private encoded(text: Bytes, name: (at: number) => string): void
	{
		for (let at = text.indexOf(0x4d); at >= 0;
		    at = text.indexOf(0x4d, at + 1)) {
			const len = text[at + 1] === 0x49 && !isOtherLength(text[at + 2])
				? encodedLength(text, at) : 0;
			const from = at;

			if (len === 0 || !this.mayTry(
			    Math.floor(len / 3) * 4 <= text.length - at))
				continue;
			const [e, end] = base64At(text, at, len);

			this.isCut ||= e.length < len;
			if (e.length === len && this.keep(e, () => name(from)))
				at = end - 1;
			else
				this.attempts++;
		}
	}

	/* --- L ---------------------------------------------------------- */

	/* The one that is most surely this message's is told. */
	private lose(link: LostLink): void
	{
		if (this.lost === null || RANK[link.kind] >= RANK[this.lost.kind])
			this.lost = link;
	}

	/* The L in a text, if there is one; else what is wrong with it. */
	private link(text: string, isInField: boolean): boolean
	{
		const found = locatorIn(text.replace(/\0[^]*/, ""));

		if (found.kind === "lowercase" || found.kind === "opaque")
			this.lose(found);
		else if (found.kind === "incomplete" && KEY_ID.test(text))
			this.lose({ kind: "cut" });
		if (found.kind !== "ok")
			return false;
		const { service, handle, token } = found.locator;
		const same = this.links.find(({ locator }) => locator.token === token
			&& locator.handle === handle && locator.service === service);

		if (same !== undefined)
			same.isInField ||= isInField;
		else if (this.links.length < MAX_LINKS)
			this.links.push({ locator: found.locator, isInField });
		return true;
	}

	/* The rest of a field's line, and the lines that continue it, in one. */
	private field(text: Bytes, from: number): void
	{
		let value = "", at = from;

		for (; at < text.length && value.length < MAX_WORD; at++) {
			const byte = text[at] ?? 0;

			if (byte === LF && text[at + 1] !== SP && text[at + 1] !== TAB)
				break;
			if (byte !== SP && byte !== TAB && byte !== CR && byte !== LF)
				value += String.fromCharCode(byte);
		}
		this.fieldBytes += at - from;
		this.link(value, true);
	}

	private fields(text: Bytes): void
	{
		for (let at = 0; at < text.length && this.fieldBytes < MAX_WORDS;
		    at = lineEnd(text, at) + 1)
			if (((text[at] ?? 0) | 0x20) === 0x63
			    && latin1(text.subarray(at, at + FIELD.length))
				.toLowerCase() === FIELD)
				this.field(text, at + FIELD.length);
	}

	private word(text: Bytes, from: number, end: number): boolean
	{
		this.words += end - from;
		return this.link(latin1(text.subarray(from, end)), false);
	}

	private findWords(text: Bytes): void
	{
		for (let at = 0; at < text.length && this.words < MAX_WORDS; at++) {
			if (endsWord(text, at))
				continue;
			const from = at, marks = new Marks();

			at = wordEnd(text, at, marks);
			const len = at - from;

			if (len > MAX_WORD || (len >= MIN_WORD
			    && (marks.begins || marks.escapes)
			    && this.word(text, from, at)))
				continue;
			/* Broken at the end of its line? */
			if (marks.begins && endsLine(text, at))
				this.word(text, from, linesEnd(text, from));
		}
	}

	/* --- texts in texts ---------------------------------------------- */

	private read(text: Bytes, depth: number, outside: string): void
	{
		/* Of the last header in front of it. */
		const name = (at: number): string => {
			const before = latin1(text.subarray(
				Math.max(0, at - MAX_HEADER), at));
			const value = [...before.matchAll(SUBJECT)].at(-1)?.[1];

			return fieldText((value ?? "").replace(/\r?\n/g, "").trim())
				|| outside;
		};
		const room = (): number => depth < MAX_DEPTH
			&& this.layers < MAX_LAYERS ? this.left : 0;

		if (PACKED.test(latin1(text.subarray(0, 4)))) {
			this.hasPacked = true;
			this.isPacked ||= depth === 0;
		}
		this.der(text, name);
		this.ruins(text);
		this.encoded(text, name);
		this.fields(text);
		this.findWords(text);
		/* E itself is most of a large mail, and has been looked at. */
		for (const texts of [runs(text, room, (at, end) =>
			room() === 0 || encodedLength(text, at, end) > 0),
		uuencoded(text, room), quoted(text, room), wide(text, room)])
			for (const inner of texts) {
				if (inner.length === 0)
					continue;
				this.layers++;
				this.left -= inner.length;
				this.read(inner, depth + 1, outside);
			}
	}
}

/* Its L: that of a field before that of a text. */
function linkFor(handle: string, links: Link[]): Locator | null
{
	const its = links.filter(({ locator }) => locator.handle === handle);

	return (its.find(({ isInField }) => isInField) ?? its[0])?.locator ?? null;
}

/* What is in the file. */
export function findSealed(file: Bytes): Contents
{
	const { sealed, links, lost, isCut, isPacked, hasPacked } =
		new Search(file);
	const hasLink = sealed.length === 0 && links.length > 0;

	return { isCut, hasLink, lost, isPacked: isPacked || (hasPacked && hasLink),
		isMail: MAIL.test(latin1(file.subarray(0, 4096))),
		sealed: sealed.map(one =>
			({ ...one, locator: linkFor(one.handle, links) })) };
}
