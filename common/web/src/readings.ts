// SPDX-License-Identifier: Apache-2.0
/*
 * readings - what a text was before programs on the way changed it.
 *
 * The command does the same (common/link_reading.c); the rules stand in
 * counterfoil-format(7).  Texts here are strings of bytes, and what is
 * done to one never makes it longer.
 *
 * Knows: escapes and rewriters of links.   Does not know: our links.
 */
const ROUNDS = 3;	/* of undoing, after the text as it is */
const MAX_V3 = 4096;

const ENTITIES: Record<string, string> = {
	amp: "&", lt: "<", gt: ">", quot: "\"", num: "#", sol: "/", colon: ":",
	period: ".", lowbar: "_", percnt: "%", equals: "=", nbsp: " ", shy: "",
	zwnj: "", zerowidthspace: "",
};
const ESCAPE = new RegExp("&#(?:[xX]([0-9A-Fa-f]{1,7})|([0-9]{1,7}));" /* HTML */
	+ "|\\\\u([0-9A-Fa-f]{4})"			/* JSON */
	+ "|=([0-9A-F]{2})"	/* quoted-printable: its digits are capitals */
	+ "|\\\\([/_#.:-])", "g");			/* Markdown, JSON */

/* In UTF-8: zero width, soft hyphen, marks of direction, byte order mark. */
const INVISIBLE = new RegExp("\xe2\x80[\x8b-\x8f\xaa-\xac]|\xe2\x81\xa0"
	+ "|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf|\xc2\xad", "g");

const REWRITTEN = new RegExp("%([0-9A-Fa-f]{2})|%[0-9A-Fa-f]?$"
	+ "|(aHR0c[A-Za-z0-9+/_-]*)"		/* "http" in base64 */
	+ "|/v2/url\\?u=([^& \\t\\r\\n]*)"		/* Proofpoint */
	+ "|(/v3/__)", "g");

const BASE64 = /[A-Za-z0-9+/_-]*/y;
const B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function ofCode(code: number): string
{
	if (code > 0 && code < 0x80)
		return String.fromCharCode(code);
	return code === 0xad || code === 0x2060 || code === 0xfeff
		|| (code >= 0x200b && code <= 0x200f) ? "" : " ";
}

function ofByte(hex: string, whole: string): string
{
	return /^00$/.test(hex) ? whole : String.fromCharCode(parseInt(hex, 16));
}

/* What is a character written otherwise, or none that can be seen. */
function clean(text: string): string
{
	return text.replace(ESCAPE, (whole, hex?: string, decimal?: string,
		json?: string, quoted?: string, plain?: string) => {
		if (hex !== undefined || json !== undefined)
			return ofCode(parseInt(hex ?? json ?? "", 16));
		if (decimal !== undefined)
			return ofCode(parseInt(decimal, 10));
		if (quoted !== undefined)
			return ofByte(quoted, whole);
		return plain ?? whole;
	}).replace(INVISIBLE, "").replace(/\xc2\xa0|\xe2\x80[\xa8\xa9]/g, " ")
		.replace(/hxxp/gi, "http")
		.replace(/\[(\.|:|:\/\/)\]|\((\.)\)|\[dot\]|\(dot\)/gi,
			(_, one?: string, other?: string) => one ?? other ?? ".")
		.replace(/&([a-z]+);/gi, (whole, name: string) =>
			ENTITIES[name.toLowerCase()] ?? whole)
		.replace(/<wbr ?\/?>/gi, "")
		.replace(/=\r?\n/g, "");
}

/*
 * White space within a link, or the soft line break of quoted-printable,
 * with the marks of a quoted reply.
 */
function join(text: string): string
{
	return text.replace(/(?:=(?=\r*\n)|[ \t-\r])[ \t-\r>|]*/g, space =>
		space.split("\n").length > 2 ? "\n\n" : "");
}

/* Base64 of either alphabet, as far as it makes whole bytes. */
function ofBase64(text: string): string
{
	let out = "", word = 0, bits = 0;

	for (const c of text.replace(/\+/g, "-").replace(/\//g, "_")) {
		word = ((word << 6) | B64.indexOf(c)) & 0xffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out += ofByte(((word >> bits) & 0xff).toString(16)
				.padStart(2, "0"), " ");
		}
	}
	return out;
}

/* Proofpoint v2: a link in which - is %, and _ is /. */
function ofProofpoint2(link: string): string
{
	return " " + link.replace(/_|-([0-9A-Fa-f]{2})/g,
		(whole, hex?: string) => hex === undefined ? "/"
			: ofByte(hex, whole));
}

/*
 * Proofpoint v3: each * in the link stands for the next byte of `bytes`, and
 * **X for 2 of them (X is A), 3 (B), and so on.
 */
function ofProofpoint3(link: string, bytes: string): string
{
	let at = 0;

	return " " + link.replace(/\*\*([A-Za-z0-9+/_-])|\*/g,
		(_, run?: string) => {
			const from = at;

			at += run === undefined ? 1
				: B64.indexOf(run.replace("+", "-").replace("/", "_")) + 2;
			return bytes.slice(from, at);
		}) + " ";
}

/* One step back of what rewriters do; a stray % stays, a cut one goes. */
function undo(text: string): string
{
	let out = "", done = 0, v3End = 0, match;

	REWRITTEN.lastIndex = 0;
	while ((match = REWRITTEN.exec(text)) !== null) {
		const [whole, hex, base64, v2, v3] = match;
		const at = REWRITTEN.lastIndex;

		if (v3 !== undefined) {
			if (v3End >= 0 && v3End < at)
				v3End = text.indexOf("__;", at);
			if (v3End < 0 || v3End - at > MAX_V3 - 3)
				continue;
			BASE64.lastIndex = v3End + 3;
			const [bytes = ""] = BASE64.exec(text) ?? [];

			out += text.slice(done, match.index)
				+ ofProofpoint3(text.slice(at, v3End), ofBase64(bytes));
			done = REWRITTEN.lastIndex = v3End + 3 + bytes.length;
			continue;
		}
		out += text.slice(done, match.index)
			+ (hex !== undefined ? ofByte(hex, whole)
				: base64 !== undefined ? ofBase64(base64)
				: v2 !== undefined ? ofProofpoint2(v2) : "");
		done = at;
	}
	return out + text.slice(done);
}

/* `text` as it is and one, two, three steps back. */
export function readings(text: string, joined: boolean): string[]
{
	const all: string[] = [];

	for (let now = text; all.length <= ROUNDS; now = undo(now)) {
		now = clean(joined ? join(now) : now);
		if (joined)		/* what was written as an escape */
			now = join(now);
		all.push(now);
	}
	return all;
}
