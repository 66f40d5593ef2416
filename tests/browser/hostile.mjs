#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/*
 * hostile - HTML that wants out: to the network, to a script, to the page
 * around it.  Each with the sanitiser, without, and in the bare frame: the
 * walls hold alone, too.
 *
 * In a payload HOST is a name of its own, SCRIPT what it would run.  The
 * browser's own log tells of every name looked up and connection tried.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { launch, openMessage } from "./driver.mjs";
import { assetPath } from "./fake.mjs";
import { htmlLetter } from "./letters.mjs";
import { assert, run, test } from "./tap.mjs";
import { aMoment, fake, heard, home, RULES, send, stand, stop, temp }
	from "./world.mjs";

const netLog = join(temp, "net.json");
const context = await launch({ home, hostRules: RULES, netLog,
	profile: join(temp, "profile") });
const newPage = async () => heard(await context.newPage());

const BY_ITSELF = [
	/* pictures and media */
	"<img src=https://HOST/>", "<img srcset='https://HOST/ 1x'>",
	"<img src=//HOST/ loading=eager>", "<img src='https:HOST'>",
	"<img lowsrc=https://HOST/ dynsrc=https://HOST/ longdesc=https://HOST/>",
	"<picture><source srcset=https://HOST/><img src=x></picture>",
	"<image src=https://HOST/>", "<input type=image src=https://HOST/>",
	"<video src=https://HOST/ autoplay poster=https://HOST/p></video>",
	"<audio src=https://HOST/ autoplay></audio>",
	"<video autoplay><source src=https://HOST/><track default src=https://HOST/t>",
	"<body background=https://HOST/>", "<table background=https://HOST/>x",
	"<table><td background=https://HOST/>x", "<bgsound src=https://HOST/>",
	"<embed src=https://HOST/>", "<object data=https://HOST/></object>",
	"<object type=text/html data=https://HOST/><embed src=https://HOST/></object>",
	"<applet code=x codebase=https://HOST/ archive=https://HOST/></applet>",
	"<img src=x attributionsrc=https://HOST/>",
	"<a attributionsrc=https://HOST/ href=#>x</a>",
	/* documents within */
	"<iframe src=https://HOST/></iframe>", "<iframe src=/m/x></iframe>",
	"<iframe srcdoc='<img src=https://HOST/><script>SCRIPT</script>'></iframe>",
	"<iframe src=\"javascript:SCRIPT\"></iframe>",
	"<iframe src='data:text/html,<script>SCRIPT</script>'></iframe>",
	"<iframe src=/counterfoil.html></iframe>",
	"<frameset><frame src=https://HOST/></frameset>",
	"<fencedframe src=https://HOST/></fencedframe>",
	"<portal src=https://HOST/></portal>",
	"<iframe sandbox='allow-scripts allow-same-origin allow-top-navigation'"
		+ " srcdoc='<script>SCRIPT</script>'></iframe>",
	"<object data='data:text/html,<script>SCRIPT</script>'></object>",
	"<embed type=text/html src='data:text/html,<script>SCRIPT</script>'>",
	/* links of the document */
	"<link rel=stylesheet href=https://HOST/>",
	"<link rel=preconnect href=https://HOST/>",
	"<link rel=dns-prefetch href=https://HOST/>",
	"<link rel=prefetch href=https://HOST/ as=document>",
	"<link rel=preload as=image href=https://HOST/ imagesrcset=https://HOST/>",
	"<link rel=modulepreload href=https://HOST/>",
	"<link rel=prerender href=https://HOST/>",
	"<link rel=icon href=https://HOST/>",
	"<link rel=manifest href=https://HOST/ crossorigin=use-credentials>",
	"<link rel=compression-dictionary href=https://HOST/>",
	"<link rel=import href=https://HOST/>",
	"<link rel=stylesheet href='data:text/css,@import url(https://HOST/)'>",
	"<link rel=expect href=#x blocking=render>",
	"<base href=https://HOST/><img src=x.gif>",
	"<base target=_top href=/>", "<meta http-equiv=refresh content='0;https://HOST/'>",
	"<meta http-equiv=refresh content='0;url=javascript:SCRIPT'>",
	"<meta http-equiv=refresh content='0;/m/x'>",
	"<meta http-equiv=x-dns-prefetch-control content=on><a href=https://HOST/>x</a>",
	"<meta http-equiv=Content-Security-Policy content=\"default-src *\">"
		+ "<img src=https://HOST/>",
	"<meta http-equiv=Set-Cookie content='a=b'>",
	"<html manifest=https://HOST/><p>x", "<html><head profile=https://HOST/>x",
	"<?xml-stylesheet href='https://HOST/'?><p>x",
	/* styles */
	"<style>@import 'https://HOST/';</style>",
	"<style>@import url(//HOST/) layer(a) supports(display:block);</style>",
	"<style>@font-face{font-family:q;src:url(https://HOST/)}*{font-family:q}</style>x",
	"<style>@namespace url(https://HOST/); @page{background:url(https://HOST/)}</style>",
	"<style>body{background:url(https://HOST/)}p::before{content:url(https://HOST/2)}"
		+ "</style><p>x",
	"<style>li{list-style:url(https://HOST/)}p{cursor:url(https://HOST/c),auto}"
		+ "</style><li>x<p>y",
	"<style>p{border-image:url(https://HOST/) 1;mask:url(https://HOST/m#a);filter:"
		+ "url(https://HOST/f#a);clip-path:url(https://HOST/p#a);"
		+ "shape-outside:url(https://HOST/s);offset-path:url(https://HOST/o)}</style><p>x",
	"<style>p{background:image-set('https://HOST/' 1x);background:-webkit-image-set("
		+ "url(https://HOST/) 1x);background:cross-fade(url(https://HOST/),url(https://HOST/),1%)}"
		+ "</style><p>x",
	"<style>p{--u:url(https://HOST/);background:var(--u)}</style><p>x",
	"<style>p{background:\\75\\72\\6c(https://HOST/)}</style><p>x",
	"<p style=\"background:url('https://HOST/')\">x",
	"<p style=\"background-image:u\\72l(//HOST/)\">x",
	"<p style=\"behavior:url(https://HOST/);-moz-binding:url(https://HOST/#a)\">x",
	"<p style=\"width:expression(SCRIPT)\">x",
	"<style></p><img src=https://HOST/></style><style>*{color:red}</style>",
	"<style>:visited,:target,:hover{background:url(https://HOST/)}</style>"
		+ "<a href=/m/x>x</a>",
	"<style media='print'>body{background:url(https://HOST/)}</style>",
	"<div style='position:fixed;inset:0;z-index:2147483647'>over</div>",
	/* scripts */
	"<script>SCRIPT</script>", "<script src=https://HOST/></script>",
	`<script src=${assetPath(fake.state.dist, "js")}></script>`,
	"<script type=module>SCRIPT</script>",
	"<script src='data:text/javascript,SCRIPT'></script>",
	"<script type=speculationrules>{\"prefetch\":[{\"source\":\"list\","
		+ "\"urls\":[\"https://HOST/\"]}]}</script>",
	"<script type=importmap>{\"imports\":{\"a\":\"https://HOST/\"}}</script>",
	"<script nonce=x async>SCRIPT</script>",
	"<img src=x onerror=\"SCRIPT\">", "<body onload=\"SCRIPT\" onpageshow=\"SCRIPT\">",
	"<svg onload=\"SCRIPT\"></svg>", "<details open ontoggle=\"SCRIPT\">x",
	"<input autofocus onfocus=\"SCRIPT\">", "<marquee onstart=\"SCRIPT\">x</marquee>",
	"<style>@keyframes k{}p{animation:k 1ms}</style><p onanimationend=\"SCRIPT\">x",
	"<video src=data:x onerror=\"SCRIPT\"></video>", "<x tabindex=1 autofocus"
		+ " onfocus=\"SCRIPT\">x</x>",
	"<template shadowrootmode=open><script>SCRIPT</script><img src=https://HOST/>"
		+ "</template>",
	"<div><template shadowrootmode=open><style>:host{background:url(https://HOST/)}"
		+ "</style><img src=x onerror=\"SCRIPT\"></template></div>",
	"<noscript><p title=\"</noscript><img src=x onerror='SCRIPT'>\">",
	"<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img"
		+ " src=1 onerror=SCRIPT&gt;\">",
	"<svg></p><style><a id=\"</style><img src=1 onerror='SCRIPT'>\">",
	"<form><math><mtext></form><form><mglyph><style></math><img src onerror='SCRIPT'>",
	"<xmp><p title=\"</xmp><img src=x onerror='SCRIPT'>\"></xmp>",
	"<!--><img src=x onerror=\"SCRIPT\">-->", "<a title='--!><img src=https://HOST/>'>x",
	"<select><iframe></select><img src=x: onerror=\"SCRIPT\"></iframe></select>",
	/* other namespaces */
	"<svg><script>SCRIPT</script></svg>", "<svg><script href=https://HOST/></script></svg>",
	"<svg><image href=https://HOST/ xlink:href=https://HOST/></svg>",
	"<svg><use href='https://HOST/#a'/><use href='data:image/svg+xml,<svg id=a"
		+ " xmlns=\"http://www.w3.org/2000/svg\"><script>SCRIPT</script></svg>#a'/></svg>",
	"<svg><filter id=f><feImage href=https://HOST/></filter><rect width=9 height=9"
		+ " filter=url(#f) /></svg>",
	"<svg><foreignObject><iframe src=https://HOST/></iframe></foreignObject></svg>",
	"<svg><style>@import url(https://HOST/);rect{fill:url(https://HOST/#a)}</style>"
		+ "<rect width=9 height=9></rect></svg>",
	"<svg><animate onbegin=\"SCRIPT\" attributeName=x dur=1ms></svg>",
	"<svg><set attributeName=onmouseover to=\"SCRIPT\"></svg>",
	"<svg><font-face><font-face-src><font-face-uri xlink:href=https://HOST/></svg>",
	"<img src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='SCRIPT'>"
		+ "<image href='https://HOST/'/></svg>\">",
	"<math xlink:href=https://HOST/ href=https://HOST/><mi>x</mi></math>",
	"<math><annotation-xml encoding=text/html><script>SCRIPT</script></annotation-xml></math>",
	/* forms, names, the page around */
	"<form id=f action=https://HOST/><input name=a></form><button form=f autofocus>x</button>",
	"<img name=body><img name=documentElement><form name=styleSheets><input name=length>"
		+ "</form><a id=defaultView name=querySelectorAll>x</a>",
	"<form id=ownerDocument><input name=style><input name=attributes><input name=parentElement>"
		+ "</form>",
	"<iframe name=parent srcdoc=x></iframe><iframe name=top srcdoc=x></iframe>",
	"<a id=top href=https://HOST/ name=parent></a><object id=opener></object>",
	"<dialog open style='position:fixed;inset:0'>x</dialog><div popover id=p>x</div>",
	"<p contenteditable autofocus>x</p>", "<title>moved</title>",
	"<button command=show-modal commandfor=d autofocus>x</button><dialog id=d>x</dialog>",
	"<style>html{height:100vh;overflow:scroll}body{zoom:5}</style>",
];

