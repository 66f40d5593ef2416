// SPDX-License-Identifier: Apache-2.0
/*
 * api - the recipient's half of the key server protocol.
 *
 * Knows: HTTP, JSON, problem details (RFC 9457), what each answer must
 * hold.   Does not know: messages, keys, pages.
 */
import { recordsSentence } from "./assurance";
import { decode } from "./b64url";
import type { Locator } from "./link";
import {
	agentTime, proofText, requestText, type ProofVerb, type RequestVerb,
	type Signer,
} from "./proofs";
import { Trouble } from "./trouble";
import { visible } from "./visible";

export interface Issuer {
	address: string;
	domain: string;
	account: string;
}

export interface Description {
	issuer: Issuer;
	issuedAt: string;
	expiresAt: string | null;	/* null: no end */
	assurance: string;
	algorithm: string;
	state: string;
}

export interface Release {
	releaseId: string;
	releaseSecret: string;
	releasedAt: string;
	algorithm: string;
	key: string;
	issuer: Issuer;
	openingKey: string;
	possessionKey: string;
	keyCommitment: string;
}

type Json = Record<string, unknown>;

const TIMEOUT_MS = 30_000;
const MAX_DETAIL = 400;
const TRIES = 3;
const SPARE_MS = 10_000;	/* of a challenge's life, for the way */

/*
 * Hosts that this page's own policy has kept it from asking.  The failed
 * fetch itself does not say why it failed.
 */
const blocked = new Set<string>();

export function watchPolicy(target: Document): void
{
	target.addEventListener("securitypolicyviolation", event => {
		try {
			if (event.effectiveDirective === "connect-src")
				blocked.add(new URL(event.blockedURI).origin);
		} catch {
			/* blockedURI is not always an address */
		}
	});
}

/* What we sign and send as our origin: what the browser will send. */
function ownOrigin(): string
{
	return self.origin;
}

const pause = (ms: number) =>
	new Promise<void>(resolve => setTimeout(resolve, ms));

function isObject(value: unknown): value is Json
{
	return typeof value === "object" && value !== null
		&& !Array.isArray(value);
}

/* The problem's own name, and its sentence for people. */
function refusal(status: number, body: unknown): Trouble
{
	const problem = isObject(body) ? body : {};
	const slug = /^urn:counterfoil:problem:([a-z-]{1,40})$/
		.exec(String(problem["type"]))?.[1] ?? "";
	const detail = typeof problem["detail"] === "string"
		? visible(problem["detail"].slice(0, MAX_DETAIL)) : "";

	if (status === 503)
		return new Trouble("key-busy", detail);
	if (status >= 500 || slug === "")
		return new Trouble("key-garbage", `HTTP status ${status}`);
	if (slug === "unknown-key")
		return new Trouble("unknown-key");
	if (slug === "bad-signature")
		return new Trouble("changed", detail);
	if (slug === "challenge-used" || slug === "bad-challenge")
		return new Trouble("stale", detail);
	if (slug === "too-many")
		return new Trouble("key-often", detail);
	if (slug === "revoked" || slug === "expired")
		return new Trouble(slug);
	return new Trouble("refused", detail || slug);
}

async function postOnce(locator: Locator, verb: string, body: Json):
	Promise<{ json: Json } | { retryMs: number, trouble: Trouble }>
{
	let response: Response;
	let json: unknown = null;

	try {
		response = await fetch(`${locator.service}/api/v1/${verb}`, {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify(body),
			mode: "cors",
			credentials: "omit",
			cache: "no-store",
			redirect: "error",
			referrerPolicy: "no-referrer",
			signal: AbortSignal.timeout(TIMEOUT_MS),
		});
	} catch {
		/* The violation is reported a moment after the fetch fails. */
		await pause(50);
		throw new Trouble(blocked.has(new URL(locator.service).origin)
			? "key-foreign" : "key-unreachable", locator.host);
	}
	try {
		json = await response.json();
	} catch {
		/* judged below */
	}
	if (response.ok && isObject(json))
		return { json };
	const trouble = response.ok ? new Trouble("key-garbage")
		: refusal(response.status, json);

	if (response.status !== 503)
		throw trouble;
	const seconds = Number(response.headers.get("Retry-After") ?? "1");

	return { trouble, retryMs: 1000 * Math.min(Math.max(
		Number.isFinite(seconds) ? seconds : 1, 1), 5) };
}

/* A busy server is asked again, as it says. */
async function post(locator: Locator, verb: string, body: Json):
	Promise<Json>
{
	for (let tries = 1; ; tries++) {
		const answer = await postOnce(locator, verb, body);

		if ("json" in answer)
			return answer.json;
		if (tries === TRIES)
			throw answer.trouble;
		await pause(answer.retryMs);
	}
}

/* What a server says, in the form in which it may be shown. */
function text(from: Json, name: string): string
{
	const value = from[name];

	if (typeof value !== "string")
		throw new Trouble("key-garbage", `“${name}” is missing`);
	return visible(value);
}

/* A time that is one. */
function timeOf(from: Json, name: string): string
{
	const value = text(from, name);

	if (Number.isNaN(Date.parse(value)))
		throw new Trouble("key-garbage", `“${name}” is malformed`);
	return value;
}

/* How the person is checked, in a word that we know. */
function assuranceOf(from: Json): string
{
	const value = text(from, "assurance");

	if (recordsSentence(value) === null)
		throw new Trouble("key-garbage", `“assurance” is unknown`);
	return value;
}

