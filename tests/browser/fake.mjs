// SPDX-License-Identifier: Apache-2.0
/*
 * fake - a reader, a key server and a stranger's web server in one process.
 *
 * The key server checks every signature and remembers what it would have
 * recorded.  The reader sends the policy that common/web/CSP.md prescribes.
 */
import { createHmac, createPublicKey, randomBytes, timingSafeEqual, verify }
	from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { b64, keyCommitment, sha256 } from "./seal.mjs";

const TYPES = { html: "text/html; charset=utf-8",
	js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8" };

function listen(server)
{
	return new Promise((resolve, reject) => {
		/* None is closed just when the browser wants to use it again. */
		server.keepAliveTimeout = 0;
		server.once("error", reject);
		server.listen(0, "127.0.0.1", () => resolve(server.address().port));
	});
}

/* --- reader --------------------------------------------------------------- */

export function documentedHeaders(web, keyServers)
{
	const text = readFileSync(join(web, "CSP.md"), "utf8");
	const headers = {};

	for (const [, name, value] of text.matchAll(/^ {4}([A-Z][A-Za-z-]+): (.*)$/gm))
		headers[name] = value.replace("<key servers>", keyServers.join(" "));
	if (headers["Content-Security-Policy"] === undefined)
		throw new Error("CSP.md names no policy");
	return headers;
}

/* Of the script ("js") or the style ("css"), as the page names it. */
export function assetPath(dist, kind)
{
	const page = readFileSync(join(dist, "index.html"), "utf8");

	return new RegExp(`/page\\.[\\w-]{16}\\.${kind}(?=")`).exec(page)[0];
}

function readerHandler(state)
{
	return (request, response) => {
		const [path] = request.url.split("?");
		const send = (status, type, body) => {
			response.writeHead(status, { ...state.headers,
				"Content-Type": type });
			response.end(request.method === "HEAD" ? undefined : body);
		};
		/* Compressed, as the reader does it; br is not for plain HTTP. */
		const file = name => {
			const isBrotli = /\bbr\b/.test(
				request.headers["accept-encoding"]);

			response.setHeader("Content-Encoding",
				isBrotli ? "br" : "gzip");
			send(200, TYPES[name.split(".").pop()],
				readFileSync(join(state.dist,
					`${name}.${isBrotli ? "br" : "gz"}`)));
		};

		state.readerRequests.push(`${request.method} ${request.url}`);
		if (path === "/" || /^\/m\/[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])/.test(path))
			return file("index.html");
		for (const kind of ["js", "css"])
			if (path === assetPath(state.dist, kind))
				return file(`page.${kind}`);
		if (state.more.has(path))
			return send(200, TYPES[path.split(".")[1] ?? "html"],
				state.more.get(path));
		const e = /^\/e\/([A-Za-z0-9_-]{22})$/.exec(path);

		if (e !== null && state.store.has(e[1]))
			return send(200, "application/octet-stream", state.store.get(e[1]));
		return send(404, "text/plain", "not here\n");
	};
}

/* --- key server ------------------------------------------------------------- */

const SECRET = randomBytes(32);

function challengeFor(handle)
{
	const head = Buffer.concat([Buffer.alloc(8), randomBytes(16)]);

	head.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 1000)));
	return b64(Buffer.concat([head, createHmac("sha256", SECRET)
		.update(Buffer.from(handle, "base64url")).update(head).digest()]));
}

function challengeHolds(handle, challenge)
{
	const all = Buffer.from(challenge, "base64url");
	const expected = createHmac("sha256", SECRET)
		.update(Buffer.from(handle, "base64url"))
		.update(all.subarray(0, 24)).digest();

	return all.length === 56 && timingSafeEqual(expected, all.subarray(24));
}

const verifies = (publicKey, lines, signature) => verify(null,
	Buffer.from(`${lines.join("\n")}\n`),
	createPublicKey({ format: "jwk",
		key: { kty: "OKP", crv: "Ed25519", x: publicKey } }),
	Buffer.from(signature, "base64url"));

