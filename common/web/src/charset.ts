// SPDX-License-Identifier: Apache-2.0
/*
 * charset - text out of bytes, guessed where nothing true is said of them.
 *
 * A charset that is named and known is taken.  Where none is, or the bytes
 * are not of it: what an HTML document says of itself, UTF-8 if the bytes
 * are that, and else windows-1252, as mail programs do.
 *
 * Knows: the names that TextDecoder knows.   Does not know: MIME.
 */
import { latin1, type Bytes } from "./bytes";

/* Names that mail has and the Encoding Standard has not. */
const ALIASES: Record<string, string> = {
	"cp932": "shift_jis", "cp936": "gbk", "cp949": "euc-kr",
	"cp950": "big5", "utf8mb4": "utf-8",
};

/* Said of text in whatever charset by programs that know none. */
const SAYS_NOTHING =
	/^(|us-ascii|ascii|ansi_x3\.4-1968|iso646-us|us|x-user-defined)$/;

/* Null for a name that says nothing, or that nobody here knows. */
function decoderOf(label: string, fatal: boolean): TextDecoder | null
{
	const name = label.trim().toLowerCase().replace(/^["']|["']$/g, "");

	if (SAYS_NOTHING.test(name))
		return null;
	try {
		return new TextDecoder(ALIASES[name] ?? name, { fatal });
	} catch {
		return null;
	}
}

function strictly(bytes: Bytes, label: string): string | null
{
	try {
		return decoderOf(label, true)?.decode(bytes) ?? null;
	} catch {
		return null;
	}
}

/* The length of the UTF-8 character at `at` that is no ASCII, or 0. */
function utf8Length(bytes: Bytes, at: number): number
{
	const [first = 0, second = 0] = [bytes[at], bytes[at + 1]];
	const len = first >= 0xc2 && first < 0xe0 ? 2
		: first >= 0xe0 && first < 0xf0 ? 3
		: first >= 0xf0 && first < 0xf5 ? 4 : 0;

	for (let i = 1; i < len; i++)
		if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80)
			return 0;
	if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)
	    || (first === 0xf0 && second < 0x90)
	    || (first === 0xf4 && second > 0x8f))
		return 0;
	return len;
}

/*
 * Bytes that are not UTF-8 throughout.  UTF-8 that was cut or spoiled in a
 * few places is not garbled as a whole: only its stray bytes are taken as
 * windows-1252.
 */
function patched(bytes: Bytes): string
{
	const utf8 = new TextDecoder("utf-8");
	const western = new TextDecoder("windows-1252", { fatal: true });
	const pieces: string[] = [];
	let characters = 0, stray = 0, from = 0;

	for (let at = 0; at < bytes.length; ) {
		const len = (bytes[at] ?? 0) < 0x80 ? 1 : utf8Length(bytes, at);

		characters += len > 1 ? 1 : 0;
		if (len === 0) {
			stray++;
			pieces.push(utf8.decode(bytes.subarray(from, at)),
				western.decode(bytes.subarray(at, at + 1)));
			from = at + 1;
		}
		at += len || 1;
	}
	if (stray >= characters)
		return western.decode(bytes);
	return pieces.join("") + utf8.decode(bytes.subarray(from));
}

/* --- what HTML says of itself ------------------------------------------ */

const PRESCAN = 4096;		/* browsers: 1024, but mail has long heads */

/*
 * The charset in a document's <meta>, or "": the prescan of the HTML
 * Standard, without its finer points.
 */
export function metaCharset(html: string): string
{
	const head = html.slice(0, PRESCAN).replace(/<!--[\s\S]*?(-->|$)/g, "");

	for (const [tag] of head.matchAll(/<meta[\s/][^>]*/gi)) {
		const values = new Map<string, string>();

		for (const [, name = "", double, single, bare] of tag.matchAll(
			/([a-z-]+)\s*=\s*(?:"([^"]*)"?|'([^']*)'?|([^\s"'>]+))/gi))
			if (!values.has(name.toLowerCase()))
				values.set(name.toLowerCase(),
					double ?? single ?? bare ?? "");
		const direct = values.get("charset")?.trim();
		const content = /content-type/i.test(values.get("http-equiv") ?? "")
			? /charset\s*=\s*["']?\s*([^\s"';]+)/i
				.exec(values.get("content") ?? "")?.[1] : undefined;
		const name = direct ?? content ?? "";

		/* A document whose <meta> can be read is not in UTF-16. */
		if (/^utf-?16/i.test(name))
			return "utf-8";
		if (decoderOf(name, false) !== null)
			return name;
	}
	return "";
}

/* The charset that a byte order mark says, or "". */
function byteOrder(bytes: Bytes): string
{
	const [first, second] = bytes;

	return first === 0xff && second === 0xfe ? "utf-16le"
		: first === 0xfe && second === 0xff ? "utf-16be" : "";
}

/* --- text -------------------------------------------------------------- */

/*
 * `bytes` as text; `label`: the charset somebody says it is in, "" if
 * nobody does.
 */
export function textOf(bytes: Bytes, label: string, isHtml = false): string
{
	if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
		label = "utf-8";
	/* Its bytes know their order best; ASCII alone is none, who says so. */
	if (decoderOf(label, false)?.encoding.startsWith("utf-16") === true)
		label = byteOrder(bytes) || (bytes.every(byte => byte > 0
			&& byte < 0x80) ? "utf-8" : label);
	const asSaid = strictly(bytes, label);

	if (asSaid !== null)
		return asSaid;
	const named = decoderOf(label, false);
	const isUtf8 = named === null || named.encoding === "utf-8";

	/* Broken text of a charset that writes other letters in ASCII. */
	if (!isUtf8 && bytes.every(byte => byte < 0x80))
		return named.decode(bytes);
	return (isHtml ? strictly(bytes, metaCharset(
		latin1(bytes.subarray(0, PRESCAN)))) : null)
		?? strictly(bytes, byteOrder(bytes))
		?? strictly(bytes, "utf-8")
		?? (isUtf8 ? patched(bytes) : named.decode(bytes));
}
