// SPDX-License-Identifier: Apache-2.0
/*
 * world - a browser, and a fake reader and key server for its page.
 *
 * With CF_SCREENSHOTS=DIR pictures of the screens are left there.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeAuthority } from "./authority.mjs";
import { fullPicture, launch, openMessage } from "./driver.mjs";
import { assetPath, startFake } from "./fake.mjs";
import * as seal from "./seal.mjs";

export const here = dirname(fileURLToPath(import.meta.url));
export const web = join(here, "../../common/web");
export const temp = mkdtempSync(join(tmpdir(), "cf-page-"));
export const pictures = process.env["CF_SCREENSHOTS"];
export const RULES = "MAP *.test 127.0.0.1";

const names = { reader: "reader.test", keys: "keys.test",
	foreignKeys: "foreign.test", stranger: "stranger.test",
	plainReader: "reader.test", plainKeys: "127.0.0.1" };
const authority = makeAuthority(temp, [...new Set(Object.values(names))]);

export const { home } = authority;
export const fake = await startFake({ web, tls: authority.tls, names });

let browser;

/* What the browser complains about on a page is collected. */
export function heard(page)
{
	page.complaints = [];
	page.on("pageerror", error => page.complaints.push(String(error)));
	return page;
}

/*
 * A page of its own.  Dates are shown by the clock of the place: it is the
 * same for all who test.
 */
export async function newPage(given = {})
{
	browser ??= await launch({ home, hostRules: RULES });
	const context = await browser.newContext({ timezoneId: "UTC",
		viewport: { width: 1000, height: 900 }, ...given });

	context.setDefaultTimeout(120_000);
	return heard(await context.newPage());
}

export const close = page => page.context().close();

/*
 * Time for what a page might do by itself, after it is loaded.  Playwright's
 * "networkidle" would ask for more and sometimes never comes: a request that
 * is blocked may be without an end.
 */
export const aMoment = page => page.evaluate(
	() => new Promise(resolve => setTimeout(resolve, 1000)));

export async function picture(page, name)
{
	if (pictures !== undefined)
		await fullPicture(page, join(pictures, `${name}.png`));
}

export const readerLink = (sealed, locator, reader = fake.url.reader) =>
	`${reader}/m/${sealed.blob}#${seal.readerFragment(locator, reader)}`;

/* A message registered and stored, and its link. */
export function send(message, { sealing, given, service } = {})
{
	const sealed = seal.seal(seal.addM(message,
		{ outer: ["From: alice@a.test"] }), sealing);
	const key = fake.register(sealed, given);

	return { sealed, key,
		link: readerLink(sealed, fake.locator(sealed, service)) };
}

/* A message, open on a page of its own. */
export async function opened(message, given)
{
	const page = await newPage(given);

	await page.goto(send(message).link);
	await openMessage(page);
	return page;
}

/*
 * Lets `page` go to one under the reader's policy where HTML is shown as
 * messages are: show(html) there makes one frame more.  `how` "unsanitised":
 * what DOMPurify returns is the HTML as it came; "bare": the frame has the
 * HTML as it came, whatever is in it.
 */
export async function stand(page, how = "sanitised")
{
	const esbuild = createRequire(join(web, "package.json"))("esbuild");
	const untouched = join(temp, "untouched.mjs");

	writeFileSync(untouched, "export default { addHook() {},"
		+ " removeAllHooks() {}, sanitize: html => html.outerHTML ?? html };");
	const { outputFiles } = await esbuild.build({
		stdin: {
			contents: `import { fit } from "./src/fit";
import { frameFor, htmlDocument } from "./src/frames";
window.show = html => new Promise(resolve => {
	const head = htmlDocument("", []).html.split("</head>")[0];
	const frame = frameFor(${how !== "bare" ? "htmlDocument(html, [])"
		: "{ html: head + '</head>' + html }"}, "A message", "html");
	const holder = document.createElement("div");

	fit(frame);
	frame.addEventListener("load", () => resolve(), { once: true });
	holder.append(frame);
	document.body.append(holder);
});`,
			resolveDir: web, loader: "js",
		},
		bundle: true, format: "iife", write: false, target: "es2021",
		alias: how !== "unsanitised" ? {} : { dompurify: untouched },
	});

	fake.state.more.set(`/${how}.js`, outputFiles[0].text);
	fake.state.more.set(`/${how}`, "<!doctype html><html><head><title>stand"
		+ "</title><link rel=stylesheet href="
		+ `${assetPath(fake.state.dist, "css")}></head>`
		+ `<body class=message><script src=/${how}.js></script></body>`);
	await page.goto(`${fake.url.reader}/${how}`);
}

export async function stop()
{
	await browser?.close();
	await fake.stop();
	rmSync(temp, { recursive: true, force: true });
}
