// SPDX-License-Identifier: Apache-2.0
/*
 * mail - what a message says, for showing.
 *
 * Knows: which parts are the text and which are files.
 * Does not know: how parts are found or decoded, keys, pages.
 */
import type { Bytes } from "./bytes";
import { textOf } from "./charset";
import { distinctNames, safeName } from "./files";
import { unflowed } from "./flowed";
import {
	fieldOf, parameter, structured, takeApart, type Field, type Part,
} from "./mime";
import { transferDecoded } from "./transfer";
import { visible } from "./visible";
import { addresses, fieldText, parameterText, type Person } from "./words";

export type { Person } from "./words";

export interface MailFile {
	name: string;		/* safe to save under */
	type: string;
	bytes: Bytes;		/* as the sender's, whatever the encoding */
	contentId: string;	/* without < >, or "" */
	location: string;	/* its Content-Location, or "" */
}

export interface Mail {
	from: Person[];
	to: Person[];
	cc: Person[];
	subject: string;
	date: string;		/* as written; not checked */
	text: string | null;
	html: string | null;
	files: MailFile[];
	notes: string[];	/* sentences: what could not be done with it */
}

/* --- leaves ------------------------------------------------------------ */

/* The bytes that the sender's program put into a leaf. */
function contentOf(message: Bytes, part: Part): Bytes
{
	return transferDecoded(message.subarray(part.body, part.end),
		fieldOf(part.fields, "content-transfer-encoding"));
}

