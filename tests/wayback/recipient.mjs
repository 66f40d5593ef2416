// SPDX-License-Identifier: Apache-2.0
/*
 * recipient - what the page makes of files and links, for tests.
 *
 *   recipient.mjs read < LIST      its modules, without a browser
 *   recipient.mjs open URL < LIST  Chromium, on the page at URL
 *
 * LIST is JSON: [{file, link, url}, ...]; the answer is a list, too.  `read`
 * says what is found in the file.  `open` goes to `url`, or gives the page
 * the file, with the link if there is one, presses the button, and says where
 * that ends: {state, trouble, says, address, original (base64)}.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadPage } from "../browser/bundle.mjs";
import { launch, waitForState } from "../browser/driver.mjs";

const [how, start] = process.argv.slice(2);
const list = JSON.parse(readFileSync(0, "utf8"));
const temp = mkdtempSync(join(tmpdir(), "cf-wayback-"));

const linkOf = locator => locator === null ? null
	: `${locator.service}/k/${locator.handle}#${locator.token}`;

async function read()
{
	const { composite } = await loadPage(["composite"], temp);

	return list.map(({ file }) => {
		const found = composite.findSealed(new Uint8Array(readFileSync(file)));

		return { ...found, sealed: found.sealed.map(({ e, locator }) => ({
			e: createHash("sha256").update(e).digest("hex"),
			locator: linkOf(locator) })) };
	});
}

/* The original, as a person would save it. */
async function saved(page)
{
	const [download] = await Promise.all([page.waitForEvent("download"),
		page.locator("#save-eml").click()]);

	return readFileSync(await download.path()).toString("base64");
}

/* Where it ends: opened, or words for the person. */
async function outcome(page)
{
	const end = ["opened", "trouble", "several", "server"];
	const states = [...end, "ready"].map(state =>
		`main[data-state="${state}"]`);

	await page.locator([...states, "[data-trouble]"].join(", ")).first()
		.waitFor();
	const main = page.locator("main");
	const button = page.getByRole("button", { name: "Open the message" });

	if (await main.getAttribute("data-state") === "ready") {
		await button.click();
		await waitForState(page, end);
	}
	const state = await main.getAttribute("data-state");
	const trouble = state === "opened" ? null
		: page.locator("[data-trouble]").first();

	return { state, original: state === "opened" ? await saved(page) : null,
		says: await trouble?.innerText() ?? "",
		trouble: await trouble?.getAttribute("data-trouble") ?? null,
		address: page.url() };
}

async function open()
{
	const browser = await launch({});
	const answers = [];

	try {
		const page = await browser.newPage();

		page.setDefaultTimeout(120_000);
		for (const { file, link, url } of list) {
			/* Else only the fragment changes, and nothing is loaded. */
			await page.goto("about:blank");
			await page.goto(url ?? start);
			if (url === undefined) {
				await waitForState(page, ["choose"]);
				if (link !== undefined)
					await page.getByLabel("Link from the mail").fill(link);
				await page.locator("#file").setInputFiles(file);
			}
			answers.push(await outcome(page));
		}
	} finally {
		await browser.close();
	}
	return answers;
}

try {
	console.log(JSON.stringify(how === "read" ? await read() : await open()));
} finally {
	rmSync(temp, { recursive: true, force: true });
}
