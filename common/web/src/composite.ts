// SPDX-License-Identifier: Apache-2.0
/*
 * composite - find E and L in a file that a person has chosen.
 *
 * E is known by what it is, not by what is said of it: DER that
 * container.ts takes, in any part of the file under any label, as it
 * stands or as base64, quoted-printable or uuencoded text, with whatever
 * somebody put around it.  L is a Counterfoil-Locator field, else a link
 * in the texts of the file, and names the key of E.  Nothing is looked for
 * in what a message holds when it is opened.
 *
 * Knows: P and what becomes of it on the way.
 * Does not know: pages, what a person pasted.
 */
import { encode } from "./b64url";
import { latin1, utf8, type Bytes } from "./bytes";
import { keyIdOf, sealedLength, START_LEN } from "./container";
import { DerError } from "./der";
import { findLocator, type Locator } from "./link";
import { fieldOf, leaves, takeApart, type Part } from "./mime";
import { base64At, transferDecoded } from "./transfer";
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
	isMail: boolean;	/* it begins with the fields of a mail */
	hasLink: boolean;	/* a link to some sealed message */
}

/* A message in a message in a message: further down nobody looks. */
const MAX_DEPTH = 8;
/* Different E's in one file, and what begins like one and is none. */
const MAX_SEALED = 16;
const MAX_FALSE = 32;
/* Of all texts together, what is searched for links, and for how many. */
const MAX_TEXT = 1_000_000;
const MAX_LINKS = 1000;
const MAX_LINK = 4096;

const CR = 0x0d, LF = 0x0a;

/* --- E ------------------------------------------------------------------ */

/* What begins like this may be a message, or a part with its fields. */
const FIELD = /^(>?From [^\n]*\n)?[!-9;-~]{2,}[ \t]*:/;

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

/* A file that some program saved in UTF-16, in UTF-8. */
function narrow(file: Bytes): Bytes
{
	const label = file[0] === 0xff && file[1] === 0xfe ? "utf-16le"
		: file[0] === 0xfe && file[1] === 0xff ? "utf-16be" : null;

	return label === null ? file
		: utf8(new TextDecoder(label).decode(file));
}

class Search {
	readonly sealed: Omit<Found, "locator">[] = [];
	readonly locators: string[] = [];	/* of the fields */
	readonly texts: Bytes[] = [];
	isCut = false;
	isMail = false;
	private wrong = 0;
	private subject = "";

	constructor(file: Bytes)
	{
		this.message(file, 0);
		/* In front of, between and behind the parts, too. */
		this.has(file);
		this.texts.push(file);
	}

	private mayGoOn(at: number): boolean
	{
		return at >= 0 && this.wrong < MAX_FALSE;
	}

	private keep(e: Bytes): boolean
	{
		const { sealed } = this;

		try {
			const handle = encode(keyIdOf(e));

			/* Once more: the same again, or it was decoded wrongly. */
			if (sealed.length < MAX_SEALED
			    && !sealed.some(one => one.handle === handle))
				sealed.push({ e, handle, name: this.subject });
			return true;
		} catch (error) {
			if (!(error instanceof DerError))
				throw error;
			this.isCut = true;
			return false;
		}
	}

	/* Each E that stands in `bytes` as it is. */
	private der(bytes: Bytes): boolean
	{
		let isThere = false;

		for (let at = bytes.indexOf(0x30); this.mayGoOn(at);
		    at = bytes.indexOf(0x30, at + 1)) {
			const len = sealedLength(bytes, at);

			if (len === 0)
				continue;
			if (this.keep(bytes.subarray(at, at + len))) {
				isThere = true;
				at += len - 1;
			} else if (this.keep(withoutCr(bytes.subarray(at), len)))
				isThere = true;
			else
				this.wrong++;
		}
		return isThere;
	}

	/* Each E in base64, which begins with MIE to MIT. */
	private encoded(bytes: Bytes): boolean
	{
		let isThere = false;

		for (let at = bytes.indexOf(0x4d); this.mayGoOn(at);
		    at = bytes.indexOf(0x4d, at + 1)) {
			if (bytes[at + 1] !== 0x49)
				continue;
			const len = sealedLength(base64At(bytes, at, START_LEN)[0], 0);

			if (len === 0)
				continue;
			const [e, end] = base64At(bytes, at, len);

			if (this.keep(e)) {
				isThere = true;
				at = end - 1;
			} else
				this.wrong++;
		}
		return isThere;
	}

	private has(bytes: Bytes): boolean
	{
		const isDer = this.der(bytes);

		return this.encoded(bytes) || isDer;
	}

	/* A leaf: as its label says, as it stands, as it might be meant. */
	private leaf(message: Bytes, part: Part, depth: number): void
	{
		const body = message.subarray(part.body, part.end);
		const labelled = transferDecoded(body,
			fieldOf(part.fields, "content-transfer-encoding"));

		if (depth < MAX_DEPTH && (part.type === "message/rfc822"
		    || FIELD.test(latin1(labelled.subarray(0, 200)))))
			this.message(labelled, depth + 1);
		this.texts.push(labelled);
		if (this.has(labelled) || (labelled !== body && this.has(body)))
			return;
		for (const name of ["quoted-printable", "x-uuencode"]) {
			const guess = transferDecoded(body, name);

			if (guess !== body && this.has(guess))
				return;
		}
	}

	private message(bytes: Bytes, depth: number): void
	{
		const { root } = takeApart(bytes);
		const walk = (part: Part): void => {
			for (const { name, value } of part.fields)
				if (name === "counterfoil-locator")
					this.locators.push(value.replace(/\s/g, ""));
			part.parts?.forEach(walk);
		};

		const outside = this.subject;

		if (depth === 0)
			this.isMail = root.fields.length > 1;
		this.subject = fieldText(fieldOf(root.fields, "subject")) || outside;
		walk(root);
		for (const part of leaves(root))
			this.leaf(bytes, part, depth);
		this.subject = outside;
	}
}

/* --- L ------------------------------------------------------------------ */

/* Texts that may hold a link: whole ones, and cut by line ends. */
function* linksIn(text: string): Generator<string>
{
	const begins = /h(?:tt|xx)ps?:/gi;

	for (let n = 0; n < MAX_LINKS; n++) {
		const begin = begins.exec(text);

		if (begin === null)
			return;
		const piece = text.slice(begin.index, begin.index + MAX_LINK);
		const [word = ""] = piece.split(/[\s"'<>]/, 1);
		const [lines = ""] = piece.split(/["'<]|\n[>\s]*\n/, 1);

		yield word;
		if (lines !== word)
			yield lines;
		begins.lastIndex = begin.index + Math.max(word.length, 1);
	}
}

/* The first link that names this key; any key if it is null. */
function linkFor(handle: string | null, links: Iterable<string>):
	Locator | null
{
	for (const link of links) {
		const found = findLocator(link);

		if (found.kind === "ok"
		    && (handle === null || found.locator.handle === handle))
			return found.locator;
	}
	return null;
}

/* What is in the file. */
export function findSealed(file: Bytes): Contents
{
	const { sealed, locators, texts, isCut, isMail } =
		new Search(narrow(file));
	const decoder = new TextDecoder();
	let left = MAX_TEXT;
	const links = [...locators, ...texts.flatMap(bytes => {
		const piece = bytes.subarray(0, left);

		left -= piece.length;
		return [...linksIn(decoder.decode(piece))];
	})];

	return { isCut, isMail,
		hasLink: sealed.length === 0 && linkFor(null, links) !== null,
		sealed: sealed.map(one =>
			({ ...one, locator: linkFor(one.handle, links) })) };
}