function leafText(message: Bytes, part: Part): string
{
	const label = parameter(part.parameters, "charset")?.value ?? "";
	const text = textOf(contentOf(message, part),
		label.split(/[\s;,(]/, 1)[0] ?? "", part.type === "text/html")
		.replace(/\r\n?/g, "\n");
	const says = (name: string): string =>
		(part.parameters.get(name) ?? "").toLowerCase();

	return part.type === "text/plain" && says("format") === "flowed"
		? unflowed(text, says("delsp") === "yes") : text;
}

const WITHOUT_NAME: Record<string, string> = {
	"message/rfc822": "message.eml",
	"text/calendar": "invitation.ics",
	"text/plain": "attachment.txt",
	"text/html": "attachment.html",
};

/* --- text -------------------------------------------------------------- */

/* A piece of the text: as plain text, as HTML, or both ways. */
interface Piece {
	plain: string | null;
	html: string | null;
}

const UNSEEN = /\s|&nbsp;?|&#(?:160|xa0);?|[\u200b-\u200d\ufeff]/gi;
const SEEN = /<(?:img|image|svg|hr|input|table)\b|background/i;

/*
 * Does an HTML document show nothing?  Tags and what stands in comments,
 * <style>, <script> and <title> is not seen.
 */
function isBlank(html: string): boolean
{
	const raw = /<(?:!--|(style|script|title)\b)/iy;
	const tags = /<[a-z/!?]/gi;

	if (SEEN.test(html))
		return false;
	for (let at = 0; at < html.length; ) {
		tags.lastIndex = at;
		const tag = tags.exec(html)?.index ?? -1;
		const text = html.slice(at, tag < 0 ? html.length : tag);

		if (text.replace(UNSEEN, "") !== "")
			return false;
		if (tag < 0)
			break;
		raw.lastIndex = tag;
		const hides = raw.exec(html);
		const end = hides === null ? /[>]/g
			: hides[1] === undefined ? /-->/g
			: new RegExp(`</${hides[1]}[^>]*>`, "gi");

		end.lastIndex = tag;
		if (end.exec(html) === null)
			break;
		at = end.lastIndex;
	}
	return true;
}

const escaped = (text: string): string => text.replace(/&/g, "&amp;")
	.replace(/</g, "&lt;").replace(/>/g, "&gt;");

/* Plain text among HTML. */
const asHtml = (text: string): string =>
	`<div style="white-space:pre-wrap">${escaped(text)}</div>`;

function joined(texts: (string | null)[]): string | null
{
	const said = texts.filter(text => text !== null);

	return said.length === 0 ? null : said.join("\n");
}

/* --- the message ------------------------------------------------------- */

const NOT_APART = "Part of this message could not be taken apart. It is shown"
	+ " as it came; “Save as .eml” has all of it.";
const NOT_WHOLE = "This message has more parts, one within the other or in"
	+ " number, than this page shows; “Save as .eml” has all of them.";

class Reading {
	readonly found: { part: Part, name: string | null }[] = [];
	isApart = true;

	constructor(private readonly message: Bytes) {}

	private file(part: Part, name: string | null): void
	{
		this.found.push({ part, name });
	}

	private leaf(part: Part, isAlternative: boolean): Piece[]
	{
		const { fields, parameters, type } = part;
		const [disposition, more] = structured(
			fieldOf(fields, "content-disposition"));
		const name = parameterText(more, "filename")
			?? parameterText(parameters, "name");

		if (type.startsWith("multipart/")) {
			const raw = textOf(
				this.message.subarray(part.body, part.end), "");

			this.isApart &&= raw.trim() === "";
			return [{ plain: raw.replace(/\r\n?/g, "\n"), html: null }];
		}
		if (disposition.trim().toLowerCase() === "attachment"
		    || (type !== "text/plain" && type !== "text/html")) {
			this.file(part, name);
			return [];
		}
		/* What has a name of its own is worth saving, too. */
		if (name !== null && !isAlternative)
			this.file(part, name);
		const text = leafText(this.message, part);

		return type === "text/html"
			? [{ plain: null, html: isBlank(text) ? null : text }]
			: [{ plain: text.trim() === "" ? null : text, html: null }];
	}

	/* The text in a part, piece by piece; its files are remembered. */
	pieces(part: Part, isAlternative = false): Piece[]
	{
		const { parts } = part;

		if (parts === null)
			return this.leaf(part, isAlternative);
		const alternative = part.type === "multipart/alternative";
		const inside = parts.flatMap(one => this.pieces(one, alternative));

		return !alternative ? inside : [{
			plain: joined(inside.map(({ plain }) => plain)),
			html: joined(inside.map(({ html }) => html)),
		}];
	}
}

function people(fields: Field[], name: string): Person[]
{
	return fields.filter(field => field.name === name)
		.flatMap(({ value }) => addresses(value))
		.map(person => ({ name: visible(person.name),
			address: visible(person.address) }));
}

/*
 * Everybody in the From field.  Two such fields, or none: nobody, so that
 * no program's choice between them is shown as the truth.
 */
function senders(fields: Field[]): Person[]
{
	const [first, second] = fields.filter(({ name }) => name === "from");

	return first === undefined || second !== undefined ? []
		: people(fields, "from");
}

export function readMail(message: Bytes): Mail
{
	const { root, isWhole } = takeApart(message);
	const { fields } = root;
	const reading = new Reading(message);
	const pieces = reading.pieces(root)
		.filter(({ plain, html }) => plain !== null || html !== null);
	const hasHtml = pieces.some(({ html }) => html !== null);
	const names = distinctNames(reading.found.map(({ part, name }) =>
		safeName(name, WITHOUT_NAME[part.type] ?? "attachment")));
	const notes: string[] = [];

	if (!isWhole)
		notes.push(NOT_WHOLE);
	if (!reading.isApart)
		notes.push(NOT_APART);
	return {
		from: senders(fields),
		to: people(fields, "to"),
		cc: people(fields, "cc"),
		subject: visible(fieldText(fieldOf(fields, "subject"))),
		date: visible(fieldText(fieldOf(fields, "date"))),
		text: pieces.some(({ plain }) => plain === null) ? null
			: joined(pieces.map(({ plain }) => plain)),
		html: !hasHtml ? null : joined(pieces.map(({ plain, html }) =>
			html ?? asHtml(plain ?? ""))),
		files: reading.found.map(({ part }, i) => ({
			name: names[i] ?? "attachment",
			type: part.type,
			bytes: contentOf(message, part),
			contentId: /<([^<>]*)>|^[^<\s]*/.exec(fieldOf(part.fields,
				"content-id"))?.reduce((whole, id) => id ?? whole) ?? "",
			location: fieldOf(part.fields, "content-location"),
		})),
		notes,
	};
}

const MAX_RAW = 1_000_000;
const NOT_FORMATTED = "The formatted text could not be shown.";
const NOT_READ = "This message could not be taken apart. Below is how it came;"
	+ " “Save as .eml” has all of it.";

/* The same without its HTML, which stands there as text at worst. */
export function withoutHtml(mail: Mail): Mail
{
	return { ...mail, html: null, text: mail.text ?? mail.html,
		notes: [...mail.notes, NOT_FORMATTED] };
}

/* A message of which nothing is known but its bytes. */
export function unread(message: Bytes): Mail
{
	return { from: [], to: [], cc: [], subject: "", date: "",
		text: textOf(message.subarray(0, MAX_RAW), ""), html: null,
		files: [], notes: [NOT_READ] };
}

/* Does the sender named inside lie in the domain the issuer proved? */
export function senderIsVouchedFor(from: Person[], domain: string): boolean
{
	const verified = domain.toLowerCase();

	return verified !== "" && from.length > 0 && from.every(({ address }) => {
		const [local, own, more] = address.split("@");

		return local !== "" && own?.toLowerCase() === verified
			&& more === undefined;
	});
}
