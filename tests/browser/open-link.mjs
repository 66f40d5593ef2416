#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/*
 * open-link - open a sealed message in a headless Chromium, as a person
 * would: follow the link, press the button, save what there is.
 *
 *   open-link.mjs --link URL --out DIR [--ca HOME] [--screenshot FILE]
 *                 [--before FILE] [--map RULES] [--timeout SECONDS]
 *
 * --ca: folder with .pki/nssdb, the authorities Chromium is to trust.
 * --map: Chromium's host resolver rules, "MAP keys.test 127.0.0.1".
 * --before: a screenshot of the page before the button is pressed.
 * Exit status 0 when the message was opened; 1, with the reason in one
 * sentence on standard error, when not; 2 for wrong arguments.
 */
import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { fullPicture, launch, openMessage, saveAll, waitForState }
	from "./driver.mjs";

const string = { type: "string" };

function options()
{
	try {
		const { values } = parseArgs({ options: { link: string, out: string,
			ca: string, screenshot: string, before: string, map: string,
			timeout: string } });

		if (values.link === undefined || values.out === undefined)
			throw new Error("--link and --out are needed");
		return values;
	} catch (error) {
		console.error(`open-link: ${error.message}`);
		process.exit(2);
	}
}

const { link, out, ca, screenshot, before, map, timeout = "180" } = options();
const limit = Number(timeout) * 1000;
let browser;
let page;

try {
	await mkdir(out, { recursive: true });
	browser = await launch({ home: ca, hostRules: map });
	const context = await browser.newContext({
		viewport: { width: 1100, height: 900 }, acceptDownloads: true });

	context.setDefaultTimeout(limit);
	page = await context.newPage();
	await page.goto(link);
	if (before !== undefined) {
		await waitForState(page, ["ready", "trouble"], limit);
		await fullPicture(page, before);
	}
	await openMessage(page, limit);
	await saveAll(page, out);
} catch (error) {
	console.error(`open-link: ${String(error.message).split("\n")[0]}`);
	process.exitCode = 1;
} finally {
	if (screenshot !== undefined && page !== undefined)
		await fullPicture(page, screenshot).catch(() => {});
	await browser?.close();
}