/* What a click would do; links to elsewhere open a window, and may. */
const BY_CLICK = [
	"<a href=https://click.invalid/>x</a>",
	"<a href=https://click.invalid/ target=_top>x</a>",
	"<a href=https://click.invalid/ target=_parent>x</a>",
	"<a href=https://click.invalid/ target=_self>x</a>",
	"<a href=https://click.invalid/ target=w rel=opener>x</a>",
	"<a href=/m/x target=_top>x</a>", "<a href=/ target=_parent>x</a>",
	"<a href=#a target=_top>x</a>", "<a href='' target=_top>x</a>",
	"<a href='?a' target=_parent>x</a>",
	"<a href=\"javascript:SCRIPT\">x</a>",
	"<a href=\"javascript:SCRIPT\" target=_blank>x</a>",
	"<a href=\"javascript:SCRIPT\" target=_top>x</a>",
	"<a href=\"&#106;ava&Tab;script:SCRIPT\" target=_parent>x</a>",
	"<a href='data:text/html,<script>SCRIPT</script>' target=_top>x</a>",
	"<a href='data:text/html,<script>SCRIPT</script>' target=_blank>x</a>",
	"<a href=blob:x target=_top>x</a>", "<a href=about:blank target=_top>x</a>",
	"<a href=x download=x.html ping=https://ping.invalid/>x</a>",
	"<svg width=90 height=90><a href=\"javascript:SCRIPT\"><text y=20>x</text></a></svg>",
	"<svg width=90 height=90><a xlink:href=\"javascript:SCRIPT\" target=_top><text y=20>x"
		+ "</text><animate attributeName=href to=\"javascript:SCRIPT\"></a></svg>",
	"<math><mi href=\"javascript:SCRIPT\">x</mi></math>",
	"<form action=https://form.invalid/ target=_top><button>x</button></form>",
	"<form action=\"javascript:SCRIPT\" target=_top><input type=submit value=x></form>",
	"<form><button formaction=https://form.invalid/ formtarget=_parent>x</button></form>",
	"<form method=dialog><button>x</button></form>",
	"<map name=m><area shape=default href=\"javascript:SCRIPT\" target=_top></map>"
		+ "<img usemap=#m width=40 height=40 alt=x src=data:,>",
	"<button popovertarget=p>x</button><div id=p popover onbeforetoggle=\"SCRIPT\">y</div>",
	"<p onclick=\"SCRIPT\">x</p>", "<label for=i onclick=\"SCRIPT\">x</label><input id=i>",
	"<details ontoggle=\"SCRIPT\"><summary>x</summary>y</details>",
];

