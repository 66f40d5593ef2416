// SPDX-License-Identifier: Apache-2.0
/*
 * proofs - the two key pairs that come out of a message, what is signed
 * with them, and the key commitment.
 *
 *   opening seed    HKDF-SHA256(CEK, no salt, "counterfoil opening v1")
 *   possession seed SHA-256("counterfoil possession v1" 00 || nonce
 *                           || SHA-256(ciphertext || tag))
 *   key commitment  SHA-256("counterfoil key v1" 00 || Kd)
 *
 * Knows: Ed25519, HKDF, the signed lines.   Does not know: HTTP, pages.
 */
import { getPublicKeyAsync, signAsync } from "@noble/ed25519";
import { decode, encode } from "./b64url";
import { concat, utf8, type Bytes } from "./bytes";
import type { Container } from "./container";

export interface Signer {
	publicKey: string;			/* b64url, 43 characters */
	sign(text: string): Promise<string>;	/* b64url, 86 characters */
}

async function sha256(bytes: Bytes): Promise<Bytes>
{
	return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/* RFC 8410: a private key as WebCrypto imports it, up to the seed. */
const PKCS8_HEAD = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03,
	0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

async function webcryptoSigner(seed: Bytes): Promise<Signer>
{
	const pkcs8 = concat(Uint8Array.from(PKCS8_HEAD), seed);
	const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519",
		true, ["sign"]);
	const { x } = await crypto.subtle.exportKey("jwk", key);

	pkcs8.fill(0);
	if (decode(x, 32) === null)
		throw new Error("no public key");
	return {
		publicKey: x as string,
		sign: async text => encode(new Uint8Array(
			await crypto.subtle.sign("Ed25519", key, utf8(text)))),
	};
}

/* For browsers whose WebCrypto has no Ed25519. */
export async function softwareSigner(seed: Bytes): Promise<Signer>
{
	const own = seed.slice();

	return {
		publicKey: encode(await getPublicKeyAsync(own)),
		sign: async text => encode(await signAsync(utf8(text), own)),
	};
}

export async function signerOf(seed: Bytes): Promise<Signer>
{
	try {
		return await webcryptoSigner(seed);
	} catch {
		return softwareSigner(seed);
	}
}

export async function possessionSigner(e: Container): Promise<Signer>
{
	return signerOf(await sha256(concat(
		utf8("counterfoil possession v1\0"), e.nonce,
		await sha256(e.sealed))));
}

/* `cek` is imported for HKDF, so that its bytes stay inside WebCrypto. */
export async function openingSigner(cek: CryptoKey): Promise<Signer>
{
	const seed = await crypto.subtle.deriveBits({
		name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0),
		info: utf8("counterfoil opening v1"),
	}, cek, 256);

	return signerOf(new Uint8Array(seed));
}

export async function keyCommitment(kd: Bytes): Promise<string>
{
	const text = concat(utf8("counterfoil key v1\0"), kd);
	const digest = await sha256(text);

	text.fill(0);
	return encode(digest);
}

export async function secretDigest(releaseSecret: Bytes): Promise<string>
{
	return encode(await sha256(releaseSecret));
}

/* RFC 3339, UTC, milliseconds. */
export function agentTime(now: Date): string
{
	return now.toISOString();
}

export type RequestVerb = "describe" | "retrieve";
export type ProofVerb = "open" | "mismatch";

/* What the possession key signs before a key is described or released. */
export function requestText(verb: RequestVerb, handle: string,
	challenge: string, origin: string, time: string): string
{
	return [`counterfoil ${verb} v1`, handle, challenge, origin, time, ""]
		.join("\n");
}

/*
 * What is signed after a release: `open` with the opening key, `mismatch`
 * with the possession key.
 */
export function proofText(verb: ProofVerb, handle: string, release: string,
	secretSha256: string, time: string): string
{
	return [`counterfoil ${verb} v1`, handle, release, secretSha256, time, ""]
		.join("\n");
}