class Problem extends Error {
	constructor(status, slug, detail, headers = {})
	{
		super(slug);
		Object.assign(this, { status, slug, detail, headers });
	}
}

function members(body, names)
{
	const got = Object.keys(body).sort().join(" ");

	if (got !== [...names].sort().join(" "))
		throw new Problem(400, "malformed", `members are ${got}`);
}

const ISSUER = { address: "alice@a.test", domain: "a.test",
	account: "gateway-a" };
function registered(key)
{
	return { opening_key: key.openingKey, possession_key: key.possessionKey,
		key_commitment: key.keyCommitment, assurance: key.assurance ?? "bearer",
		algorithm: "kek-a256kw", issuer: key.issuer };
}

const VERBS = {
	challenge(state, key, body) {
		members(body, ["handle", "token"]);
		return { challenge: challengeFor(body.handle), expires_in: state.expiresIn };
	},
	describe(state, key, body, origin) {
		signed("describe", key, body, origin);
		return { handle: body.handle, message_id: "<m1@a.test>",
			issued_at: "2026-11-23T13:35:00.123Z",
			state: key.state, ...key.described, ...registered(key) };
	},
	retrieve(state, key, body, origin) {
		signed("retrieve", key, body, origin);
		if (state.challenges.has(body.challenge))
			throw new Problem(403, "challenge-used", "Ask again.");
		state.challenges.add(body.challenge);
		const secret = randomBytes(32);
		const release = { id: b64(randomBytes(16)), secret: b64(secret),
			digest: b64(sha256(secret)) };

		key.releases.set(release.id, release);
		state.events.push({ type: "released", handle: body.handle });
		return { handle: body.handle, release_id: release.id,
			release_secret: release.secret,
			released_at: new Date().toISOString(), first: true,
			key: b64(key.key), ...registered(key) };
	},
	open(state, key, body) {
		proven("open", key, body, key.openingKey);
		state.events.push({ type: "opened", handle: body.handle });
		return { recorded: true, opened_at: "2026-11-23T13:36:10.000Z" };
	},
	mismatch(state, key, body) {
		proven("mismatch", key, body, key.possessionKey);
		state.events.push({ type: "mismatch", handle: body.handle });
		return { recorded: true };
	},
};

function signed(verb, key, body, origin)
{
	members(body, ["handle", "token", "challenge", "origin", "time",
		"signature"]);
	if (body.origin !== (origin ?? "-"))
		throw new Problem(403, "origin-mismatch", "The origins differ.");
	if (!challengeHolds(body.handle, body.challenge))
		throw new Problem(403, "bad-challenge", "Ask again.");
	if (!verifies(key.possessionKey, [`counterfoil ${verb} v1`, body.handle,
		body.challenge, body.origin, body.time], body.signature))
		throw new Problem(403, "bad-signature",
			"The request is not signed by a holder of this message.");
}

function proven(verb, key, body, publicKey)
{
	members(body, ["handle", "release_id", "release_secret", "time",
		"signature"]);
	const release = key.releases.get(body.release_id);

	if (release?.secret !== body.release_secret)
		throw new Problem(404, "unknown-release", "There is no such release.");
	if (!verifies(publicKey, [`counterfoil ${verb} v1`, body.handle,
		body.release_id, release.digest, body.time], body.signature))
		throw new Problem(403, "bad-signature", "The signature is wrong.");
}

async function answer(state, request, verb)
{
	const chunks = [];

	for await (const chunk of request)
		chunks.push(chunk);
	if (request.headers["content-type"] !== "application/json")
		throw new Problem(415, "not-json", "Only JSON is taken.");
	const body = JSON.parse(Buffer.concat(chunks).toString());
	const key = state.keys.get(body.handle);

	state.calls.push(verb);
	if (key === undefined
	    || ("token" in body && body.token !== key.token))
		throw new Problem(404, "unknown-key", "There is no such key.");
	const fault = key.faults[verb]?.shift();

	if (fault !== undefined)
		throw fault;
	return VERBS[verb](state, key, body, request.headers.origin);
}

