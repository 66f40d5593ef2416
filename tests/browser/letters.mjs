// SPDX-License-Identifier: Apache-2.0
/* letters - messages for the browser tests. */
import { randomBytes } from "node:crypto";

export const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGM4Yc"
	+ "QARAwQCgAdcAPhqzsCagAAAABJRU5ErkJggg==";

const lines = bytes => bytes.toString("base64").replace(/.{1,76}/g, "$&\r\n");

/* An offer with HTML, an inline picture and two attachments. */
export function offer({ stranger = "https://stranger.invalid",
	from = "Alice Ångström <alice@a.test>" } = {})
{
	const data = randomBytes(200_000);
	const html = `<html><head><title>t</title><style>td{padding:4px 14px 4px 0}
h2{color:#1f4e79;font-weight:600} @import url(${stranger}/import.css);
body{background:url(${stranger}/css.png)}</style>
<script>parent.document.title='script ran'</script>
<meta http-equiv="refresh" content="0;url=${stranger}/refresh">
<link rel="stylesheet" href="${stranger}/style.css">
<base href="${stranger}/base/"></head>
<body onload="parent.postMessage('onload ran','*')">
<h2>Offer 17</h2>
<p>Dear Bob,</p><p>as agreed on the telephone, here is our offer for the
<b>two looms</b>, valid until the end of December.</p>
<table><tr><td>Loom, oak</td><td>2 ×</td><td>€ 4 200</td></tr>
<tr><td>Delivery to Göteborg</td><td></td><td>€ 310</td></tr></table>
<p><img src="cid:pixel@a.test" width="120" height="40" alt="logo">
<img src="${stranger}/tracker.gif" width="1" height="1" alt="">
<img src=x onerror="parent.document.title='onerror ran'">
<a href="${stranger}/terms">Our terms</a>
<a href="javascript:parent.document.title='link ran'">bad link</a></p>
<div style="background:url('${stranger}/inline.png')">With kind regards,<br>
Alice Ångström</div>
<form action="${stranger}/form"><input name="a"><button>go</button></form>
<iframe src="${stranger}/frame"></iframe>
<object data="${stranger}/object"></object>
<video src="${stranger}/video" poster="${stranger}/poster" autoplay></video>
<svg><script>parent.document.title='svg ran'</script></svg>
</body></html>`;
	const message = Buffer.concat([Buffer.from([
		"Received: from a by b;\r\n\tMon, 23 Nov 2026 13:30:00 +0000",
		"Received: from c by a",
		`From: ${from}`,
		"To: Bob <bob@b.test>",
		"Subject: =?utf-8?q?Offer_17_=E2=80=94_two?=\r\n =?utf-8?q?_looms?=",
		"Date: Mon, 23 Nov 2026 13:30:00 +0000",
		"Message-ID: <offer-17@a.test>",
		"MIME-Version: 1.0",
		"Content-Type: multipart/mixed;\r\n boundary=\"mixed\"",
		"", "preamble", "--mixed",
		"Content-Type: multipart/alternative; boundary=alt", "",
		"--alt", "Content-Type: text/plain; charset=iso-8859-1",
		"Content-Transfer-Encoding: 8bit", "", ""].join("\r\n")),
	Buffer.from("Dear Bob,\r\n\r\nas agreed, our offer for two looms to"
		+ " G\xf6teborg.\r\n.\r\n<b>not bold</b>\r\n\r\nAlice", "latin1"),
	Buffer.from(["",
		"--alt", "Content-Type: multipart/related; boundary=rel", "",
		"--rel", "Content-Type: text/html; charset=utf-8",
		"Content-Transfer-Encoding: base64", "",
		lines(Buffer.from(html)) + "--rel", "Content-Type: image/png",
		"Content-ID: <pixel@a.test>", "Content-Transfer-Encoding: base64",
		"Content-Disposition: inline; filename=pixel.png", "",
		PIXEL, "--rel--", "", "--alt--", "",
		"--mixed", "Content-Type: application/pdf; name=\"terms.pdf\"",
		"Content-Disposition: attachment; filename=\"../terms.pdf\"",
		"Content-Transfer-Encoding: base64", "",
		lines(data) + "--mixed", "Content-Type: message/rfc822",
		"Content-Disposition: attachment", "",
		"From: eve@elsewhere.test", "Subject: inner", "", "inner text",
		"--mixed--", "no final newline"].join("\r\n"))]);

	return { message, data };
}

export function plain({ from = "alice@a.test", text = "Hello Bob." } = {})
{
	return Buffer.from(`From: ${from}\r\nTo: bob@b.test\r\nSubject: Hello\r\n`
		+ "Date: Mon, 23 Nov 2026 13:30:00 +0000\r\nMIME-Version: 1.0\r\n"
		+ `Content-Type: text/plain; charset=utf-8\r\n\r\n${text}\r\n`);
}

/* HTML alone, with the picture that "cid:i1@a.test" names. */
export function htmlLetter(html, { subject = "Hello" } = {})
{
	return Buffer.from([
		"From: alice@a.test", "To: bob@b.test", `Subject: ${subject}`,
		"Date: Mon, 23 Nov 2026 13:30:00 +0000", "MIME-Version: 1.0",
		"Content-Type: multipart/related; boundary=rel", "",
		"--rel", "Content-Type: text/html; charset=utf-8",
		"Content-Transfer-Encoding: base64", "",
		lines(Buffer.from(html)) + "--rel", "Content-Type: image/png",
		"Content-ID: <i1@a.test>", "Content-Transfer-Encoding: base64",
		"Content-Disposition: inline", "", PIXEL, "--rel--", ""].join("\r\n"));
}
