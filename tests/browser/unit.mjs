#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/*
 * unit - the page's modules without a browser.
 *
 * How E and L are found in a file is tested in reading.mjs, what becomes of
 * a message in mail.mjs.
 */
import { execFileSync } from "node:child_process";
import { createDecipheriv, randomBytes, webcrypto } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadPage } from "./bundle.mjs";
import * as seal from "./seal.mjs";
import { assert, run, test } from "./tap.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const temp = mkdtempSync(join(tmpdir(), "cf-page-unit-"));

const page = await loadPage(["assurance", "b64url", "bytes", "commitment",
	"container", "der", "files", "link", "mail", "mform", "opening", "proofs", "visible"], temp);
const vector = name => JSON.parse(readFileSync(
	join(here, "../vectors", `${name}.json`), "utf8"));
const bytes = buffer => new Uint8Array(buffer);
const text = latin1 => bytes(Buffer.from(latin1, "latin1"));

/* --- commitment ---------------------------------------------------------- */

const committed = vector("commitment");

for (const { about, m, commitment } of committed.messages)
	test(`commitment: ${about}`, async () => {
		const given = bytes(Buffer.from(m, "base64url"));

		assert.equal(await page.commitment.messageCommitment(
			bytes(Buffer.from(committed.salt, "base64url")), given),
			commitment);
	});

/* --- link ---------------------------------------------------------------- */

const HANDLE = "AAECAwQFBgcICQoLDA0ODw";
const TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN_-0";
const LINK = `https://keys.example:8443/k/${HANDLE}#${TOKEN}`;
const links = vector("links");

for (const { name, text: given, result, link, service } of links.cases)
	test(`link: ${name}: ${result}`, () => {
		const found = page.link.findLocator(given);

		assert.equal(found.kind, result);
		assert.equal(found.service, service);
		if (result !== "ok")
			return;
		const { service: origin, host, handle, token } = found.locator;

		assert.equal(`${origin}/k/${handle}#${token}`, link);
		assert.equal(`${host}/k`, link.replace(/^https?:\/\/|(?<=\/k)\/.*$/g, ""));
	});

test("link: cut off at every byte: incomplete", () => {
	for (const cut of links.cuts)
		for (let len = 1; len < cut.length; len++)
			assert.equal(page.link.findLocator(cut.slice(0, len)).kind,
				"incomplete", cut.slice(0, len));
});

test("link: hostile text costs little", () => {
	const before = Date.now();

	for (const piece of ["/v3/__", "http://", "&#", "=", "aHR0c", "%",
		"/v2/url?u=", "/v3/__**_", "https://a/k/", "[", "http://a.", " \n",
		"%25", "http:"])
		assert.notEqual(page.link.findLocator(piece.repeat(
			16384 / piece.length)).kind, "ok");
	assert.ok(Date.now() - before < 10000);
});

test("link: the blob is read from the path", () => {
	assert.equal(page.link.blobOfPath(`/m/${HANDLE}`), HANDLE);
	for (const behind of ["%23x", "%2523x", "/", ".", "%3E"])
		assert.equal(page.link.blobOfPath(`/m/${HANDLE}${behind}`), HANDLE);
	for (const path of ["/", "/m/", `/m/${HANDLE}x`, `/e/${HANDLE}`,
		`/m/${HANDLE.slice(1)}`])
		assert.equal(page.link.blobOfPath(path), null, path);
});

/* --- base64 ---------------------------------------------------------------- */

test("b64url: agrees with Node for every length", () => {
	for (let len = 0; len < 70; len++) {
		const sample = randomBytes(len);

		assert.equal(page.b64url.encode(sample),
			sample.toString("base64url"));
		assert.deepEqual(page.b64url.decode(sample.toString("base64url"), len),
			bytes(sample));
	}
});

