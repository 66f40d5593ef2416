// SPDX-License-Identifier: Apache-2.0
//
// Clients of a key server that keeps dying: clients.mjs URL TOKEN OUT
//
// 16 clients go on until standard input ends, then finish what they began.
// Each makes a key, asks for it twice at the same time, and opens three out
// of four.  What fails for want of a server is repeated until it works; a
// wrong answer is written down.  OUT gets all that was seen, as JSON.
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";

const CLIENTS = 16;
const PAUSE_MS = 40;		// between two keys, so that the mail keeps up
const AGAIN_MS = 50;
const LIMIT_MS = 90000;		// for one request with all its repeats

const [service, token, outFile] = process.argv.slice(2);
const url = new URL(service);
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 * CLIENTS });
const seen = { keys: {}, wrong: [], requests: 0, repeats: 0, busy: 0 };
const waiting = new Map();	// what each request under way waits for
let stopping = false;

const random = (n) => crypto.randomBytes(n).toString("base64url");
const now = () => new Date().toISOString();
const sha256 = (text) => crypto.createHash("sha256")
	.update(Buffer.from(text, "base64url")).digest("base64url");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function keyPair() {
	const pair = crypto.generateKeyPairSync("ed25519");
	return {
		publicKey: pair.publicKey.export({ format: "jwk" }).x,
		sign: (lines) => crypto.sign(null,
			Buffer.from(lines.map((l) => l + "\n").join("")),
			pair.privateKey).toString("base64url"),
	};
}

function post(path, value, headers) {
	const body = JSON.stringify(value);
	return new Promise((done, fail) => {
		const request = http.request({
			host: url.hostname, port: url.port, path, agent,
			method: "POST", timeout: 20000,
			headers: {
				"Content-Type": "application/json",
				"Content-Length": Buffer.byteLength(body),
				...headers,
			},
		}, (reply) => {
			const parts = [];
			reply.on("data", (part) => parts.push(part));
			reply.on("error", fail);
			reply.on("end", () => {
				try {
					done([reply.statusCode,
						JSON.parse(Buffer.concat(parts))]);
				} catch (e) {
					fail(e);
				}
			});
			reply.on("aborted", () => fail(new Error("cut off")));
		});
		request.on("timeout", () => request.destroy(
			new Error("no answer")));
		request.on("error", fail);
		request.end(body);
	});
}

// Until there is an answer that is not about the server's own state.
async function ask(path, value, wanted, headers = {}) {
	const end = Date.now() + LIMIT_MS;
	const me = { path, since: Date.now(), tries: 0 };
	waiting.set(me, me);
	try {
		return await askUntil(me, end, path, value, wanted, headers);
	} finally {
		waiting.delete(me);
	}
}

async function askUntil(me, end, path, value, wanted, headers) {
	for (;;) {
		seen.requests++;
		me.tries++;
		try {
			const given = typeof value === "function"
				? await value() : value;
			me.sent = Date.now();
			const [status, body] = await post(path, given, headers);
			me.sent = 0;
			me.last = status;
			if (wanted.includes(status))
				return body;
			if (status !== 503) {
				seen.wrong.push([path, status, body.type,
					body.detail]);
				return null;
			}
			seen.busy++;
		} catch (e) {
			if (e.wrong)
				throw e;
			me.last = e.code ?? e.message;
			seen.repeats++;
		}
		if (Date.now() > end) {
			seen.wrong.push([path, "no success in time"]);
			return null;
		}
		await pause(AGAIN_MS);
	}
}

async function issue(key) {
	const body = () => ({
		request_id: random(16), message_ref: key.ref,
		message_id: `<${key.handle}@a.test>`,
		sender: key.sender, recipients: ["bob@b.test"],
		reader_url: "http://127.0.0.1:9",
		keys: [{
			key_id: key.handle, token: key.token,
			algorithm: "kek-a256kw",
			opening_key: key.opening.publicKey,
			possession_key: key.possession.publicKey,
			policy: { require: "bearer" },
		}],
	});
	const reply = await ask("/api/v1/issue", body, [200, 201],
		{ Authorization: `Bearer ${token}` });
	return reply && reply.keys[0].key;
}

async function retrieve(key) {
	const body = async () => {
		const { handle, token } = key;
		const first = await ask("/api/v1/challenge",
			{ handle, token }, [200]);
		if (!first)
			throw Object.assign(new Error("no challenge"),
				{ wrong: true });
		const { challenge } = first;
		const time = now();
		return { handle, token, challenge, origin: "-", time,
			signature: key.possession.sign([
				"counterfoil retrieve v1", handle, challenge,
				"-", time]) };
	};
	const reply = await ask("/api/v1/retrieve", body, [200]);
	if (reply)
		seen.keys[key.handle].releases.push({ id: reply.release_id,
			key: reply.key, first: reply.first });
	return reply;
}

async function open(key, release) {
	const { handle } = key;
	const time = now();
	const reply = await ask("/api/v1/open", {
		handle, release_id: release.release_id,
		release_secret: release.release_secret, time,
		signature: key.opening.sign(["counterfoil open v1", handle,
			release.release_id, sha256(release.release_secret),
			time]),
	}, [200]);
	if (reply)
		seen.keys[handle].opened = release.release_id;
}

async function client(number) {
	for (let round = 0; !stopping; round++) {
		const key = { handle: random(16), token: random(32),
			ref: random(32), sender: `ann-${number}@a.test`,
			opening: keyPair(), possession: keyPair() };
		const record = { issued: [], releases: [], opened: null };
		seen.keys[key.handle] = record;
		record.issued.push(await issue(key));
		if (round % 4 === 0)	// the same values: the same answer
			record.issued.push(await issue(key));
		try {
			const [one] = await Promise.all([retrieve(key),
				retrieve(key)]);
			if (one && round % 4 !== 3)
				await open(key, one);
		} catch (e) {
			if (!e.wrong)
				throw e;
		}
		await pause(PAUSE_MS);
	}
}

// For the one who waits in vain: what is being waited for.
process.on("SIGUSR2", () => {
	const t = Date.now();
	console.log(`# clients: ${stopping ? "" : "not "}told to stop, ${
		JSON.stringify({ requests: seen.requests,
			repeats: seen.repeats, busy: seen.busy,
			wrong: seen.wrong.length })}`);
	for (const { path, since, tries, sent, last } of waiting.values())
		console.log(`# ${path}: ${t - since} ms, ${tries} tries, last: ${
			last}${sent ? `, sent ${t - sent} ms ago` : ""}`);
});

process.stdin.on("end", () => { stopping = true; });
process.stdin.resume();
await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)));
agent.destroy();
fs.writeFileSync(outFile, JSON.stringify(seen));
