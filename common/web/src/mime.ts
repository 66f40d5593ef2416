// SPDX-License-Identifier: Apache-2.0
/*
 * mime - a message taken apart: its parts, and where each begins and ends.
 *
 * Works on the bytes as they came: a part is a range of the message, and
 * nothing is copied, joined or changed.  One pass, whose work grows with
 * the length of the message alone.  Never throws for what a message holds:
 * what is not well-formed is taken as Python's email package and GMime do.
 *
 * Knows: fields, parameters, boundaries (RFC 5322, 2045, 2046, 2231).
 * Does not know: transfer encodings, charsets, what a part is for.
 */
import { latin1, type Bytes } from "./bytes";

export interface Field {
	name: string;		/* in lower case */
	value: string;		/* unfolded; each byte one character */
}

export type Parameters = Map<string, string>;

export interface Part {
	fields: Field[];
	type: string;		/* such as "text/plain", in lower case */
	parameters: Parameters;	/* of Content-Type */
	from: number;		/* where its header begins */
	body: number;		/* where its body begins */
	end: number;		/* behind its last byte */
	parts: Part[] | null;	/* null: a leaf, or a multipart without parts */
}

export interface Message {
	root: Part;
	isWhole: boolean;	/* false: deeper, or more parts, than is looked at */
}

/* Postfix takes mail up to a depth of 100; nobody writes so many parts. */
const MAX_DEPTH = 100;
const MAX_PARTS = 10_000;

const CR = 0x0d, LF = 0x0a, SP = 0x20, TAB = 0x09, DASH = 0x2d, COLON = 0x3a;

/* --- fields ------------------------------------------------------------ */

/* The first field of this name, or "". */
export function fieldOf(fields: Field[], name: string): string
{
	return fields.find(field => field.name === name)?.value ?? "";
}

/* Where the quoted string ends whose first `"` is at `at`: at its last. */
export function quotedEnd(text: string, at: number): number
{
	for (let i = at + 1; i < text.length; i++) {
		if (text[i] === "\\")
			i++;
		else if (text[i] === "\"")
			return i;
	}
	return text.length;
}

/*
 * What stands in front of the first `;` of a structured field, and the
 * parameters behind it.  Of two parameters of one name the first counts.
 */
