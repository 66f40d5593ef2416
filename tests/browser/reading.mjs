#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/*
 * reading - how the page finds E and L in a file, without a browser.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadPage } from "./bundle.mjs";
import * as seal from "./seal.mjs";
import { assert, run, test } from "./tap.mjs";

const temp = mkdtempSync(join(tmpdir(), "cf-page-reading-"));
const page = await loadPage(["composite"], temp);
const bytes = buffer => new Uint8Array(buffer);
const text = latin1 => bytes(Buffer.from(latin1, "latin1"));

const HANDLE = "AAECAwQFBgcICQoLDA0ODw";
const TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN_-0";
const LINK = `https://keys.example:8443/k/${HANDLE}#${TOKEN}`;

const made = seal.seal(randomBytes(2000));
const OWN = `https://keys.example/k/${seal.b64(made.keyId)}#${TOKEN}`;
const P = seal.composite(made.e, OWN);
const lines = buffer => buffer.toString("base64").replace(/.{1,76}/g, "$&\r\n");
const E64 = lines(made.e);

/* One E, whole, and L with it unless that is needed. */
function opens(file, { token = TOKEN } = {})
{
	const { sealed } = page.composite.findSealed(bytes(file));

	assert.equal(sealed.length, 1);
	assert.deepEqual(sealed[0].e, bytes(made.e));
	assert.equal(sealed[0].handle, seal.b64(made.keyId));
	assert.equal(sealed[0].locator?.token ?? null, token);
}

const NO_LINK = { token: null };
const change = (from, to) => {
	const changed = P.toString("latin1").replace(from, to);

	assert.notEqual(changed, P.toString("latin1"));
	return Buffer.from(changed, "latin1");
};
const FIELDS = /Content-Type: application\/octet-stream;[^]*?\r\n(?=\r\n)/;
const LOCATOR = /Counterfoil-Locator: .*\r\n/;
const NOTICE = "A sealed message.";
/* The part with other fields in front of it, or of other bytes. */
const part = (fields, body = E64) => {
	const text = P.toString("latin1");
	const from = text.search(FIELDS);

	return Buffer.concat([Buffer.from(text.slice(0, from)),
		Buffer.from(fields.map(field => `${field}\r\n`).join("")
			+ `Counterfoil-Locator: ${OWN}\r\n\r\n`),
		Buffer.from(body, "latin1"),
		Buffer.from("\r\n--=_cf_0123456789abcdefghijkl--\r\n")]);
};
const raw = made.e.toString("latin1");
const quoted = [...made.e].map(byte =>
	`=${byte.toString(16).toUpperCase().padStart(2, "0")}`)
	.join("").replace(/.{1,72}/g, "$&=\r\n");
const uu = `begin 644 smime.p7m\r\n${execFileSync("python3", ["-c",
	"import binascii, sys\nd = sys.stdin.buffer.read()\n"
	+ "for i in range(0, len(d), 45):\n"
	+ " sys.stdout.write(binascii.b2a_uu(d[i:i + 45]).decode())\n"],
	{ input: made.e }).toString().replace(/\n/g, "\r\n")}\`\r\nend\r\n`;
const pem = label => Buffer.from(
	`-----BEGIN ${label}-----\n${E64}-----END ${label}-----\n`);
const around = (type, ...parts) => Buffer.from(
	`From: bob@b.test\r\nMIME-Version: 1.0\r\nContent-Type: ${type};`
	+ " boundary=o\r\n\r\n" + parts.map(one => `--o\r\n${one}\r\n`).join("")
	+ "--o--\r\n", "latin1");
const forward = "Content-Type: message/rfc822\r\n";
const FOOT = "Content-Type: text/plain\r\n\r\n-- \r\nA list\r\n";

