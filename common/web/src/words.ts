// SPDX-License-Identifier: Apache-2.0
/*
 * words - what header fields say: encoded words, names, addresses.
 *
 * Everything in one pass over its text.
 *
 * Knows: RFC 2047, RFC 5322 3.4 as it is written in practice.
 * Does not know: where the fields come from, what is shown.
 */
import { utf8, type Bytes } from "./bytes";
import { textOf } from "./charset";
import { parameter, quotedEnd, type Parameters } from "./mime";
import { transferDecoded } from "./transfer";

/* Each character a byte, as fields come out of a message. */
function bytesOf(latin1: string): Bytes
{
	const bytes = new Uint8Array(latin1.length);

	for (let i = 0; i < latin1.length; i++)
		bytes[i] = latin1.charCodeAt(i);
	return bytes;
}

/* --- encoded words ----------------------------------------------------- */

interface Word {
	charset: string;
	bytes: Bytes;
}

/* Nothing but ASCII should stand in a word; where more does, it is UTF-8. */
const encodedBytes = (text: string): Bytes =>
	/[^\0-\xff]/.test(text) ? utf8(text) : bytesOf(text);

const WORD = /=\?([^?\s]{1,80})\?([bq])\?/iy;

/* Words side by side: a character may be cut in two between them. */
function wordsText(words: Word[]): string
{
	const len = words.reduce((sum, { bytes }) => sum + bytes.length, 0);
	const all = new Uint8Array(len);
	let at = 0;

	for (const { bytes } of words) {
		all.set(bytes, at);
		at += bytes.length;
	}
	return textOf(all, words[0]?.charset ?? "");
}

/* A text with encoded words (RFC 2047), decoded wherever they stand. */
export function decodeWords(text: string): string
{
	const out: string[] = [];
	let words: Word[] = [];
	let done = 0;

	for (let at = text.indexOf("=?"); at >= 0; at = text.indexOf("=?", at)) {
		WORD.lastIndex = at;
		const head = WORD.exec(text);
		const from = WORD.lastIndex;
		const end = head === null ? 0 : text.indexOf("?=", from);

		if (end < 0)
			break;
		if (head === null) {
			at += 2;
			continue;
		}
		const [, name = "", kind = ""] = head;
		const charset = name.replace(/\*.*$/, "").toLowerCase();
		const content = text.slice(from, end);
		const between = text.slice(done, at);

		if (words.length > 0 && (words[0]?.charset !== charset
		    || !/^\s*$/.test(between))) {
			out.push(wordsText(words));
			if (!/^\s*$/.test(between))
				out.push(between);
			words = [];
		} else if (words.length === 0)
			out.push(between);
		const isQ = /q/i.test(kind);

		words.push({ charset, bytes: transferDecoded(
			encodedBytes(isQ ? content.replace(/_/g, " ") : content),
			isQ ? "quoted-printable" : "base64") });
		at = done = end + 2;
	}
	out.push(wordsText(words), text.slice(done));
	return out.join("");
}

/* A field as text: its raw bytes guessed, its encoded words decoded. */
export function fieldText(value: string): string
{
	return decodeWords(textOf(bytesOf(value), ""));
}

/* A parameter such as a file name, or null. */
export function parameterText(parameters: Parameters, name: string):
	string | null
{
	const found = parameter(parameters, name);

	if (found === null)
		return null;
	return found.charset === null ? fieldText(found.value)
		: textOf(bytesOf(found.value), found.charset);
}

/* --- addresses --------------------------------------------------------- */

export interface Person {
	name: string;
	address: string;
}

/*
 * One person's words as they are read.  A text is an address only if it
 * has an @ that is not quoted.
 */
class Gathering {
	private words: { text: string, raw: string, isAddress: boolean }[] = [];
	private comment = "";
	private angle: string | null = null;

	constructor(private readonly out: Person[]) {}

	word(text: string, raw: string, isAddress: boolean): void
	{
		this.words.push({ text, raw, isAddress });
	}

