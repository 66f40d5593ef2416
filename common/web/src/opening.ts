// SPDX-License-Identifier: Apache-2.0
/*
 * opening - the steps from a sealed message and its link to the original.
 *
 * Order matters: the key commitment and the opening key are compared with
 * what was registered before anything is decrypted for showing.  GCM does
 * not commit to its key; these two comparisons fix the text.
 *
 * Knows: the order of the steps.   Does not know: pages.
 */
import { report, retrieve, type AtHand, type Release } from "./api";
import { decode, encode } from "./b64url";
import type { Bytes } from "./bytes";
import { readContainer, type Container } from "./container";
import { DerError } from "./der";
import type { Locator } from "./link";
import { MformError, strip, type Original } from "./mform";
import {
	keyCommitment, openingSigner, possessionSigner, secretDigest, type Signer,
} from "./proofs";
import { Trouble } from "./trouble";
import { visible } from "./visible";

/* A sealed message with the link that belongs to it. */
export interface Sealed {
	locator: Locator;
	container: Container;
	possession: Signer;
	atHand: AtHand;
}

export interface Opened {
	original: Original;
	release: Release;
	/* Post the opening proof; gives the time the server recorded. */
	confirm(): Promise<string>;
}

/* Uses up `e`.  Throws Trouble. */
export async function prepare(e: Bytes, locator: Locator,
	atHand: AtHand = { challenge: null }): Promise<Sealed>
{
	let container: Container;

	try {
		container = readContainer(e);
	} catch (error) {
		throw error instanceof DerError ? new Trouble("damaged") : error;
	}
	if (encode(container.keyId) !== locator.handle)
		throw new Trouble("not-together");
	return { locator, container, atHand,
		possession: await possessionSigner(container) };
}

interface Cek {
	forOpening: CryptoKey;
	forMessage: CryptoKey;
}

/*
 * Unwrap the content key twice, once for each use, so that its bytes never
 * leave WebCrypto.  AES-KW notices a key that does not fit.
 */
async function unwrap(wrapped: Bytes, kd: Bytes): Promise<Cek>
{
	const { subtle } = crypto;
	const kek = await subtle.importKey("raw", kd, "AES-KW", false,
		["unwrapKey"]);

	try {
		return {
			forOpening: await subtle.unwrapKey("raw", wrapped, kek,
				"AES-KW", "HKDF", false, ["deriveBits"]),
			forMessage: await subtle.unwrapKey("raw", wrapped, kek,
				"AES-KW", "AES-GCM", false, ["decrypt"]),
		};
	} catch {
		throw new Trouble("wrong-key");
	}
}

async function decrypt(container: Container, key: CryptoKey): Promise<Bytes>
{
	try {
		return new Uint8Array(await crypto.subtle.decrypt({
			name: "AES-GCM", iv: container.nonce, tagLength: 128,
		}, key, container.sealed));
	} catch {
		throw new Trouble("damaged");
	}
}

function original(m: Bytes): Original
{
	try {
		return strip(m);
	} catch (error) {
		throw error instanceof MformError
			? new Trouble("malformed", "", m) : error;
	}
}

/* The server learns of a mismatch if that can be; the person does anyway. */
async function mismatch(sealed: Sealed, release: Release, secret: string):
	Promise<never>
{
	let told = "The key server has been told.";

	try {
		await report("mismatch", sealed.locator, release, secret,
			sealed.possession);
	} catch {
		told = "The key server could not be told.";
	}
	throw new Trouble("mismatch", told);
}

/* Ask for the key and open the message.  Throws Trouble. */
export async function open(sealed: Sealed): Promise<Opened>
{
	const { locator, container, possession, atHand } = sealed;
	const release = await retrieve(locator, possession, atHand);
	const kd = decode(release.key, 32);
	const releaseSecret = decode(release.releaseSecret, 32);

	if (kd === null || releaseSecret === null
	    || release.algorithm !== "kek-a256kw")
		throw new Trouble("key-garbage", "the key is of an unknown sort");
	const secret = await secretDigest(releaseSecret);

	if (await keyCommitment(kd) !== release.keyCommitment
	    || possession.publicKey !== release.possessionKey)
		return mismatch(sealed, release, secret);
	const cek = await unwrap(container.wrappedKey, kd);
	const opening = await openingSigner(cek.forOpening);

	kd.fill(0);
	release.key = "";
	if (opening.publicKey !== release.openingKey)
		return mismatch(sealed, release, secret);

	const m = await decrypt(container, cek.forMessage);

	return {
		original: original(m),
		release,
		confirm: async () => {
			const answer = await report("open", locator, release,
				secret, opening);

			return visible(String(answer["opened_at"] ?? ""));
		},
	};
}