const WAYS = {
	"as it was made": P,
	"lines that end in LF": Buffer.from(P.toString().replace(/\r\n/g, "\n")),
	"a From line": Buffer.concat([Buffer.from("From x Mon Nov 23\n"), P]),
	"two mails in an mbox": Buffer.concat([Buffer.from(
		"From x Mon Nov 23\n\nHello\n\nFrom y Mon Nov 23\n"), P]),
	"no version": change("Counterfoil-Version: 1\r\n", ""),
	"two locators alike": change(LOCATOR, "$&$&"),
	"a folded locator": change("#", "\r\n #"),
	"multipart/related": change("multipart/mixed", "multipart/related"),
	"a prefix to the type": change("multipart/mixed", "--\r\n multipart/mixed"),
	"a footer part": around("multipart/mixed", P, FOOT),
	"a preamble and an epilogue": change(
		/\r\n\r\n(--=_cf[^]*)$/, "\r\n\r\nMIME.\r\n\r\n$1Scanned.\r\n"),
	"no last boundary": P.subarray(0, P.length - 33),
	"an inner boundary in the wrong place": Buffer.from(P.toString()
		.replace("--=_n--\r\n", "").replace(/--=_cf_\w+--/, "--=_n--\r\n$&")),
	"no label at all": part([]),
	"another label and name": part(["Content-Type: image/png; name=a.png",
		"Content-Transfer-Encoding: base64"]),
	"an encoding with a comment": part([
		"Content-Transfer-Encoding: base64 (binary data)"]),
	"base64 that is called 7bit": part(["Content-Transfer-Encoding: 7bit"]),
	"base64 that is called quoted-printable": part([
		"Content-Transfer-Encoding: quoted-printable"]),
	"raw bytes": part(["Content-Transfer-Encoding: binary"], raw),
	"raw bytes that are called base64": part([
		"Content-Transfer-Encoding: base64"], raw),
	"raw bytes whose LF became CR LF": part([], raw.replace(/\n/g, "\r\n")),
	"quoted-printable": part(["Content-Transfer-Encoding: quoted-printable"],
		quoted),
	"quoted-printable that is called base64": part([
		"Content-Transfer-Encoding: base64"], quoted),
	"uuencoded": part(["Content-Transfer-Encoding: x-uuencode"], uu),
	"uuencoded and called nothing": part([], uu),
	"base64 in base64": part(["Content-Transfer-Encoding: base64"],
		lines(Buffer.from(E64))),
	"text behind the base64": part(["Content-Transfer-Encoding: base64"],
		`${E64}\r\n-- \r\nVirus checked by G\r\n`),
	"text in front of the base64": part(["Content-Transfer-Encoding: base64"],
		`Virus checked by G\r\n\r\n${E64}`),
	"one long line": part([], E64.replace(/\r\n/g, "")),
	"quoted lines": part([], E64.replace(/^/gm, "> ")),
	"forwarded": around("multipart/mixed", FOOT, `${forward}\r\n${P}`),
	"forwarded twice": around("multipart/mixed", `${forward}\r\n${
		around("multipart/mixed", `${forward}\r\n${P}`)}`),
	"forwarded in base64": around("multipart/mixed", `${forward
	}Content-Transfer-Encoding: base64\r\n\r\n${lines(P)}`),
	"attached under another type": around("multipart/mixed",
		`Content-Type: application/octet-stream\r\n`
		+ `Content-Transfer-Encoding: base64\r\n\r\n${lines(P)}`),
	"as one text": Buffer.from(`\r\n${P}`),
	"saved in UTF-16": Buffer.from(`\ufeff${P}`, "utf16le"),
	"the part with its header": Buffer.from(`${FIELDS.exec(P)[0]}\r\n${E64}`),
	"no locator, L in the text": Buffer.from(change(LOCATOR, "").toString()
		.replace(NOTICE, `Open this:\r\n${OWN}\r\n`)),
	"no locator, L in the HTML": Buffer.from(change(LOCATOR, "").toString()
		.replace(`<p>${NOTICE}`, `<a href=3D"${seal.percentEncode(
			`https://reader.example/m/${HANDLE}#${OWN}`)
			.replace(/.{60}/g, "$&=\r\n").replace(/^https=?/, "https")
			.replace("https%3A%2F%2Freader", "https://reader")}">a</a>`)),
	"no locator, L over several lines": Buffer.from(change(LOCATOR, "")
		.toString().replace(NOTICE,
			`Open this:\r\n\r\n${OWN.slice(0, 50)}\r\n${
				OWN.slice(50, 70)}\r\n${OWN.slice(70)}\r\n\r\nIt opens.`)),
	"a link of another message beside it": Buffer.from(change(LOCATOR, "")
		.toString().replace(NOTICE, `${LINK}\r\n${OWN}\r\n`)),
};

for (const [name, file] of Object.entries(WAYS))
	test(`P: ${name}: opens`, () => opens(file));

const ALONE = {
	"as it is": made.e,
	"with a line end behind it": Buffer.concat([made.e, Buffer.from("\r\n")]),
	"with zeros behind it": Buffer.concat([made.e, Buffer.alloc(500)]),
	"with a mark in front of it": Buffer.concat([Buffer.from("\xef\xbb\xbf",
		"latin1"), made.e]),
	"base64": Buffer.from(E64),
	"PEM, CMS": pem("CMS"),
	"PEM, PKCS7": pem("PKCS7"),
};

for (const [name, file] of Object.entries(ALONE))
	test(`E alone: ${name}: needs its link`, () => opens(file, NO_LINK));

test("P: no locator and only other links: the link is needed", () => {
	opens(change(LOCATOR, ""), NO_LINK);
	opens(change(OWN, LINK), NO_LINK);
});

test("P: a field counts more than the text", () =>
	opens(change(NOTICE, OWN.replace(TOKEN, TOKEN.replace("a", "b")))));

test("P: the first of a key id counts, and no other", () => {
	const twin = Buffer.from(made.e);

	twin[twin.length - 30] ^= 1;
	opens(around("multipart/mixed", `${forward}\r\n${P}`,
		`Content-Transfer-Encoding: base64\r\n\r\n${lines(twin)}`));
});

test("P: two sealed messages, one of them twice", () => {
	const second = seal.seal(randomBytes(100));
	const link = OWN.replace(/k\/[^#]*/, `k/${seal.b64(second.keyId)}`);
	const found = page.composite.findSealed(bytes(around("multipart/mixed",
		`${forward}\r\n${P}`, `${forward}\r\n${
			seal.composite(second.e, link).toString()
				.replace("Subject: Sealed", "Subject: =?utf-8?q?Zw=C3=B6lf?=")}`,
		`${forward}\r\n${P}`))).sealed;

	assert.deepEqual(found.map(({ handle, name, locator }) =>
		[handle, name, locator.handle]), [[made, "Sealed"],
		[second, "Zw\u00f6lf"]].map(([{ keyId }, name]) =>
		[seal.b64(keyId), name, seal.b64(keyId)]));
	assert.deepEqual(found[1].e, bytes(second.e));
});

const NOTHING = {
	"an ordinary mail": ["From: a@a.test\r\nSubject: b\r\n\r\nHello\r\n",
		{ isMail: true }],
	"no mail at all": ["\x89PNG\r\n\x1a\n", {}],
	"empty": ["", {}],
	"a mail without its part": [change(/--=_cf_0123456789abcdefghijkl\r\n(?=Content-Type: app)[^]*/,
		OWN).toString("latin1"), { isMail: true, hasLink: true }],
	"E cut off": [raw.slice(0, -1), { isCut: true }],
	"base64 cut off": [E64.slice(0, -80), { isCut: true }],
	"a length that does not fit": [raw.replace("\x02\x01\x00", "\x02\x01\x01"),
		{ isCut: true }],
	"another CMS": ["\x30\x82\x01\x00\x06\x09" + "\x2a\x86\x48\x86\xf7\r\n", {}],
};

for (const [name, [file, what]] of Object.entries(NOTHING))
	test(`P: ${name}: nothing sealed`, () => {
		assert.deepEqual(page.composite.findSealed(text(file)), { sealed: [],
			isCut: false, isPacked: false, isMail: false, hasLink: false,
			lost: null,
			...what });
	});

/* The table that the command holds, too. */
const vector = name => JSON.parse(readFileSync(
	new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
const { container, link } = vector("message");

for (const { name, file, result } of vector("forms"))
	test(`vectors: ${name}: ${result}`, () => {
		const found = page.composite.findSealed(
			bytes(Buffer.from(file, "base64url")));
		const [one] = found.sealed;

		assert.equal(one !== undefined
			? one.locator === null ? found.lost?.kind ?? "sealed" : "opens"
			: found.isPacked ? "packed" : found.isCut ? "damaged"
			: found.hasLink ? "emptied" : "nothing", result);
		if (one === undefined)
			return;
		assert.equal(found.sealed.length, 1);
		assert.deepEqual(one.e, bytes(Buffer.from(container, "base64url")));
		if (one.locator !== null)
			assert.equal(one.locator.token, link.split("#")[1]);
	});

test("P: hostile files take no long time", () => {
	const start = raw.slice(0, 30);
	const far = "\x30\x84\x7f\xff\xff\xff" + raw.slice(raw.indexOf("\x06\x0b"), 20);
	const before = process.cpuUsage().user;

	for (const file of [start.repeat(100_000), far.repeat(100_000),
		Buffer.from(far, "latin1").toString("base64").repeat(100_000),
		"a: b\r\n\r\n".repeat(100_000), "https://".repeat(300_000),
		`https:${" ".repeat(3_000_000)}`, "MI".repeat(2_000_000),
		"/v3/__".repeat(1300).concat("#\n").repeat(500),
		"=\n".repeat(500_000), "a\n".repeat(500_000).concat("=41"),
		"Counterfoil-Locator: https://x\n".repeat(200_000),
		"a\0".repeat(2_000_000), "h#\n>\t".repeat(500_000)])
		page.composite.findSealed(text(file));
	assert.ok(process.cpuUsage().user - before < 20_000_000);
});

await run();
rmSync(temp, { recursive: true, force: true });