function bytesText(from: Json, name: string, len: number): string
{
	const value = text(from, name);

	if (decode(value, len) === null)
		throw new Trouble("key-garbage", `“${name}” is malformed`);
	return value;
}

function issuerOf(from: Json): Issuer
{
	const issuer = from["issuer"];

	if (!isObject(issuer))
		throw new Trouble("key-garbage", "“issuer” is missing");
	return {
		address: text(issuer, "address"),
		domain: text(issuer, "domain"),
		account: text(issuer, "account"),
	};
}

interface Challenge {
	text: string;
	until: number;		/* by performance.now() */
}

/*
 * The challenge at hand, or on its way: one is good for a description and
 * for one release.  So it can be asked for before the sealed message is
 * there, and the click need not wait for another.
 */
export interface AtHand {
	challenge: Promise<Challenge> | null;
}

async function askChallenge(locator: Locator): Promise<Challenge>
{
	const { handle, token } = locator;
	const asked = performance.now();
	const answer = await post(locator, "challenge", { handle, token });
	const seconds = Number(answer["expires_in"]);

	return { text: bytesText(answer, "challenge", 56),
		until: asked + 1000 * (seconds > 0 ? seconds : 0) - SPARE_MS };
}

/* Ask ahead.  Records nothing; what goes wrong is said when it is needed. */
export function askAhead(locator: Locator): AtHand
{
	const challenge = askChallenge(locator);

	challenge.catch(() => undefined);
	return { challenge };
}

async function takeChallenge(verb: RequestVerb, locator: Locator,
	atHand: AtHand): Promise<string>
{
	const given = atHand.challenge;

	atHand.challenge = null;
	let challenge = await given;

	if (challenge === null || performance.now() > challenge.until)
		challenge = await askChallenge(locator);
	if (verb === "describe")
		atHand.challenge = Promise.resolve(challenge);
	return challenge.text;
}

/* Sign a challenge with the possession key, and ask. */
async function signedOnce(verb: RequestVerb, locator: Locator,
	possession: Signer, atHand: AtHand): Promise<Json>
{
	const { handle, token } = locator;
	const origin = ownOrigin();
	const challenge = await takeChallenge(verb, locator, atHand);
	const time = agentTime(new Date());
	const signature = await possession.sign(
		requestText(verb, handle, challenge, origin, time));
	const answer = await post(locator, verb,
		{ handle, token, challenge, origin, time, signature });

	if (answer["handle"] !== handle)
		throw new Trouble("key-garbage", "the answer is for another key");
	return answer;
}

/*
 * A challenge can be used up by a request whose answer was lost: a browser
 * may send a request again by itself.  Then a new one is signed.
 */
async function signedRequest(verb: RequestVerb, locator: Locator,
	possession: Signer, atHand: AtHand): Promise<Json>
{
	try {
		return await signedOnce(verb, locator, possession, atHand);
	} catch (error) {
		atHand.challenge = null;
		if (error instanceof Trouble && error.kind === "stale")
			return signedOnce(verb, locator, possession, atHand);
		throw error;
	}
}

/* Who sent it and how the person will be checked.  Records nothing. */
export async function describe(locator: Locator, possession: Signer,
	atHand: AtHand): Promise<Description>
{
	const answer = await signedRequest("describe", locator, possession,
		atHand);

	return {
		issuer: issuerOf(answer),
		issuedAt: timeOf(answer, "issued_at"),
		expiresAt: answer["expires_at"] === undefined ? null
			: timeOf(answer, "expires_at"),
		assurance: assuranceOf(answer),
		algorithm: text(answer, "algorithm"),
		state: text(answer, "state"),
	};
}

/* Ask for the key.  The server records the release before it answers. */
export async function retrieve(locator: Locator, possession: Signer,
	atHand: AtHand): Promise<Release>
{
	const answer = await signedRequest("retrieve", locator, possession,
		atHand);

	return {
		releaseId: bytesText(answer, "release_id", 16),
		releaseSecret: bytesText(answer, "release_secret", 32),
		releasedAt: text(answer, "released_at"),
		algorithm: text(answer, "algorithm"),
		key: bytesText(answer, "key", 32),
		issuer: issuerOf(answer),
		openingKey: bytesText(answer, "opening_key", 32),
		possessionKey: bytesText(answer, "possession_key", 32),
		keyCommitment: bytesText(answer, "key_commitment", 32),
	};
}

/*
 * Tell the server what came of a release: `open`, signed with the opening
 * key, or `mismatch`, signed with the possession key.  Asked again a few
 * times when there is no answer.
 */
export async function report(verb: ProofVerb, locator: Locator,
	release: Release, secretSha256: string, signer: Signer): Promise<Json>
{
	const { handle } = locator;
	const time = agentTime(new Date());
	const body = {
		handle, release_id: release.releaseId,
		release_secret: release.releaseSecret, time,
		signature: await signer.sign(proofText(verb, handle,
			release.releaseId, secretSha256, time)),
	};

	for (let tries = 1; ; tries++) {
		try {
			return await post(locator, verb, body);
		} catch (error) {
			const hopeless = error instanceof Trouble
				&& error.words.again !== true;

			if (tries === TRIES || hopeless)
				throw error;
			await pause(500 * 3 ** tries);
		}
	}
}
