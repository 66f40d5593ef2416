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
import { commitmentCases } from "./commitment.mjs";
import { pointCases } from "./points.mjs";

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
		reader_link: `https://reader.example/m/${b64(blob)}#${link.replace("https://", "").replace("/k/", "/")
			.replace("#", "/")}`,
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

/* ---- what becomes of links ---- */

/*
 * The reader link and L on their way to the person.  Each case is the text
 * that comes out, and what a reader has to find in it.
 */
function linkCases()
{
	const handle = b64(bytes("links handle", 16));
	const token = b64(bytes("links token", 32));
	const service = "https://keys.example:8443";
	const L = `${service}/k/${handle}#${token}`;
	const other = L.replace("keys", "other");
	const blob = b64(bytes("links blob", 16));
	const own = host => `${host}/${handle}/${token}`;
	const R = `https://reader.example/m/${blob}#${own("keys.example:8443")}`;
	const local = reader => `${reader}/m/${blob}#${own("127.0.0.1:1")}`;
	const cutL = L.slice(0, -token.length / 2);
	const twice = percent(percent(L));
	const lower = text => text.replace(/%../g,
		escape => escape.toLowerCase());
	/* Safe Links puts its parameters behind the encoded link. */
	const safe = (link, host = "deu01.safelinks.protection.outlook.com") =>
		`https://${host}/?url=${percent(link)}` +
		"&data=05%7C02%7Cbob%40b.test%7C0a1b%7C0%7CTWFpbGZsb3d8%3D" +
		"&sdata=mxTjSxm%2BOJmi3ulK%3D&reserved=0";
	const v2 = link => "https://urldefense.proofpoint.com/v2/url?u=" +
		link.replace(/[^A-Za-z0-9.]/g, c => c === "/" ? "_" : "-" +
			c.charCodeAt(0).toString(16).toUpperCase()) +
		"&d=DwMFaQ&c=abcDEF&r=ghi&m=jkl&s=mno&e=";
	const v3 = (link, safeSet = /[A-Za-z0-9._~:/?&=-]/) => {
		let out = "", gone = "";

		for (let i = 0, n; i < link.length; i += n) {
			n = 1;
			if (safeSet.test(link[i])) {
				out += link[i];
				continue;
			}
			while (i + n < link.length && !safeSet.test(link[i + n]))
				n++;
			gone += link.slice(i, i + n);
			out += n === 1 ? "*" : "**" + "ABCDEFGH"[n - 2];
		}
		return `https://urldefense.com/v3/__${out}__;` +
			`${b64(Buffer.from(gone))}!!LIr3w8kk_Xxm!6BNqFLJ13q7N5$`;
	};
	const wide = (text, at, put) => text.slice(0, at) + put +
		text.slice(at);
	const html = text => text.replace(/[#/:._]/g,
		c => `&#x${c.charCodeAt(0).toString(16)};`);
	const qp = text => text.match(/.{1,60}/g).join("=\r\n");
	const at = R.length - 20;
	const ok = {
		"L": L,
		"L behind a #": `#${L}`,
		"L encoded": percent(L),
		"L encoded twice": twice,
		"L encoded three times": percent(twice),
		"L with %23": L.replace("#", "%23"),
		"L with %2523": L.replace("#", "%2523"),
		"L in angle brackets": `<${L}>`,
		"L with a parameter behind it": `${L}&fbclid=IwAR0`,
		"L with its host in capitals": L.replace("keys.example",
			"Keys.EXAMPLE"),
		"L with its scheme in capitals": L.replace("https", "HTTPS"),
		"L with one slash for two": L.replace("//", "/"),
		"L twice": `${L} ${L}`,
		"L broken over lines": `${L.slice(0, 40)}\r\n${L.slice(40)}`,
		"L broken over lines of a quoted reply":
			`> ${L.slice(0, 60)}\n> > ${L.slice(60)}\n> \n> Ann`,
		"L with a blank inside": wide(L, 50, " "),
		"L broken, with an empty line and more behind it":
			`See ${L.slice(0, 60)}\n${L.slice(60)}\n\nRegards`,
		"L right behind another address":
			`https://www.example:80${L}`,
		"L before words": `${L} is the link`,
		"L after a word": `the link:${L}`,
		"L in Markdown with escapes": `[${L.replace(/[_#-]/g, "\\$&")}]`,
		"L in JSON": `{"url":"${L.replace(/\//g, "\\/")
			.replace("#", "\\u0023")}"}`,
		"L in underscores": `__${L}__`,
		"L in numeric HTML": html(L),
		"L in named HTML": L.replace("#", "&num;").replace(/\//g, "&sol;")
			.replace(/:/g, "&colon;"),
		"L with =23": L.replace("#", "=23"),
		"L in words defanged": L.replace("https:", "hxxps:")
			.replace(/\./g, "[dot]"),
		"L, brackets around dots and colon": L.replace("://", "[://]")
			.replace(/\./g, "[.]"),
		"loopback by name": L.replace(service, "http://localhost:8080"),
		"loopback by IPv4": L.replace(service, "http://127.1.2.3:80"),
		"loopback by IPv6": L.replace(service, "http://[::1]:65535"),
		"a reader link": R,
		"a reader link at a http reader": R.replace("https", "http"),
		"a reader link with L raw":
			`https://reader.example/m/${blob}#${L}`,
		"a reader link with L encoded":
			`https://reader.example/m/${blob}#${percent(L)}`,
		"a reader link encoded three times": percent(percent(percent(R))),
		"a reader link, its host in capitals":
			R.replace("keys", "KEYS"),
		"the fragment": R.slice(R.indexOf("#")),
		"the fragment without #": R.slice(R.indexOf("#") + 1),
		"a reader link, digits in small letters": lower(R),
		"a reader link, %23 for #": R.replace("#", "%23"),
		"a reader link, %2523 for #": R.replace("#", "%2523"),
		"a reader link, white space around it": `  ${R}\r\n`,
		"a reader link, end of a sentence": `${R}.`,
		"a reader link, question": `${R}?`,
		"a reader link in angle brackets": `<${R}>`,
		"a reader link in round brackets": `(${R})`,
		"a reader link in quotes": `"${R}"`,
		"a reader link in quotes of typography": `\u201e${R}\u201c`,
		"a reader link, utm": `${R}?utm_source=a&utm_medium=email`,
		"a reader link, path": `${R}/1/0100-27r5/abc=206`,
		"a reader link, Google": `${R}&sa=D&ust=17`,
		"a reader link, &amp;": `${R}&amp;data=1`,
		"a reader link, &#38;": `${R}&#38;data=1`,
		"a reader link, zero width space": wide(R, at, "\u200b"),
		"a reader link, zero width as entity": wide(R, at, "&#8203;"),
		"a reader link, soft hyphen": wide(R, at, "\u00ad"),
		"a reader link, &shy;": wide(R, at, "&shy;"),
		"a reader link, word joiner": wide(R, at, "\u2060"),
		"a reader link, byte order mark": wide(R, at, "\ufeff"),
		"a reader link, no-break space": wide(R, at, "\u00a0"),
		"a reader link, isolates around": `\u2068${R}\u2069`,
		"a reader link, zero width encoded": wide(R, at, "%E2%80%8B"),
		"a reader link, line break": wide(R, at, "\r\n"),
		"a reader link, tabulator": wide(R, at, "\t"),
		"a reader link without its scheme": R.replace("https://", ""),
		"a reader link, the colon of its scheme lost":
			R.replace("https:", ""),
		"a reader link, h of its scheme lost": R.slice(1),
		"a reader link without its scheme, encoded":
			percent(R.replace("https://", "")),
		"a reader link without its scheme, of a tracker":
			`https://click.example/?u=${percent(R.replace("https://",
				""))}&id=7`,
		"a reader link without its scheme, in HTML":
			html(R.replace("https://", "")),
		"L without its scheme": L.replace("https://", ""),
		"L without https:": L.replace("https:", ""),
		"L without https": L.replace("https", ""),
		"L without its scheme, in words": `the link is ${
			L.replace("https://", "")}.`,
		"L without its scheme, in Markdown": `[message](${
			L.replace("https://", "")})`,
		"L without its scheme, of a tracker":
			`https://click.example/?u=${percent(L.replace("https://",
				""))}&id=7`,
		"L beside it without its scheme":
			`${L} ${L.replace("https://", "")}`,
		"a reader link in quoted-printable": qp(`href=3D"${R}"`),
		"a reader link, hxxp": R.replace("https", "hxxps"),
		"a reader link, defanged": R.replace("https", "hxxps")
			.replace(/\./g, "[.]"),
		"Outlook's plain text": `Go to the message<${R}>`,
		"Markdown": `[message](${R})`,
		"wiki": `[[${R}|message]]`,
		"HTML": `<a href="${R}" rel="noopener">message</a>`,
		"Safe Links": safe(R),
		"Safe Links, # as %2523": safe(R.replace("#", "%23")),
		"Safe Links, its parameters inside":
			"https://eur02.safelinks.protection.outlook.com/?url=" +
			percent(`${R}&data=05|01|bob@b.test|c0ffee|1|0` +
				"&sdata=mxTj+OJ=&reserved=0"),
		"Safe Links in small letters": lower(safe(R)),
		"Safe Links in HTML": safe(R).replace(/&/g, "&amp;"),
		"Safe Links twice": safe(safe(R),
			"nam02.safelinks.protection.outlook.com"),
		"Safe Links in quoted-printable":
			qp(safe(R).replace(/=/g, "=3D")),
		"Safe Links of L": safe(L),
		"Teams": "https://statics.teams.cdn.office.net/evergreen-assets/" +
			`safelinks/2/atp-safelinks.html?url=${percent(R)}` +
			"&locale=en-us&dest=https%3A%2F%2Fteams.microsoft.com%2F" +
			"api%2Fmt%2F&pc=abc&wau=https%3A%2F%2Fdeu01.safelinks." +
			"protection.outlook.com%2FGetUrlReputation&si=1;2;3" +
			"&sd=%7BconvId%7D&ce=prod",
		"Proofpoint v1": "https://urldefense.proofpoint.com/v1/url?u=" +
			`${R}&k=oIvRg1%2BdGAgOoM1BIlLLqw%3D%3D%0A&r=x`,
		"Proofpoint v2": v2(R),
		"Proofpoint v2 of L": v2(L),
		"Proofpoint v2 in Safe Links": safe(v2(L)),
		"Proofpoint v2 in HTML": v2(R).replace(/&/g, "&amp;"),
		"Proofpoint v3": v3(R),
		"Proofpoint v3 of L": v3(L),
		"Proofpoint v3, a run": v3(R, /[A-Za-z0-9.]/),
		"Proofpoint v3 in Safe Links": safe(v3(L)),
		"Proofpoint v3, # left": v3(L, /[^@]/),
		"Barracuda": `https://linkprotect.cudasvc.com/url?a=${
			lower(percent(R))}&c=E,1,AbCdEf,&typo=1`,
		"Cisco": `https://secure-web.cisco.com/1AbCdEfGhIjKlMn/${
			percent(R)}`,
		"Sophos": "https://eu-west-1.protection.sophos.com/?d=b.test&u=" +
			`${Buffer.from(R).toString("base64")}&i=NWE&t=abc&s=AVN`,
		"Sophos, padding encoded":
			"https://eu-west-1.protection.sophos.com/?d=b.test&u=" +
			`${percent(Buffer.from(`${R} `).toString("base64"))}&i=NWE`,
		"Trend Micro": "https://imsva91-ctp.trendmicro.com:443/wis/" +
			`clicktime/v1/query?url=${percent(R)}&umid=aa&auth=bb`,
		"FireEye": "https://protect2.fireeye.com/v1/url?k=1234&q=1" +
			`&e=abcd-ef&u=${percent(R)}`,
		"Fortinet": "https://mail.b.test/fmlurlsvc/?fewReq=:B:JVQ9:1" +
			`&url=${lower(percent(R))}`,
		"Trustwave": "https://scanmail.trustwave.com/?c=1&d=kJq" +
			`&s=5&u=${lower(percent(R))}`,
		"Google": `https://www.google.com/url?q=${percent(R)}&sa=D` +
			"&source=gmail&ust=1795920986000000&usg=AOvVaw",
		"SES": "https://abc123.r.eu-central-1.awstrack.me/L0/" +
			`${R.replace(/\//g, "%2F").replace("#", "%23")}` +
			"/1/01000178626eb1e0-f1b813fc/27r5oe9sP7Z0DFVB=206",
		"Avanan": `https://url.avanan.click/v2/___${R}` +
			"___.YXAzOmV4YW1wbGU6YTpvOjEyMw",
		"Check Point": `https://protect.checkpoint.com/v2/r02/___${
			R}___.YzJlOmI6YTpv`,
		"edgepilot": `https://link.edgepilot.com/s/03dc7c43/AbC_-d?u=${
			percent(R)}`,
		"a service's link beside it":
			`https://bit.ly/3abc ${R}`,
		"L with the colon of its scheme alone": L.replace("https://", ":"),
		"a reader link, places to break it": wide(R, at, "<wbr>"),
		"a reader link, places in XHTML": wide(R, at, "<WBR />"),
		"a reader link, lines of an old mail program":
			`| ${R.slice(0, 50)}\n| ${R.slice(50)}\n| \n| Ann`,
		"a reader link, soft breaks of a quoted source":
			`> ${R.slice(0, 60)}=\r\n> ${R.slice(60)}\r\n> \r\n> Ann`,
		"a reader link, line separator": wide(R, at, "\u2028"),
		"a reader link, vertical tab": wide(R, at, "\v"),
		"a reader link, all of it encoded": R.replace(/[^]/g,
			c => `%${c.charCodeAt(0).toString(16)}`),
		"a reader link, all of it in numeric HTML": R.replace(/[^]/g,
			c => `&#${c.charCodeAt(0)};`),
	};
	const rest = [
		["another fragment with slashes", "#a/b/c", "unknown"],
		["a fragment, handle too long",
			R.replace(handle, `${handle}x`), "unknown"],
		["a fragment, secret too long", `${R}x`, "unknown"],
		["a fragment, two hosts", `${R} ${R.replace("#keys", "#other")}`,
			"ambiguous"],
		["a fragment cut in its handle",
			R.slice(0, R.lastIndexOf("/") - 3), "incomplete"],
		["nothing", "", "none"],
		["only #", "#", "none"],
		["blanks", " \r\n", "none"],
		["a stray %", "%", "unknown"],
		["words", "the message", "unknown"],
		["another fragment", "#section-2", "unknown"],
		["another page", "https://www.example/k?q=1", "unknown"],
		["javascript", "javascript:alert(1)", "unknown"],
		["L encoded four times", percent(percent(twice)), "unknown"],
		["a handle too long", L.replace("#", "x#"), "unknown"],
		["a secret too long", `${L}x`, "unknown"],
		["a secret with words behind it", `${L}_x`, "unknown"],
		["a secret with spare bits", `${L.slice(0, -1)}9`, "unknown"],
		["a handle with spare bits", L.replace(/.#/, "9#"), "unknown"],
		["http elsewhere", L.replace("https", "http"), "unknown"],
		["nearly loopback", L.replace(service, "http://127.0.0.1.example"),
			"unknown"],
		["a user name", L.replace("keys", "keys.example@evil"),
			"unknown"],
		["a user name, no scheme", L.replace("https://keys",
			"keys.example@evil"), "unknown"],
		["a host behind a path, no scheme", `www.example/${
			L.replace("https://", "")}`, "unknown"],
		["the scheme joined to the host", L.replace("https://", "https"),
			"unknown"],
		["L without its scheme, broken over lines behind a word",
			wide(`See ${L.replace("https://", "")}`, 30, "\r\n"),
			"unknown"],
		["half a secret, no scheme", cutL.replace("https://", ""),
			"incomplete"],
		["L in small letters, no scheme",
			L.toLowerCase().replace("https://", ""), "lowercase"],
		["two dots", L.replace("keys.", "keys.."), "unknown"],
		["a port too large", L.replace("8443", "84430"), "unknown"],
		["port 0", L.replace("8443", "0"), "unknown"],
		["a port with a zero", L.replace("8443", "0844"), "unknown"],
		["another path", L.replace("/k/", "/x/"), "unknown"],
		["too long to be looked at", `${"x".repeat(16384)} ${L}`,
			"unknown"],
		["two different L", `${L} ${other}`, "ambiguous"],
		["two different L, one encoded", `${L} ${percent(other)}`,
			"ambiguous"],
		["two secrets", `${L} ${L.replace(token,
			b64(bytes("links other", 32)))}`, "ambiguous"],
		["half a secret", cutL, "incomplete"],
		["half a secret, sentence", `${cutL}.`, "incomplete"],
		["half a secret, parameter", `${cutL}&sa=D`, "incomplete"],
		["half a secret in Safe Links", safe(cutL), "incomplete"],
		["a whole secret but one", L.slice(0, -1), "incomplete"],
		["no secret", L.slice(0, L.indexOf("#")), "incomplete"],
		["half a handle", L.slice(0, L.indexOf("#") - handle.length / 2),
			"incomplete"],
		["a reader link cut", R.slice(0, -1), "incomplete"],
		["Safe Links cut", safe(R).slice(0, safe(R).indexOf("&data") - 3),
			"incomplete"],
		["Proofpoint v2 cut", v2(R).slice(0, v2(R).indexOf("&d=") - 3),
			"incomplete"],
		["L in small letters", L.toLowerCase(), "lowercase"],
		["L in capitals", L.toUpperCase(), "lowercase"],
		["a fragment in small letters",
			R.slice(0, R.indexOf("#")) + R.slice(R.indexOf("#"))
				.toLowerCase(), "lowercase"],
		["Safe Links of small letters", safe(R.toLowerCase()),
			"lowercase"],
	].concat([
		["protect-eu.mimecast.com/s/AbCdC1jEf?domain=reader.example",
			"Mimecast"],
		["url.us.m.mimecastprotect.com/s/AbC", "Mimecast"],
		["url10.mailanyone.net/scanner?m=1abc&d=4", "Mailanyone"],
		["shared.outlook.inky.com/link?domain=reader.example&t=h.eJx",
			"Inky"],
		["u1.ct.sendgrid.net/ls/click?upn=u001.AbC", "SendGrid"],
		["mandrillapp.com/track/click/3/reader.example?p=eyJz",
			"Mandrill"],
		["b.us1.list-manage.com/track/click?u=1&id=2", "Mailchimp"],
		["t.co/AbC", "X (Twitter)"],
		["bit.ly/3AbC", "Bitly"],
		["TinyURL.com/AbC", "TinyURL"],
		["lnkd.in/eAbC", "LinkedIn"],
	].map(([url, name]) => [name + " in " + url.replace(/[/].*/, ""),
		`https://${url}`, "opaque", name])).concat([
		["a name like a service's", "https://notbit.ly/x", "unknown"],
		["a service's link in Safe Links", safe("https://bit.ly/x"),
			"opaque", "Bitly"],
	]);

	return { cuts: [L, percent(L), twice, percent(twice)],
		cases: Object.entries(ok).map(([name, text]) => ({ name, text,
			result: "ok", link: name.startsWith("loopback") ? text : L }))
			.concat([
				["http", local("http://localhost")],
				["https", local("https://localhost")],
				["http", safe(local("http://localhost"))],
				["http", `#${own("127.0.0.1:1")}`],
			].map(([scheme, text]) => ({ name: `loopback in ${text}`, text,
				result: "ok", link: L.replace(service,
					`${scheme}://127.0.0.1:1`) })))
			.concat(rest.map(([name, text, result, named]) =>
				({ name, text, result, service: named }))) };
}

/* ---- what becomes of P ---- */

function formCases()
{
	const { container: e64, link: L, reader_link: R } = messageVector();
	const e = Buffer.from(e64, "base64url");
	const raw = e.toString("latin1");
	const lines = (data, end = "\r\n", width = 76) =>
		Buffer.from(data, "latin1").toString("base64")
			.replace(new RegExp(`.{1,${width}}`, "g"), `$&${end}`);
	const wide = text => Buffer.from(text, "utf16le").toString("latin1");
	const swapped = text => Buffer.from(text, "utf16le").swap16()
		.toString("latin1");
	const field = `Counterfoil-Locator: ${L}\r\n`;
	const B64 = "Content-Transfer-Encoding: base64\r\n";
	const part = (body, fields = B64) => `--b\r\n${fields}\r\n${body}\r\n`;
	const mail = (...parts) => "From: a@a.test\r\nSubject: Offer\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b" +
		`\r\n\r\n${parts.join("")}--b--\r\n`;
	const notice = part(`Open this:\r\n\r\n${R}\r\n\r\nIt opens.`, "");
	const coded = part(lines(`Open this:\r\n\r\n${R}\r\n\r\nIt opens.`));
	const P = mail(notice, part(lines(raw), B64 + field));
	const sealed = body => mail(notice, part(body));
	const said = link => mail(part(`Open this:\r\n\r\n${link
	}\r\n\r\nIt opens.`, ""), part(lines(raw)));
	const SHORT = "https://protect-eu.mimecast.com/s/AbCdEfGh";
	const zeros = "\0".repeat(512);
	const uu = data => "begin 644 a\r\n" + data.replace(/[^]{1,45}/g, line =>
		String.fromCharCode(32 + line.length) + Buffer.from(line.padEnd(
			Math.ceil(line.length / 3) * 3, "\0"), "latin1")
			.toString("base64").replace(/./g, c => String.fromCharCode(32 +
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
				.indexOf(c))) + "\r\n") + "`\r\nend\r\n";
	const quotedUu = shift => uu(" ".repeat(shift) + raw)
		.replace(/=/g, "=3D");
	const tnef = `\x78\x9f\x3e\x22\x01\0\x02\x0f\x80\x06\0${raw}\0\0`;
	const ole = `\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1${zeros}`;
	const quote = (text, mark) => mark + text.replace(/\n/g, `\n${mark}`);
	const plist = "<?xml version=\"1.0\"?>\n<plist></plist>\n";
	const far = lines(`\x30\x82\x20\0\x06\x09*\x86H\x86\xf7\r\x01\x07\x02${
		P}${zeros}`);
	const deep = n => n === 0 ? P : mail(part(lines(deep(n - 1)),
		`Content-Type: message/rfc822\r\n${B64}`));
	/* What becomes of bytes that are taken for text. */
	const letters = text => Buffer.from(text, "utf8").toString("latin1");
	const opens = {
		"P": P,
		"the notice in base64, no field": mail(coded, part(lines(raw))),
		"the same in an mbox, behind another mail":
			`From a@a Mon Nov 23\nSubject: b\n\nb\n\nFrom a@a Mon Nov 23\n${
				mail(coded, part(lines(raw))).replace(/\r/g, "")}`,
		"the same from Apple Mail": `1234      \n${
			mail(coded, part(lines(raw)))}${plist}`,
		"the same without the type of its header":
			mail(coded, part(lines(raw))).replace(/Content-Type: m.*\r\n/, ""),
		...Object.fromEntries([0, 1, 2].map(shift => [`uuencode, quoted, ${
			shift} bytes in front of E`, sealed(quotedUu(shift))])),
		"winmail.dat beside the notice": sealed(lines(tnef)),
		"Outlook's file, its text in UTF-16": `${ole}${wide(R)}${zeros}${
			raw}${zeros}`,
		"Outlook's file, attached": mail(part(lines(
			`${ole}${raw}${zeros}${wide(`Open ${R}\r\nor`)}${zeros}`))),
		"UTF-16 with a mark": `\xff\xfe${wide(P)}`,
		"UTF-16 without one": wide(P),
		"UTF-16 of the other order": swapped(P),
		"UTF-16 of the other order, L at the end": swapped(
			`${lines(raw)}\r\n${L}`),
		"UTF-16, other letters around L": wide(
			`${lines(raw)}\r\n\u4e2d${L}\u4e2d\u6587`),
		"signed in one piece": mail(part(far)),
		"base64 in pieces": sealed(lines(raw.slice(0, 200)) +
			lines(raw.slice(200))),
		"base64 of a URL": sealed(lines(raw).replace(/\+/g, "-")
			.replace(/\//g, "_")),
		"base64, a mark at each line's end": sealed(lines(raw, "!\r\n")),
		"base64, a no-break space there": sealed(lines(raw, "\xa0\r\n")),
		"base64, a NUL there": sealed(lines(raw, "\0\r\n")),
		"base64, lines quoted by |": sealed(quote(lines(raw), "| ")),
		"base64, lines behind a dot": sealed(quote(lines(raw), ".")),
		"base64 right behind letters": sealed(`xyz${lines(raw)}`),
		"base64 in JSON": sealed(`{"data":"${lines(raw, "", 999)
			.replace(/\//g, "\\/")}"}`),
		"a file before it, in one base64": sealed(lines(`\0\x05\x16\0${raw}`)),
		"a stored entry of a zip": sealed(lines(`PK\x03\x04${raw}PK\x01\x02`)),
		"messages in base64, eight around one another": deep(8),
		"the source, quoted": quote(P.replace(field, "").replace(R,
			`${R.slice(0, 60)}=\r\n${R.slice(60)}`), "> "),
		"a text that flows": mail(part(`Open\r\n${R.slice(0, 60)} \r\n${
			R.slice(60)}\r\n\r\nIt`, ""), part(lines(raw))),
		"a cut copy before it": `${P.slice(0, -300)}\r\n${P}`,
	};
	const others = [
		["winmail.dat alone", tnef, "sealed"],
		["the part as a mail server gives it",
			`* 1 FETCH (BODY[2] {520}\r\n${lines(raw)})\r\n`, "sealed"],
		["ten messages around one another", deep(10), "nothing"],
		["the link in small letters", said(R.toLowerCase()), "lowercase"],
		["the same, and a service's link behind it", said(
			`${R.toLowerCase()}\r\n\r\n${SHORT}`), "lowercase"],
		["a service's link in its place", said(SHORT), "opaque"],
		["a service's link, the field in small letters", mail(part(
			`Open this:\r\n\r\n${SHORT}\r\n\r\nIt opens.`, ""),
		part(lines(raw), B64 + field.toLowerCase())), "lowercase"],
		["the field in small letters, the link in capitals", mail(notice,
			part(lines(raw), B64 + field.toLowerCase())), "opens"],
		["the link cut", said(R.slice(0, -5)), "cut"],
		["its end on no line that follows", said(`${R.slice(0, -20)}\r\n`),
			"cut"],
		["the field cut", mail(part(lines(raw), B64 + field.replace(
			/.{9}(?=\r)/, ""))), "cut"],
		["the secret gone", said(R.replace(/#.*/, "")), "sealed"],
		["the eighth bits gone", sealed(raw.replace(/[^]/g, c =>
			String.fromCharCode(c.charCodeAt(0) & 0x7f))), "damaged"],
		["letters of UTF-8 made of its bytes", sealed(letters(raw)),
			"damaged"],
		["CR LF made of each CR", sealed(raw.replace(/\r/g, "\r\n")
			.replace("7H", "7\r\nH")), "damaged"],
		["the first of two pieces", P.slice(0, -200), "damaged"],
		["a line in the middle", sealed(lines(raw).replace("\r\n",
			"\r\n-- \r\nChecked\r\n")), "damaged"],
		["a zip", "PK\x03\x04\x14\0\0\0\x08\0", "packed"],
		["gzip", "\x1f\x8b\x08\0\0\0", "packed"],
		["a zip beside the notice", sealed(lines(`PK\x03\x04${
			zeros}`)),
			"packed"],
		["a zip beside nothing of ours", mail(part(lines(`PK\x03\x04${
			zeros}`))),
			"nothing"],
		["taken out", mail(notice, part("removed", "")), "emptied"],
		["another mail", mail(part("Hello", "")), "nothing"],
	];

	return Object.entries(opens).map(([name, file]) =>
		[name, file, "opens"]).concat(others).map(([name, file, result]) =>
		({ name, file: b64(Buffer.from(file, "latin1")), result }));
}

/* ---- files ---- */

const json = value => JSON.stringify(value, null, "\t") + "\n";
const two = twoTexts();
const files = {
	"commitment.json": json(commitmentCases()),
	"forms.json": json(formCases()),
	"links.json": json(linkCases()),
	"message.json": json(messageVector()),
	"mform.json": json(mformVector()),
	"points.json": json(pointCases()),
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