test("b64url: refuses other spellings", () => {
	for (const [value, len] of [["AA==", 1], ["AB", 1], ["A", 1], ["AAA", 1],
		["A+", 1], ["A/", 1], ["A ", 1], ["Aé", 1], [undefined, 1], [7, 1]])
		assert.equal(page.b64url.decode(value, len), null, String(value));
});

/* --- container --------------------------------------------------------------- */

const refuses = (e, name) => assert.throws(
	() => page.container.readContainer(bytes(e)), page.der.DerError, name);

test("container: reads what it should out of E", () => {
	for (const len of [0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 20]) {
		const made = seal.seal(randomBytes(len));
		const read = page.container.readContainer(bytes(made.e));

		assert.deepEqual(read, {
			keyId: bytes(made.keyId), wrappedKey: bytes(made.wrappedKey),
			nonce: bytes(made.nonce),
			sealed: bytes(Buffer.concat([made.ciphertext, made.tag])),
		});
	}
});

test("container: reads what openssl cms writes", () => {
	const message = randomBytes(5000);
	const kd = randomBytes(32), id = randomBytes(16);

	writeFileSync(join(temp, "message"), message);
	execFileSync("openssl", ["cms", "-encrypt", "-binary", "-outform", "DER",
		"-aes-256-gcm", "-secretkey", kd.toString("hex"), "-secretkeyid",
		id.toString("hex"), "-in", join(temp, "message"),
		"-out", join(temp, "e.der")]);
	const read = page.container.readContainer(
		bytes(readFileSync(join(temp, "e.der"))));
	const unwrap = createDecipheriv("id-aes256-wrap", kd,
		Buffer.from("a6a6a6a6a6a6a6a6", "hex"));
	const cek = Buffer.concat([unwrap.update(read.wrappedKey),
		unwrap.final()]);
	const gcm = createDecipheriv("aes-256-gcm", cek, read.nonce);

	gcm.setAuthTag(read.sealed.subarray(-16));
	assert.deepEqual(bytes(id), read.keyId);
	assert.deepEqual(Buffer.concat([
		gcm.update(read.sealed.subarray(0, -16)), gcm.final()]), message);
});

test("container: openssl cms opens what the tests write", () => {
	const made = seal.seal(Buffer.from("hello"));

	writeFileSync(join(temp, "own.der"), made.e);
	assert.equal(execFileSync("openssl", ["cms", "-decrypt", "-binary",
		"-inform", "DER", "-in", join(temp, "own.der"), "-secretkey",
		made.kd.toString("hex"), "-secretkeyid",
		made.keyId.toString("hex")]).toString(), "hello");
});

test("container: truncated at every byte: refused", () => {
	const { e } = seal.seal(randomBytes(300));

	for (let len = 0; len < e.length; len++)
		refuses(e.subarray(0, len), `length ${len}`);
});

test("container: every changed byte is refused or changes a value", () => {
	const made = seal.seal(randomBytes(300));
	const values = [made.keyId, made.wrappedKey, made.nonce, made.ciphertext,
		made.tag].map(value => {
		const at = made.e.indexOf(value);

		return [at, at + value.length];
	});
	let structural = 0;

	for (let at = 0; at < made.e.length; at++) {
		if (values.some(([from, to]) => at >= from && at < to))
			continue;
		structural++;
		for (let bit = 1; bit < 256; bit <<= 1) {
			const changed = Buffer.from(made.e);

			changed[at] ^= bit;
			refuses(changed, `byte ${at} bit ${bit}`);
		}
	}
	assert.equal(structural,
		made.e.length - 16 - 40 - 12 - 300 - 16);
});