const withNames = (payload, host) => payload.replaceAll("HOST", host)
	.replaceAll("SCRIPT", `top.ran.push('${host}');fetch('//js.${host}/')`);

/*
 * The page around the frames, as a message could change it.  Only their
 * height is ours to change, whenever they are loaded.
 */
const around = page => page.evaluate(() => JSON.stringify([location.href,
	document.title, history.length, name, document.cookie,
	document.documentElement.scrollWidth > innerWidth,
	document.documentElement.attributes.length,
	document.body.attributes.length, document.body.children.length,
	document.head.outerHTML.length,
	[...document.querySelectorAll("iframe")].reduce((sum, frame) =>
		sum + [...frame.attributes].filter(one => one.name !== "style")
			.map(one => one.name + one.value).join().length, 0)]));

/* A window that a link opened: where it leads, or nowhere. */
const ALLOWED = /^(https:\/\/click\.invalid\/|about:blank|chrome-error:.*)$/;

/* Where to click in the frame of that number; null: at nothing. */
async function placeOf(page, number)
{
	const element = page.locator("iframe").nth(number);
	const { x, y } = await element.evaluate(frame => {
		frame.scrollIntoView();
		return frame.getBoundingClientRect().toJSON();
	});
	const inner = await (await element.elementHandle()).contentFrame();
	const box = await inner.evaluate(() => {
		const target = document.querySelector("a,button,input,area,mi,summary,"
			+ "[onclick]");

		return (document.querySelector("img,text") ?? target)
			?.getBoundingClientRect().toJSON() ?? null;
	});

	return box === null || box.width === 0 ? null
		: { x: x + box.x + box.width / 2, y: y + box.y + box.height / 2 };
}

