#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/*
 * make-corpus - write tests/fuzz/corpus out of the test vectors: one folder
 * per target, few and small files.  Finds of the fuzzer are added by hand.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const corpus = new URL("corpus/", import.meta.url);
const vectors = new URL("../vectors/", import.meta.url);
const read = name => readFileSync(new URL(name, vectors));
const message = JSON.parse(read("message.json"));
const e = Buffer.from(message.container, "base64url");

function put(target, name, content)
{
	const folder = new URL(`${target}/`, corpus);

	mkdirSync(folder, { recursive: true });
	writeFileSync(new URL(name, folder), content);
}

put("container", "vector.der", e);
put("container", "two-text.der", read("two-text.a.der"));
put("container", "ber.der", Buffer.concat([Buffer.from("3080", "hex"), e]));

JSON.parse(read("mform.json")).forEach((v, i) =>
	put("mform", `vector-${String(i).padStart(2, "0")}`,
		Buffer.from(v.mform, "base64url")));

put("link", "plain", message.link);
put("link", "reader", message.reader_link);
put("link", "twice", encodeURIComponent(message.reader_link));
put("link", "rewriter", "https://scan.example/?url=" +
	encodeURIComponent(message.reader_link) + "&data=1");
/* One of each sort of what is undone. */
const SEEDS = new RegExp("^(Proofpoint v[23] in Safe Links|Sophos|L in JSON"
	+ "|L in numeric HTML|L broken over lines of a quoted reply"
	+ "|a reader link in quoted-printable|L in words defanged)$");

for (const { name, text } of JSON.parse(read("links.json")).cases)
	if (SEEDS.test(name))
		put("link", name.toLowerCase().replace(/[^a-z0-9]+/g, "-"), text);
put("link", "loopback", message.link.replace("https://keys.example",
	"http://[::1]:8080"));

const lines = e.toString("base64").match(/.{1,76}/g).join("\r\n");
const notice = (type, text) => `--i\r\nContent-Type: text/${type}; ` +
	"charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	`${text}\r\n`;
const sealed = "Content-Type: application/octet-stream; " +
	"name=\"message.counterfoil\"\r\n" +
	"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; " +
	`filename="message.counterfoil"\r\nCounterfoil-Locator: ${message.link}\r\n\r\n` +
	`${lines}\r\n`;
const mail = "From: a@x.example\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=o\r\n" +
	"Counterfoil-Version: 1\r\n\r\n--o\r\nContent-Type: " +
	"multipart/alternative; boundary=i\r\n\r\n" + notice("plain",
		message.link) +
	notice("html", "<p>a") + `--i--\r\n--o\r\n${sealed}--o--\r\n`;

put("composite", "exact", mail);
put("composite", "lf", mail.replaceAll("\r\n", "\n"));
put("composite", "footer", mail.replace("--o--", "--o\r\n\r\nfooter\r\n--o--"));
put("composite", "octets", Buffer.concat([Buffer.from(mail.slice(0,
	mail.indexOf(lines))), e, Buffer.from("\r\n--o--\r\n")]));
put("composite", "base64-message", "Subject: Fwd\r\nContent-Type: " +
	"message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
	Buffer.from(mail).toString("base64").match(/.{1,76}/g).join("\r\n"));
put("composite", "quoted", "Content-Transfer-Encoding: quoted-printable\r\n" +
	`\r\n${message.link}\r\n\r\n` + [...e].map(byte =>
	"=" + byte.toString(16).padStart(2, "0").toUpperCase()).join("").replace(
	/.{72}/g, "$&=\r\n"));
put("composite", "alone", `MIME-Version: 1.0\r\n${sealed}`);
put("composite", "nested", "Content-Type: message/rfc822\r\n\r\n" + mail);