const { pieces } = seal.seal(Buffer.from("some text"));
const { tlv } = seal;
const indefinite = seal.container(pieces);
indefinite[1] = 0x80;
const REFUSED = {
	"bytes behind it": { trailing: Buffer.from([0]) },
	"a tag of 12 bytes": { tag: pieces.tag.subarray(4) },
	"a tag of 4 bytes": { tag: pieces.tag.subarray(12) },
	"a nonce of 16 bytes": { nonce: randomBytes(16) },
	"a tag length of 12": {
		parameters: tlv(0x30, tlv(4, pieces.nonce), tlv(2, [12])) },
	"a tag length left out": { parameters: tlv(0x30, tlv(4, pieces.nonce)) },
	"a tag length not minimal": {
		parameters: tlv(0x30, tlv(4, pieces.nonce), tlv(2, [0, 16])) },
	"another content type": {
		type: Buffer.from("06092a864886f70d010702", "hex") },
	"authenticated attributes": { attributes: [tlv(0xa1, tlv(0x30))] },
	"unauthenticated attributes": { attributes: [tlv(0xa2, tlv(0x30))] },
	"no recipient": { recipient: Buffer.alloc(0) },
	"a second recipient": { moreRecipients: [tlv(0xa2, tlv(2, [4]))] },
	"a key id of 15 bytes": { keyId: randomBytes(15) },
	"a wrapped key of 24 bytes": { wrappedKey: randomBytes(24) },
	"a date with the key id": {
		recipient: tlv(0xa2, tlv(2, [4]), tlv(0x30, tlv(4, pieces.keyId),
			tlv(0x18, Buffer.from("20260101000000Z"))),
		tlv(0x30, Buffer.from("060960864801650304012d", "hex")),
		tlv(4, pieces.wrappedKey)) },
	"the ciphertext in pieces": {
		content: tlv(0x30, Buffer.from("06092a864886f70d010701", "hex"),
			tlv(0x30, Buffer.from("060960864801650304012e", "hex"),
				tlv(0x30, tlv(4, pieces.nonce), tlv(2, [16]))),
			tlv(0xa0, tlv(4, pieces.ciphertext))) },
};

for (const [name, replaced] of Object.entries(REFUSED))
	test(`container: ${name}: refused`, () =>
		refuses(seal.container({ ...pieces, ...replaced }), name));

test("container: indefinite and overlong lengths: refused", () => {
	const e = seal.container(pieces);
	const long = Buffer.concat([Buffer.from([0x30, 0x82, 0x00, e[2]]),
		e.subarray(3)]);

	assert.equal(e[1], 0x81);
	refuses(indefinite);
	refuses(long);
	refuses(Buffer.concat([Buffer.from([0x30, 0x85, 0, 0, 0, 0, e[2]]),
		e.subarray(3)]));
});

/* --- proofs -------------------------------------------------------------------- */

test("proofs: possession and opening keys, commitment, signatures", async () => {
	const { subtle } = webcrypto;

	for (let round = 0; round < 5; round++) {
		const made = seal.seal(randomBytes(100 * round));
		const possession = await page.proofs.possessionSigner(
			page.container.readContainer(bytes(made.e)));
		const opening = await page.proofs.openingSigner(await subtle.importKey(
			"raw", made.cek, "HKDF", false, ["deriveBits"]));
		const line = `line ${round}\n`;

		assert.equal(possession.publicKey, made.possession.publicKey);
		assert.equal(opening.publicKey, made.opening.publicKey);
		assert.equal(await possession.sign(line), made.possession.sign(line));
		assert.equal(await opening.sign(line), made.opening.sign(line));
		assert.equal(await page.proofs.keyCommitment(bytes(made.kd)),
			seal.keyCommitment(made.kd));
	}
});

test("proofs: the same without Ed25519 in WebCrypto", async () => {
	const seed = randomBytes(32);
	const expected = seal.ed25519(seed);
	const software = await page.proofs.softwareSigner(bytes(seed));

	assert.equal(software.publicKey, expected.publicKey);
	assert.equal(await software.sign("text\n"), expected.sign("text\n"));
});

