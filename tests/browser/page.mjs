#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/*
 * page - the page in a real browser, against a fake reader and key server.
 *
 * Run with a part of a test's name to run only that one.  With
 * CF_SCREENSHOTS=DIR pictures of the screens are left there.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { frameOf, openMessage, saveAll, troubleText, waitForState }
	from "./driver.mjs";
import { Problem } from "./fake.mjs";
import { htmlLetter, offer, plain } from "./letters.mjs";
import * as seal from "./seal.mjs";
import { assert, run, test } from "./tap.mjs";
import { aMoment, close, fake, here, home, newPage, opened, picture, pictures,
	readerLink, RULES, send, stop, temp, web } from "./world.mjs";

const { state, url } = fake;

/* --- help ------------------------------------------------------------------ */

const handleOf = sealed => seal.b64(sealed.keyId);
const eventsOf = sealed => state.events
	.filter(({ handle }) => handle === handleOf(sealed))
	.map(({ type }) => type);

/* What the page shows; frames' contents too, were there any. */
async function everythingShown(page)
{
	const texts = await Promise.all(page.frames().map(frame =>
		frame.locator("body").innerText().catch(() => "")));

	return texts.join("\n");
}

async function expectTrouble(page, kind, words)
{
	assert.equal(await waitForState(page, ["trouble", "opened"]), "trouble");
	assert.equal(await page.locator("[data-trouble]")
		.getAttribute("data-trouble"), kind);
	assert.match(await troubleText(page), words);
	assert.equal(await page.locator("iframe, a[download]").count(),
		kind === "malformed" ? 1 : 0);
	assert.equal(await page.evaluate(
		() => document.activeElement?.tagName), "H1");
}

/* Open `link`, press the button, expect trouble. */
async function openingFails(link, kind, words, secretText)
{
	const page = await newPage();

	await page.goto(link);
	await page.getByRole("button", { name: "Open the message" }).click();
	await expectTrouble(page, kind, words);
	if (secretText !== undefined)
		assert.ok(!(await everythingShown(page)).includes(secretText));
	return page;
}

/* --- the whole flow ---------------------------------------------------------- */

test("a message is described, opened, shown and reported", async () => {
	const { message } = offer({ stranger: url.stranger });
	const { sealed, link } = send(message);
	const page = await newPage();
	const callsBefore = state.calls.length;

	await page.goto(link);
	await waitForState(page, ["ready"]);
	assert.ok(!page.url().includes("#"), "the fragment is gone");
	assert.equal(await page.evaluate(() => history.length), 2);
	assert.equal(await page.locator("#issuer").innerText(), "alice@a.test");
	const ready = await page.locator("main").innerText();
	assert.match(ready, /keys\.test:\d+ confirms/);
	assert.match(ready, /a record is kept that its key was given to someone/);
	assert.doesNotMatch(ready, /Ångström|@elsewhere|Offer 17/);
	assert.doesNotMatch(ready, /until/);
	await picture(page, "ready");
	assert.deepEqual(state.calls.slice(callsBefore),
		["challenge", "describe"]);
	assert.deepEqual(eventsOf(sealed), []);

	await openMessage(page);
	await picture(page, "opened");
	const shown = await page.locator("main").innerText();
	assert.match(shown, /Offer 17 — two looms/);
	assert.match(shown, /Alice Ångström <alice@a\.test>/);
	assert.match(shown, /Bob <bob@b\.test>/);
	assert.match(shown, /23 November 2026/);
	assert.match(shown, /Opening recorded on 23 November 2026/);
	assert.equal(await page.locator("#warning").count(), 0);
	assert.deepEqual(state.calls.slice(callsBefore), ["challenge",
		"describe", "retrieve", "open"]);
	assert.deepEqual(eventsOf(sealed), ["released", "opened"]);
	assert.equal(await page.evaluate(() => document.activeElement?.tagName),
		"H1");
	assert.deepEqual(page.complaints, []);
	assert.ok(state.readerRequests.every(line =>
		!line.includes(seal.b64(sealed.token))), "no token at the reader");
	await close(page);
});

test("the key server is asked while the sealed message is on its way",
	async () => {
		const { sealed, link } = send(plain());
		const page = await newPage();
		const callsBefore = state.calls.length;

		await page.route("**/e/*", async route => {
			while (state.calls.length === callsBefore)
				await new Promise(resolve => setTimeout(resolve, 10));
			await route.continue();
		});
		await page.goto(link);
		await waitForState(page, ["ready"]);
		assert.deepEqual(state.calls.slice(callsBefore),
			["challenge", "describe"]);
		assert.deepEqual(eventsOf(sealed), []);
		await close(page);
	});

test("a challenge near its end is not signed", async () => {
	const { sealed, link } = send(plain());
	const page = await newPage();
	const callsBefore = state.calls.length;

	state.expiresIn = 5;
	try {
		await page.goto(link);
		await openMessage(page);
	} finally {
		state.expiresIn = 300;
	}
	assert.deepEqual(state.calls.slice(callsBefore), ["challenge",
		"challenge", "describe", "challenge", "retrieve", "open"]);
	assert.deepEqual(eventsOf(sealed), ["released", "opened"]);
	await close(page);
});

test("an end is shown before the click", async () => {
	const { key, link } = send(plain(), { given: {
		described: { expires_at: "2026-12-24T18:30:00.000Z" } } });
	const page = await newPage();

	await page.goto(link);
	await waitForState(page, ["ready"]);
	assert.match(await page.locator("main").innerText(),
		/Open until\s+24 December 2026 at 18:30/);
	key.described = { expires_at: 1798137000 };
	await close(page);

	const other = await newPage();

	await other.goto(link);
	await expectTrouble(other, "key-garbage", /expires_at/);
	await close(other);
});

test("text, HTML, attachments and the original are exact", async () => {
	const { message, data } = offer({ stranger: url.stranger });
	const { link } = send(message);
	const out = join(temp, "saved");
	const page = await newPage();

	await page.goto(link);
	await openMessage(page);
	await saveAll(page, out);
	assert.deepEqual(readFileSync(join(out, "original.eml")), message);
	assert.deepEqual(readdirSync(join(out, "attachments")).sort(),
		["_terms.pdf", "message.eml"]);
	assert.deepEqual(readFileSync(join(out, "attachments/_terms.pdf")), data);
	assert.equal(readFileSync(join(out, "text.txt"), "utf8").trimEnd(),
		"Dear Bob,\n\nas agreed, our offer for two looms to Göteborg.\n.\n"
		+ "<b>not bold</b>\n\nAlice");
	assert.match(readFileSync(join(out, "html.txt"), "utf8"),
		/valid until the end of December/);
	await close(page);
});