function keyServerHandler(state)
{
	return async (request, response) => {
		state.keyRequests.push(`${request.method} ${request.url}`);
		const verb = /^\/api\/v1\/([a-z]+)$/.exec(request.url)?.[1] ?? "";
		const cors = { "Access-Control-Allow-Origin": "*" };
		const send = (status, type, body, headers = {}) => {
			response.writeHead(status, { ...cors, ...headers,
				"Content-Type": type });
			response.end(JSON.stringify(body));
		};

		if (request.method === "OPTIONS") {
			response.writeHead(204, { ...cors,
				"Access-Control-Allow-Methods": "POST",
				"Access-Control-Allow-Headers": "Content-Type" });
			response.end();
			return;
		}
		try {
			if (!(verb in VERBS) || request.method !== "POST")
				throw new Problem(404, "no-such-page", "Nothing here.");
			send(200, "application/json", await answer(state, request, verb));
		} catch (problem) {
			if (problem === "hang up") {
				request.socket.destroy();
			} else if (problem === "garbage") {
				response.writeHead(200, { ...cors,
					"Content-Type": "text/html" });
				response.end("<h1>Captive portal</h1>");
			} else {
				send(problem.status ?? 500, "application/problem+json", {
					type: `urn:counterfoil:problem:${
						problem.slug ?? "internal"}`,
					title: problem.slug, status: problem.status ?? 500,
					detail: problem.detail ?? String(problem),
				}, problem.headers);
			}
		}
	};
}

/* --- all of it -------------------------------------------------------------- */

export { Problem };

/*
 * Starts the servers.  `names`: host names that lead to 127.0.0.1 in the
 * browser under test.
 */
export async function startFake({ web, tls, names })
{
	const state = { dist: join(web, "dist"), store: new Map(),
		more: new Map(),	/* what the reader has besides, by path */
		keys: new Map(), challenges: new Set(), expiresIn: 300, events: [], calls: [],
		readerRequests: [], keyRequests: [], strangerRequests: [],
		strangerReferers: [] };
	const stranger = (request, response) => {
		/*
		 * Chromium asks for the icon of a page that it shows, a moment
		 * later; that it asked for the page itself has been noted.
		 */
		if (request.url === "/favicon.ico")
			return response.writeHead(404).end();
		state.strangerRequests.push(request.url);
		state.strangerReferers.push(
			`${request.url} ${request.headers.referer ?? "-"}`);
		return response.writeHead(200, { "Content-Type": "image/gif",
			"Access-Control-Allow-Origin": "*" })
			.end(Buffer.from("R0lGODlhAQABAAAAACwAAAAAAQABAAA=",
				"base64"));
	};
	const servers = {
		reader: createServer(tls, readerHandler(state)),
		keys: createServer(tls, keyServerHandler(state)),
		foreignKeys: createServer(tls, keyServerHandler(state)),
		stranger: createServer(tls, stranger),
		plainReader: createPlain(readerHandler(state)),
		plainKeys: createPlain(keyServerHandler(state)),
	};
	const url = {};

	for (const [name, server] of Object.entries(servers)) {
		const scheme = name.startsWith("plain") ? "http" : "https";

		url[name] = `${scheme}://${names[name]}:${await listen(server)}`;
	}
	state.headers = documentedHeaders(web, [url.keys, url.plainKeys]);

	/* Register a sealed message; what is given replaces what is right. */
	const register = (sealed, given = {}) => {
		const key = { token: b64(sealed.token), key: sealed.kd,
			openingKey: sealed.opening.publicKey,
			possessionKey: sealed.possession.publicKey,
			keyCommitment: keyCommitment(sealed.kd), issuer: ISSUER,
			state: "issued", described: {}, releases: new Map(),
			faults: {}, ...given };

		state.keys.set(b64(sealed.keyId), key);
		state.store.set(sealed.blob, sealed.e);
		return key;
	};

	return { state, url, register,
		locator: (sealed, service = url.keys) =>
			`${service}/k/${b64(sealed.keyId)}#${b64(sealed.token)}`,
		stop: () => Promise.all(Object.values(servers).map(server =>
			new Promise(resolve => {
				server.closeAllConnections?.();
				server.close(resolve);
			}))),
	};
}