test("proofs: the fallback is taken when WebCrypto refuses", async () => {
	const { subtle } = globalThis.crypto;
	const original = subtle.importKey;
	const seed = randomBytes(32);
	let refused = 0;

	subtle.importKey = function (format, data, algorithm, ...rest) {
		if (algorithm === "Ed25519") {
			refused++;
			return Promise.reject(new Error("NotSupportedError"));
		}
		return original.call(subtle, format, data, algorithm, ...rest);
	};
	try {
		const signer = await page.proofs.signerOf(bytes(seed));

		assert.equal(await signer.sign("x"), seal.ed25519(seed).sign("x"));
		assert.equal(refused, 1);
	} finally {
		subtle.importKey = original;
	}
});

/* RFC 8032 7.1, test 2. */
test("proofs: Ed25519 as in RFC 8032", async () => {
	const seed = Buffer.from("4ccd089b28ff96da9db6c346ec114e0f"
		+ "5b8a319f35aba624da8cf6ed4fb8a6fb", "hex");
	const expected = Buffer.from("92a009a9f0d4cab8720e820b5f642540"
		+ "a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
		+ "387b2eaeb4302aeeb00d291612bb0c00", "hex").toString("base64url");

	for (const signer of [await page.proofs.signerOf(bytes(seed)),
		await page.proofs.softwareSigner(bytes(seed))])
		assert.equal(await signer.sign("r"), expected);
});

test("proofs: the signed lines", () => {
	const { requestText, proofText, agentTime } = page.proofs;

	assert.equal(requestText("describe", "H", "C", "null", "T"),
		"counterfoil describe v1\nH\nC\nnull\nT\n");
	assert.equal(requestText("retrieve", "H", "C", "https://r", "T"),
		"counterfoil retrieve v1\nH\nC\nhttps://r\nT\n");
	assert.equal(proofText("open", "H", "R", "S", "T"),
		"counterfoil open v1\nH\nR\nS\nT\n");
	assert.equal(proofText("mismatch", "H", "R", "S", "T"),
		"counterfoil mismatch v1\nH\nR\nS\nT\n");
	assert.equal(agentTime(new Date(Date.UTC(2026, 10, 23, 13, 35, 0, 123))),
		"2026-11-23T13:35:00.123Z");
});

/* --- M ---------------------------------------------------------------------------- */

const ORIGINAL = Buffer.from("Received: one\r\n\tfolded\r\nReceived: two\r\n"
	+ "From: =?utf-8?q?Andr=C3=A9?= <andre@a.test>\r\nTo: bob@b.test\r\n"
	+ "MIME-Version: 1.0\r\nX-Odd:no space\r\ncontent-type: text/plain;\r\n"
	+ " charset=utf-8\r\nContent-Type: text/html\r\n\r\n.\r\nr\xe9sum\xe9\r\n"
	+ "no final newline", "latin1");
const WITHOUT_TYPE = Buffer.from("From: a@a.test\r\nSubject: x\r\n\r\nbody");
const stripped = m => Buffer.from(page.mform.strip(bytes(m)).message);

test("M: strip gives back the original, every case", () => {
	const outer = ["From: andre@a.test", "Subject: =?utf-8?q?a?=\r\n folded"];

	assert.deepEqual(stripped(seal.addM(ORIGINAL, { outer })), ORIGINAL);
	assert.deepEqual(stripped(seal.addM(ORIGINAL, { ct: "kept" })), ORIGINAL);
	for (const ct of ["made", "kept"])
		for (const mv of ["made", "kept"])
			assert.deepEqual(stripped(seal.addM(WITHOUT_TYPE, { ct, mv })),
				WITHOUT_TYPE, `${ct} ${mv}`);
	assert.deepEqual(page.mform.strip(bytes(seal.addM(ORIGINAL, { outer })))
		.outer, [outer[0], "Subject: =?utf-8?q?a?= folded"]);
});

