// SPDX-License-Identifier: Apache-2.0
/*
 * mform - from the plaintext M back to the message as it was sent.
 *
 * M is the original with RFC 9788 additions.  Its first field says what was
 * added:
 *
 *   Counterfoil-M: v=1; outer=<n>; ct=suffix|made|kept; mv=kept|made;
 *                  form=plain|rfc822
 *
 * strip() obeys that field alone and verifies every byte it removes.
 *
 * Knows: M.   Does not know: what the message means.
 */
import { concat, equal, latin1, utf8, type Bytes } from "./bytes";

export class MformError extends Error {}

export interface Original {
	message: Bytes;		/* as the sender's gateway was shown it */
	outer: string[];	/* the HP-Outer fields, unfolded */
}

const FIRST_FIELD = new RegExp("^Counterfoil-M: v=1; outer=(0|[1-9][0-9]{0,4});"
	+ " ct=(suffix|made|kept); mv=(kept|made); form=(plain|rfc822)\r\n$");
const SUFFIX = utf8(";\r\n hp=\"cipher\"\r\n");
const MADE_TYPE =
	utf8("Content-Type: text/plain; charset=us-ascii; hp=\"cipher\"\r\n");
const MADE_VERSION = utf8("MIME-Version: 1.0\r\n");
const WRAPPER = utf8("Content-Type: message/rfc822\r\n\r\n");

const CR = 0x0d, LF = 0x0a, SP = 0x20, TAB = 0x09;

/* The position behind the field that starts at `at`, with its folds. */
function fieldEnd(m: Uint8Array, at: number): number
{
	for (let i = at; i + 1 < m.length; i++) {
		if (m[i] !== CR || m[i + 1] !== LF)
			continue;
		if (m[i + 2] !== SP && m[i + 2] !== TAB)
			return i + 2;
	}
	throw new MformError("a field does not end");
}

/* The field at `at`, which must have a name; and where it ends. */
function field(m: Uint8Array, at: number): [string, number]
{
	const end = fieldEnd(m, at);
	const text = latin1(m.subarray(at, end));

	if (!/^[!-9;-~]+:/.test(text))
		throw new MformError("a line is not a header field");
	return [text, end];
}

/* The position of the empty line that ends the header block. */
function headerEnd(m: Uint8Array, at: number): number
{
	while (m[at] !== CR || m[at + 1] !== LF)
		[, at] = field(m, at);
	return at;
}

function endsWith(m: Uint8Array, end: number, tail: Uint8Array): boolean
{
	return end >= tail.length && equal(m.subarray(end - tail.length, end),
		tail);
}

/* Take `line` off the end of the header block m[start, end). */
function withoutLast(m: Uint8Array, start: number, end: number,
	line: Uint8Array): number
{
	const from = end - line.length;

	if (from < start || !endsWith(m, end, line)
	    || (from > start && m[from - 1] !== LF))
		throw new MformError("an added field is not where it should be");
	return from;
}

/* The range of the first Content-Type field in m[start, end). */
function contentType(m: Bytes, start: number, end: number): [number, number]
{
	for (let at = start; at < end; ) {
		const [text, next] = field(m, at);

		if (/^content-type:/i.test(text))
			return [at, next];
		at = next;
	}
	throw new MformError("no Content-Type");
}

/* The original message.  Throws MformError when M is not well formed. */
export function strip(m: Bytes): Original
{
	const first = fieldEnd(m, 0);
	const said = FIRST_FIELD.exec(latin1(m.subarray(0, Math.min(first, 200))));
	const outer: string[] = [];
	let start = first;

	if (said === null)
		throw new MformError("not a sealed message of version 1");
	const [, count, ct, mv, form] = said;

	for (let i = Number(count); i > 0; i--) {
		const [text, next] = field(m, start);

		if (!/^HP-Outer: [!-9;-~]+:/.test(text))
			throw new MformError("an HP-Outer field is missing");
		outer.push(text.slice(10).replace(/\r\n(?=[ \t])/g, "").trim());
		start = next;
	}
	if (form === "rfc822") {
		if (ct !== "kept" || mv !== "kept")
			throw new MformError("a wrapped message is changed");
		if (!equal(m.subarray(start, start + WRAPPER.length), WRAPPER))
			throw new MformError("the wrapper is missing");
		return { message: m.slice(start + WRAPPER.length), outer };
	}

	const block = headerEnd(m, start);
	let end = block;

	if (ct === "made")
		end = withoutLast(m, start, end, MADE_TYPE);
	if (mv === "made")
		end = withoutLast(m, start, end, MADE_VERSION);
	if (ct !== "suffix")
		return { message: concat(m.subarray(start, end),
			m.subarray(block)), outer };

	const [from, to] = contentType(m, start, end);

	if (to - from < SUFFIX.length || !endsWith(m, to, SUFFIX))
		throw new MformError("the Content-Type has no suffix");
	return { message: concat(m.subarray(start, to - SUFFIX.length),
		m.subarray(to - 2, end), m.subarray(block)), outer };
}
