// SPDX-License-Identifier: Apache-2.0
/*
 * seal - the sender's side for the tests: M, E, P and the registered keys.
 *
 * Written from the format's description over node:crypto and shares no
 * code with the page, so that the two check each other.
 */
import {
	createCipheriv, createHash, createPrivateKey, createPublicKey, hkdfSync,
	randomBytes, sign,
} from "node:crypto";

export const b64 = bytes => Buffer.from(bytes).toString("base64url");
export const sha256 = (...parts) =>
	createHash("sha256").update(Buffer.concat(parts)).digest();

/* --- DER --------------------------------------------------------------- */

export function tlv(tag, ...content)
{
	const body = Buffer.concat(content.map(part => Buffer.from(part)));
	const len = body.length;
	const bytes = [];

	for (let rest = len; rest > 0; rest = Math.floor(rest / 256))
		bytes.unshift(rest % 256);
	const head = len < 0x80 ? [len] : [0x80 | bytes.length, ...bytes];

	return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

const OID = {
	authEnveloped: "060b2a864886f70d0109100117",
	data: "06092a864886f70d010701",
	wrap: "060960864801650304012d",
	gcm: "060960864801650304012e",
};
const oid = name => Buffer.from(OID[name], "hex");

/* Each piece can be replaced, to make containers that must be refused. */
export function container(pieces)
{
	const { keyId, wrappedKey, nonce, ciphertext, tag } = pieces;
	const recipient = pieces.recipient ?? tlv(0xa2, tlv(0x02, [4]),
		tlv(0x30, tlv(0x04, keyId)), tlv(0x30, oid("wrap")),
		tlv(0x04, wrappedKey));
	const parameters = pieces.parameters
		?? tlv(0x30, tlv(0x04, nonce), tlv(0x02, [16]));
	const content = pieces.content ?? tlv(0x30, pieces.type ?? oid("data"),
		tlv(0x30, oid("gcm"), parameters), tlv(0x80, ciphertext));

	return Buffer.concat([tlv(0x30, oid("authEnveloped"), tlv(0xa0,
		tlv(0x30, tlv(0x02, [0]), tlv(0x31, recipient,
			...pieces.moreRecipients ?? []), content,
		...pieces.attributes ?? [], tlv(0x04, tag)))),
	pieces.trailing ?? Buffer.alloc(0)]);
}

/* --- keys -------------------------------------------------------------- */

function wrapKey(kek, key)
{
	const cipher = createCipheriv("id-aes256-wrap", kek,
		Buffer.from("a6a6a6a6a6a6a6a6", "hex"));

	return Buffer.concat([cipher.update(key), cipher.final()]);
}

export function ed25519(seed)
{
	const key = createPrivateKey({
		key: Buffer.concat([
			Buffer.from("302e020100300506032b657004220420", "hex"), seed]),
		format: "der", type: "pkcs8",
	});

	return {
		publicKey: createPublicKey(key).export({ format: "jwk" }).x,
		sign: text => b64(sign(null, Buffer.from(text), key)),
	};
}

export const openingKey = cek => ed25519(Buffer.from(
	hkdfSync("sha256", cek, "", "counterfoil opening v1", 32)));

export const possessionKey = (nonce, ciphertext, tag) => ed25519(sha256(
	Buffer.from("counterfoil possession v1\0"), nonce,
	sha256(ciphertext, tag)));

export const keyCommitment = kd =>
	b64(sha256(Buffer.from("counterfoil key v1\0"), kd));

/* --- E ----------------------------------------------------------------- */

export function seal(m, given = {})
{
	const keyId = given.keyId ?? randomBytes(16);
	const kd = given.kd ?? randomBytes(32);
	const cek = given.cek ?? randomBytes(32);
	const nonce = given.nonce ?? randomBytes(12);
	const cipher = createCipheriv("aes-256-gcm", cek, nonce);
	const ciphertext = given.ciphertext
		?? Buffer.concat([cipher.update(m), cipher.final()]);
	const tag = given.tag ?? cipher.getAuthTag();
	const pieces = { keyId, wrappedKey: wrapKey(kd, cek), nonce, ciphertext,
		tag };

	return {
		...pieces, pieces, kd, cek,
		e: container(pieces),
		token: randomBytes(32),
		blob: b64(randomBytes(16)),
		opening: openingKey(cek),
		possession: possessionKey(nonce, ciphertext, tag),
	};
}

/* --- M ----------------------------------------------------------------- */

/* The header block of `message` and the rest from the empty line on. */
function split(message)
{
	const text = message.toString("latin1");
	const empty = text.startsWith("\r\n") ? 0 : text.indexOf("\r\n\r\n") + 2;

	return [text.slice(0, empty), text.slice(empty)];
}

export function addM(message, { outer = [], ct = "suffix", mv = "kept" } = {})
{
	let [block, rest] = split(message);

	if (ct === "suffix")
		block = block.replace(/^Content-Type:.*\r\n(?:[ \t].*\r\n)*/im,
			field => `${field.slice(0, -2)};\r\n hp="cipher"\r\n`);
	if (mv === "made")
		block += "MIME-Version: 1.0\r\n";
	if (ct === "made")
		block += "Content-Type: text/plain; charset=us-ascii; hp=\"cipher\"\r\n";
	return Buffer.from(`Counterfoil-M: v=1; outer=${outer.length}; ct=${ct};`
		+ ` mv=${mv}; form=plain\r\n`
		+ outer.map(field => `HP-Outer: ${field}\r\n`).join("")
		+ block + rest, "latin1");
}

/* --- P ----------------------------------------------------------------- */

export function composite(e, locator)
{
	const lines = e.toString("base64").replace(/.{1,76}/g, "$&\r\n");

	return Buffer.from([
		"Return-Path: <alice@a.test>",
		"From: Somebody Else <somebody@elsewhere.test>",
		"To: bob@b.test", "Subject: Sealed", "MIME-Version: 1.0",
		"Content-Type: multipart/mixed; boundary=\"=_cf_0123456789abcdefghijkl\"",
		"Counterfoil-Version: 1", "",
		"--=_cf_0123456789abcdefghijkl",
		"Content-Type: multipart/alternative; boundary=\"=_n\"", "",
		"--=_n", "Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: quoted-printable", "",
		"A sealed message.", "--=_n",
		"Content-Type: text/html; charset=utf-8",
		"Content-Transfer-Encoding: quoted-printable", "",
		"<p>A sealed message.</p>", "--=_n--", "",
		"--=_cf_0123456789abcdefghijkl",
		"Content-Type: application/octet-stream;\r\n"
			+ " name=\"message.counterfoil\"",
		"Content-Transfer-Encoding: base64",
		"Content-Disposition: attachment;\r\n"
			+ " filename=\"message.counterfoil\"",
		`Counterfoil-Locator: ${locator}`, "",
		`${lines}--=_cf_0123456789abcdefghijkl--`, ""].join("\r\n"));
}

/* What the reader link has behind its #. */
export function readerFragment(locator, reader)
{
	const [, scheme, host, handle, token] =
		/^(https?):\/\/([^/]+)\/k\/([^#]+)#(.*)$/.exec(locator);

	return /^(localhost|\[::1\]|127(\.[0-9]+){3})(:|$)/.test(host)
		&& !reader.startsWith(`${scheme}:`)
		? locator : `${host}/${handle}/${token}`;
}

export const percentEncode = text => [...Buffer.from(text)].map(byte =>
	/[A-Za-z0-9._~-]/.test(String.fromCharCode(byte))
		? String.fromCharCode(byte)
		: `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");

/* --- two texts in one ciphertext ---------------------------------------- */

/*
 * GCM does not commit to its key.  The tag is linear in every block of
 * ciphertext, so one free block can be chosen that gives the same tag under
 * a second key; GHASH as in NIST SP 800-38D, bit by bit.
 */
const R = 0xe1n << 120n;
const toInt = block => BigInt(`0x${block.toString("hex")}`);
const toBlock = value =>
	Buffer.from(value.toString(16).padStart(32, "0"), "hex");

function multiply(x, y)
{
	let z = 0n;

	for (let i = 127n; i >= 0n; i--) {
		if ((x >> i) & 1n)
			z ^= y;
		y = y & 1n ? (y >> 1n) ^ R : y >> 1n;
	}
	return z;
}

const ONE = 1n << 127n;

function power(x, exponent)
{
	let result = ONE;

	for (let e = exponent; e > 0n; e >>= 1n) {
		if (e & 1n)
			result = multiply(result, x);
		x = multiply(x, x);
	}
	return result;
}

const invert = x => power(x, (1n << 128n) - 2n);

function hashKeyAndMask(key, nonce)
{
	const block = text => {
		const cipher = createCipheriv("aes-256-ecb", key, null);

		cipher.setAutoPadding(false);
		return toInt(cipher.update(text));
	};

	return { h: block(Buffer.alloc(16)),
		mask: block(Buffer.concat([nonce, Buffer.from([0, 0, 0, 1])])) };
}

function ghash(h, ciphertext)
{
	const lengths = Buffer.alloc(16);
	let y = 0n;

	lengths.writeBigUInt64BE(BigInt(ciphertext.length) * 8n, 8);
	for (let at = 0; at < ciphertext.length; at += 16)
		y = multiply(y ^ toInt(ciphertext.subarray(at, at + 16)), h);
	return multiply(y ^ toInt(lengths), h);
}

/*
 * A ciphertext with one tag that is good under both keys.  Under `cek` it
 * says `m`, but for a last block; under `other` it says something else.
 */
export function sealTwice(m, cek, other, nonce)
{
	const padded = Buffer.concat([m,
		Buffer.alloc(15 - (m.length + 15) % 16, 0x20), Buffer.alloc(16)]);
	const cipher = createCipheriv("aes-256-gcm", cek, nonce);
	const ciphertext = cipher.update(padded);
	const one = hashKeyAndMask(cek, nonce);
	const two = hashKeyAndMask(other, nonce);

	ciphertext.fill(0, ciphertext.length - 16);
	const difference = ghash(one.h, ciphertext) ^ ghash(two.h, ciphertext)
		^ one.mask ^ two.mask;
	/* The last block of text is multiplied by h^2 on its way to the tag. */
	const factor = power(one.h, 2n) ^ power(two.h, 2n);

	toBlock(multiply(difference, invert(factor)))
		.copy(ciphertext, ciphertext.length - 16);
	return { ciphertext,
		tag: toBlock(ghash(one.h, ciphertext) ^ one.mask) };
}