test("M: wrapped where it cannot be plain: any bytes come back", () => {
	const head = "Counterfoil-M: v=1; outer=0; ct=kept; mv=kept;"
		+ " form=rfc822\r\nContent-Type: message/rfc822\r\n\r\n";

	for (const message of ["no header", "", "From a\nb\n\n\0", "\r\n"])
		assert.deepEqual(stripped(Buffer.from(head + message)),
			Buffer.from(message));
});

test("M: no header at all, and no body", () => {
	for (const message of ["\r\nbody", "\r\n", "A: b\r\n\r\n"])
		assert.deepEqual(stripped(seal.addM(Buffer.from(message),
			{ ct: "made", mv: "made" })), Buffer.from(message));
});

test("M: only the first field rules, look-alikes stay", () => {
	const message = Buffer.from("Counterfoil-M: v=1; outer=9; ct=made;"
		+ " mv=made; form=plain\r\nHP-Outer: From: x\r\n"
		+ "Content-Type: text/plain; hp=\"cipher\"\r\n\r\nbody");

	assert.deepEqual(stripped(seal.addM(message, { outer: ["A: b"] })),
		message);
});

const FIRST = "Counterfoil-M: v=1; outer=0; ct=kept; mv=kept; form=plain\r\n";
const WRONG_M = {
	"empty": "",
	"no field": "From: a\r\n\r\n",
	"another version": `${FIRST.replace("v=1", "v=2")}\r\n`,
	"an unknown word": `${FIRST.replace("ct=kept", "ct=gone")}\r\n`,
	"another order": FIRST.replace("v=1; outer=0", "outer=0; v=1") + "\r\n",
	"something more": FIRST.replace("\r\n", "; x=y\r\n") + "\r\n",
	"fewer HP-Outer than said": FIRST.replace("outer=0", "outer=1")
		+ "From: x\r\n\r\n",
	"no suffix": FIRST.replace("ct=kept", "ct=suffix")
		+ "Content-Type: text/plain\r\n\r\n",
	"suffix on the second type only": FIRST.replace("ct=kept", "ct=suffix")
		+ "Content-Type: text/plain\r\n"
		+ "Content-Type: text/html;\r\n hp=\"cipher\"\r\n\r\n",
	"no type for the suffix": FIRST.replace("ct=kept", "ct=suffix")
		+ "A: b\r\n\r\n",
	"made type missing": FIRST.replace("ct=kept", "ct=made") + "A: b\r\n\r\n",
	"made type within another field": FIRST.replace("ct=kept", "ct=made")
		+ "X-Content-Type: text/plain; charset=us-ascii; hp=\"cipher\"\r\n\r\n",
	"made version missing": FIRST.replace("mv=kept", "mv=made")
		+ "A: b\r\n\r\n",
	"wrapped, without wrapper": FIRST.replace("=plain", "=rfc822")
		+ "From: a\r\n\r\n",
	"wrapped and changed": FIRST.replace("=plain", "=rfc822")
		.replace("mv=kept", "mv=made")
		+ "Content-Type: message/rfc822\r\n\r\nx",
	"a line that is no field": `${FIRST}no field\r\n\r\n`,
	"a blank before the colon": `${FIRST}From : a\r\n\r\n`,
	"HP-Outer without a name": FIRST.replace("outer=0", "outer=1")
		+ "HP-Outer: x\r\n\r\n",
	"no end of the header": `${FIRST}From: a\r\n`,
	"bare LF": FIRST.replace("\r\n", "\n") + "\n",
};

for (const [name, m] of Object.entries(WRONG_M))
	test(`M: ${name}: refused`, () => assert.throws(
		() => page.mform.strip(text(m)), page.mform.MformError));

test("M: header cut off at every byte: refused or shorter", () => {
	const m = seal.addM(WITHOUT_TYPE, { ct: "made", mv: "made" });
	const header = m.indexOf("\r\n\r\n") + 3;

	for (let len = 0; len <= header; len++)
		assert.throws(() => page.mform.strip(bytes(m.subarray(0, len))),
			page.mform.MformError, `length ${len}`);
});

