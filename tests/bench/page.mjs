// SPDX-License-Identifier: Apache-2.0
/*
 * page - how long a person waits for a message on a slow line.
 *
 *   page.mjs LINK HOME RULES
 *
 * HOME: folder with .pki/nssdb; RULES: Chromium's host resolver rules.
 * Prints {"ready": SECONDS from the link to the button, "text": SECONDS from
 * the click to the text of the message}.
 */
import { launch, waitForState } from "../browser/driver.mjs";

const LINE = { offline: false, latency: 150,
	downloadThroughput: 1_600_000 / 8, uploadThroughput: 750_000 / 8 };
const [link, home, hostRules] = process.argv.slice(2);
const browser = await launch({ home, hostRules });

try {
	const page = await (await browser.newContext()).newPage();
	const line = await page.context().newCDPSession(page);

	await line.send("Network.enable");
	await line.send("Network.emulateNetworkConditions", LINE);
	const began = performance.now();

	await page.goto(link, { waitUntil: "commit" });
	const state = await waitForState(page, ["ready", "trouble"]);
	const ready = performance.now();

	if (state !== "ready")
		throw new Error("the page is in trouble");
	await page.getByRole("button", { name: "Open the message" }).click();
	if (await waitForState(page, ["opened", "trouble"]) !== "opened")
		throw new Error("the page is in trouble after the click");
	const text = performance.now();

	console.log(JSON.stringify({ ready: (ready - began) / 1000,
		text: (text - ready) / 1000 }));
} catch (error) {
	console.error(`page: ${String(error.message).split("\n")[0]}`);
	process.exitCode = 1;
} finally {
	await browser.close();
}
