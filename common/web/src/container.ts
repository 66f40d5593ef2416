// SPDX-License-Identifier: Apache-2.0
/*
 * container - the sealed message E: CMS AuthEnvelopedData (RFC 5083).
 *
 * Exactly one set of algorithms is read: one KEKRecipientInfo with a key id
 * of 16 bytes and AES-256-KW, AES-256-GCM with a nonce of 12 bytes and a
 * tag of 16, id-data, no attributes.   Does not know: keys, the network.
 */
import type { Bytes } from "./bytes";
import { Der, DerError, INTEGER, OCTETS, OID, SEQUENCE, SET } from "./der";

export interface Container {
	keyId: Bytes;		/* 16 bytes */
	wrappedKey: Bytes;	/* 40 bytes */
	nonce: Bytes;		/* 12 bytes */
	sealed: Bytes;		/* ciphertext, then its tag of 16 bytes */
}

export const MAX_CONTAINER = 100 * 1024 * 1024;
export const TAG_LEN = 16;

const CONTEXT_0_PRIMITIVE = 0x80, CONTEXT_0 = 0xa0, CONTEXT_2 = 0xa2;
/* 1.2.840.113549.1.9.16.1.23 */
const AUTH_ENVELOPED =
	[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17];
/* 1.2.840.113549.1.7.1 */
const DATA = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/* 2.16.840.1.101.3.4.1.45 and .46 */
const AES256_WRAP = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2d];
const AES256_GCM = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e];

/*
 * WebCrypto wants the tag behind the ciphertext.  In DER two bytes of
 * header lie between them, so the tag moves down in place and the message
 * is never copied.
 */
function joinTag(ciphertext: Bytes, tag: Bytes): Bytes
{
	const sealed = new Uint8Array(ciphertext.buffer, ciphertext.byteOffset,
		ciphertext.length + TAG_LEN);

	sealed.set(tag.slice(), ciphertext.length);
	return sealed;
}

/* What stands in E behind its length. */
export const AUTH_ENVELOPED_TYPE =
	[OID, AUTH_ENVELOPED.length, ...AUTH_ENVELOPED];
const TYPE = AUTH_ENVELOPED_TYPE;

/* How far sealedLength() looks. */
export const START_LEN = 2 + 4 + TYPE.length;

/*
 * How long E is if one begins at `at`, as its first bytes say; 0 if none
 * does.  Whether it is one all through, readContainer() says.
 */
export function sealedLength(bytes: Bytes, at: number): number
{
	const lengths = (bytes[at + 1] ?? 0) - 0x80;
	const behind = at + 2 + lengths;
	let len = 0;

	if (bytes[at] !== SEQUENCE || lengths < 1 || lengths > 4
	    || TYPE.some((byte, i) => bytes[behind + i] !== byte))
		return 0;
	for (let i = at + 2; i < behind; i++)
		len = len * 256 + (bytes[i] ?? 0);
	return behind - at + len;
}

interface Pieces extends Omit<Container, "sealed"> {
	ciphertext: Bytes;
	tag: Bytes;
}

function parse(bytes: Bytes): Pieces
{
	if (bytes.length > MAX_CONTAINER)
		throw new DerError("too large");
	const outer = new Der(bytes);
	const info = outer.enter(SEQUENCE);
	outer.end();
	info.expect(OID, AUTH_ENVELOPED);
	const explicit = info.enter(CONTEXT_0);
	info.end();
	const envelope = explicit.enter(SEQUENCE);
	explicit.end();

	envelope.expect(INTEGER, [0]);
	const recipients = envelope.enter(SET);
	const content = envelope.enter(SEQUENCE);
	const tag = envelope.takeExactly(OCTETS, TAG_LEN);
	envelope.end();

	const recipient = recipients.enter(CONTEXT_2);
	recipients.end();
	recipient.expect(INTEGER, [4]);
	const identifier = recipient.enter(SEQUENCE);
	const keyId = identifier.takeExactly(OCTETS, 16);
	identifier.end();
	const wrapAlgorithm = recipient.enter(SEQUENCE);
	wrapAlgorithm.expect(OID, AES256_WRAP);
	wrapAlgorithm.end();
	const wrappedKey = recipient.takeExactly(OCTETS, 40);
	recipient.end();

	content.expect(OID, DATA);
	const algorithm = content.enter(SEQUENCE);
	algorithm.expect(OID, AES256_GCM);
	const parameters = algorithm.enter(SEQUENCE);
	const nonce = parameters.takeExactly(OCTETS, 12);
	parameters.expect(INTEGER, [TAG_LEN]);
	parameters.end();
	algorithm.end();
	const ciphertext = content.take(CONTEXT_0_PRIMITIVE);
	content.end();

	return { keyId, wrappedKey, nonce, ciphertext, tag };
}

/* The key id in E.  Throws DerError when it is anything but E. */
export function keyIdOf(bytes: Bytes): Bytes
{
	return parse(bytes).keyId;
}

/*
 * Read E.  Uses up `bytes`: what is returned points into it, and its end
 * is overwritten.  Throws DerError when it is anything but E.
 */
export function readContainer(bytes: Bytes): Container
{
	const { ciphertext, tag, ...rest } = parse(bytes);

	return { ...rest, sealed: joinTag(ciphertext, tag) };
}
