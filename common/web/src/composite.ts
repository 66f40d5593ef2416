// SPDX-License-Identifier: Apache-2.0
/*
 * composite - find E and L in a file that a person has chosen.
 *
 * Either the whole mail P: multipart/mixed of a notice and the sealed part,
 * which carries Counterfoil-Locator; or the sealed part's content alone.
 * A sealed part anywhere else, nested or beside other parts, is not looked
 * for: whoever adds parts around it may want to read it.
 *
 * Knows: P.   Does not know: keys, pages.
 */
import { decodeMime } from "./b64url";
import { latin1, type Bytes } from "./bytes";

export interface Found {
	e: Bytes;
	link: string | null;	/* L as it stands in P */
}

interface Entity {
	fields: Map<string, string>;	/* lower-case name, unfolded value */
	body: Bytes;
}

const MAX_HEADER = 256 * 1024;

/* Header fields and body; lines end in CRLF or LF.  Null if not mail. */
function entity(bytes: Bytes): Entity | null
{
	const text = latin1(bytes.subarray(0, MAX_HEADER));
	const empty = /^\r?\n|\r?\n\r?\n/.exec(text);
	const fields = new Map<string, string>();

	if (empty === null)
		return null;
	const block = text.slice(0, empty.index).replace(/^From .*\r?\n/, "")
		.replace(/\r?\n(?=[ \t])/g, "");

	for (const line of block.split(/\r?\n/)) {
		const field = /^([!-9;-~]+)[ \t]*:(.*)$/s.exec(line);

		if (line === "")
			continue;
		if (field === null)
			return null;
		const name = (field[1] ?? "").toLowerCase();

		/* The first of a name counts, a second Content-* is refused. */
		if (fields.has(name) && /^(content|counterfoil)-/.test(name))
			return null;
		if (!fields.has(name))
			fields.set(name, (field[2] ?? "").trim());
	}
	return { fields,
		body: bytes.subarray(empty.index + empty[0].length) as Bytes };
}

/* Position of `text` in `bytes` from `at`, or -1. */
function find(bytes: Bytes, text: string, at: number): number
{
	const first = text.charCodeAt(0);

	for (let i = bytes.indexOf(first, at); i >= 0;
	    i = bytes.indexOf(first, i + 1)) {
		let k = 1;

		while (k < text.length && bytes[i + k] === text.charCodeAt(k))
			k++;
		if (k === text.length)
			return i;
	}
	return -1;
}

/* The two parts of a multipart body; null when there are not just two. */
function twoParts(body: Bytes, boundary: string): [Bytes, Bytes] | null
{
	const parts: Bytes[] = [];
	let from = -1;

	for (let at = find(body, `--${boundary}`, 0); at >= 0;
	    at = find(body, `--${boundary}`, at + 2)) {
		const end = at + 2 + boundary.length;
		const line = /^(--)?[ \t]*(\r?\n|$)/
			.exec(latin1(body.subarray(end, end + 80)));

		if (at > 0 && body[at - 1] !== 0x0a || line === null)
			continue;
		if (from >= 0) {
			const lineEnd = body[at - 2] === 0x0d ? 2 : 1;

			parts.push(body.subarray(from, Math.max(from, at - lineEnd)));
		}
		from = end + line[0].length;
		if (line[1] !== undefined) {
			const [first, second, third] = parts;

			return first !== undefined && second !== undefined
				&& third === undefined ? [first, second] : null;
		}
	}
	return null;
}

const BOUNDARY = new RegExp("^multipart/mixed\\s*;(?:.*;)?\\s*boundary="
	+ "(?:\"([^\"\\\\]{1,70})\"|([!#-'*+.0-9A-Z^-~-]{1,70}))\\s*(?:;.*)?$",
	"i");

function boundaryOf(contentType: string): string | null
{
	const match = BOUNDARY.exec(contentType);

	return match?.[1] ?? match?.[2] ?? null;
}

function fromMail(bytes: Bytes): Found | null
{
	const mail = entity(bytes);
	const boundary = boundaryOf(mail?.fields.get("content-type") ?? "");

	if (mail === null || boundary === null
	    || mail.fields.get("counterfoil-version") !== "1")
		return null;
	const parts = twoParts(mail.body, boundary);
	const sealed = parts === null ? null : entity(parts[1]);

	if (sealed === null
	    || !/^application\/pkcs7-mime\s*;.*smime-type="?authenveloped-data"?/i
		.test(sealed.fields.get("content-type") ?? "")
	    || !/^base64$/i.test(
		sealed.fields.get("content-transfer-encoding") ?? ""))
		return null;
	const e = decodeMime(sealed.body);
	const link = sealed.fields.get("counterfoil-locator");

	return e === null || link === undefined ? null : { e, link };
}

/* What is in the file, or null when it holds no sealed message. */
export function findSealed(bytes: Bytes): Found | null
{
	/* DER begins with SEQUENCE and a long length; mail never does. */
	if (bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80)
		return { e: bytes, link: null };
	return fromMail(bytes);
}