/* Shows each in a frame of its own. */
async function show(page, htmls)
{
	await page.evaluate(async all => {
		if (window.ran === undefined) {
			window.ran = [];
			addEventListener("message", () => window.ran.push("message"));
		}
		await Promise.race([Promise.all(all.map(window.show)),
			new Promise(resolve => setTimeout(resolve, 2000))]);
	}, htmls);
}

test("there are payloads of every sort", () => {
	assert.ok(BY_ITSELF.length + BY_CLICK.length >= 150);
});

for (const how of ["sanitised", "unsanitised", "bare"]) {
	test(`nothing loads, runs or reaches the page: ${how}`, async () => {
		const windows = context.pages().length;
		const page = await newPage();

		await stand(page, how);
		const address = page.url();

		await show(page, BY_ITSELF.map((payload, i) =>
			withNames(payload, `p${i}-${how}.hostile.invalid`)));
		const before = await around(page);

		await page.mouse.move(300, 300);
		await aMoment(page);
		assert.deepEqual(await page.evaluate(() => window.ran), []);
		assert.equal(await around(page), before);
		assert.equal(page.url(), address);
		assert.equal(context.pages().length, windows + 1);
		assert.deepEqual(page.complaints, []);
		await page.close();
	});

	test(`no click reaches the page: ${how}`, async () => {
		const page = await newPage();

		await stand(page, how);
		const address = page.url();
		const windows = context.pages().length;

		await show(page, BY_CLICK.map((payload, i) =>
			withNames(payload, `c${i}-${how}.hostile.invalid`)));
		for (const [i, payload] of BY_CLICK.entries()) {
			const before = await around(page);
			const place = await placeOf(page, i);

			if (place === null)
				continue;
			await page.mouse.click(place.x, place.y);
			await page.evaluate(() => new Promise(resolve =>
				setTimeout(resolve, 30)));
			assert.equal(await around(page), before, payload);
			assert.deepEqual(await page.evaluate(() => window.ran), [], payload);
		}
		await aMoment(page);
		assert.equal(page.url(), address);
		const others = context.pages().slice(windows);

		if (how === "sanitised")
			assert.ok(others.length > 0, "links do open windows");
		for (const other of others) {
			assert.match(other.url(), ALLOWED);
			assert.equal(await other.evaluate(() => globalThis.opener), null);
			await other.close();
		}
		await page.close();
	});
}

