// SPDX-License-Identifier: Apache-2.0
/*
 * driver - what a person does with the page, done by a program.
 *
 * Works against any reader and key server.  Needs: chromium,
 * playwright-core.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { chromium } from "playwright-core";

/* Nothing of Chromium's own goes to the network, nor what is for us. */
const QUIET = ["--disable-background-networking", "--disable-component-update",
	"--disable-sync", "--disable-quic", "--no-first-run", "--disable-gpu",
	"--disable-default-apps", "--disable-domain-reliability",
	"--no-default-browser-check", "--metrics-recording-only",
	"--no-proxy-server"];

/*
 * home: a folder whose .pki/nssdb holds the trusted authorities, or none.
 * hostRules: for example "MAP *.test 127.0.0.1".  netLog: a file for all
 * that it does on the network.  profile: a folder; with it one context of a
 * browser as people have it is given, which connects ahead of a request
 * where it is told to: those of tests do not.
 */
export function launch({ home, hostRules, netLog, profile,
	executablePath } = {})
{
	const args = [...QUIET];

	if (hostRules !== undefined)
		args.push(`--host-resolver-rules=${hostRules}`);
	if (netLog !== undefined)
		args.push(`--log-net-log=${netLog}`);
	const given = {
		executablePath: executablePath ?? "/usr/bin/chromium",
		args, chromiumSandbox: process.getuid?.() !== 0,
		timeout: 180_000,
		env: { ...process.env, ...home === undefined ? {} : { HOME: home } },
	};

	return profile === undefined ? chromium.launch(given)
		: chromium.launchPersistentContext(profile, given);
}

/* Wait until the page is in one of the states; says which. */
export async function waitForState(page, states, timeout = 120_000)
{
	const main = page.locator(states
		.map(state => `main[data-state="${state}"]`).join(", "));

	await main.waitFor({ state: "attached", timeout });
	return main.getAttribute("data-state");
}

/* What the page says when something is wrong, as one line. */
export async function troubleText(page)
{
	const lines = await page.locator("[data-trouble]").innerText();

	return lines.split("\n").map(line => line.trim())
		.filter(line => line !== "" && line !== "!").join(" ");
}

/* Press the button and wait; throws with the page's words on trouble. */
export async function openMessage(page, timeout = 120_000)
{
	if (await waitForState(page, ["ready", "trouble"], timeout) === "trouble")
		throw new Error(await troubleText(page));
	await page.getByRole("button", { name: "Open the message" }).click();
	if (await waitForState(page, ["opened", "trouble"], timeout) === "trouble")
		throw new Error(await troubleText(page));
	await page.locator("#receipt[data-recorded]").waitFor({ timeout });
}

/* The document within the frame that shows the text or the HTML. */
export async function frameOf(page, part)
{
	const element = page.locator(`iframe[data-part="${part}"]`);

	if (await element.count() === 0)
		return null;
	const frame = await (await element.elementHandle()).contentFrame();

	await frame.waitForLoadState("load");
	return frame;
}

async function save(page, link, file)
{
	const [download] = await Promise.all([
		page.waitForEvent("download", { timeout: 180_000 }), link.click()]);

	await download.saveAs(file);
	return download.suggestedFilename();
}

/*
 * Everything the opened page gives, into `out`: subject.txt, text.txt,
 * html.txt (as it reads), html.html (as it is shown), attachments/*,
 * original.eml.
 */
export async function saveAll(page, out)
{
	const files = join(out, "attachments");
	const text = await frameOf(page, "text");
	const html = await frameOf(page, "html");
	const links = page.locator("a[data-file]");

	await mkdir(files, { recursive: true });
	await writeFile(join(out, "subject.txt"),
		await page.locator('article[aria-label="Message"] h1')
			.evaluate(h => h.textContent));
	if (text !== null)
		await writeFile(join(out, "text.txt"),
			await text.locator("pre").evaluate(pre => pre.textContent));
	if (html !== null) {
		await writeFile(join(out, "html.txt"),
			await html.locator("body").evaluate(body => body.innerText));
		await writeFile(join(out, "html.html"),
			await html.locator("body").evaluate(body => body.innerHTML));
	}
	for (const link of await links.all()) {
		const name = basename(await link.getAttribute("data-file"));

		await save(page, link, join(files, name));
	}
	await save(page, page.locator("#save-eml"), join(out, "original.eml"));
}

/*
 * A picture of the whole page.  The window is made as high as the page
 * first: Chromium does not paint frames that are out of sight.
 */
export async function fullPicture(page, path)
{
	const size = page.viewportSize();
	const height = await page.evaluate(
		() => document.documentElement.scrollHeight);

	await page.setViewportSize({ ...size,
		height: Math.min(Math.max(height, size.height), 8000) });
	await page.evaluate(() => new Promise(resolve =>
		requestAnimationFrame(() => requestAnimationFrame(resolve))));
	await page.screenshot({ path });
	await page.setViewportSize(size);
}