export function structured(value: string): [string, Parameters]
{
	const parameters: Parameters = new Map();
	const head = value.indexOf(";") < 0 ? value.length : value.indexOf(";");
	let equals = -1;

	for (let at = head + 1; at < value.length; at++) {
		let next = value.indexOf(";", at);

		if (next < 0)
			next = value.length;
		if (equals < at)
			equals = value.indexOf("=", at);
		if (equals < 0)
			break;
		if (equals > next) {
			at = next;
			continue;
		}
		const name = value.slice(at, equals).trim().toLowerCase();
		let text = "";

		at = equals + 1;
		while (value[at] === " " || value[at] === "\t")
			at++;
		if (value[at] === "\"") {
			const end = quotedEnd(value, at);

			text = value.slice(at + 1, end).replace(/\\(["\\])/g, "$1");
			next = value.indexOf(";", end);
			at = next < 0 ? value.length : next;
		} else {
			text = value.slice(at, next).trim();
			at = next;
		}
		if (!parameters.has(name))
			parameters.set(name, text);
	}
	return [value.slice(0, head), parameters];
}

const unescaped = (text: string): string => text.replace(/%([0-9a-f]{2})/gi,
	(_, hex: string) => String.fromCharCode(parseInt(hex, 16)));

/*
 * A parameter put together from its pieces (RFC 2231): its bytes, each one
 * character, and the charset it names, null where it names none.
 */
export function parameter(parameters: Parameters, name: string):
	{ value: string, charset: string | null } | null
{
	const pieces: string[] = [];
	let charset: string | null = null;
	const add = (text: string, isExtended: boolean): void => {
		const named = isExtended && pieces.length === 0
			? /^([^']*)'[^']*'/.exec(text) : null;

		if (named !== null)
			charset = named[1] ?? "";
		pieces.push(isExtended
			? unescaped(text.slice(named?.[0].length ?? 0)) : text);
	};
	const whole = parameters.get(`${name}*`);

	if (whole !== undefined)
		add(whole, true);
	for (let n = 0; whole === undefined; n++) {
		const extended = parameters.get(`${name}*${n}*`);
		const piece = extended ?? parameters.get(`${name}*${n}`);

		if (piece === undefined)
			break;
		add(piece, extended !== undefined);
	}
	if (pieces.length > 0)
		return { value: pieces.join(""), charset };
	const plain = parameters.get(name);

	return plain === undefined ? null : { value: plain, charset: null };
}

const TYPE = /^\s*([!-.0-~]+\/[!-.0-~]+)\s*$/;

/* --- the walk ---------------------------------------------------------- */

/* A multipart whose last boundary has not been seen. */
interface Open {
	part: Part;
	boundary: string;
	parts: Part[];
}

class Walk {
	readonly root: Part;
	isWhole = true;
	private readonly open: Open[] = [];
	private readonly depthOf = new Map<string, number[]>();
	private longest = 0;		/* of the boundaries in use */
	private count = 0;		/* of parts */
	private behind = 0;		/* the boundary seen last */

	constructor(private readonly bytes: Bytes)
	{
		this.root = this.begin(0, "text/plain");
		for (let part: Part | null = this.root; ; ) {
			const next: Part | null | undefined = this.follow(part);

			if (next === undefined)
				break;
			part = next;
		}
	}

	/* Behind the end of the line that begins at `at`. */
	private lineEnd(at: number): number
	{
		const end = this.bytes.indexOf(LF, at);

		return end < 0 ? this.bytes.length : end + 1;
	}

	/* Whose boundary the line is: a depth, and whether it is the last. */
	private boundary(at: number, end: number): [number, boolean] | null
	{
		const { bytes } = this;

		if (bytes[at] !== DASH || bytes[at + 1] !== DASH)
			return null;
		let behind = end;

		if (bytes[behind - 1] === LF)
			behind--;
		if (bytes[behind - 1] === CR)
			behind--;
		while (bytes[behind - 1] === SP || bytes[behind - 1] === TAB)
			behind--;
		if (behind - at - 4 > this.longest)
			return null;
		const text = latin1(bytes.subarray(at + 2, behind));
		const depth = this.depthOf.get(text)?.at(-1);

		if (depth !== undefined)
			return [depth, false];
		const last = text.endsWith("--")
			? this.depthOf.get(text.slice(0, -2))?.at(-1) : undefined;

		return last === undefined ? null : [last, true];
	}

	/*
	 * Where the name of a field ends that begins at `at`, or -1: what does
	 * not look like a field ends a header, as an empty line does.  Any name
	 * without blanks will do, one with raw 8-bit letters or none at all.
	 */
	private nameEnd(at: number, end: number): number
	{
		const { bytes } = this;
		let i = at;

		while (i < end && (bytes[i] ?? 0) > SP && bytes[i] !== COLON)
			i++;
		const name = i;

		while (bytes[i] === SP || bytes[i] === TAB)
			i++;
		return i < end && bytes[i] === COLON ? name : -1;
	}

	/* Begin a part at `from`: read its header. */
	private begin(from: number, defaultType: string): Part
	{
		const { bytes } = this;
		const fields: Field[] = [];
		let at = from, starts = -1, name = "";
		const finish = (): void => {
			if (starts >= 0)
				fields.push({ name, value: latin1(
					bytes.subarray(starts, at)).replace(/\r?\n/g, "").trim() });
			starts = -1;
		};

		while (at < bytes.length) {
			const end = this.lineEnd(at);
			const isEmpty = bytes[at] === LF
				|| (bytes[at] === CR && bytes[at + 1] === LF);

			if (isEmpty || this.boundary(at, end) !== null) {
				finish();
				at = isEmpty ? end : at;
				break;
			}
			if (bytes[at] !== SP && bytes[at] !== TAB) {
				const behind = this.nameEnd(at, end);

				finish();
				if (behind >= 0) {
					name = latin1(bytes.subarray(at, behind)).toLowerCase();
					starts = bytes.indexOf(COLON, behind) + 1;
				} else if (at !== 0 || !/^>?From /.test(
					latin1(bytes.subarray(0, 6)))) {
					break;
				}
			}
			at = end;
		}
		finish();
		const [type, parameters] = structured(fieldOf(fields, "content-type"));

		this.count++;
		return { fields, parameters, from, body: at, end: bytes.length,
			type: TYPE.exec(type.toLowerCase())?.[1] ?? defaultType,
			parts: null };
	}

	/* Its parts are looked for from here on, if it can have any. */
	private enter(part: Part): void
	{
		const boundary = parameter(part.parameters, "boundary")
			?.value.trimEnd() ?? "";

		if (!part.type.startsWith("multipart/") || boundary === "")
			return;
		if (this.open.length === MAX_DEPTH) {
			this.isWhole = false;
			return;
		}
		const depths = this.depthOf.get(boundary);

		if (depths === undefined)
			this.depthOf.set(boundary, [this.open.length]);
		else
			depths.push(this.open.length);
		this.open.push({ part, boundary, parts: [] });
		this.longest = Math.max(this.longest, boundary.length);
	}

	/* The innermost multipart ends at `end`. */
	private leave(end: number): void
	{
		const { part, boundary, parts } = this.open.pop() as Open;

		this.depthOf.get(boundary)?.pop();
		part.end = end;
		part.parts = parts.length > 0 ? parts : null;
	}

	/*
	 * Go on behind the header of `part` (null: behind a multipart) to the
	 * next boundary.  Gives the part that begins there, null when a
	 * multipart ends there, undefined at the end of the message.
	 */
	private follow(part: Part | null): Part | null | undefined
	{
		const { bytes, open } = this;
		let at = part?.body ?? this.behind;

		if (part !== null)
			this.enter(part);
		for (; open.length > 0 && at < bytes.length; ) {
			const next = this.lineEnd(at);
			const found = this.boundary(at, next);

			if (found === null) {
				at = next;
				continue;
			}
			const [depth, isLast] = found;
			/* The line end in front of a boundary belongs to it. */
			const end = at - (bytes[at - 1] !== LF ? 0
				: bytes[at - 2] === CR ? 2 : 1);

			if (part !== null)
				part.end = Math.max(part.body, end);
			while (open.length > depth + 1)
				this.leave(Math.max(end, open[open.length - 1]?.part.body ?? 0));
			this.behind = next;
			if (isLast) {
				this.leave(next);
				return null;
			}
			if (this.count === MAX_PARTS) {
				this.isWhole = false;
				break;
			}
			const { part: parent, parts } = open[depth] as Open;
			const child = this.begin(next, parent.type === "multipart/digest"
				? "message/rfc822" : "text/plain");

			parts.push(child);
			return child;
		}
		while (open.length > 0)
			this.leave(bytes.length);
		return undefined;
	}
}

/* Take a message apart. */
export function takeApart(message: Bytes): Message
{
	const { root, isWhole } = new Walk(message);

	return { root, isWhole };
}

/* All parts that have no parts, in their order. */
export function leaves(part: Part): Part[]
{
	return part.parts === null ? [part] : part.parts.flatMap(leaves);
}
