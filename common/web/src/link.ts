// SPDX-License-Identifier: Apache-2.0
/*
 * link - the locator L as people and mail systems hand it to us.
 *
 *     https://host[:port]/k/<handle>#<token>       (http for loopback)
 *
 * The reader link carries L percent-encoded behind its own `#`.  Programs
 * on the way decode it, encode it again, or put the whole of it into a
 * parameter of a link of theirs; the text is therefore decoded until it
 * fits the grammar, at most three times.
 *
 * Knows: the grammar.   Does not know: the address bar, HTTP, keys.
 */

export interface Locator {
	service: string;	/* origin of the key server, no final slash */
	host: string;		/* host[:port], for people */
	handle: string;		/* 22 characters: the key id */
	token: string;		/* 43 characters, secret */
}

export type LinkResult =
	| { kind: "ok", locator: Locator }
	| { kind: "none" }		/* nothing there at all */
	| { kind: "incomplete" }	/* the beginning of L, cut off */
	| { kind: "ambiguous" }		/* more than one L in the text */
	| { kind: "unknown" };		/* something else */

const MAX_DECODINGS = 3;
const MAX_LEN = 16384;

const NAME = "[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?";
const LOOPBACK = "(?:127\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}"
	+ "|localhost|\\[::1\\])";
const PORT = "(?::[0-9]{1,5})?";
const SERVICE = `(?:https://(?:${NAME}|\\[[0-9a-f:.]{2,45}\\])${PORT}`
	+ `|http://${LOOPBACK}${PORT})`;
const LOCATOR = new RegExp(
	`(?:^|[^A-Za-z0-9])(${SERVICE})/k/([A-Za-z0-9_-]{22})#([A-Za-z0-9_-]{43})`
	+ "(?![A-Za-z0-9_-])", "g");

/* What a locator that was cut off looks like, up to the end of the text. */
const CUT_IN_HOST = /^https?:\/{0,2}$|^https?:\/\/[a-z0-9.:[\]-]*$/;
const CUT_BEFORE_HANDLE = new RegExp(`(?:^|[^A-Za-z0-9])${SERVICE}/k?$`);
const CUT_BEHIND = new RegExp(
	`(?:^|[^A-Za-z0-9])${SERVICE}/k/`
	+ "(?:[A-Za-z0-9_-]{0,22}|[A-Za-z0-9_-]{22}#[A-Za-z0-9_-]{0,42})"
	+ "(?![A-Za-z0-9_#/-])");

/* One round of percent-decoding; an escape that was cut off is dropped. */
function decodeOnce(text: string): string
{
	return text.replace(/%[0-9A-Fa-f]?$/, "").replace(/%([0-9A-Fa-f]{2})/g,
		(_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function portFits(service: string): boolean
{
	const port = /:([0-9]+)$/.exec(service.replace(/^https?:/, ""));

	return port === null || (Number(port[1]) > 0 && Number(port[1]) < 65536);
}

/* All different locators in `text`. */
function locatorsIn(text: string): Locator[]
{
	const found = new Map<string, Locator>();

	for (const match of text.matchAll(LOCATOR)) {
		const [, service = "", handle = "", token = ""] = match;

		if (portFits(service))
			found.set(`${service} ${handle} ${token}`, {
				service, handle, token,
				host: service.replace(/^https?:\/\//, ""),
			});
	}
	return [...found.values()];
}

function isCutOff(text: string): boolean
{
	return text !== "" && ("https://".startsWith(text)
		|| CUT_IN_HOST.test(text) || CUT_BEFORE_HANDLE.test(text)
		|| CUT_BEHIND.test(text));
}

/*
 * Find L in `text`: the fragment of the page's address, with or without
 * its `#`, or a link somebody pasted.
 */
export function findLocator(text: string): LinkResult
{
	let stage = text.trim().replace(/^#/, "");
	let cutOff = false;

	if (stage === "")
		return { kind: "none" };
	if (stage.length > MAX_LEN)
		return { kind: "unknown" };
	for (let round = 0; round <= MAX_DECODINGS; round++) {
		const [first, second] = locatorsIn(stage);

		if (first !== undefined && second !== undefined)
			return { kind: "ambiguous" };
		if (first !== undefined)
			return { kind: "ok", locator: first };
		cutOff ||= isCutOff(stage);
		stage = decodeOnce(stage);
	}
	return { kind: cutOff ? "incomplete" : "unknown" };
}

/* The blob name in the page's own path `/m/<blob>`, or null. */
export function blobOfPath(path: string): string | null
{
	return /^\/m\/([A-Za-z0-9_-]{22})$/.exec(path)?.[1] ?? null;
}
