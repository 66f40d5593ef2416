// SPDX-License-Identifier: Apache-2.0
/*
 * mail - what a message says, for showing.
 *
 * Knows: MIME, by way of postal-mime.   Does not know: keys, pages.
 */
import PostalMime, { addressParser, decodeWords, type Address }
	from "postal-mime";
import type { Bytes } from "./bytes";
import { distinctNames, safeName } from "./files";

export interface Person {
	name: string;
	address: string;
}

export interface MailFile {
	name: string;		/* safe to save under */
	type: string;
	bytes: Bytes;
	contentId: string;	/* without < >, or "" */
	inline: boolean;	/* meant to stand in the HTML */
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
}

/* Characters that are not seen but change how others are read. */
const UNSEEN = new RegExp("[\\u0000-\\u001f\\u007f-\\u009f\\u061c"
	+ "\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]", "gu");

function visible(text: string): string
{
	return text.replace(UNSEEN, " ").replace(/ +/g, " ").trim();
}

function people(list: Address[] | undefined): Person[]
{
	return (list ?? []).flatMap(one => one.group ?? [one])
		.map(({ name, address }) => ({ name: visible(name),
			address: visible(address ?? "") }));
}

/*
 * Everybody in the From field.  Two such fields, or none: nobody, so that
 * no program's choice between them is shown as the truth.
 */
function senders(headers: { key: string, value: string }[]): Person[]
{
	const [first, second] = headers.filter(({ key }) => key === "from");

	if (first === undefined || second !== undefined)
		return [];
	return people(addressParser(first.value)
		.map(one => ({ ...one, name: decodeWords(one.name) })));
}

function bytesOf(content: ArrayBuffer | Uint8Array | string): Bytes
{
	if (typeof content === "string")
		return new TextEncoder().encode(content) as Bytes;
	return content instanceof Uint8Array ? content as Bytes
		: new Uint8Array(content);
}

const WITHOUT_NAME: Record<string, string> = {
	"message/rfc822": "message.eml",
	"text/calendar": "invitation.ics",
	"text/plain": "attachment.txt",
	"text/html": "attachment.html",
};

export async function readMail(message: Bytes): Promise<Mail>
{
	const mail = await PostalMime.parse(message,
		{ attachmentEncoding: "arraybuffer", forceRfc822Attachments: true });
	const names = distinctNames(mail.attachments.map(file =>
		safeName(file.filename,
			WITHOUT_NAME[file.mimeType] ?? "attachment")));

	return {
		from: senders(mail.headers),
		to: people(mail.to),
		cc: people(mail.cc),
		subject: visible(mail.subject ?? ""),
		date: mail.headers.find(({ key }) => key === "date")?.value ?? "",
		text: mail.text ?? null,
		html: mail.html ?? null,
		files: mail.attachments.map((file, i) => ({
			name: names[i] ?? "attachment",
			type: file.mimeType,
			bytes: bytesOf(file.content),
			contentId: (file.contentId ?? "").replace(/^<|>$/g, ""),
			inline: file.related === true,
		})),
	};
}

/* Does the sender named inside lie within the domain the issuer proved? */
export function senderIsVouchedFor(from: Person[], domain: string): boolean
{
	const verified = domain.toLowerCase();

	return verified !== "" && from.length > 0 && from.every(({ address }) => {
		const at = address.lastIndexOf("@");
		const own = address.slice(at + 1).toLowerCase();

		return at > 0 && (own === verified || own.endsWith(`.${verified}`));
	});
}