/* --- names, senders ------------------------------------------------------------------ */

test("files: names cannot lead anywhere", () => {
	const { safeName } = page.files;

	for (const [name, safe] of [
		["report.pdf", "report.pdf"], ["../../etc/passwd", "_.._etc_passwd"],
		["..\\..\\x.exe", "_.._x.exe"], [".bashrc", "bashrc"],
		["a\r\nb.txt", "a b.txt"], ["gpj.\u202eexe", "gpj._exe"],
		["CON", "_CON"], ["nul.txt", "_nul.txt"], ["", "attachment"],
		[null, "attachment"], ["...", "attachment"], ["a/b:c", "a_b_c"],
		["Grüße.txt", "Grüße.txt"], ["x".repeat(300) + ".pdf",
			"x".repeat(116) + ".pdf"]])
		assert.equal(safeName(name, "attachment"), safe, String(name));
	assert.deepEqual(page.files.distinctNames(["a.txt", "A.txt", "a.txt", "b"]),
		["a.txt", "A (2).txt", "a (3).txt", "b"]);
});

for (const { name, header, domain, vouched, from } of
	vector("vouched").cases)
	test(`vectors: who is vouched for: ${name}`, () => {
		const mail = page.mail.readMail(text(`${header}\r\nx`));

		assert.deepEqual(mail.from.map(one => one.address || one.name), from);
		assert.equal(page.mail.senderIsVouchedFor(mail.from, domain), vouched);
	});

test("vectors: what is recorded, by assurance", () => {
	const { cases, unknown } = vector("assurance");

	for (const { name, records } of cases)
		assert.equal(page.assurance.recordsSentence(name), records);
	for (const name of unknown)
		assert.equal(page.assurance.recordsSentence(name), null, name);
});

test("vectors: text from outside as it is shown", () => {
	for (const { name, in: given, out } of vector("visible").cases)
		assert.equal(page.visible.visible(given), out, name);
});

test("mail: every sender in From counts, as it is seen", () => {
	const fromOf = value => page.mail.readMail(
		text(`From: ${value}\r\n\r\nx`)).from;

	assert.deepEqual(fromOf("Ann <ann@a.test>, eve@b.test"),
		[{ name: "Ann", address: "ann@a.test" },
			{ name: "", address: "eve@b.test" }]);
	assert.deepEqual(fromOf("=?utf-8?q?An=C3=A9=E2=80=AE_x?="
		+ " <ann@a.test>"), [{ name: "Ané\ufffd x", address: "ann@a.test" }]);
	assert.deepEqual(fromOf("G: ann@a.test, eve@b.test;"),
		[{ name: "", address: "ann@a.test" },
			{ name: "", address: "eve@b.test" }]);
	assert.deepEqual(fromOf("=?utf-8?b?InhAYS50ZXN0IiA8ZUBiPg==?="
		+ " <eve@b.test>"),
	[{ name: "\"x@a.test\" <e@b>", address: "eve@b.test" }]);
});

test("mail: two From fields name nobody", () => {
	const mail = page.mail.readMail(text(
		"From: ann@a.test\r\nFrom: eve@b.test\r\n\r\nx"));

	assert.deepEqual(mail.from, []);
});

/* --- the vectors of counterfoil-format(7) ------------------------------------------- */

const raw = base64url => bytes(Buffer.from(base64url, "base64url"));