test("attachments of every encoding, and text of no charset", async () => {
	const sent = {
		"a.csv": ["7bit", "a,b\r\n1,2", "a,b\r\n1,2"],
		"b.bin": ["8bit", "\x01\x02\xff\xfe\r\n\r\nzz\0\n\r",
			"\x01\x02\xff\xfe\r\n\r\nzz\0\n\r"],
		"c.bin": ["quoted-printable", "=00=01=02=FFabc=\r\ndef",
			"\0\x01\x02\xffabcdef"],
		"d.bin": ["x-uuencode", "begin 644 d.bin\r\n#86)C\r\n`\r\nend", "abc"],
		"e.ics": ["base64", "QQ0KQg0K", "A\r\nB\r\n"],
		"Gr\u00fc\u00dfe.txt": ["x-odd", "as\nit\rstands ",
			"as\nit\rstands "],
	};
	const message = Buffer.from("Subject: Gr\xfc\xdfe \x80\r\n"
		+ "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
		+ "--b\r\n\r\nGr\xfc\xdfe \x80\r\n"
		+ Object.entries(sent).map(([name, [encoding, written]]) =>
			`--b\r\nContent-Type: text/calendar; name="${name}"\r\n`
			+ `Content-Transfer-Encoding: ${encoding}\r\n\r\n${written}\r\n`)
			.join("") + "--b--\r\n", "latin1");
	const { link } = send(message);
	const out = join(temp, "encodings");
	const page = await newPage();

	await page.goto(link);
	await openMessage(page);
	await saveAll(page, out);
	for (const [name, [, , meant]] of Object.entries(sent))
		assert.equal(readFileSync(join(out, "attachments", name), "latin1"),
			meant, name);
	assert.equal(readFileSync(join(out, "subject.txt"), "utf8"),
		"Gr\u00fc\u00dfe \u20ac");
	assert.equal(readFileSync(join(out, "text.txt"), "utf8"),
		"Gr\u00fc\u00dfe \u20ac");
	await close(page);
});

test("nothing in a message loads, runs or leads away", async () => {
	const { message } = offer({ stranger: url.stranger });
	const { link } = send(message);
	const page = await newPage();
	let messages = 0;

	state.strangerRequests.length = 0;
	await page.exposeFunction("counted", () => messages++);
	await page.addInitScript(() =>
		addEventListener("message", () => globalThis.counted()));
	await page.goto(link);
	await openMessage(page);
	const html = await frameOf(page, "html");

	await aMoment(page);
	assert.equal(await page.title(), "Sealed message");
	assert.equal(messages, 0);
	assert.equal(await html.evaluate(() => location.href), "about:srcdoc");
	const inside = await html.locator("body").evaluate(body => ({
		markup: document.documentElement.outerHTML,
		inlineShown: body.querySelector("img[alt=logo]")?.naturalWidth,
		links: [...body.querySelectorAll("a")].map(a => a.rel + a.target),
	}));
	for (const gone of ["<script", "onload", "onerror", "javascript:",
		"<form", "<iframe", "<object", "<video", "<link", "<base",
		"http-equiv=\"refresh\""])
		assert.ok(!inside.markup.includes(gone), gone);
	assert.equal(inside.inlineShown, 2, "the inline picture is shown");
	assert.deepEqual(inside.links.slice(0, 1),
		["noopener noreferrer nofollow_blank"]);
	assert.match(await page.locator("#remote").innerText(), /not loaded/);
	assert.deepEqual(state.strangerRequests, []);
	await close(page);
});

test("a link in a message opens a window of its own, without referrer",
	async () => {
		const { link } = send(offer({ stranger: url.stranger }).message);
		const page = await newPage();

		state.strangerReferers.length = 0;
		await page.goto(link);
		await openMessage(page);
		const html = await frameOf(page, "html");
		const [popup] = await Promise.all([page.waitForEvent("popup"),
			html.getByText("Our terms").click()]);

		await popup.waitForURL(`${url.stranger}/terms`);
		assert.equal(await popup.evaluate(() => globalThis.opener), null);
		assert.equal(state.strangerReferers[0], "/terms -");
		assert.equal(await page.locator("main").getAttribute("data-state"),
			"opened");
		await close(page);
	});

