// SPDX-License-Identifier: Apache-2.0
/*
 * link - the locator L as people and mail systems hand it to us.
 *
 *     https://host[:port]/k/<handle>#<token>       (http for loopback)
 *
 * and in a reader link
 *
 *     <reader>/m/<blob>#host[:port]/<handle>/<token>
 *
 * Found by the rules of common/link_find.c; tests/vectors/links.json holds
 * both to one table of cases.
 *
 * Knows: the grammar.   Does not know: the address bar, HTTP, keys.
 */
import { decode } from "./b64url";
import { latin1 } from "./bytes";
import { readings } from "./readings";

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
	| { kind: "lowercase" }		/* L whose letters were made alike */
	| { kind: "ambiguous" }		/* more than one L in the text */
	| { kind: "opaque", service: string }	/* a link that hides L */
	| { kind: "unknown" };		/* something else */

const TOKEN_BYTES = 32;
const TOKEN_LEN = 43;
const MAX_LEN = 16384;
const MAX_SERVICE = 280;

/* Services whose links do not have the original link in them. */
const OPAQUE: [string, string][] = [
	["mimecast.com", "Mimecast"],
	["mimecastprotect.com", "Mimecast"],
	["mailanyone.net", "Mailanyone"],
	["inky.com", "Inky"],
	["sendgrid.net", "SendGrid"],
	["mandrillapp.com", "Mandrill"],
	["list-manage.com", "Mailchimp"],
	["t.co", "X (Twitter)"],
	["bit.ly", "Bitly"],
	["tinyurl.com", "TinyURL"],
	["lnkd.in", "LinkedIn"],
];

const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9.])?$/;
const LITERAL = /^\[[0-9a-f:.]+\]$/;
const LOOPBACK = new RegExp("^(?:localhost|\\[::1\\]"
	+ "|127(?:\\.(?:[0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-5])){3})$");