	remark(text: string): void
	{
		this.comment ||= text;
	}

	/* A second address belongs to a second person. */
	address(text: string): void
	{
		if (this.angle !== null)
			this.finish();
		this.angle = text.trim().replace(/^@[^:]*:/, "");
	}

	/* What was said so far was the name of a group, unless it is more. */
	group(): void
	{
		if (this.angle !== null || this.words.some(w => w.isAddress))
			this.finish();
		this.words = [];
	}

	finish(): void
	{
		let at = -1;

		if (this.angle === null)
			for (let i = this.words.length - 1; i >= 0 && at < 0; i--)
				at = this.words[i]?.isAddress === true ? i : -1;
		const address = this.angle ?? this.words[at]?.raw ?? "";
		const name = decodeWords(this.words.filter((_, i) => i !== at)
			.map(({ text }) => text).join(" ") || this.comment);

		if (address !== "" || name !== "")
			this.out.push({ name, address });
		this.words = [];
		this.comment = "";
		this.angle = null;
	}
}

const ENCODED = /=\?[^?\s]{1,80}\?[bq]\?[^?\s]*\?=/iy;
const ATOM = /[^\s"(),:;<>\\]+/y;

/* What `pattern` matches at `at`, or "". */
function matched(pattern: RegExp, text: string, at: number): string
{
	pattern.lastIndex = at;
	return pattern.exec(text)?.[0] ?? "";
}

const unescaped = (text: string): string =>
	text.replace(/\\([\s\S])/g, "$1");

/* Behind the comment that begins at `at`; comments hold comments. */
function commentEnd(text: string, at: number): number
{
	let depth = 0;

	for (; at < text.length; at++) {
		if (text[at] === "\\")
			at++;
		else if (text[at] === "(")
			depth++;
		else if (text[at] === ")" && --depth === 0)
			return at + 1;
	}
	return text.length;
}

/*
 * The word at `from`: atoms, strings and encoded words without a blank
 * between them.  Gives where it ends.
 */
function word(text: string, from: number, person: Gathering): number
{
	let said = "", isAddress = false, at = from;

	while (at < text.length) {
		if (text[at] === "\"") {
			const end = quotedEnd(text, at);

			said += unescaped(text.slice(at + 1, end));
			at = end + 1;
			continue;
		}
		const encoded = matched(ENCODED, text, at);
		const piece = encoded || matched(ATOM, text, at);

		if (piece === "")
			break;
		said += piece;
		isAddress ||= encoded === "" && piece.includes("@");
		at += piece.length;
	}
	if (at > from)
		person.word(said, text.slice(from, at), isAddress);
	/* Blanks, and what cannot stand here. */
	return Math.max(at, from + 1);
}

/* Where an address that began with `<` ends. */
function angleEnd(text: string, from: number): number
{
	for (let at = from; at < text.length; at++) {
		if (text[at] === "\"")
			at = quotedEnd(text, at);
		else if (text[at] === ">" || text[at] === "," || text[at] === ";")
			return at;
	}
	return text.length;
}

/*
 * Everybody that an address field names, members of groups too.  Words are
 * decoded when it is known whose they are: none can become an address.
 */
export function addresses(value: string): Person[]
{
	const text = textOf(bytesOf(value), "");
	const out: Person[] = [];
	const person = new Gathering(out);

	for (let at = 0; at < text.length; ) {
		const c = text[at] ?? "";

		if (c === "(") {
			const end = commentEnd(text, at);

			person.remark(unescaped(text.slice(at + 1, end)
				.replace(/\)$/, "")).trim());
			at = end;
		} else if (c === "<") {
			const end = angleEnd(text, at + 1);

			person.address(text.slice(at + 1, end));
			at = text[end] === ">" ? end + 1 : end;
		} else if (c === "," || c === ";") {
			person.finish();
			at++;
		} else if (c === ":") {
			person.group();
			at++;
		} else {
			at = word(text, at, person);
		}
	}
	person.finish();
	return out;
}