test("each wall holds alone: sandbox, frame policy", async () => {
	const { link } = send(offer({ stranger: url.stranger }).message);
	const page = await newPage();

	state.strangerRequests.length = 0;
	await page.goto(link);
	await openMessage(page);
	for (const part of ["text", "html"]) {
		const frame = page.locator(`iframe[data-part=${part}]`);
		const sandbox = await frame.getAttribute("sandbox");

		assert.equal(sandbox, "allow-same-origin allow-popups"
			+ " allow-popups-to-escape-sandbox");
		assert.ok((await frame.getAttribute("srcdoc")).includes(
			"Content-Security-Policy\" content=\"default-src 'none';"
			+ " img-src data: blob:; style-src 'unsafe-inline';"));
	}
	/* Markup that got past the sanitiser would meet the other walls. */
	const result = await page.evaluate(stranger => {
		const old = document.querySelector("iframe[data-part=html]");
		const policy = old.srcdoc.match(/<meta http-equiv="Content-Sec[^>]*>/)[0];
		const raw = globalThis.trustedTypes === undefined ? null : "trusted";

		return { policy, raw, stranger };
	}, url.stranger);
	const probe = await newPage();

	await probe.setContent(`<iframe sandbox="allow-popups" srcdoc="${
		(`${result.policy}<script>parent.document.title='ran'</script>`
		+ `<img src='${url.stranger}/p.gif'><style>@import url(${url.stranger
		}/i.css);body{background:url(${url.stranger}/b.png)}</style>`)
			.replace(/"/g, "&quot;")}"></iframe>`);
	await aMoment(probe);
	assert.notEqual(await probe.title(), "ran");
	assert.deepEqual(state.strangerRequests, []);
	assert.equal(result.raw, "trusted");
	await close(probe);
	await close(page);
});

test("a message with text only", async () => {
	const { link } = send(plain({ text: "One line.\r\n\r\n  <Two> & three." }));
	const page = await newPage();

	await page.goto(link);
	await openMessage(page);
	assert.equal(await page.locator("iframe").count(), 1);
	const frame = await frameOf(page, "text");
	assert.equal((await frame.locator("pre").evaluate(pre => pre.textContent))
		.trimEnd(), "One line.\n\n  <Two> & three.");
	await picture(page, "opened-text");
	await close(page);
});

test("the sender inside lies outside the issuer's domain: warned",
	async () => {
		const { link } = send(offer({
			stranger: url.stranger, from: "The Bank <help@bank.test>",
		}).message);
		const page = await newPage();

		await page.goto(link);
		await openMessage(page);
		assert.match(await page.getByRole("alert").innerText(),
			/not confirmed.*help@bank\.test.*sealed by alice@a\.test/s);
		await picture(page, "warning");
		await close(page);
	});

/* --- whatever the page fails at, the original is there ----------------------- */

/* Open a message in a page in which `breakIt` has been run before the click. */
async function openBroken(message, breakIt)
{
	const { sealed, link } = send(message);
	const page = await newPage();
	const out = mkdtempSync(join(temp, "broken-"));

	await page.goto(link);
	await waitForState(page, ["ready"]);
	await page.evaluate(breakIt);
	await openMessage(page);
	await saveAll(page, out);
	assert.deepEqual(readFileSync(join(out, "original.eml")), message);
	assert.deepEqual(eventsOf(sealed), ["released", "opened"]);
	return { page, out, shown: await page.locator("main").innerText() };
}

const UNUSUAL = {
	"a part's header of 3 MB": [Buffer.from("Content-Type: multipart/mixed;"
		+ ` boundary=b\r\n\r\n--b\r\nX: ${"y".repeat(3_000_000)}\r\n\r\n`
		+ "the text\r\n--b--\r\n"), /the text/, /^/],
	"300 multiparts, one in the other": [Buffer.from(
		`${Array.from({ length: 300 }, (_, i) => "Content-Type:"
			+ ` multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`).join("")
		}\r\nthe text\r\n`), /the text/, /more parts.*Save as \.eml/],
	"a multipart that is none": [Buffer.from("Content-Type: multipart/mixed;"
		+ " boundary=b\r\n\r\nthe text\r\n"), /^the text/,
	/could not be taken apart.*Save as \.eml/],
};

for (const [name, [message, text, note]] of Object.entries(UNUSUAL))
	test(`${name}: shown as far as can be`, async () => {
		const { page, out, shown } = await openBroken(message, () => {});

		assert.match(readFileSync(join(out, "text.txt"), "utf8"), text);
		assert.match(shown, note);
		assert.doesNotMatch(shown, /no text/);
		await close(page);
	});

test("the page fails at the HTML: the rest is shown", async () => {
	const { message, data } = offer({ stranger: url.stranger });
	const { page, out, shown } = await openBroken(message, () => {
		DOMParser.prototype.parseFromString = () => {
			throw new Error("injected");
		};
	});

	assert.match(shown, /Offer 17 — two looms.*could not be shown/s);
	assert.match(readFileSync(join(out, "text.txt"), "utf8"), /two looms/);
	assert.deepEqual(readFileSync(join(out, "attachments/_terms.pdf")), data);
	assert.equal(await page.locator("iframe").count(), 1);
	await close(page);
});

test("the page fails at taking it apart: it is shown as it came", async () => {
	const { message } = offer({ stranger: url.stranger });
	const { page, out, shown } = await openBroken(message, () => {
		Map.prototype.has = () => {
			throw new Error("injected");
		};
	});

	assert.match(shown, /could not be taken apart.*Save as \.eml/s);
	assert.match(readFileSync(join(out, "text.txt"), "utf8"),
		/^Received: from a by b.*Content-Type: application\/pdf/s);
	await close(page);
});

test("the page fails at everything: it can still be saved", async () => {
	const { page, shown } = await openBroken(plain(), () => {
		TextDecoder.prototype.decode = () => {
			throw new Error("injected");
		};
	});

	assert.match(shown, /is open, but it cannot be shown.*Save the message/s);
	assert.match(shown, /Opening recorded/);
	await close(page);
});

/* --- refusals -------------------------------------------------------------- */

test("two texts in one ciphertext: neither is shown", async () => {
	const nonce = randomBytes(12);
	const registered = randomBytes(32), other = randomBytes(32);
	const m = seal.addM(plain({ text: "SECOND TEXT" }));
	const both = seal.sealTwice(m, other, registered, nonce);
	/* Registered with one content key, delivered with the other. */
	const honest = seal.seal(m, { nonce, cek: registered, ...both });
	const delivered = seal.seal(m, { nonce, cek: other, ...both,
		keyId: honest.keyId, kd: honest.kd });

	delivered.token = honest.token;
	delivered.blob = honest.blob;
	fake.register(delivered, { openingKey: honest.opening.publicKey });
	const page = await openingFails(
		readerLink(delivered, fake.locator(delivered)), "mismatch",
		/does not match its registration.*key server has been told/,
		"SECOND TEXT");

	assert.deepEqual(eventsOf(delivered), ["released", "mismatch"]);
	await picture(page, "mismatch");
	await close(page);

	/* But for the registration it would have opened. */
	delivered.keyId = honest.keyId;
	fake.register(delivered);
	const willing = await newPage();
	await willing.goto(readerLink(delivered, fake.locator(delivered)));
	await openMessage(willing);
	await close(willing);
});

test("the key does not match its commitment: nothing is shown", async () => {
	const { sealed, link } = send(plain({ text: "HIDDEN" }),
		{ given: { keyCommitment: seal.b64(randomBytes(32)) } });

	await close(await openingFails(link, "mismatch", /does not match/,
		"HIDDEN"));
	assert.deepEqual(eventsOf(sealed), ["released", "mismatch"]);
});

test("the key server's key does not fit", async () => {
	const kd = randomBytes(32);
	const { link } = send(plain(),
		{ given: { key: kd, keyCommitment: seal.keyCommitment(kd) } });

	await close(await openingFails(link, "wrong-key", /does not fit/));
});

test("the sealed part is damaged: structure", async () => {
	const { sealed, link } = send(plain());
	const page = await newPage();

	state.store.set(sealed.blob, sealed.e.subarray(0, sealed.e.length - 1));
	await page.goto(link);
	await expectTrouble(page, "damaged", /damaged.*Tell the sender/);
	await picture(page, "damaged");
	await close(page);
});

test("the sealed part is damaged: ciphertext", async () => {
	const { sealed, link } = send(plain());
	const changed = Buffer.from(sealed.e);
	const page = await newPage();

	changed[sealed.e.indexOf(sealed.ciphertext) + 5] ^= 1;
	state.store.set(sealed.blob, changed);
	await page.goto(link);
	await expectTrouble(page, "changed", /damaged.*not the one/);
	assert.deepEqual(eventsOf(sealed), []);
	await close(page);
});

test("the sealed part is damaged: tag, as the sender registered it",
	async () => {
		const m = seal.addM(plain({ text: "HIDDEN" }));
		const sealed = seal.seal(m, { tag: randomBytes(16) });

		fake.register(sealed);
		await close(await openingFails(
			readerLink(sealed, fake.locator(sealed)), "damaged", /damaged/,
			"HIDDEN"));
		assert.deepEqual(eventsOf(sealed), ["released"]);
	});

/* What a link on the page saves. */
async function saved(page, selector)
{
	const [download] = await Promise.all([page.waitForEvent("download"),
		page.locator(selector).click()]);

	return readFileSync(await download.path());
}

test("what is sealed is not M: nothing is shown, but it can be saved",
	async () => {
		for (const m of [plain({ text: "HIDDEN" }),
			Buffer.concat([Buffer.from("Counterfoil-M: v=2; outer=0;"
				+ " ct=kept; mv=kept; form=plain\r\n"),
			plain({ text: "HIDDEN" })])]) {
			const sealed = seal.seal(m);

			fake.register(sealed);
			const page = await openingFails(
				readerLink(sealed, fake.locator(sealed)), "malformed",
				/unknown form.*Save what was decrypted/, "HIDDEN");

			assert.deepEqual(await saved(page, "#save-eml"), m);
			await close(page);
		}
	});

test("what does not match can not be saved either", async () => {
	const sealed = seal.seal(plain({ text: "HIDDEN" }));

	fake.register(sealed, { keyCommitment: seal.b64(randomBytes(32)) });
	const page = await openingFails(
		readerLink(sealed, fake.locator(sealed)), "mismatch",
		/does not match/, "HIDDEN");

	assert.equal(await page.locator("a[download]").count(), 0);
	await close(page);
});

test("the original is offered before its HTML is taken in hand", async () => {
	const page = await newPage();

	await page.addInitScript(() => {
		new MutationObserver(() => {
			if (document.querySelector("#save-eml") !== null)
				window.hadFrame ??= document.querySelector("iframe") !== null;
		}).observe(document, { childList: true, subtree: true });
	});
	await page.goto(send(htmlLetter("<p>x</p>")).link);
	await openMessage(page);
	assert.equal(await page.locator("iframe").count(), 1);
	assert.equal(await page.evaluate(() => window.hadFrame), false);
	await close(page);
});

test("HTML that would stop the browser is shown as text", async () => {
	for (const html of [`${"<div>".repeat(200_000)}deep`,
		Array.from({ length: 9000 }, (_, i) =>
			`<font size=${i}>`).join("") + "<p>x".repeat(9000)]) {
		const page = await opened(htmlLetter(html));

		assert.equal(await page.locator("iframe[data-part=html]").count(), 0);
		assert.equal(await page.locator("iframe[data-part=text]").count(), 1);
		assert.match(await page.locator(".note").allInnerTexts()
			.then(all => all.join()), /formatted text could not be shown/);
		assert.equal(await page.locator("#save-eml").count(), 1);
		await close(page);
	}
	const page = await opened(htmlLetter(
		`<p style="${"url(cid:".repeat(20_000)}">${"<p>x".repeat(9000)}`));

	assert.equal(await page.locator("iframe[data-part=html]").count(), 1);
	await close(page);
});

test("the key server refuses: its reason is told", async () => {
	const { key, link } = send(plain());

	key.faults = { retrieve: [new Problem(403, "refused",
		"Not from this network.")] };
	const page = await openingFails(link, "refused",
		/refused the key.*Not from this network\./);
	await picture(page, "refused");
	await close(page);
});

const GONE = /can no longer be opened.*ask the sender to send it again/;

test("a message past its end: said before the click, without a button",
	async () => {
		const { sealed, link } = send(plain({ text: "HIDDEN" }), { given: {
			state: "expired",
			described: { expires_at: "2026-11-28T18:16:03.672Z" } } });
		const page = await newPage({ timezoneId: "Asia/Tokyo" });
		const before = state.calls.length;

		await page.goto(link);
		await expectTrouble(page, "expired", GONE);
		assert.match(await troubleText(page),
			/It could be opened until 29 November 2026 at 03:16\./);
		assert.equal(await page.getByRole("button").count(), 0);
		assert.doesNotMatch(await everythingShown(page),
			/HIDDEN|T18:16|Open the message/);
		assert.deepEqual(state.calls.slice(before), ["challenge", "describe"]);
		assert.deepEqual(eventsOf(sealed), []);
		await picture(page, "expired");
		await close(page);
	});

test("a withdrawn message: said before the click and after it", async () => {
	const { key, link } = send(plain(), { given: { state: "revoked" } });
	const page = await newPage();

	await page.goto(link);
	await expectTrouble(page, "revoked", GONE);
	assert.match(await troubleText(page), /The sender has withdrawn it/);
	assert.equal(await page.getByRole("button").count(), 0);
	await close(page);
	key.state = "issued";
	key.faults = { retrieve: [new Problem(410, "revoked", "Withdrawn.")] };
	await close(await openingFails(link, "revoked", GONE));
});

test("a message that ends while it is looked at", async () => {
	const { key, link } = send(plain({ text: "HIDDEN" }), { given: {
		described: { expires_at: "2026-11-28T18:16:03.672Z" } } });

	key.faults = { retrieve: [new Problem(410, "expired", "Passed.")] };
	const page = await openingFails(link, "expired", GONE, "HIDDEN");

	assert.match(await troubleText(page),
		/It could be opened until 28 November 2026 at 18:16\./);
	await close(page);
});

test("a reason with markup stays text", async () => {
	const { key, link } = send(plain());

	key.faults = { retrieve: [new Problem(403, "refused",
		"<img src=x onerror=alert(1)>")] };
	const page = await openingFails(link, "refused", /<img src=x onerror/);

	assert.equal(await page.locator("main img").count(), 0);
	await close(page);
});

test("an assurance that nobody knows is no answer", async () => {
	const { key, link } = send(plain());
	const page = await newPage();

	key.assurance = "notary";
	await page.goto(link);
	await expectTrouble(page, "key-garbage", /makes no sense.*assurance/);
	await close(page);
});

test("a reason is shown as the server's words, in visible form", async () => {
	const { key, link } = send(plain());

	key.faults = { retrieve: [new Problem(403, "refused",
		"\u202eChecked\u202c by your bank\u200b")] };
	const page = await openingFails(link, "refused",
		/The key server says: \ufffdChecked\ufffd by your bank\ufffd/);

	await close(page);
});

test("an unknown key", async () => {
	const { sealed } = send(plain());
	const page = await newPage();

	sealed.token = randomBytes(32);
	await page.goto(readerLink(sealed, fake.locator(sealed)));
	await expectTrouble(page, "unknown-key",
		/does not know this message.*whole mail.*Tell the sender/);
	await choose(page, "message.counterfoil", sealed.e);
	await linkTrouble(page, "link-needed", /link is needed/);
	await close(page);
});

test("a link that was altered: the whole mail opens there", async () => {
	const { sealed, link } = send(plain());
	const altered = link.slice(0, -9) + [...link.slice(-9)].reverse().join("");
	const whole = seal.composite(sealed.e, fake.locator(sealed));
	const page = await newPage();

	await page.goto(altered.slice(0, -1) + link.slice(-1));
	await expectTrouble(page, "unknown-key", /choose it here/);
	await choose(page, "mail.eml", whole);
	await waitForState(page, ["ready"]);

	/* The same with one that was pasted. */
	await page.goto(`${url.reader}/`);
	await pasteLink(page, altered.slice(0, -1) + link.slice(-1));
	await drop(page, "mail.eml", whole);
	await expectTrouble(page, "unknown-key", /choose it here/);
	await choose(page, "mail.eml", whole);
	await waitForState(page, ["ready"]);
	await close(page);
});

test("the key server is away, then back: try again works", async () => {
	const { key, link, sealed } = send(plain());
	const page = await newPage();

	key.faults = { describe: Array(9).fill("hang up") };
	await page.goto(link);
	await expectTrouble(page, "key-unreachable",
		/cannot be reached.*keys\.test/);
	await picture(page, "unreachable");
	key.faults = {};
	await page.getByRole("button", { name: "Try again" }).click();
	await waitForState(page, ["ready"]);
	key.faults = { retrieve: Array(9).fill("hang up") };
	await page.getByRole("button", { name: "Open the message" }).click();
	await expectTrouble(page, "key-unreachable", /cannot be reached/);
	key.faults = {};
	await page.getByRole("button", { name: "Try again" }).click();
	await openMessage(page);
	assert.deepEqual(eventsOf(sealed), ["released", "opened"]);
	await close(page);
});

test("a busy key server is asked again by itself", async () => {
	const { key, link } = send(plain());
	const page = await newPage();

	key.faults = { describe: [new Problem(503, "busy", "Later.",
		{ "Retry-After": "1" })], retrieve: [new Problem(503, "busy",
		"Later.", { "Retry-After": "1" })] };
	await page.goto(link);
	await openMessage(page);
	await close(page);
});

test("a used challenge: a new one is signed", async () => {
	const { key, link } = send(plain());
	const page = await newPage();

	key.faults = { retrieve: [new Problem(403, "challenge-used", "Used.")] };
	await page.goto(link);
	await openMessage(page);
	await close(page);
});

test("a key that is asked for too often: how long to wait", async () => {
	const { key, link } = send(plain());

	key.faults = { retrieve: [new Problem(429, "too-many",
		"From your network it can be opened again in 12 minutes.",
		{ "Retry-After": "700" })] };
	const page = await openingFails(link, "key-often",
		/opened too often.*Nothing has been lost.*again in 12 minutes/);
	await page.getByRole("button", { name: "Try again" }).click();
	await openMessage(page);
	await close(page);
});

test("an answer that is no answer", async () => {
	const { key, link } = send(plain());
	const page = await newPage();

	key.faults = { challenge: ["garbage"] };
	await page.goto(link);
	await expectTrouble(page, "key-garbage", /makes no sense/);
	await close(page);
});

test("a lost opening proof is sent again", async () => {
	const { key, link, sealed } = send(plain());
	const page = await newPage();

	key.faults = { open: [new Problem(500, "internal", "Broken."), "garbage"] };
	await page.goto(link);
	await openMessage(page);
	assert.equal(await page.locator("#receipt").getAttribute("data-recorded"),
		"yes");
	assert.deepEqual(eventsOf(sealed), ["released", "opened"]);
	await close(page);
});

test("an opening proof that cannot be sent is told quietly", async () => {
	const { key, link } = send(plain());
	const page = await newPage();

	key.faults = { open: [new Problem(403, "bad-signature", "No.")] };
	await page.goto(link);
	await openMessage(page);
	assert.equal(await page.locator("#receipt").getAttribute("data-recorded"),
		"no");
	assert.match(await page.locator("#receipt").innerText(),
		/could not be reported/);
	assert.equal(await page.locator("iframe").count(), 1);
	await close(page);
});

test("a key server the reader does not allow", async () => {
	const { link } = send(plain(), { service: url.foreignKeys });
	const page = await newPage();
	const callsBefore = state.calls.length;

	await page.goto(link);
	await expectTrouble(page, "key-foreign",
		/does not work with that key server.*foreign\.test.*the key server\.$/s);
	assert.equal(state.calls.length, callsBefore);
	await close(page);
});

/* --- links -------------------------------------------------------------------- */

test("links as rewriters leave them", async () => {
	const { sealed } = send(plain());
	const locator = fake.locator(sealed);
	const once = seal.percentEncode(locator);

	for (const fragment of [locator, seal.percentEncode(once),
		`${once}&data=05%7C02`]) {
		const page = await newPage();

		await page.goto(`${url.reader}/m/${sealed.blob}#${fragment}`);
		assert.equal(await waitForState(page, ["ready", "trouble"]), "ready",
			fragment);
		await close(page);
	}
});

test("the # became %23: L is found in the path, and leaves it", async () => {
	const { sealed } = send(plain());
	const fragment = seal.readerFragment(fake.locator(sealed), url.reader);

	for (const behind of [`%23${fragment}`, `%2523${fragment}`,
		`%23${seal.percentEncode(fragment)}`,
		`%23${fake.locator(sealed)}`, `>#${fragment}`,
		`?utm_source=a#${fragment}`]) {
		const page = await newPage();

		await page.goto(`${url.reader}/m/${sealed.blob}${behind}`);
		assert.equal(await waitForState(page, ["ready", "trouble"]), "ready",
			behind);
		assert.equal(page.url(), `${url.reader}/m/${sealed.blob}`);
		await close(page);
	}
});

test("stripped of its fragment: the whole mail opens there", async () => {
	const message = send(plain());
	const page = await newPage();

	await page.goto(`${url.reader}/m/${message.sealed.blob}`);
	await expectTrouble(page, "link-stripped",
		/behind the # .*whole mail.*tell the sender/);
	await choose(page, "mail.eml", seal.composite(message.sealed.e,
		fake.locator(message.sealed)));
	await openMessage(page);
	assert.deepEqual(eventsOf(message.sealed), ["released", "opened"]);
	await close(page);
});

test("each link that cannot be read is told as what it is", async () => {
	const { sealed } = send(plain());
	const fragment = `#${seal.readerFragment(fake.locator(sealed),
		url.reader)}`;

	for (const [behind, kind, words] of [
		[fragment.toLowerCase(), "link-lowercase",
			/small letters.*whole mail/],
		["#https://bit.ly/abc", "link-opaque", /Bitly.*Follow that link/],
		["#section-2", "link-unknown", /whole mail/]]) {
		const page = await newPage();

		await page.goto(`${url.reader}/m/${sealed.blob}${behind}`);
		await expectTrouble(page, kind, words);
		await close(page);
	}
});

test("a link cut off", async () => {
	const { link } = send(plain());
	const page = await newPage();

	await page.goto(link.slice(0, -1));
	await expectTrouble(page, "link-incomplete",
		/incomplete.*copy the whole link/);
	assert.ok(!page.url().includes("#"));
	await picture(page, "incomplete");
	await close(page);
});

test("reloaded: says what to do; the link entered again works", async () => {
	const { link } = send(plain());
	const page = await newPage();

	await page.goto(link);
	await openMessage(page);
	await page.reload();
	await expectTrouble(page, "link-none", /open its link again/);
	/* The page hears of it a moment later, and says trouble until then. */
	await page.evaluate(fragment => new Promise(resolve => {
		addEventListener("hashchange", () => resolve(), { once: true });
		location.hash = fragment;
	}), new URL(link).hash);
	await openMessage(page);
	assert.ok(!page.url().includes("#"));
	await close(page);
});

test("left and come back to: nothing of the message stays", async () => {
	const { link } = send(plain({ text: "HIDDEN" }));
	const page = await newPage();

	await page.goto(link);
	await openMessage(page);
	await page.goto(`${url.reader}/`);
	await page.goBack();
	await expectTrouble(page, "link-none", /open its link again/);
	assert.ok(!(await everythingShown(page)).includes("HIDDEN"));
	await close(page);
});

test("the link of another message", async () => {
	const one = send(plain()), two = send(plain());
	const page = await newPage();

	await page.goto(readerLink(one.sealed, fake.locator(two.sealed)));
	await expectTrouble(page, "not-together", /belongs to another message/);
	await close(page);
});

test("a message the reader does not have", async () => {
	const { sealed, link } = send(plain());
	const page = await newPage();

	state.store.delete(sealed.blob);
	await page.goto(link);
	await expectTrouble(page, "sealed-missing",
		/no longer kept here.*message\.counterfoil.*choose the file here/);
	await picture(page, "sealed-missing");
	/* The page still has the link, and for this message alone. */
	const other = send(plain());

	await choose(page, "message.counterfoil", other.sealed.e);
	await linkTrouble(page, "link-needed", /link is needed/);
	assert.match(await page.locator(".field").innerText(),
		/still has the link/);
	await drop(page, "message.counterfoil", sealed.e);
	await openMessage(page);
	assert.deepEqual(eventsOf(sealed), ["released", "opened"]);
	await close(page);
});

test("the copy at the reader is damaged: the one of the mail opens",
	async () => {
		const { sealed, link } = send(plain());
		const changed = Buffer.from(sealed.e);
		const page = await newPage();

		changed[sealed.e.indexOf(sealed.ciphertext) + 5] ^= 1;
		for (const e of [changed, sealed.e.subarray(0, -1)]) {
			state.store.set(sealed.blob, e);
			await page.goto("about:blank");
			await page.goto(link);
			await expectTrouble(page, e === changed ? "changed" : "damaged",
				/another copy.*choose it here.*open the link.*Tell the sender/s);
			await choose(page, "message.counterfoil", sealed.e);
			await waitForState(page, ["ready"]);
		}
		await close(page);
	});

test("a page that is left has forgotten its link", async () => {
	const { sealed, link } = send(plain());
	const page = await newPage();

	state.store.delete(sealed.blob);
	await page.goto(link);
	await expectTrouble(page, "sealed-missing", /no longer kept/);
	await page.evaluate(() => dispatchEvent(new Event("pagehide")));
	await page.evaluate(() => dispatchEvent(
		Object.assign(new Event("pageshow"), { persisted: true })));
	await expectTrouble(page, "link-none", /open its link again/);
	await choose(page, "message.counterfoil", sealed.e);
	await linkTrouble(page, "link-needed", /link is needed/);
	await close(page);
});

test("a link behind the address of the page itself is used", async () => {
	const { sealed } = send(plain());
	const page = await newPage();

	for (const address of [single, `${url.reader}/`])
		for (const behind of [fake.locator(sealed),
			seal.readerFragment(fake.locator(sealed), url.reader)]) {
			await page.goto("about:blank");
			await page.goto(`${address}#${behind}`);
			await waitForState(page, ["choose"]);
			assert.equal(page.url(), address);
			await drop(page, "message.counterfoil", sealed.e);
			if (address === single)
				await askServer(page);
			await waitForState(page, ["ready"]);
		}
	await page.goto("about:blank");
	await page.goto(`${single}#${fake.locator(sealed).slice(0, -1)}`);
	await linkTrouble(page, "link-incomplete", /incomplete/);
	assert.equal(page.url(), single);
	await close(page);
});

test("not a secure context", async () => {
	const { sealed } = send(plain());
	const page = await newPage();

	await page.goto(readerLink(sealed, fake.locator(sealed),
		url.plainReader));
	await expectTrouble(page, "not-secure", /not secure.*https:\/\//);
	await picture(page, "not-secure");
	await close(page);
});

test("plain HTTP on loopback is secure enough", async () => {
	const { sealed } = send(plain());
	const page = await newPage();

	await page.goto(readerLink(sealed, fake.locator(sealed, url.plainKeys),
		url.plainReader.replace("reader.test", "127.0.0.1")));
	await openMessage(page);
	assert.deepEqual(eventsOf(sealed), ["released", "opened"]);
	await close(page);
});

/* --- files ----------------------------------------------------------------------- */

const single = pathToFileURL(join(web, "dist/counterfoil.html")).href;

/* Drop a file on the zone as a person does with a mouse. */
async function drop(page, name, contents, where = ".zone")
{
	const transfer = await page.evaluateHandle(([fileName, base64]) => {
		const bytes = Uint8Array.from(atob(base64), c => c.charCodeAt(0));
		const data = new DataTransfer();

		data.items.add(new File([bytes], fileName));
		return data;
	}, [name, contents.toString("base64")]);

	await page.locator(where).dispatchEvent("drop",
		{ dataTransfer: transfer });
}

/* Press the button and choose the file in what it opens. */
async function choose(page, name, contents)
{
	const [chooser] = await Promise.all([page.waitForEvent("filechooser"),
		page.getByRole("button", { name: "Choose a file" }).click()]);

	await chooser.setFiles({ name, mimeType: "application/octet-stream",
		buffer: contents });
}

/* Drop a file on whatever the page shows. */
async function dropAnywhere(page, name, contents)
{
	await drop(page, name, contents, "h1");
}

/* Say yes to the key server that the message names. */
async function askServer(page)
{
	assert.equal(await waitForState(page, ["server", "ready", "trouble"]),
		"server");
	await page.getByRole("button", { name: "Ask this key server" }).click();
}

/* What a hostile key server says of a message that its owner has made. */
const HOSTILE = {
	issuer: { address: "\u202etset.knab@oec\u202c <ceo@bank.example",
		domain: "bank.example", account: "a\u2028b\u200bc" },
	described: { records: "Nothing is recorded.", assurance: "bearer" },
};

test("from disk: a key server is asked after a yes, and believed in nothing",
	async () => {
		const { sealed } = send(plain({ from: "ceo@bank.example" }),
			{ given: HOSTILE });
		const page = await newPage();
		const asked = state.keyRequests.length;

		await page.goto(single);
		await drop(page, "mail.eml",
			seal.composite(sealed.e, fake.locator(sealed)));
		await waitForState(page, ["server"]);
		await aMoment(page);
		assert.equal(state.keyRequests.length, asked);
		assert.match(await page.locator("main").innerText(),
			/keys\.test:\d+.*does not know that server.*can say anything/s);
		assert.doesNotMatch(await page.locator("main").innerText(), /Checked/);
		await picture(page, "server");
		await page.getByRole("button", { name: "Back" }).click();
		await waitForState(page, ["choose"]);
		assert.equal(state.keyRequests.length, asked);

		await drop(page, "mail.eml",
			seal.composite(sealed.e, fake.locator(sealed)));
		await askServer(page);
		await waitForState(page, ["ready"]);
		const ready = await page.locator("main").innerText();

		assert.doesNotMatch(ready, /Checked|confirms|records nothing/);
		assert.doesNotMatch(ready, /Nothing is recorded/);
		assert.match(ready, /Nobody has checked this.*can say anything/s);
		assert.match(ready, /a record is kept that its key was given to someone/);
		await picture(page, "ready-unlisted");
		await openMessage(page);
		assert.match(await page.getByRole("alert").innerText(),
			/not confirmed.*ceo@bank\.example.*does not know its key server/s);
		assert.doesNotMatch(await page.locator("main").innerText(),
			/Checked|confirmed by/);
		await close(page);
	});

test("a copy of the single file on a web server has no list either",
	async () => {
		const { sealed } = send(plain());
		const page = await newPage();
		const asked = state.keyRequests.length;

		await page.route(`${url.stranger}/`, route => route.fulfill({
			contentType: "text/html",
			body: readFileSync(join(web, "dist/counterfoil.html")) }));
		await page.goto(url.stranger);
		await drop(page, "mail.eml",
			seal.composite(sealed.e, fake.locator(sealed)));
		await waitForState(page, ["server"]);
		assert.equal(state.keyRequests.length, asked);
		await close(page);
	});

test("names from outside are seen as they are", async () => {
	const lines = "ceo@bank.example\u00a0\u00a0\u00a0\u00a0\u2003(a.test)";

	for (const [address, shown] of [
		["\u202etset.knab@oec\u202c <x@a.test",
			"\ufffdtset.knab@oec\ufffd <x@a.test"],
		["x\u200b\u00ad@a.test", "x\ufffd\ufffd@a.test"],
		["a\u2028b\u0085c@a.test", "a\ufffdb\ufffdc@a.test"],
		[lines, "ceo@bank.example (a.test)"]]) {
		const { link } = send(plain({ from: "alice@a.test" }), { given: {
			issuer: { address, domain: `a.test\u202e${address}`,
				account: address } } });
		const page = await newPage();

		await page.goto(link);
		await waitForState(page, ["ready"]);
		assert.equal(await page.locator("#issuer bdi").textContent(), shown);
		await openMessage(page);
		assert.ok((await page.getByRole("alert").textContent())
			.includes(shown));
		/* Nowhere on the page is one of them as it came. */
		assert.doesNotMatch(await page.locator("main").textContent(),
			/[\u202e\u202c\u200b\u00ad\u2028\u0085\u00a0]/);
		await close(page);
	}
});

test("a sender of a domain below the verified one: warned", async () => {
	const { link } = send(plain({ from: "alice@sub.a.test" }));
	const page = await newPage();

	await page.goto(link);
	await openMessage(page);
	assert.match(await page.getByRole("alert").innerText(),
		/not confirmed.*alice@sub\.a\.test.*for a\.test only/s);
	await close(page);
});

for (const [where, address] of [["the single file from disk", single],
	["the reader's first page", `${url.reader}/`]])
	test(`a whole mail dropped on ${where}`, async () => {
		const { message } = offer({ stranger: url.stranger });
		const { sealed } = send(message);
		const page = await newPage();
		const out = mkdtempSync(join(temp, "dropped-"));

		state.strangerRequests.length = 0;
		await page.goto(address);
		await waitForState(page, ["choose"]);
		if (address === single)
			await picture(page, "choose");
		await drop(page, "mail.eml",
			seal.composite(sealed.e, fake.locator(sealed)));
		if (address === single)
			await askServer(page);
		await openMessage(page);
		await saveAll(page, out);
		assert.deepEqual(readFileSync(join(out, "original.eml")), message);
		assert.deepEqual(eventsOf(sealed), ["released", "opened"]);
		assert.deepEqual(state.strangerRequests, []);
		assert.deepEqual(page.complaints, []);
		await close(page);
	});

/* What the page says beside the field for the link. */
async function linkTrouble(page, kind, words)
{
	const note = page.getByRole("alert");

	await note.waitFor();
	assert.equal(await page.locator("main").getAttribute("data-state"),
		"choose");
	assert.equal(await note.getAttribute("data-trouble"), kind);
	assert.match(await note.innerText(), words);
	/* Not what the person has just done. */
	assert.doesNotMatch(await note.innerText(), /address bar|first page/);
}

const pasteLink = (page, link) =>
	page.getByLabel("Link from the mail").fill(link);

test("the sealed attachment and its link, in either order", async () => {
	const { sealed, link } = send(plain());
	const page = await newPage();

	await page.goto(single);
	await pasteLink(page, link);
	await drop(page, "message.counterfoil", sealed.e);
	await askServer(page);
	await waitForState(page, ["ready"]);

	await page.goto(`${url.reader}/`);
	await drop(page, "message.counterfoil", sealed.e);
	await linkTrouble(page, "link-needed", /link is needed.*field below/);
	await picture(page, "link-needed");
	assert.match(await page.locator("#chosen").innerText(), /message\.counterfoil/);
	await pasteLink(page, link);
	await page.getByRole("button", { name: "Open" }).click();
	await openMessage(page);
	assert.deepEqual(eventsOf(sealed), ["released", "opened"]);
	await close(page);
});

test("a link that does not do is put right where it stands", async () => {
	const { sealed, link } = send(plain());
	const other = send(plain());
	const page = await newPage();

	await page.goto(`${url.reader}/`);
	await pasteLink(page, link.slice(0, -3));
	await drop(page, "mail.eml",
		seal.composite(sealed.e, fake.locator(sealed)));
	await linkTrouble(page, "link-incomplete",
		/up to its last character, into the field.*empty the field/);
	for (const [wrong, kind, words] of [
		[other.link, "not-together", /link of the same mail/],
		["https://t.co/AbCdEf", "link-opaque", /Follow that link itself/],
		["nothing", "link-unknown", /Copy the whole link/]]) {
		await pasteLink(page, wrong);
		await page.getByLabel("Link from the mail").press("Enter");
		await page.locator(`[data-trouble=${kind}]`).waitFor();
		await linkTrouble(page, kind, words);
	}
	await pasteLink(page, "");
	await page.getByRole("button", { name: "Open" }).click();
	await openMessage(page);
	await close(page);
});

test("several sealed messages in one file: the person chooses", async () => {
	const both = ["first", "second"].map(text => send(plain({ text })).sealed);
	const file = Buffer.concat(both.map(sealed => Buffer.concat([
		Buffer.from("From alice@a.test Mon Nov 23 13:30:00 2026\n"),
		seal.composite(sealed.e, fake.locator(sealed)), Buffer.from("\n")])));
	const page = await newPage();

	await page.goto(`${url.reader}/`);
	await drop(page, "mails.mbox", file);
	await waitForState(page, ["several"]);
	assert.deepEqual(await page.locator(".several code").allInnerTexts(),
		both.map(({ keyId }) => seal.b64(keyId)));
	await picture(page, "several");
	await page.getByRole("button", { name: "Look at this one" }).nth(1).click();
	await openMessage(page);
	assert.equal((await (await frameOf(page, "text")).locator("body")
		.innerText()).trim(), "second");
	assert.deepEqual(both.map(eventsOf), [[], ["released", "opened"]]);
	/* A link that names one of them says which. */
	await page.goto(single);
	await pasteLink(page, fake.locator(both[0]));
	await drop(page, "mails.mbox", file);
	await askServer(page);
	await openMessage(page);
	assert.deepEqual(eventsOf(both[0]), ["released", "opened"]);
	await close(page);
});

test("a file that is not sealed", async () => {
	const { sealed } = send(plain());
	const whole = seal.composite(sealed.e, fake.locator(sealed));
	const page = await newPage();

	await page.goto(single);
	for (const [file, kind, words] of [
		[Buffer.from("nothing"), "not-sealed", /Save the mail.*\.eml/],
		[plain(), "mail-not-sealed", /no sealed message in this mail/],
		[plain({ text: fake.locator(sealed) }), "mail-emptied",
			/taken out.*Open the link in the mail/],
		[whole.subarray(0, -200), "file-cut", /not whole.*Open the link/]]) {
		await drop(page, "mail.eml", file);
		await expectTrouble(page, kind, words);
		if (kind !== "not-sealed")
			assert.doesNotMatch(await troubleText(page), /Save the mail/);
		await page.getByRole("button", { name: "Back" }).click();
		await waitForState(page, ["choose"]);
	}
	await close(page);
});

test("a file is chosen, or dropped, where the last one failed", async () => {
	const { sealed } = send(plain());
	const whole = seal.composite(sealed.e, fake.locator(sealed));
	const page = await newPage();

	for (const take of [choose, dropAnywhere]) {
		await page.goto(`${url.reader}/`);
		await drop(page, "mail.eml", Buffer.from("nothing"));
		await expectTrouble(page, "not-sealed", /not a sealed message/);
		await take(page, "mail.eml", whole);
		await waitForState(page, ["ready"]);
	}
	/* Nothing is done with one here, and the page is not left for it. */
	await dropAnywhere(page, "mail.eml", Buffer.from("nothing"));
	assert.equal(await page.locator("main").getAttribute("data-state"),
		"ready");
	await close(page);
});

test("a mail whose own link is lost: said at once, with what works",
	async () => {
		const { sealed } = send(plain());
		const page = await newPage();
		const mail = link => Buffer.from(seal.composite(sealed.e,
			fake.locator(sealed)).toString("latin1")
			.replace(/Counterfoil-Locator: .*\r\n/, "")
			.replace("A sealed message.", link), "latin1");
		const full = fake.locator(sealed);

		for (const [link, kind, words] of [
			[full.toLowerCase(), "mail-lowercase", /small letters/],
			[full.slice(0, -3), "mail-cut", /end of the link is missing/],
			["https://protect-eu.mimecast.com/s/AbCd", "mail-opaque",
				/Service: Mimecast.*Follow that link in the mail/s]]) {
			await page.goto(`${url.reader}/`);
			await drop(page, "mail.eml", mail(link));
			await linkTrouble(page, kind, words);
			await linkTrouble(page, kind,
				/another copy of the mail.*ask the sender for the link/s);
			assert.doesNotMatch(await page.getByRole("alert").innerText(),
				/Copy the whole link/);
		}
		await pasteLink(page, full);
		await page.getByRole("button", { name: "Open" }).click();
		await waitForState(page, ["ready"]);
		await close(page);
	});

/* --- form -------------------------------------------------------------------------- */

test("it fits a screen 320 pixels wide, light and dark", async () => {
	for (const colorScheme of ["light", "dark"]) {
		const { link } = send(offer({ stranger: url.stranger,
			from: "The Bank <help@bank.test>" }).message);
		const page = await newPage({ colorScheme,
			viewport: { width: 320, height: 640 } });
		const overflow = () => page.evaluate(() =>
			document.documentElement.scrollWidth - innerWidth);

		await page.goto(link);
		await waitForState(page, ["ready"]);
		assert.ok(await overflow() <= 0, "ready");
		await picture(page, `narrow-ready-${colorScheme}`);
		await openMessage(page);
		assert.ok(await overflow() <= 0, "opened");
		await picture(page, `narrow-opened-${colorScheme}`);
		await close(page);
		if (colorScheme === "light" || pictures === undefined)
			continue;
		const wide = await newPage({ colorScheme });

		await wide.goto(link);
		await waitForState(wide, ["ready"]);
		await picture(wide, "ready-dark");
		await openMessage(wide);
		await picture(wide, "opened-dark");
		await close(wide);
	}
});

test("it can be used with the keyboard alone", async () => {
	const { link } = send(offer({ stranger: url.stranger }).message);
	const page = await newPage();
	const tabTo = async matches => {
		for (let i = 0; i < 12; i++) {
			await page.keyboard.press("Tab");
			if (await page.evaluate(
				selector => document.activeElement?.matches(selector),
				matches))
				return;
		}
		throw new Error(`Tab does not lead to ${matches}`);
	};

	await page.goto(link);
	await waitForState(page, ["ready"]);
	await tabTo("#open");
	await page.keyboard.press("Enter");
	await waitForState(page, ["opened"]);
	await tabTo(".switch input");
	await page.keyboard.press("ArrowRight");
	assert.ok(await page.locator("iframe[data-part=text]").isVisible());
	assert.ok(!await page.locator("iframe[data-part=html]").isVisible());
	await picture(page, "opened-plain-tab");
	await close(page);
});

test("a large message opens", async () => {
	const data = randomBytes(20_000_000);
	const { link } = send(Buffer.concat([Buffer.from(
		"From: alice@a.test\r\nMIME-Version: 1.0\r\n"
		+ "Content-Type: application/zip\r\n"
		+ "Content-Disposition: attachment; filename=a.zip\r\n"
		+ "Content-Transfer-Encoding: base64\r\n\r\n"),
	Buffer.from(data.toString("base64").replace(/.{76}/g, "$&\r\n"))]));
	const page = await newPage();
	const out = join(temp, "large");

	await page.goto(link);
	await openMessage(page);
	assert.match(await page.locator("main").innerText(), /no text/);
	await saveAll(page, out);
	assert.ok(readFileSync(join(out, "attachments/a.zip")).equals(data));
	await close(page);
});

test("nothing is kept: no cookie, no storage", async () => {
	const { link } = send(plain());
	const page = await newPage();

	await page.goto(link);
	await openMessage(page);
	assert.deepEqual(await page.context().cookies(), []);
	assert.deepEqual(await page.evaluate(() =>
		[localStorage.length, sessionStorage.length]), [0, 0]);
	await close(page);
});

test("a page that loads without being touched releases nothing", async () => {
	const { sealed, link } = send(plain());
	const page = await newPage();

	await page.goto(link);
	await waitForState(page, ["ready"]);
	await aMoment(page);
	assert.deepEqual(eventsOf(sealed), []);
	await close(page);
});

/* --- the command -------------------------------------------------------------------- */

function openLink(...args)
{
	return new Promise(resolve => execFile(process.execPath,
		[...process.execArgv, join(here, "open-link.mjs"), "--ca", home,
			"--map", RULES, ...args],
		{ timeout: 240_000 }, (error, stdout, stderr) =>
			resolve({ code: error?.code ?? 0, stderr })));
}

test("open-link opens a link and writes what is in the message", async () => {
	const { message } = offer({ stranger: url.stranger });
	const { link } = send(message);
	const out = join(temp, "by-command");
	const { code, stderr } = await openLink("--link", link, "--out", out,
		"--screenshot", join(temp, "shot.png"));

	assert.equal(stderr, "");
	assert.equal(code, 0);
	assert.deepEqual(readFileSync(join(out, "original.eml")), message);
	assert.deepEqual(readdirSync(out).sort(), ["attachments", "html.html",
		"html.txt", "original.eml", "subject.txt", "text.txt"]);
	assert.ok(readFileSync(join(temp, "shot.png")).length > 1000);
});

test("open-link says why it failed", async () => {
	const { link } = send(plain());
	const { code, stderr } = await openLink("--link", link.slice(0, -3),
		"--out", join(temp, "by-command-2"));

	assert.equal(code, 1);
	assert.match(stderr, /^open-link: The link is incomplete .*\n$/);
});

await run();
await stop();
