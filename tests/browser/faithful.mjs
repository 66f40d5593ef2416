#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/*
 * faithful - a message on the page looks as it was sent: attributes and
 * styles, layout, height, direction of writing, and on paper.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { frameOf } from "./driver.mjs";
import { htmlLetter, PIXEL, plain } from "./letters.mjs";
import { assert, run, test } from "./tap.mjs";
import { close, fake, newPage, opened, stand, stop, temp }
	from "./world.mjs";

/* --- attributes ------------------------------------------------------------- */

/* Where an element can stand, for those that cannot stand anywhere. */
const WITHIN = {
	caption: "<table>@</table>", colgroup: "<table>@</table>",
	col: "<table><colgroup>@</colgroup></table>",
	thead: "<table>@</table>", tbody: "<table>@</table>",
	tfoot: "<table>@</table>", tr: "<table>@</table>",
	td: "<table><tr>@</tr></table>", th: "<table><tr>@</tr></table>",
	li: "<ul>@</ul>", dt: "<dl>@</dl>", dd: "<dl>@</dl>",
	summary: "<details>@</details>", area: "<map name=m>@</map>",
};
const VOID = /^(area|br|col|hr|img|wbr)$/;

/* Elements, then attributes as mail programs and newsletters write them. */
const ATTRIBUTES = [
	["table", "border=1 cellpadding=8 cellspacing=0 width=400 height=10%"
		+ " align=center bgcolor=#ffffcc frame=box rules=all"
		+ " bordercolor=navy summary='Prices: all' dir=rtl hspace=3 vspace=4"
		+ " bordercolorlight=#eeeeee bordercolordark=#111111 cols=3"
		+ " role=presentation"],
	["td th", "colspan=3 rowspan=2 align=right valign=top width=50% height=40"
		+ " bgcolor=lightblue nowrap='' abbr='Q1: all' axis=time char=."
		+ " charoff=2 scope=col headers='h1 h2'"],
	["tr thead tbody tfoot", "align=center valign=baseline bgcolor=#eee"
		+ " char=, charoff=1"],
	["col colgroup", "span=2 width=0* align=char valign=middle char=:"],
	["caption", "align=bottom"],
	["p div h1 h2 h3 h4 h5 h6 center", "align=justify dir=rtl lang=he"
		+ " title='Note: see below' id=title class='MsoNormal a:b'"],
	["ol", "start=5 type=a reversed='' compact=''"],
	["ul dl dir menu", "type=square compact=''"],
	["li", "value=7 type=I"],
	["dt dd span b i u s em strong small big sub sup tt code kbd samp var"
		+ " cite q abbr acronym dfn mark bdi bdo address article section"
		+ " header footer nav aside main figure figcaption pre strike"
		+ " nobr", "dir=rtl lang=ar-EG title=x translate=no id=body"
		+ " xml:lang=en data-ogsc=black aria-label='a: b' hidden=''"],
	["img", "width=200 height=60 border=0 hspace=5 vspace=6 align=left"
		+ " alt='Logo: a' usemap=#m ismap='' name=links decoding=async"],
	["map", "name=m2"],
	["area", "shape=rect coords=0,0,9,9 nohref='' alt=x"],
	["hr", "size=3 width=80% align=left noshade='' color=red"],
	["br", "clear=all"],
	["font", "face='Arial,Helvetica' size=+2 color=#ffffff"],
	["blockquote", "type=cite cite=mid:m1@a.test dir=auto"],
	["ins del", "cite=https://a.test/ datetime=2026-11-29T03:00:00Z"],
	["time", "datetime=PT2H30M"],
	["a", "name=top hreflang=en type=text/html charset=utf-8 rev=made"
		+ " shape=circle coords=1,2,3 title='Re: it'"],
	["p a td table font", "title='see ]> a --> b </style> --!> </title'"
		+ " class='a]>b'"],
	["img", "alt='Confirm --> here </textarea> </xmp>'"],
	["details", "open=''"],
	["summary", "title=more"],
	["marquee", "behavior=slide direction=up loop=1 scrollamount=0"
		+ " scrolldelay=9 truespeed=''"],
	["pre", "width=80 wrap=soft"],
	["div", "itemscope='' itemtype=http://schema.org/Order itemprop=name"
		+ " itemid=urn:x:1 itemref=a draggable=false spellcheck=false"],
];

