#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/*
 * make-vectors - compute the test vectors of counterfoil-format(7).
 *
 * Written from the manual page with node:crypto alone and on purpose not
 * with the code under test.  Everything is fixed, so a second run gives the
 * same files:
 *
 *	node tests/vectors/make-vectors.mjs		compares (TAP)
 *	node tests/vectors/make-vectors.mjs --write	writes beside itself
 */
import { createCipheriv, createDecipheriv, createHash, createHmac,
	createPrivateKey, createPublicKey, hkdfSync, sign } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const here = new URL(".", import.meta.url);
const sha256 = (...parts) =>
	createHash("sha256").update(Buffer.concat(parts)).digest();
const b64 = bytes => Buffer.from(bytes).toString("base64url");
/* Bytes that look random and are not. */
const bytes = (name, len) => {
	let out = Buffer.alloc(0);

	for (let i = 0; out.length < len; i++)
		out = Buffer.concat([out,
			sha256(Buffer.from(`counterfoil vector ${name} ${i}`))]);
	return out.subarray(0, len);
};
const zero = Buffer.from([0]);

/* ---- Ed25519 ---- */

function keyPair(seed)
{
	const key = createPrivateKey({
		key: Buffer.concat([
			Buffer.from("302e020100300506032b657004220420", "hex"), seed]),
		format: "der", type: "pkcs8" });
	const spki = createPublicKey(key).export({ format: "der", type: "spki" });

	return { seed: b64(seed), public_key: b64(spki.subarray(-32)),
		sign: text => b64(sign(null, Buffer.from(text), key)) };
}

/* ---- the container ---- */