test("vectors: link, container, keys and M of the message", async () => {
	const v = vector("message");
	const e = page.container.readContainer(raw(v.container));
	const possession = await page.proofs.possessionSigner(e);
	const opening = await page.proofs.openingSigner(
		await webcrypto.subtle.importKey("raw", raw(v.cek), "HKDF", false,
			["deriveBits"]));
	const { pathname, hash } = new URL(v.reader_link);

	assert.deepEqual(page.link.findLocator(hash).locator, {
		service: "https://keys.example", host: "keys.example",
		handle: v.handle, token: v.token });
	assert.equal(page.link.blobOfPath(pathname), v.blob);
	assert.deepEqual(e, { keyId: raw(v.key_id), nonce: raw(v.nonce),
		wrappedKey: raw(v.wrapped_key),
		sealed: bytes(Buffer.concat([raw(v.ciphertext), raw(v.tag)])) });
	assert.equal(possession.publicKey, v.possession_key);
	assert.equal(opening.publicKey, v.opening_key);
	assert.equal(await page.proofs.keyCommitment(raw(v.kd)),
		v.key_commitment);
	assert.match(Buffer.from(page.mform.strip(raw(v.plaintext)).message)
		.toString(), /^Subject: Offer 17\r\n\r\n/);
});

test("vectors: the signed lines and their signatures", async () => {
	const v = vector("message");
	const { requestText, proofText } = page.proofs;
	const possession = await page.proofs.signerOf(raw(v.possession_seed));
	const opening = await page.proofs.signerOf(raw(v.opening_seed));

	for (const verb of ["describe", "retrieve"]) {
		const lines = requestText(verb, v.handle, v.challenge.text, v.origin,
			v.agent_time);

		assert.equal(lines, v.signed[verb].text);
		assert.equal(await possession.sign(lines), v.signed[verb].signature);
	}
	assert.equal(await page.proofs.secretDigest(raw(v.release.release_secret)),
		v.release.secret_sha256);
	for (const [verb, signer] of [["open", opening],
		["mismatch", possession]]) {
		const lines = proofText(verb, v.handle, v.release.release_id,
			v.release.secret_sha256, v.agent_time);

		assert.equal(lines, v.signed[verb].text);
		assert.equal(await signer.sign(lines), v.signed[verb].signature);
	}
});

for (const { name, m, mform } of vector("mform"))
	test(`vectors: M, ${name}`, () =>
		assert.deepEqual(page.mform.strip(raw(mform)).message, raw(m)));

/* A key server that releases the key of `v` and remembers what it is told. */
function releasing(v, reported)
{
	const answer = { handle: v.key_id, challenge: seal.b64(randomBytes(56)),
		release_id: seal.b64(randomBytes(16)),
		release_secret: seal.b64(randomBytes(32)), key: v.kd,
		released_at: "", algorithm: "kek-a256kw", assurance: "bearer",
		issuer: { address: "a@a.test", domain: "a.test", account: "a" },
		...v.registered };

	return async address => {
		reported.push(address.split("/").pop());
		return new Response(JSON.stringify(answer));
	};
}

test("vectors: the message with two texts opens to neither", async () => {
	const v = vector("two-text");
	const keep = { self: globalThis.self, fetch: globalThis.fetch };
	const locator = { service: "https://keys.example", host: "keys.example",
		handle: v.key_id, token: v.token };
	const outcome = async (container, registered) => {
		const reported = [];

		globalThis.fetch = releasing({ ...v, registered }, reported);
		return page.opening.open(
			await page.opening.prepare(raw(container), locator))
			.then(({ original }) => [reported, seal.b64(original.message)],
				error => [reported, error.kind]);
	};

	globalThis.self = { origin: "null" };
	try {
		assert.deepEqual(await outcome(v.message_b, v.registered),
			[["challenge", "retrieve", "mismatch"], "mismatch"]);
		assert.deepEqual(await outcome(v.message_a, v.registered),
			[["challenge", "retrieve"], "malformed"]);
		/* Had b been registered, it would open: nothing else stops it. */
		const [calls, text_] = await outcome(v.message_b, { ...v.registered,
			opening_key: seal.openingKey(raw(v.cek_b)).publicKey });

		assert.deepEqual(calls, ["challenge", "retrieve"]);
		assert.match(Buffer.from(text_, "base64url").toString(), /^Subject: /);
	} finally {
		Object.assign(globalThis, keep);
	}
});

await run();
rmSync(temp, { recursive: true, force: true });
