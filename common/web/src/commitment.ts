// SPDX-License-Identifier: Apache-2.0
/*
 * commitment - what binds a receipt to a text (common/commitment.h):
 *
 *   SHA-256("counterfoil message v1" 00 || salt || H(head) || H(body))
 *
 * The fields that count, by relaxed canonicalization, and the body, by simple
 * canonicalization (RFC 6376 3.4.2 and 3.4.3), of the message without what
 * sealing added.  tests/vectors/commitment.json holds both implementations.
 *
 * Knows: the canonical forms.   Does not know: receipts, HTTP.
 */
import { encode } from "./b64url";
import { concat, latin1, utf8, type Bytes } from "./bytes";

const NAMES = ["from", "to", "cc", "subject", "date", "mime-version",
	"content-type", "content-transfer-encoding"];
/* A field with its folds; sticky, on bytes as letters. */
const FIELD = /[!-9;-~]+:[^\0\r\n]*(?:\r\n[ \t][^\0\r\n]*)*\r\n/y;

const CR = 0x0d, LF = 0x0a;

async function sha256(bytes: Bytes): Promise<Bytes>
{
	return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/* Where the first empty line begins that has a line end before it. */
function emptyLine(m: Bytes): number
{
	for (let i = m.indexOf(CR); i >= 0; i = m.indexOf(CR, i + 1))
		if (m[i + 1] === LF && m[i + 2] === CR && m[i + 3] === LF)
			return i + 2;
	return -1;
}

function relaxed(field: string): string
{
	const colon = field.indexOf(":");

	return `${field.slice(0, colon).toLowerCase()}:${field.slice(colon + 1)
		.replaceAll("\r\n", "").replace(/[ \t]+/g, " ")
		.replace(/^ | $/g, "")}\r\n`;
}

/* The fields of a header that is nothing but fields; null: it is not. */
function fieldsOf(header: string): string[] | null
{
	const fields: string[] = [];

	for (let at = 0; at < header.length; at = FIELD.lastIndex) {
		FIELD.lastIndex = at;
		const [field] = FIELD.exec(header) ?? [];

		if (field === undefined)
			return null;
		fields.push(field);
	}
	return fields;
}

/* The canonical head, and where the body begins. */
function headOf(m: Bytes): [Bytes, number]
{
	const end = m[0] === CR && m[1] === LF ? 0 : emptyLine(m);

	if (end < 0)
		return [m, m.length];
	const fields = fieldsOf(latin1(m.subarray(0, end)));

	if (fields === null)
		return [m.subarray(0, end), end + 2];
	const counting = NAMES.flatMap(name => fields.filter(field =>
		field.slice(0, name.length + 1).toLowerCase() === `${name}:`));

	/* One character a byte, as they came. */
	return [Uint8Array.from(counting.map(relaxed).join(""),
		letter => letter.charCodeAt(0)), end + 2];
}

function bodyOf(m: Bytes, start: number): Bytes
{
	const out = new Uint8Array(2 * (m.length - start) + 2);
	let n = 0;

	for (let i = start; i < m.length; i++) {
		const byte = m[i] as number;

		if (byte === LF && (i === start || m[i - 1] !== CR))
			out[n++] = CR;
		out[n++] = byte;
	}
	while (n >= 2 && out[n - 1] === LF && out[n - 2] === CR)
		n -= 2;
	out[n++] = CR;
	out[n++] = LF;
	return out.subarray(0, n);
}

/* b64url, 43 characters. */
export async function messageCommitment(salt: Bytes, m: Bytes):
	Promise<string>
{
	const [head, start] = headOf(m);

	return encode(await sha256(concat(utf8("counterfoil message v1\0"), salt,
		await sha256(head), await sha256(bodyOf(m, start)))));
}
