#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/*
 * faithful - a message on the page looks as it was sent: attributes and
 * styles, layout.
 */
import { frameOf } from "./driver.mjs";
import { htmlLetter, PIXEL } from "./letters.mjs";
import { assert, run, test } from "./tap.mjs";
import { close, fake, newPage, opened, stop } from "./world.mjs";

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

await run();
await stop();
