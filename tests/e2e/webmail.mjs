// SPDX-License-Identifier: Apache-2.0
/*
 * webmail - what Roundcube shows of the first mail of a mailbox, for tests.
 *
 *   webmail.mjs URL USER PASSWORD PICTURE
 *
 * Logs in, opens the mail, saves its attachments, presses the notice's button
 * and the button of the page behind it, and has the mail shown as plain text.
 * The answer is JSON: {text, links, files: [{shown, kind, name, content
 * (base64)}], outside, opened, plain}; `kind` are the classes that the icon is
 * chosen by, `outside` what it asked other hosts for while it showed the mail,
 * `opened` the text on the page, `plain` the links in the plain text.
 */
import { readFileSync } from "node:fs";
import { frameOf, launch, openMessage } from "../browser/driver.mjs";

const [url, user, password, picture] = process.argv.slice(2);
const MAIL = `${url}/?_task=mail&_mbox=INBOX&_uid=1&_action=show`;
const NOTICE = "#messagebody .message-htmlpart";

async function content(page, click)
{
	const [download] = await Promise.all([page.waitForEvent("download"),
		click]);

	return { name: download.suggestedFilename(), content:
		readFileSync(await download.path()).toString("base64") };
}

async function logIn(page)
{
	await page.goto(url);
	await page.locator("#rcmloginuser").fill(user);
	await page.locator("#rcmloginpwd").fill(password);
	await page.locator("#rcmloginsubmit").click();
	await page.locator("#messagelist").waitFor();
}

async function files(page)
{
	const found = [];

	for (const item of await page.locator("#attachment-list > li").all()) {
		const name = item.locator("a.filename");

		found.push({ kind: await item.getAttribute("class"),
			shown: await name.innerText(),
			...await content(page, name.click()) });
	}
	return found;
}

/* The button of the notice, then that of the page. */
async function follow(page)
{
	const [popup] = await Promise.all([page.waitForEvent("popup"),
		page.locator(NOTICE).getByText("Go to the message").click()]);

	await openMessage(popup);
	const text = await frameOf(popup, "text");

	return text.locator("pre").evaluate(pre => pre.textContent);
}

const hrefs = links => links.evaluateAll(all => all.map(a => a.href));

async function plainLinks(page)
{
	await page.goto(`${MAIL}&_format=text`);
	await page.locator("#messagebody .message-part pre, "
		+ "#messagebody .message-part .pre").first().waitFor();
	return hrefs(page.locator("#messagebody a"));
}

const browser = await launch({});

try {
	const page = await browser.newPage({
		viewport: { width: 1200, height: 1000 } });
	const outside = [];

	page.setDefaultTimeout(120_000);
	await logIn(page);
	page.on("request", request => {
		if (!request.url().startsWith(url) && !/^(data|blob):/.test(
			request.url()))
			outside.push(request.url());
	});
	await page.goto(MAIL);
	const notice = page.locator(NOTICE);

	await notice.waitFor();
	await page.screenshot({ path: picture });
	console.log(JSON.stringify({ text: await notice.innerText(),
		links: await hrefs(notice.locator("a")),
		files: await files(page), outside: [...outside],
		opened: await follow(page), plain: await plainLinks(page) }));
} finally {
	await browser.close();
}
