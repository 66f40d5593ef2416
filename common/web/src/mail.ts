// SPDX-License-Identifier: Apache-2.0
/*
 * mail - what a message says, for showing.
 *
 * Knows: MIME, by way of postal-mime.   Does not know: keys, pages.
 */
import PostalMime, { type Address } from "postal-mime";
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

function people(list: Address[] | undefined): Person[]
{
	return (list ?? []).flatMap(one => one.group !== undefined
		? one.group.map(({ name, address }) => ({ name, address }))
		: [{ name: one.name, address: one.address ?? "" }]);
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
	const froms = mail.headers.filter(({ key }) => key === "from").length;
	const names = distinctNames(mail.attachments.map(file =>
		safeName(file.filename,
			WITHOUT_NAME[file.mimeType] ?? "attachment")));

	return {
		/* Two From fields: neither is believed. */
		from: froms === 1 && mail.from ? people([mail.from]) : [],
		to: people(mail.to),
		cc: people(mail.cc),
		subject: mail.subject ?? "",
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