/* A URL from its scheme up to the end of its host; some make // one /. */
const URL_HEAD = /(?=(http(s?):(\/{0,4})([A-Za-z0-9.:[\]-]{0,281})))/gi;
const FRAGMENT = /(?=(?:^|#)([A-Za-z0-9.:[\]-]{1,280})\/)/g;
const FRAGMENT_SECRET = /([A-Za-z0-9_-]*)(?:\/([A-Za-z0-9_-]*))?/y;
/* L whose scheme some programs leave out: then it is https. */
const BARE = new RegExp("(?:^:?|[ \\t\\r\\n<>()\"'|,;=])(?:\\/\\/)?"
	+ "(?!http)([A-Za-z0-9.:[\\]-]{1,281})(?=\\/k\\/[A-Za-z0-9_-]{22}#)", "gi");
const SECRET = /\/k\/([A-Za-z0-9_-]*)(?:#([A-Za-z0-9_-]*))?/iy;

interface Found {
	locators: Map<string, Locator>;
	alike: boolean;
	cut: boolean;
	service: string | null;
}

function isService(scheme: string, authority: string): boolean
{
	const parts = /^(.*?)(?::([1-9][0-9]{0,4}))?$/.exec(authority);
	const host = parts?.[1] ?? "";

	return scheme.length + 3 + authority.length <= MAX_SERVICE
		&& Number(parts?.[2] ?? 1) < 65536
		&& (LITERAL.test(host) || (NAME.test(host) && !host.includes("..")))
		&& (scheme === "https" || LOOPBACK.test(host));
}

function opaqueName(authority: string): string | null
{
	return OPAQUE.find(([domain]) => authority === domain
		|| authority.endsWith(`.${domain}`))?.[1] ?? null;
}

/* Handle and token, or the beginning of them: one is cut off if `isCut`. */
function readSecret(found: Found, service: string, handle: string,
	token: string | undefined, next: string, isCut: boolean): void
{
	if (handle.length !== 22 || token === undefined) {
		found.cut ||= handle.length <= 22 && token === undefined && isCut;
		return;
	}
	if (token.length < TOKEN_LEN) {
		found.cut ||= next !== "#" && next !== "/";
		return;
	}
	const secret = token.slice(0, TOKEN_LEN);

	/* Underscores are also what some put around a link. */
	if (!/^_*$/.test(token.slice(TOKEN_LEN)))
		return;
	/* So many letters at random have both cases. */
	if (!(/[a-z]/.test(handle + secret) && /[A-Z]/.test(handle + secret))) {
		found.alike = true;
		return;
	}
	if (decode(handle, 16) !== null && decode(secret, TOKEN_BYTES) !== null)
		found.locators.set(`${service} ${handle} ${secret}`, {
			service, handle, token: secret,
			host: service.replace(/^https?:\/\//, ""),
		});
}

/* Behind a service: "/k/" and the secret part of L. */
function readPath(found: Found, text: string, at: number,
	service: string): void
{
	SECRET.lastIndex = at;
	const match = SECRET.exec(text);
	const rest = text.slice(at, at + 3).toLowerCase();

	if (match === null) {
		found.cut ||= rest === "/" || rest === "/k";
		return;
	}
	const next = text.charAt(SECRET.lastIndex);

	readSecret(found, service, match[1] ?? "", match[2], next,
		next !== "#" && next !== "/");
}

/*
 * The fragments of reader links.  Loopback has the scheme of its reader, the
 * last of `heads` before it.
 */
function scanFragments(found: Found, text: string,
	heads: [number, string][]): void
{
	let near = "http", next = 0;

	for (const match of text.matchAll(FRAGMENT)) {
		const authority = (match[1] ?? "").toLowerCase();

		for (let head; (head = heads[next]) !== undefined
		    && head[0] < match.index; next++)
			near = head[1];
		const scheme = isService(near, authority) ? near : "https";

		if (!isService(scheme, authority))
			continue;
		FRAGMENT_SECRET.lastIndex = text.indexOf("/", match.index) + 1;
		const [, handle = "", token] = FRAGMENT_SECRET.exec(text) ?? [];
		const behind = text.charAt(FRAGMENT_SECRET.lastIndex);

		readSecret(found, `${scheme}://${authority}`, handle, token, behind,
			behind === "");
	}
}

/* Joined to a word before it the host would be another. */
function scanBare(found: Found, text: string): void
{
	for (const match of text.matchAll(BARE)) {
		const authority = (match[1] ?? "").toLowerCase();

		if (isService("https", authority))
			readPath(found, text, match.index + match[0].length,
				`https://${authority}`);
	}
}

function scan(found: Found, text: string, joined: boolean): void
{
	/* Cut off within the scheme. */
	if (/^(?:h|ht|htt|https?)$/i.test(text))
		found.cut = true;
	const heads: [number, string][] = [];

	/* One may begin where another seems to go on. */
	for (const match of text.matchAll(URL_HEAD)) {
		const [, head = "", s = "", slashes = "", host = ""] = match;
		const scheme = s === "" ? "http" : "https";
		const authority = host.toLowerCase();
		const end = match.index + head.length;

		if (match.index === 0 && end === text.length) {
			found.cut = true;
			break;
		}
		if (slashes === "" || slashes.length > 3 || host.length > 280)
			continue;
		found.service = opaqueName(authority) ?? found.service;
		heads.push([match.index, scheme]);
		if (isService(scheme, authority))
			readPath(found, text, end, `${scheme}://${authority}`);
	}
	scanFragments(found, text, heads);
	if (!joined)
		scanBare(found, text);
}

/*
 * Find L in `text`: the fragment of the page's address, with or without
 * its `#`, or a link somebody pasted.
 */
export function findLocator(text: string): LinkResult
{
	return locatorIn(latin1(new TextEncoder().encode(text)));
}

/* The same in a text that is given as bytes, each one character. */
export function locatorIn(text: string): LinkResult
{
	const bytes = text.replace(/^[ \t\r\n]+/, "").replace(/^#/, "");
	const found: Found = { locators: new Map(), alike: false, cut: false,
		service: null };

	if (bytes === "")
		return { kind: "none" };
	if (bytes.length > MAX_LEN)
		return { kind: "unknown" };
	for (const joined of [false, true])
		if (found.locators.size === 0)
			for (const reading of readings(bytes, joined))
				scan(found, reading, joined);
	const [first, second] = found.locators.values();

	if (second !== undefined)
		return { kind: "ambiguous" };
	if (first !== undefined)
		return { kind: "ok", locator: first };
	if (found.alike || found.cut)
		return { kind: found.alike ? "lowercase" : "incomplete" };
	return found.service === null ? { kind: "unknown" }
		: { kind: "opaque", service: found.service };
}

/*
 * The blob name in the page's own path `/m/<blob>`, or null; programs on the
 * way put something behind it, which may be the whole fragment.
 */
export function blobOfPath(path: string): string | null
{
	return /^\/m\/([A-Za-z0-9_-]{22})(?![A-Za-z0-9_-])/.exec(path)?.[1]
		?? null;
}