function tlv(tag, ...parts)
{
	const body = Buffer.concat(parts);
	let length = [body.length];

	if (body.length > 127) {
		length = [];
		for (let n = body.length; n > 0; n = Math.floor(n / 256))
			length.unshift(n % 256);
		length.unshift(0x80 | length.length);
	}
	return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

function oid(text)
{
	const [a, b, ...rest] = text.split(".").map(Number);
	const out = [a * 40 + b];

	for (const arc of rest) {
		const digits = [arc % 128];

		for (let n = Math.floor(arc / 128); n > 0;
		    n = Math.floor(n / 128))
			digits.unshift(0x80 | n % 128);
		out.push(...digits);
	}
	return tlv(0x06, Buffer.from(out));
}

const integer = n => tlv(0x02, Buffer.from([n]));

function container(keyId, wrapped, nonce, ciphertext, tag)
{
	const recipient = tlv(0xa2, integer(4), tlv(0x30, tlv(0x04, keyId)),
		tlv(0x30, oid("2.16.840.1.101.3.4.1.45")), tlv(0x04, wrapped));
	const content = tlv(0x30, oid("1.2.840.113549.1.7.1"),
		tlv(0x30, oid("2.16.840.1.101.3.4.1.46"),
			tlv(0x30, tlv(0x04, nonce), integer(16))),
		tlv(0x80, ciphertext));

	return tlv(0x30, oid("1.2.840.113549.1.9.16.1.23"), tlv(0xa0,
		tlv(0x30, integer(0), tlv(0x31, recipient), content,
			tlv(0x04, tag))));
}

function wrap(kek, cek)
{
	const cipher = createCipheriv("id-aes256-wrap", kek,
		Buffer.alloc(8, 0xa6));

	return Buffer.concat([cipher.update(cek), cipher.final()]);
}

function gcm(cek, nonce, plain)
{
	const cipher = createCipheriv("aes-256-gcm", cek, nonce);
	const text = Buffer.concat([cipher.update(plain), cipher.final()]);

	return { text, tag: cipher.getAuthTag() };
}

function openGcm(cek, nonce, text, tag)
{
	const cipher = createDecipheriv("aes-256-gcm", cek, nonce);

	cipher.setAuthTag(tag);
	return Buffer.concat([cipher.update(text), cipher.final()]);
}

const openingPair = cek => keyPair(Buffer.from(hkdfSync("sha256", cek,
	Buffer.alloc(0), "counterfoil opening v1", 32)));
const possessionPair = (nonce, text, tag) => keyPair(sha256(
	Buffer.from("counterfoil possession v1"), zero, nonce,
	sha256(text, tag)));
const keyCommitment = kd =>
	b64(sha256(Buffer.from("counterfoil key v1"), zero, kd));

/* ---- one whole message ---- */

const percent = text => text.replace(/[^A-Za-z0-9\-._~]/g,
	c => "%" + c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0"));

function messageVector()
{
	const cek = bytes("cek", 32), kd = bytes("kd", 32);
	const nonce = bytes("nonce", 12), keyId = bytes("key id", 16);
	const token = bytes("token", 32), serverSecret = bytes("server", 32);
	const blob = bytes("blob", 16), random = bytes("challenge", 16);
	const releaseId = bytes("release id", 16);
	const releaseSecret = bytes("release secret", 32);
	const plain = Buffer.from("Counterfoil-M: v=1; outer=1; ct=made; " +
		"mv=made; form=plain\r\nHP-Outer: Subject: Offer 17\r\n" +
		"Subject: Offer 17\r\nMIME-Version: 1.0\r\nContent-Type: " +
		"text/plain; charset=us-ascii; hp=\"cipher\"\r\n\r\n" +
		"Two hundred at nine.\r\n");
	const { text, tag } = gcm(cek, nonce, plain);
	const wrapped = wrap(kd, cek);
	const opening = openingPair(cek);
	const possession = possessionPair(nonce, text, tag);
	const handle = b64(keyId);
	const link = `https://keys.example/k/${handle}#${b64(token)}`;
	const timeS = 1795440900n, agentTime = "2026-11-23T13:35:00.123Z";
	const origin = "https://reader.example:8443";
	const stamp = Buffer.alloc(8);

	stamp.writeBigUInt64BE(timeS);

	const mac = createHmac("sha256", serverSecret)
		.update(Buffer.concat([keyId, stamp, random])).digest();
	const challenge = b64(Buffer.concat([stamp, random, mac]));
	const secretSha256 = b64(sha256(releaseSecret));
	const signed = (key, lines) => {
		const said = lines.map(line => `${line}\n`).join("");

		return { text: said, signature: key.sign(said) };
	};
	const ask = verb => signed(possession, [`counterfoil ${verb} v1`, handle,
		challenge, origin, agentTime]);
	const done = (verb, key) => signed(key, [`counterfoil ${verb} v1`, handle,
		b64(releaseId), secretSha256, agentTime]);

	return {
		key_id: b64(keyId), handle, token: b64(token), link,
		reader_url: "https://reader.example", blob: b64(blob),
		reader_link: `https://reader.example/m/${b64(blob)}#${percent(link)}`,
		kd: b64(kd), cek: b64(cek), nonce: b64(nonce),
		wrapped_key: b64(wrapped), plaintext: b64(plain),
		ciphertext: b64(text), tag: b64(tag),
		container: b64(container(keyId, wrapped, nonce, text, tag)),
		content_digest: b64(sha256(text, tag)),
		opening_seed: opening.seed, opening_key: opening.public_key,
		possession_seed: possession.seed,
		possession_key: possession.public_key,
		key_commitment: keyCommitment(kd),
		challenge: { server_secret: b64(serverSecret),
			time_s: Number(timeS), random: b64(random),
			text: challenge },
		origin, agent_time: agentTime,
		release: { release_id: b64(releaseId),
			release_secret: b64(releaseSecret),
			secret_sha256: secretSha256 },
		signed: { describe: ask("describe"), retrieve: ask("retrieve"),
			open: done("open", opening),
			mismatch: done("mismatch", possession) },
	};
}

/* ---- one ciphertext, two texts ---- */

const toInt = block => BigInt("0x" + block.toString("hex"));
const toBlock = n => Buffer.from(n.toString(16).padStart(32, "0"), "hex");

/* NIST SP 800-38D 6.3 */
function multiply(x, y)
{
	const r = 0xe1n << 120n;
	let z = 0n, v = y;

	for (let i = 127n; i >= 0n; i--) {
		if (x >> i & 1n)
			z ^= v;
		v = v & 1n ? v >> 1n ^ r : v >> 1n;
	}
	return z;
}

function power(x, n)
{
	let result = 1n << 127n;	/* one */

	for (let base = x; n > 0n; n >>= 1n, base = multiply(base, base))
		if (n & 1n)
			result = multiply(result, base);
	return result;
}

const inverse = x => power(x, (1n << 128n) - 2n);

function aesBlock(key, block)
{
	const cipher = createCipheriv("aes-256-ecb", key, null);

	cipher.setAutoPadding(false);
	return Buffer.concat([cipher.update(block), cipher.final()]);
}

const xor = (a, b) => Buffer.from(a.map((byte, i) => byte ^ b[i]));

/* What a dishonest sender needs of a key. */
function attackKey(cek, nonce, blocks)
{
	const counter = n => {
		const block = Buffer.concat([nonce, Buffer.alloc(4)]);

		block.writeUInt32BE(n, 12);
		return block;
	};

	return { h: toInt(aesBlock(cek, Buffer.alloc(16))),
		mask: toInt(aesBlock(cek, counter(1))),
		stream: Buffer.concat(Array.from({ length: blocks },
			(_, i) => aesBlock(cek, counter(i + 2)))) };
}

function pad(text)
{
	return Buffer.from(text + " ".repeat((16 - text.length % 16) % 16));
}

/*
 * The first blocks spell M under key B, the next a sentence under key A; the
 * last block is solved for so that one tag holds under both.
 */
function twoTexts()
{
	const cekA = bytes("two cek a", 32), cekB = bytes("two cek b", 32);
	const nonce = bytes("two nonce", 12), kd = bytes("two kd", 32);
	const keyId = bytes("two key id", 16), token = bytes("two token", 32);
	const spellB = pad("Counterfoil-M: v=1; outer=0; ct=made; mv=made; " +
		"form=plain\r\nSubject: Offer 17\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=us-ascii; hp=\"cipher\"" +
		"\r\n\r\nWe accept the price of 900.\r\n");
	const spellA = pad("We never accepted any price at all. ");
	const m = (spellB.length + spellA.length) / 16 + 1;
	const a = attackKey(cekA, nonce, m), b = attackKey(cekB, nonce, m);
	const known = Buffer.concat([
		xor(spellB, b.stream),
		xor(spellA, a.stream.subarray(spellB.length))]);
	const lengths = BigInt(m * 128);
	let sum = a.mask ^ b.mask ^ multiply(lengths, a.h ^ b.h);

	for (let i = 0; i < m - 1; i++) {
		const e = BigInt(m - i + 1);

		sum ^= multiply(toInt(known.subarray(16 * i, 16 * i + 16)),
			power(a.h, e) ^ power(b.h, e));
	}
	const last = multiply(sum, inverse(power(a.h, 2n) ^ power(b.h, 2n)));
	const text = Buffer.concat([known, toBlock(last)]);
	const plainA = Buffer.concat([xor(text, a.stream)]);
	const { tag } = gcm(cekA, nonce, plainA);
	const plainB = openGcm(cekB, nonce, text, tag);	/* throws if it fails */
	const messageA = container(keyId, wrap(kd, cekA), nonce, text, tag);
	const messageB = container(keyId, wrap(kd, cekB), nonce, text, tag);

	return { a: messageA, b: messageB, json: {
		about: "message_a and message_b differ in the wrapped key only: " +
			"one ciphertext and one tag, valid under two keys. " +
			"Registered is the opening key of a. b must be refused " +
			"as a mismatch although its tag holds and its text is " +
			"well formed; a is what was registered, but no M.",
		key_id: b64(keyId), token: b64(token), kd: b64(kd),
		nonce: b64(nonce), cek_a: b64(cekA), cek_b: b64(cekB),
		registered: {
			opening_key: openingPair(cekA).public_key,
			possession_key: possessionPair(nonce, text, tag).public_key,
			key_commitment: keyCommitment(kd),
		},
		message_a: b64(messageA), message_b: b64(messageB),
		text_a: b64(plainA), text_b: b64(plainB),
	} };
}

/* ---- the plaintext form ---- */

const HP = ";\r\n hp=\"cipher\"";
const MADE_MV = "MIME-Version: 1.0\r\n";
const MADE_CT =
	"Content-Type: text/plain; charset=us-ascii; hp=\"cipher\"\r\n";
const first = (outer, ct, mv, form) => `Counterfoil-M: v=1; outer=${outer}; ` +
	`ct=${ct}; mv=${mv}; form=${form}\r\n`;
const wrapped = m => first(0, "kept", "kept", "rfc822") +
	"Content-Type: message/rfc822\r\n\r\n" + m;

/* [name, m, outer fields, M]; all latin1, one character a byte. */
const mforms = [
	["suffix on Content-Type",
		"From: a@x.example\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n",
		[["From", " a@x.example"], ["MIME-Version", " 1.0"],
			["Content-Type", " multipart/mixed"],
			["Counterfoil-Version", " 1"]],
		first(2, "suffix", "kept", "plain") +
		"HP-Outer: From: a@x.example\r\n" +
		"HP-Outer: Counterfoil-Version: 1\r\n" +
		"From: a@x.example\r\nMIME-Version: 1.0\r\n" +
		`Content-Type: text/plain; charset=utf-8${HP}\r\n\r\nHello\r\n`],
	["neither MIME-Version nor Content-Type",
		"Subject:x\r\n\r\n", [["Subject", "x"]],
		first(1, "made", "made", "plain") + "HP-Outer: Subject:x\r\n" +
		`Subject:x\r\n${MADE_MV}${MADE_CT}\r\n`],
	["MIME-Version alone",
		"mime-version: 1.0\r\n\r\nb", [],
		first(0, "made", "kept", "plain") +
		`mime-version: 1.0\r\n${MADE_CT}\r\nb`],
	["Content-Type alone, folded, other fields behind it",
		"CONTENT-type: multipart/mixed;\r\n\tboundary=\"a;b\"\r\n" +
		"Subject: s\r\n\r\n--a;b\r\n\r\nx\r\n--a;b--\r\n", [],
		first(0, "suffix", "made", "plain") +
		`CONTENT-type: multipart/mixed;\r\n\tboundary="a;b"${HP}\r\n` +
		`Subject: s\r\n${MADE_MV}\r\n--a;b\r\n\r\nx\r\n--a;b--\r\n`],
	["Content-Type twice: the first counts",
		"Content-Type: text/plain\r\nContent-Type: text/html\r\n" +
		"MIME-Version: 1.0\r\n\r\n", [],
		first(0, "suffix", "kept", "plain") +
		`Content-Type: text/plain${HP}\r\nContent-Type: text/html\r\n` +
		"MIME-Version: 1.0\r\n\r\n"],
	["Content-Type that does not parse",
		"Content-Type: text\r\nMIME-Version: 1.0\r\n\r\n", [],
		first(0, "kept", "kept", "plain") +
		"Content-Type: text\r\nMIME-Version: 1.0\r\n\r\n"],
	["Content-Type with an open quote",
		"Content-Type: text/plain; name=\"x\r\nMIME-Version: 1.0\r\n\r\n",
		[], first(0, "kept", "kept", "plain") +
		"Content-Type: text/plain; name=\"x\r\nMIME-Version: 1.0\r\n\r\n"],
	["Content-Type that has hp already",
		"Content-Type: text/plain; HP=\"clear\"\r\n" +
		"MIME-Version: 1.0\r\n\r\n", [],
		first(0, "kept", "kept", "plain") +
		"Content-Type: text/plain; HP=\"clear\"\r\n" +
		"MIME-Version: 1.0\r\n\r\n"],
	["Content-Type with comments",
		"Content-Type: (a;b) text/plain (c) ; (\\)) charset=x (d)\r\n" +
		"MIME-Version: 1.0\r\n\r\n", [],
		first(0, "suffix", "kept", "plain") +
		"Content-Type: (a;b) text/plain (c) ; (\\)) charset=x (d)" +
		`${HP}\r\nMIME-Version: 1.0\r\n\r\n`],
	["a message that has been M before",
		first(1, "made", "made", "plain") + "HP-Outer: Subject: x\r\n" +
		`Subject: x\r\n${MADE_MV}${MADE_CT}\r\n`, [],
		first(0, "kept", "kept", "plain") +
		first(1, "made", "made", "plain") + "HP-Outer: Subject: x\r\n" +
		`Subject: x\r\n${MADE_MV}${MADE_CT}\r\n`],
	["no fields", "\r\nbody", [],
		first(0, "made", "made", "plain") + MADE_MV + MADE_CT +
		"\r\nbody"],
	["raw 8-bit and a NUL in the body, no final newline",
		"Subject: gr\xfc\xdfe\r\nContent-Type: text/plain\r\n" +
		"MIME-Version: 1.0\r\n\r\n\0\n\r.\r\nx", [],
		first(0, "suffix", "kept", "plain") +
		`Subject: gr\xfc\xdfe\r\nContent-Type: text/plain${HP}\r\n` +
		"MIME-Version: 1.0\r\n\r\n\0\n\r.\r\nx"],
	["outer values: folded, UTF-8, other 8-bit",
		"Subject: x\r\n\r\n",
		[["Subject", " a\n\tb"], ["From", " J\xc3\xb6rg <j@x.example>"],
			["X-A", " gr\xfc\xdfe an \xc3\xa4 \xc3\xb6"]],
		first(3, "made", "made", "plain") +
		"HP-Outer: Subject: a\r\n\tb\r\n" +
		"HP-Outer: From: =?utf-8?b?SsO2cmc=?= <j@x.example>\r\n" +
		"HP-Outer: X-A: =?unknown-8bit?b?Z3L832U=?= an " +
		"=?utf-8?b?w6Q=?=\r\n =?utf-8?b?IMO2?=\r\n" +
		`Subject: x\r\n${MADE_MV}${MADE_CT}\r\n`],
	["empty", "", [["Subject", " x"]], wrapped("")],
	["bare LF", "Subject: x\n\nbody\n", [], wrapped("Subject: x\n\nbody\n")],
	["a stray LF in one field", "Subject: x\ny\r\n\r\n", [],
		wrapped("Subject: x\ny\r\n\r\n")],
	["a NUL in a field", "Subject: x\0\r\n\r\n", [],
		wrapped("Subject: x\0\r\n\r\n")],
	["a blank in front of the colon", "Subject : x\r\n\r\n", [],
		wrapped("Subject : x\r\n\r\n")],
	["no empty line", "Subject: x\r\n", [], wrapped("Subject: x\r\n")],
	["a fold first", " x\r\n\r\n", [], wrapped(" x\r\n\r\n")],
];

const mformVector = () => mforms.map(([name, m, outer, form]) => ({ name,
	m: b64(Buffer.from(m, "latin1")),
	outer: outer.map(([field, value]) => ({ name: field,
		value: b64(Buffer.from(value, "latin1")) })),
	mform: b64(Buffer.from(form, "latin1")) }));

/* ---- files ---- */

const json = value => JSON.stringify(value, null, "\t") + "\n";
const two = twoTexts();
const files = {
	"message.json": json(messageVector()),
	"mform.json": json(mformVector()),
	"two-text.json": json(two.json),
	"two-text.a.der": two.a,
	"two-text.b.der": two.b,
};
const names = Object.keys(files);
let failed = 0;

if (process.argv[2] === "--write") {
	for (const name of names)
		writeFileSync(new URL(name, here), files[name]);
} else {
	console.log(`1..${names.length}`);
	names.forEach((name, i) => {
		const same = readFileSync(new URL(name, here))
			.equals(Buffer.from(files[name]));

		failed += same ? 0 : 1;
		console.log(`${same ? "ok" : "not ok"} ${i + 1} - ${name} is ` +
			"what an independent calculation gives");
	});
}
process.exit(failed ? 1 : 0);