const attributesOf = text => [...text.matchAll(/([\w:-]+)=(?:'([^']*)'|(\S*))/g)]
	.map(([, name, quoted, bare]) => [name, quoted ?? bare]);

test("every attribute that is no address stays as it was sent", async () => {
	const rows = ATTRIBUTES.flatMap(([tags, text]) => tags.split(" ")
		.flatMap(tag => attributesOf(text)
			.map(([name, value]) => ({ tag, name, value }))));
	const html = rows.map(({ tag, name, value }, i) => (WITHIN[tag] ?? "@")
		.replace("@", () => `<${tag} data-row=${i} ${name}="${value}">${
			VOID.test(tag) ? "" : `x</${tag}>`}`));
	const page = await opened(htmlLetter(`<!doctype html><html><body>${
		html.join("\n")}</body></html>`));
	const frame = await frameOf(page, "html");
	const got = await frame.evaluate(names => names.map((name, i) =>
		document.querySelector(`[data-row="${i}"]`)?.getAttribute(name)),
	rows.map(({ name }) => name));

	assert.ok(rows.length > 400, "the table is there");
	assert.deepEqual(rows.map((row, i) => ({ ...row, value: got[i] }))
		.filter(({ value }, i) => value !== rows[i].value), []);
	await close(page);
});

test("what stands at <html> and <body> is theirs on the page too", async () => {
	const attributes = "dir=rtl bgcolor=#fedcba text=#102030 link=red vlink=green"
		+ " alink=blue topmargin=0 leftmargin=1 marginwidth=2 marginheight=3"
		+ " rightmargin=4 bottommargin=5 id=body class=mail";
	const page = await opened(htmlLetter("<html dir=rtl lang=he"
		+ ` xml:lang=he><head></head><body ${attributes}>x</body></html>`));
	const frame = await frameOf(page, "html");
	const got = await frame.evaluate(() => [document.documentElement,
		document.body].map(element => Object.fromEntries(
		[...element.attributes].map(({ name, value }) => [name, value]))));

	assert.deepEqual([got[0].dir, got[0].lang, got[0]["xml:lang"]],
		["rtl", "he", "he"]);
	for (const [name, value] of attributesOf(attributes))
		assert.equal(got[1][name], value, name);
	await close(page);
});

test("addresses are held to the list", async () => {
	const bad = `${fake.url.stranger}/x.gif`;
	const page = await opened(htmlLetter(`
<a href="https://a.test/" class=k>1</a><a href="mailto:a@a.test" class=k>2</a>
<a href="tel:+49" class=k>3</a><a href="#p" class=k>4</a>
<a href="javascript:alert(1)">5</a><a href="data:text/html,x">6</a>
<a href="file:///etc/passwd">7</a><a href="intent://x">8</a>
<a href="//a.test/">9</a><a href="/m/x">10</a><a href="vbscript:x">11</a>
<a href="&#1;javascript:x">12</a><a ping="${bad}" href="#a" class=k>13</a>
<a xlink:href="${bad}">14</a><table background="${bad}"><td background="${bad}">
<img src="${bad}" srcset="${bad} 2x" lowsrc="${bad}" dynsrc="${bad}"
longdesc="${bad}"></table><p action="${bad}" formaction="${bad}" src="${bad}"
poster="${bad}" data="${bad}" codebase="${bad}" profile="${bad}"
manifest="${bad}" archive="${bad}" icon="${bad}">x</p>`));
	const frame = await frameOf(page, "html");
	const left = await frame.evaluate(() => [...document.body
		.querySelectorAll("*")].flatMap(element => [...element.attributes]
		.filter(({ name }) => !/^(class|target|rel)$/.test(name))
		.map(({ name, value }) => `${element.className}${name}=${value}`)));

	assert.deepEqual(left, ["khref=https://a.test/", "khref=mailto:a@a.test",
		"khref=tel:+49", "khref=#p", "khref=#a"]);
	await close(page);
});

test("style sheets and style attributes work", async () => {
	const page = await opened(htmlLetter(`<html><head>
<style type="text/css"><!--
/* Font Definitions <b> */
p.MsoNormal {margin:0cm; font-size:11.0pt; color:#010203}
#title {border-left:5px solid red}
--></style><style media="print">p.MsoNormal {font-size:50pt}</style>
<style media="screen and (max-width:5000px)">p {letter-spacing:3px}</style>
</head><body style="margin:0;background:#eef">
<style>td {padding:7px} td::after {content:"<td>"}</style>
<p class=MsoNormal id=title style="text-indent:9px; mso-fareast-language:x">a</p>
<table><tr><td data-ogsc=x>b</td></tr></table></body></html>`));
	const frame = await frameOf(page, "html");
	const got = await frame.evaluate(() => {
		const p = getComputedStyle(document.querySelector("p"));
		const td = document.querySelector("td");

		return [p.marginTop, p.color, p.borderLeftWidth, p.letterSpacing,
			p.textIndent, p.fontSize, getComputedStyle(td).paddingTop,
			getComputedStyle(td, "::after").content,
			getComputedStyle(document.body).backgroundColor];
	});

	assert.deepEqual(got, ["0px", "rgb(1, 2, 3)", "5px", "3px", "9px",
		"14.6667px", "7px", "\"<td>\"", "rgb(238, 238, 255)"]);
	await close(page);
});

test("what was not loaded is counted, what is only named is not", async () => {
	const page = await opened(htmlLetter(`<style>/* from http://a.invalid/ */
@import "https://b.invalid/b.css"; p{background:url(//c.invalid/c.png)}</style>
<table background="https://d.invalid/d.png"><td><p style="background:url(
'https://e.invalid/e.png')" title="https://f.invalid/">x</p></table>
<img src="https://g.invalid/g.png"><a href="https://h.invalid/">x</a>`));

	assert.match(await page.locator("#remote").innerText(),
		/^5 pictures or fonts from elsewhere were not loaded/);
	await close(page);
	const none = await opened(htmlLetter("<a href=https://h.invalid/>x</a>"));

	assert.equal(await none.locator("#remote").count(), 0);
	await close(none);
});

test("what can be read is there, whatever it stands in", async () => {
	const page = await opened(htmlLetter(`<p>a<xmp>b<b>"
 c</xmp><noscript><p>d</p></noscript><listing>e
  f</listing><svg width=9 height=9><text y=5>g</text></svg>
<math><mfrac><mn>1</mn><mn id=n href="https://h.invalid/">2</mn></mfrac></math>
<select><option>no<option selected>h</select> <input value="i 1">
<input type=checkbox checked>j<input type=radio>k<input type=hidden value=no>
<input type=password value=no><textarea>l
m</textarea> <button>n</button><plaintext>o <p>`));
	const frame = await frameOf(page, "html");
	const text = await frame.locator("body").innerText();

	assert.deepEqual(text.split(/\s+/).join(" "),
		"a b<b>\" c d e f g 1 2 h i 1 \u2611j\u25cbk l m n o <p>");
	assert.deepEqual(await frame.locator("#n").evaluate(n =>
		[n.namespaceURI.slice(-6), n.hasAttribute("href")]),
	["MathML", false]);
	assert.equal(await frame.locator("input,select,textarea,svg").count(), 0);
	await close(page);
});

test("a query for the window's height or shape is answered by the window",
	async () => {
		const page = await opened(htmlLetter(`<style>
@media (max-height:500px){p{letter-spacing:9px}}
@media screen and (orientation:landscape) {p{font-size:40px}}
@media (min-aspect-ratio:2/1){p{letter-spacing:8px}}
@media (min-height:calc(100px + 1px)){p{text-indent:7px}}
@media (width<2000px) and (100px<width){p{padding-left:6px}}
div{height:50cqh}</style><p>a</p><div>b</div>`));
		const frame = await frameOf(page, "html");

		assert.deepEqual(await frame.locator("p").evaluate(p => {
			const style = getComputedStyle(p);

			return [style.letterSpacing, style.fontSize, style.textIndent,
				style.paddingLeft, document.querySelector("div").offsetHeight];
		}), ["normal", "40px", "7px", "6px", 450]);
		await close(page);
	});

/* A letter whose one file has these fields. */
const withFile = (html, ...fields) => Buffer.from(htmlLetter(html).toString()
	.replace(/Content-Type: image\/png\r\nContent-ID: <i1@a.test>/,
		fields.join("\r\n")));

test("pictures in the message are shown, whatever it calls them", async () => {
	for (const [source, ...fields] of [
		["cid:i1@a.test", "Content-Type: image/x-png",
			"Content-ID: <i1@a.test> (logo)"],
		["CID:i1@a.test", "Content-Type: application/octet-stream; name=l.png",
			"Content-ID: i1@a.test"],
		["l.png", "Content-Type: image/pjpeg", "Content-Location: l.png"],
		["https://a.invalid/l.png", "Content-Type: image/png",
			"Content-Location: https://a.invalid/l.png"],
	]) {
		const page = await opened(withFile(`<img src="${source}" width=9>
<table background="${source}"><td>x</table>`, ...fields));
		const frame = await frameOf(page, "html");

		assert.deepEqual(await frame.evaluate(() => [
			document.querySelector("img").naturalWidth,
			getComputedStyle(document.querySelector("table")).backgroundImage
				.slice(0, 20)]), [2, "url(\"data:image/png;"], source);
		assert.equal(await page.locator("#remote, a[data-file]").count(), 0);
		await close(page);
	}
	const page = await opened(Buffer.from(withFile("<img src=cid:i1@a.test>x",
		"Content-Type: image/png", "Content-ID: <i1@a.test>")
		.toString().replace(PIXEL, "PGI+aGk8L2I+")));

	assert.equal(await page.locator("#remote").count(), 0);
	assert.equal(await page.locator("a[data-file]").count(), 1);
	await close(page);
});

test("a file that the HTML names and does not show stays in the list",
	async () => {
		for (const html of ["<p style='display: none'><img src=cid:i1@a.test>",
			"<img hidden src=cid:i1@a.test>",
			"<style>.no{background:url(cid:i1@a.test)}</style>"]) {
			const page = await opened(htmlLetter(`${html}<p>x`));

			assert.equal(await page.locator("a[data-file]").count(), 1, html);
			await close(page);
		}
	});

/* --- layout ------------------------------------------------------------------ */

const FIGURES = `<html><body dir="ltr"><table border="1" cellpadding="8"
cellspacing="0" width="400" bgcolor="#ffffcc"><tr><th colspan="3"
align="center" bgcolor="#004488"><font color="#ffffff" size="5">Quarterly
figures</font></th></tr><tr><td rowspan="2" valign="top">Region</td>
<td align="right">Q1</td><td align="right">Q2</td></tr><tr><td align="right"
nowrap>1 200</td><td align="right">1 350</td></tr></table>
<p align="right">right aligned</p><p dir="rtl" lang="he">שלום (1200 EUR).</p>
<ol start="5" type="a"><li>fifth</li><li value=9>ninth</li></ol>
<img src="cid:i1@a.test" width="200" height="60" alt="logo">
<hr width="50%" align=left size=4></body></html>`;
const WORD = `<html xmlns:o="urn:schemas-microsoft-com:office:office"><head>
<meta charset=utf-8><style><!-- @page WordSection1 {margin:70pt}
p.MsoNormal, li.MsoNormal {margin:0cm;margin-bottom:8pt;line-height:107%;
font-size:11.0pt;font-family:"Calibri",sans-serif} div.WordSection1
{page:WordSection1} --></style></head><body lang=DE link="#0563C1">
<div class=WordSection1><p class=MsoNormal>Hallo Bob,<o:p></o:p></p>
<p class=MsoNormal style='margin-left:36pt;text-indent:-18pt'>1.<span
style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp;&nbsp; </span>erstens</p>
<table class=MsoTableGrid border=1 cellspacing=0 cellpadding=0
style='border-collapse:collapse;border:none'><tr><td width=302 valign=top
style='width:226.5pt;border:solid windowtext 1pt;padding:0 5.4pt 0 5.4pt'>
<p class=MsoNormal>A</p></td><td width=302 style='width:226.5pt'>
<p class=MsoNormal align=right style='text-align:right'>B</p></td></tr>
</table></div></body></html>`;
const NEWSLETTER = `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd"><html><head><style>
body{margin:0;padding:0;width:100%!important} #footer{font-size:11px}
@media only screen and (max-width:480px){.col{display:block!important;
width:100%!important}}</style></head><body bgcolor="#eeeeee" text="#333333">
<center><table width="600" cellpadding="0" cellspacing="0" border="0"
align="center" bgcolor="white"><tr><td height="80" align="center"
valign="middle" colspan="2"><b>Head</b></td></tr><tr><td class="col"
width="200" valign="bottom" bgcolor="#dddddd">left</td><td class="col"
width="400" style="padding:20px">right<br clear="all"><ul type="square"><li>one
<li>two</ul><blockquote>quoted <tt>tt</tt> <big>big</big></blockquote></td>
</tr><tr><td><img src="https://a.invalid/1.gif" width="150" height="90" border="0"
style="display:block"></td><td><img src="https://a.invalid/2.gif" width="300"
height="90" alt="Offers"><img src="https://a.invalid/3.gif" width=1 height=1
alt=""><img src="https://a.invalid/4.gif" width="30" height="9"></td></tr>
<tr><td id="footer" colspan="2" align="right">foot</td></tr></table>
</center></body></html>`;

/* Where everything stands that has a place. */
const places = () => [...document.body.querySelectorAll(
	"table,td,th,p,div,li,ol,ul,img,hr,font,blockquote,h1,h2,b,center,tt,big")]
	.map(element => {
		const { x, y, width, height } = element.getBoundingClientRect();

		return `${element.tagName} ${[x, y, width, height]
			.map(Math.round).join(" ")}`;
	});

for (const [name, html] of Object.entries({ FIGURES, WORD, NEWSLETTER }))
	test(`everything stands where it would unsanitised: ${name.toLowerCase()}`,
		async () => {
			const page = await opened(htmlLetter(html));
			const frame = await frameOf(page, "html");
			const ours = await page.locator("iframe[data-part=html]")
				.getAttribute("srcdoc");
			const width = await frame.evaluate(() => innerWidth);
			const bare = await newPage({ offline: true,
				javaScriptEnabled: false, viewport: { width, height: 900 } });

			/* The same styles of ours, then the message as it is. */
			await bare.setContent(ours.slice(0, ours.indexOf("</head>") + 7)
				.replace(/<meta http-equiv[^>]*>/g, "") + html
				.replace("cid:i1@a.test",
					`data:image/png;base64,${PIXEL}`));
			assert.deepEqual(await frame.evaluate(places),
				await bare.evaluate(places));
			await close(bare);
			await close(page);
		});

test("a column's figures stand under its head, a list goes on counting",
	async () => {
		const page = await opened(htmlLetter(FIGURES));
		const frame = await frameOf(page, "html");
		const box = text => frame.getByText(text, { exact: true })
			.evaluate(element => element.getBoundingClientRect().toJSON());
		const [q1, q2, one, two] = [await box("Q1"), await box("Q2"),
			await box("1 200"), await box("1 350")];

		assert.deepEqual([one.left, one.right, two.left, two.right],
			[q1.left, q1.right, q2.left, q2.right]);
		assert.ok(one.top >= q1.bottom);
		/* What a list counts is not in the document, but copied with it. */
		assert.deepEqual(await frame.evaluate(() => {
			const list = document.querySelector("ol");

			return [getComputedStyle(list).listStyleType, list.start,
				list.children[1].value];
		}), ["lower-alpha", 5, 9]);
		await close(page);
	});

/* --- height -------------------------------------------------------------------- */

/* What a frame shows, and where the last of it ends. */
const extent = () => {
	const root = document.querySelector("html");
	const range = document.createRange();
	const boxes = [...root.querySelectorAll("body *")]
		.filter(element => element.checkVisibility())
		.flatMap(element => {
			range.selectNodeContents(element);
			return element.firstElementChild === null
				? [element.getBoundingClientRect(), ...range.getClientRects()]
				: [element.getBoundingClientRect()];
		}).filter(({ width, height }) => width > 0 && height > 0);
	const body = root.lastElementChild.getBoundingClientRect();

	return { height: innerHeight,
		scrolls: root.scrollHeight - root.clientHeight,
		first: Math.round(Math.min(...boxes.map(({ top }) => top), body.top)),
		last: Math.round(Math.max(...boxes.map(({ bottom }) => bottom),
			body.bottom)) };
};

/*
 * All is there, without a bar, and no more than a margin is empty.  `part`:
 * of the message, or the number of the frame.
 */
async function fitsNow(page, part, { spare = 45 } = {})
{
	const frame = typeof part === "string" ? await frameOf(page, part)
		: page.frames()[part + 1];
	const { height, scrolls, first, last } = await frame.evaluate(extent);

	assert.ok(first >= 0, `${-first} px are out at the top`);
	assert.ok(scrolls <= 0, `${scrolls} px are to be scrolled for`);
	assert.ok(last <= height, `the frame ends at ${height}, its text at ${
		last}`);
	assert.ok(height - last <= spare, `of ${height} px ${height - last
	} are empty`);
	return height;
}

/* The same as soon as the page has answered to what was done. */
async function fits(page, part, given)
{
	for (let left = 40; ; left--) {
		try {
			return await fitsNow(page, part, given);
		} catch (error) {
			if (left === 0)
				throw error;
			await page.evaluate(() => new Promise(resolve =>
				requestAnimationFrame(() => requestAnimationFrame(resolve))));
		}
	}
}

const PARAGRAPH = "The parties agree that the delivery shall take place as"
	+ " described in the annex and that payment is due within thirty days. ";
const LONG = Array.from({ length: 40 }, (_, i) =>
	`Paragraph ${i + 1} of it. ${PARAGRAPH.repeat(3)}`).join("\r\n\r\n");
const tall = (height, text = "x") =>
	`<div style="height:${height}px">${text}</div>`;

test("text is shown whole: short, long, and on a phone", async () => {
	const short = await opened(plain({ text: "One line." }));

	assert.ok(await fits(short, "text") < 70);
	await close(short);
	const page = await opened(plain({ text: LONG }));
	const wide = await fits(page, "text");

	await page.setViewportSize({ width: 360, height: 640 });
	const narrow = await fits(page, "text");

	assert.ok(narrow > 1.5 * wide);
	await page.setViewportSize({ width: 640, height: 360 });
	assert.ok(await fits(page, "text") < narrow);
	assert.deepEqual(page.complaints, []);
	await close(page);
});

const PAGES = {
	"one line": ["Hello.", 60],
	"lines from top to bottom": ["<html style='writing-mode:vertical-rl'><body>"
		+ "<p>long text and more</p>".repeat(9), 450, { spare: 400 }],
	"no margins": ["<html><body style='margin:0;padding:0'>Hello.", 40],
	"margins at both ends": ["<p style='margin:60px'>a</p><p style='margin:"
		+ "80px 0'>b</p>", 280, { spare: 110 }],
	"a float": ["<img align=left width=9 height=300 src=cid:i1@a.test>a", 330],
	"no doctype": ["<html><body><table height='100%'><tr><td>a</table>", 60],
	"a doctype of old": ["<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2//EN\">"
		+ "<html><body><div style='height:100%'>a</div>", 60],
	"all of the height": ["<html style='height:100%'><body style='height:100%"
		+ "!important;margin:9px'><table style='height:100%' height='100%'>"
		+ "<tr><td>a</table><div style='min-height:100%'>b</div>", 110],
	"all of the window": ["<style>.a{height:100vh}.b{min-height:calc(50dvh +"
		+ " 1px)}</style><body style='height:100vh'><div class=a>a</div>"
		+ "<div class=b>b</div><p style='margin-top:10VMAX'>c</p>", 1600],
	"placed freely": ["<div style='position:absolute;top:700px;height:50px'>a"
		+ "</div>b", 760],
	"placed in the window": ["<style>#f{position:fixed;top:500px;left:0}"
		+ "</style>b<div id=f>a</div>", 540],
	"placed at its foot": ["b<div style='position:fixed;bottom:0;height:200px;"
		+ "width:9px;background:red'>a</div>", 250],
	"more than its box": ["<div style='height:20px'>" + tall(400) + "</div>", 420],
	"heights by the window": ["<style>@media (min-height:300px){.a{height:90px"
		+ "}}@media (max-height:299px){.a{height:600px}}@media (orientation:"
		+ "portrait){.a{width:20px}}</style><div class=a>a</div>", 640, { spare: 600 }],
	"pictures": ["<img src=cid:i1@a.test style='width:100%;height:500px'>"
		+ "<img src=cid:i1@a.test width=3000 height=3000>", 2000, { spare: 60 }],
	"very long": [`${tall(45000)}<p>end`, 45100],
	"names of the document's own": ["<img name=body><img name=documentElement>"
		+ "<a name=styleSheets id=querySelectorAll>x</a>" + tall(200), 280],
};

test("HTML is shown whole, whatever its height comes from", async () => {
	const page = await newPage();
	const now = [];

	await stand(page);
	for (const [html] of Object.values(PAGES))
		await page.evaluate(markup => window.show(markup), html.replace(
			/cid:i1@a.test/g, `data:image/png;base64,${PIXEL}`));
	for (const [i, [name, [, most, given]]] of Object.entries(PAGES).entries()) {
		now.push(await fits(page, i, given).catch(error => {
			throw new Error(`${name}: ${error.message}`);
		}));
		assert.ok(now[i] <= most, `${name}: ${now[i]} px high`);
	}
	/* And it stays so by itself: nothing chases anything. */
	await page.evaluate(() => new Promise(resolve => setTimeout(resolve, 300)));
	for (const [i, [name, [,, given]]] of Object.entries(PAGES).entries())
		assert.equal(await fitsNow(page, i, given), now[i], name);
	assert.deepEqual(page.complaints, []);
	await close(page);
});

test("HTML is shown whole when it changes its height", async () => {
	const page = await opened(htmlLetter(`<details><summary>more</summary>${
		tall(700)}</details><div style="position:absolute;top:90px"><details>
<summary>absolute</summary>${tall(900)}</details></div><p>${
	PARAGRAPH.repeat(9)}`));
	const frame = await frameOf(page, "html");
	const closed = await fits(page, "html");

	await frame.getByText("more").click();
	assert.ok(await fits(page, "html") >= closed + 700);
	await frame.getByText("more").click();
	assert.equal(await fits(page, "html"), closed);
	await frame.getByText("absolute").click();
	assert.ok(await fits(page, "html") > 990);
	await frame.getByText("absolute").click();
	assert.equal(await fits(page, "html"), closed);
	await page.setViewportSize({ width: 360, height: 640 });
	assert.ok(await fits(page, "html") > closed + 200);
	await close(page);
});

test("the view that was not shown first is as high as it is", async () => {
	const html = tall(300);
	const page = await opened(Buffer.from(["From: alice@a.test",
		"MIME-Version: 1.0", "Content-Type: multipart/alternative; boundary=b",
		"", "--b", "Content-Type: text/plain", "", LONG, "--b",
		"Content-Type: text/html", "", html, "--b--", ""].join("\r\n")));

	assert.ok(await fits(page, "html") < 360);
	await page.getByText("Plain text").click();
	assert.ok(await fits(page, "text") > 2000);
	await page.getByText("Formatted").click();
	assert.ok(await fits(page, "html") < 360);
	await close(page);
});

test("a wide table can be moved sideways, all of its rows are shown",
	async () => {
		const page = await opened(htmlLetter(`<table>${
			`<tr><td nowrap width=1900>${"wide ".repeat(60)}</td></tr>`
				.repeat(30)}</table>`), { viewport: { width: 360, height: 640 } });
		const frame = await frameOf(page, "html");

		await fits(page, "html", { spare: 60 });
		assert.ok(await frame.evaluate(() => {
			document.scrollingElement.scrollLeft = 9999;
			return document.scrollingElement.scrollLeft;
		}) > 1500);
		await close(page);
	});

test("where the page stands, it stays when a message changes its height",
	async () => {
		const page = await opened(htmlLetter(`${tall(3000)}<details><summary>
more</summary>${tall(500)}</details>${tall(2000)}`));
		const frame = await frameOf(page, "html");

		await fits(page, "html");
		await page.evaluate(() => scrollTo(0, 2900));
		await frame.evaluate(() => {
			document.querySelector("details").open = true;
		});
		await fits(page, "html");
		assert.equal(await page.evaluate(() => scrollY), 2900);
		await close(page);
	});

test("a link to a place in the message leads there", async () => {
	const page = await opened(htmlLetter(`<a href="#there">go</a>${tall(3000)}
<h2 id=there>There</h2>${tall(2000)}<a name="a b"></a><a href="#">up</a>`));
	const frame = await frameOf(page, "html");

	await fits(page, "html");
	await frame.getByText("go", { exact: true }).click();
	assert.ok(await page.evaluate(() => scrollY) > 2900);
	assert.equal(await frame.evaluate(() => location.href), "about:srcdoc");
	assert.equal(await page.evaluate(() => history.length), 2);
	await frame.getByText("up", { exact: true }).click();
	assert.ok(await page.evaluate(() => scrollY) < 500);
	assert.equal(page.context().pages().length, 1);
	await close(page);
});

/* --- direction ------------------------------------------------------------------- */

/*
 * Where the letters of `text` stand, from the left: the middle of each, in
 * the order they are read.
 */
const letters = (frame, text, selector = "body") => frame.evaluate(
	([wanted, within]) => {
		const walker = document.createTreeWalker(
			document.querySelector(within), NodeFilter.SHOW_TEXT);
		const range = document.createRange();

		for (let node = walker.nextNode(); node !== null;
			node = walker.nextNode()) {
			const at = node.data.indexOf(wanted);

			if (at >= 0)
				return [...wanted].map((_, i) => {
					range.setStart(node, at + i);
					range.setEnd(node, at + i + 1);
					const { left, right } = range.getBoundingClientRect();

					return (left + right) / 2;
				});
		}
		throw new Error(`no ${wanted}`);
	}, [text, selector]);

/* Read from right to left, the last of it furthest to the left. */
async function leftwards(frame, text, selector)
{
	const xs = await letters(frame, text, selector);

	assert.equal(Math.min(...xs), xs[xs.length - 1], `${text} ends left`);
	assert.equal(Math.max(...xs), xs[0], `${text} begins right`);
}

async function rightwards(frame, text, selector)
{
	const xs = await letters(frame, text, selector);

	assert.equal(Math.max(...xs), xs[xs.length - 1], `${text} ends right`);
	assert.equal(Math.min(...xs), xs[0], `${text} begins left`);
}

const OFFER = "עם 1200 EUR (עד 2026-12-31).";

test("a line of text is written in its own direction", async () => {
	const wrapped = `${"מחיר ההצעה הוא ".repeat(4)}אחרי`;
	const message = ["Dear Bob (and all).", "שלום בוב.", "",
		"السعر 1200 EUR (صالح حتى 2026-12-31).", "42!", "", OFFER, "",
		wrapped, "EUR 1200 (עד יום ב).", "",
		"The end is in English (really).", "> שלום (ציטוט).",
		"> Hello (quoted)."];
	const page = await opened(plain({ text: message.join("\r\n") }));
	const frame = await frameOf(page, "text");

	for (const line of [message[1], message[3], OFFER, "(עד יום ב).",
		"> שלום (ציטוט)."])
		await leftwards(frame, line);
	for (const line of [message[0], message[11], message[13]])
		await rightwards(frame, line);
	/* A bracket opens towards where one reads from. */
	const xs = await letters(frame, OFFER);

	assert.ok(xs[OFFER.indexOf("(")] > xs[OFFER.indexOf(")")]);
	/* At the right edge, too: the first letter of each such line. */
	const width = await frame.evaluate(() => innerWidth);

	for (const line of [message[1], message[3], OFFER, "EUR 1200 (עד יום ב)."])
		assert.ok(Math.max(...await letters(frame, line)) > width - 40, line);
	assert.equal((await frame.locator("pre").evaluate(
		pre => pre.textContent)).trimEnd(), message.join("\n"));
	await close(page);
});

test("HTML has the direction that it says", async () => {
	const page = await opened(htmlLetter(`<html dir="rtl"><body dir="rtl">
<h2>שלום בוב!</h2><p>${OFFER}</p><ul><li>ראשון.</li></ul><p dir="ltr">Hello.</p>
<table><tr><td>א</td><td>ב</td></tr></table></body></html>`));
	const frame = await frameOf(page, "html");

	for (const line of ["שלום בוב!", OFFER, "ראשון."])
		await leftwards(frame, line);
	await rightwards(frame, "Hello.");
	const [first] = await letters(frame, "א"), [second] = await letters(frame, "ב");

	assert.ok(first > second);
	await close(page);
});

test("names and the subject do not turn what stands beside them", async () => {
	const page = await opened(Buffer.from([
		"From: =?utf-8?b?15DXnNeZ16E=?= <alice@a.test>",
		"To: =?utf-8?b?15HXldeR?= <bob@b.test>, =?utf-8?b?15PXnw==?= <dan@b.test>",
		`Subject: =?utf-8?b?${Buffer.from(OFFER).toString("base64")}?=`,
		"MIME-Version: 1.0", "Content-Type: text/plain", "", "x", ""]
		.join("\r\n")));
	const top = page.mainFrame();
	const middle = async text => {
		const xs = await letters(top, text, "main");

		return (Math.min(...xs) + Math.max(...xs)) / 2;
	};

	await leftwards(top, OFFER, "h1");
	assert.ok(await middle("אליס") < await middle("alice@a.test"));
	assert.ok(await middle("בוב") < await middle("bob@b.test"));
	assert.ok(await middle("bob@b.test") < await middle("דן"));
	assert.ok(await middle("דן") < await middle("dan@b.test"));
	assert.match(await page.locator("main").innerText(),
		/אליס <alice@a\.test>[^]*בוב <bob@b\.test>, דן <dan@b\.test>/);
	await close(page);
});

/* --- on paper -------------------------------------------------------------------- */

async function printed(page)
{
	const file = join(temp, "printed.pdf");

	await page.pdf({ path: file, format: "A4" });
	return execFileSync("pdftotext", ["-layout", file, "-"]).toString();
}

const LINES = Array.from({ length: 300 }, (_, i) => `<p>Line ${i + 1} of it.`)
	.join("\n");

for (const [what, message, lines] of [
	["text", plain({ text: LONG }), 40],
	["HTML", htmlLetter(`<style>@media print{p{display:none}} @media screen
{p{color:#123}}</style>${LINES}`), 300],
	["a wide table", htmlLetter(`<table>${Array.from({ length: 90 }, (_, i) =>
		`<tr><td nowrap>Line ${i + 1} of it${" and".repeat(40)}</td><td>right
</td></tr>`).join("")}</table>`), 90],
	["a table wider than paper can be", htmlLetter(`<table width=9000>${
		Array.from({ length: 90 }, (_, i) => `<tr><td nowrap width=8000>Line ${
			i + 1} of it${" and".repeat(400)}</td><td>right</td></tr>`)
			.join("")}</table>`), 90]])
	test(`a print holds all: ${what}`, async () => {
		const part = message.subarray(message.indexOf("Content-Type"));
		const page = await opened(Buffer.concat([
			Buffer.from(["From: Alice <alice@a.test>", "To: bob@b.test",
				"Subject: The annex", "MIME-Version: 1.0",
				"Content-Type: multipart/mixed; boundary=m",
				"", "--m", ""].join("\r\n")), part,
			Buffer.from(["", "--m", "Content-Type: application/pdf",
				"Content-Disposition: attachment; filename=annex.pdf",
				"", "x", "--m--", ""].join("\r\n"))]));
		const before = await page.locator("iframe").evaluate(
			frame => frame.offsetHeight);
		const text = await printed(page);

		for (const there of [/The annex/, /Alice <alice@a\.test>/,
			/bob@b\.test/, /annex\.pdf/, /Opening recorded on 23 November/])
			assert.match(text, there);
		const missing = Array.from({ length: lines }, (_, i) => i + 1)
			.filter(i => !text.includes(` ${i} of it`));

		/* A line of a frame may stand on two pages, half on each. */
		assert.ok(what === "text" ? missing.length === 0
			: missing.length < text.split("\f").length
			&& !missing.includes(1) && !missing.includes(lines),
		`not there: ${missing}`);
		if (what.includes("table"))
			assert.ok(text.match(/right/g).length >= lines - missing.length);
		assert.equal(await page.locator("iframe").evaluate(
			frame => frame.offsetHeight), before);
		await close(page);
	});

await run();
await stop();
