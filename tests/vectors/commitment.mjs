// SPDX-License-Identifier: Apache-2.0
/* Message commitments, computed from counterfoil-format(7) alone. */
import { createCipheriv, createHash, createHmac } from "node:crypto";

const names = ["From", "To", "Cc", "Subject", "Date", "MIME-Version",
	"Content-Type", "Content-Transfer-Encoding"];
const sha256 = latin1 =>
	createHash("sha256").update(Buffer.from(latin1, "latin1")).digest();
const b64 = bytes => Buffer.from(bytes).toString("base64url");

/* [[field, ...], body], or null where m begins with no run of fields. */
function split(m)
{
	const fields = [];
	let rest = m;

	while (!rest.startsWith("\r\n")) {
		const field = /^[!-9;-~]+:[^\0\r\n]*(?:\r\n[ \t][^\0\r\n]*)*\r\n/
			.exec(rest);

		if (field === null)
			return null;
		fields.push(field[0]);
		rest = rest.slice(field[0].length);
	}
	return [fields, rest.slice(2)];
}

/* RFC 6376 3.4.2 */
const relaxed = field => {
	const colon = field.indexOf(":");

	return field.slice(0, colon).toLowerCase() + ":" + field.slice(colon + 1)
		.replaceAll("\r\n", "").replace(/[ \t]+/g, " ").trim() + "\r\n";
};
const named = (fields, name) => fields.filter(field =>
	field.slice(0, name.length + 1).toLowerCase() ===
	name.toLowerCase() + ":").map(relaxed).join("");
/* RFC 6376 3.4.3 */
const simple = body =>
	body.replace(/(?<!\r)\n/g, "\r\n").replace(/(?:\r\n)*$/, "") + "\r\n";

function digests(m)
{
	const parts = split(m);

	if (parts !== null)
		return { head: names.map(name => named(parts[0], name)).join(""),
			name: names.map(name => named(parts[0], name)),
			body: simple(parts[1]) };

	const end = m.startsWith("\r\n") ? 0 : m.indexOf("\r\n\r\n");
	const head = end < 0 ? m : m.slice(0, end === 0 ? 0 : end + 2);

	return { head, name: names.map(() => head),
		body: simple(end < 0 ? "" : m.slice(head.length + 2)) };
}

const head = "From: Ann <ann@a.test>\r\nTo: bob@b.test\r\nSubject: Offer\r\n" +
	"Date: Mon, 23 Nov 2026 13:35:00 +0000\r\n";
const messages = {
	"an ordinary message": `${head}\r\nTwo hundred at nine.\r\n`,
	"every name, in another order and case": "X-A: 1\r\n" +
		"content-transfer-encoding:7bit\r\nCONTENT-TYPE: text/plain;" +
		"\r\n\tcharset=us-ascii \t\r\nMime-Version: 1.0\r\ndate: x\r\n" +
		"subject:\r\nCC: c@c.test\r\ntO:\t\t b@b.test  ,\r\n  d@d.test\r\n" +
		"FROM: a@a.test\r\n\r\nx\r\n",
	"one name twice, with others between": "Subject: one\r\nFrom: a\r\n" +
		"Subject: two\r\nX: y\r\n\r\n",
	"a value of blanks": "Subject: \t \r\n \r\nFrom: a\r\n\r\nb",
	"a name that only begins so": "From-X: a\r\nSubjects: b\r\nTo: c\r\n\r\n",
	"no field that counts": "X-A: b\r\n\r\nbody\r\n",
	"no fields": "\r\nbody",
	"no body": head + "\r\n",
	"a body of empty lines": `${head}\r\n\r\n\r\n\r\n`,
	"empty lines at the end": `${head}\r\na\r\n\r\nb\r\n\r\n\r\n`,
	"no final newline": `${head}\r\na\r\nb`,
	"bare LF": `${head}\r\na\nb\n\n\nc\n\n`,
	"LF and CR LF in turn": `${head}\r\n\r\n\na\r\n\n\r\nb\n\r\n`,
	"bare CR": `${head}\r\na\rb\r\r\nc\r\n\r`,
	"CR at the end": `${head}\r\na\r`,
	"CR CR LF at the end": `${head}\r\na\r\r\n\r\r\n\r\n`,
	"more empty lines than are held at once":
		`${head}\r\na${"\r\n".repeat(40)}b${"\n".repeat(17)}`,
	"8-bit and NUL": `Subject: gr\xfc\xdfe\r\n\r\n\0\xe4\r\n\0\r\n`,
	"blanks at the ends of lines": `${head}\r\na \r\n \r\n\t\r\n`,
	"nothing at all": "",
	"no empty line": "Subject: x\r\nFrom: a\r\n",
	"LF only": "Subject: x\n\nbody\n",
	"a blank in front of the colon": "Subject : x\r\n\r\nbody\r\n",
	"a NUL in a field": "Subject: x\0\r\nFrom: a\r\n\r\nbody",
	"a fold first": " x\r\nSubject: y\r\n\r\nbody\r\n",
};

/* The sender's note; digests that begin with a character of their own each. */
function note(secret, keyId)
{
	const subject = "Angebot \u00fcber 17 \ud83d\udce8";
	const aad = Buffer.concat([Buffer.from("counterfoil note v1\0"), keyId]);
	const cipher = createCipheriv("aes-256-gcm",
		createHmac("sha256", secret).update(aad).digest(),
		Buffer.alloc(12));
	const text = Buffer.from("v".repeat(32) + [..."01234567"].map(c =>
		c.repeat(8)).join("") + "b".repeat(8) + subject);

	cipher.setAAD(aad);

	const sealed = Buffer.concat([cipher.update(Buffer.concat([text,
		Buffer.alloc(496 - text.length)])), cipher.final()]);

	return { subject, sealed: b64(Buffer.concat([sealed,
		cipher.getAuthTag()])) };
}

export function commitmentCases()
{
	const secret = sha256("a gateway's reference secret");
	const keyId = sha256("a key id").subarray(0, 16);
	const salt = createHmac("sha256", secret).update(Buffer.concat([
		Buffer.from("counterfoil message salt v1\0"), keyId])).digest();

	return { reference_secret: b64(secret), key_id: b64(keyId),
		salt: b64(salt), note: note(secret, keyId),
		messages: Object.entries(messages).map(([about, m]) => {
			const d = digests(m);

			return { about, m: b64(Buffer.from(m, "latin1")),
				head: b64(sha256(d.head)), body: b64(sha256(d.body)),
				names: d.name.map(text => b64(sha256(text))),
				commitment: b64(createHash("sha256").update(
					Buffer.concat([Buffer.from(
						"counterfoil message v1\0"), salt,
						sha256(d.head), sha256(d.body)]))
					.digest()) };
		}) };
}