test("all of it in one message on the page itself", async () => {
	const windows = context.pages().length;
	const page = await newPage();

	await page.goto(send(htmlLetter([...BY_ITSELF, ...BY_CLICK]
		.map((payload, i) => withNames(payload, `m${i}.hostile.invalid`))
		.join("\n"))).link);
	await openMessage(page);
	await aMoment(page);
	assert.equal(await page.title(), "Sealed message");
	assert.equal(context.pages().length, windows + 1);
	assert.equal(await page.locator("main").getAttribute("data-state"),
		"opened");
	await page.close();
});

/* What is allowed to shows that the log would have told. */
test("the browser's log tells of every request, connection and name",
	async () => {
		const page = await newPage();

		fake.state.more.set("/control", "<!doctype html><link rel=preconnect"
			+ " href=https://control-connect.invalid/><link rel=dns-prefetch"
			+ " href=https://control-name.invalid/><p>x");
		await page.goto(`${fake.url.reader}/control`);
		await aMoment(page);
		await context.close();
		const log = readFileSync(netLog, "utf8");

		for (const name of ["control-connect", "control-name",
			new URL(fake.url.reader).hostname])
			assert.ok(log.includes(name), name);
		/* No policy stops a connection ahead of a request: not in "bare". */
		assert.deepEqual([...new Set(log.match(
			/[\w.-]*(hostile|form|ping)\.invalid/g))]
			.filter(name => !name.includes("-bare.")), []);
	});

await run({ limitMs: 60_000 });
await stop();
