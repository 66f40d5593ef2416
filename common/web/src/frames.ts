// SPDX-License-Identifier: Apache-2.0
/*
 * frames - the documents in which a message's text and HTML are shown.
 *
 * Four walls: DOMPurify takes out scripts and forms; the frame's sandbox
 * runs no script, sends no form and moves no window; the frame's own policy
 * loads nothing from anywhere; the page's policy, which the frame inherits,
 * neither.  What DOMPurify returns is not changed afterwards but for what
 * unmasked() escapes; if it holds what no policy could stop, it is not shown.
 *
 * The frame has the page's origin, so that fit.ts can measure it.  That
 * would help a script only, and none runs.
 *
 * Knows: HTML.   Does not know: keys, the network.
 */
import DOMPurify from "dompurify";
import { latin1 } from "./bytes";
import type { MailFile } from "./mail";

export interface FrameDocument {
	html: string;
	remote: number;			/* things from elsewhere, left out */
	shown: Set<MailFile>;		/* files that stand in the HTML */
}

const POLICY = "default-src 'none'; img-src data: blob:;"
	+ " style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/* Its four <meta> are ours: see unlessBarred(). */
const OUR_METAS = 4;
const HEAD = "<head><meta charset=\"utf-8\">"
	+ `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`
	+ "<meta name=\"referrer\" content=\"no-referrer\">"
	+ "<meta http-equiv=\"x-dns-prefetch-control\" content=\"off\">"
	+ "<title>Message</title>";

const TEXT_STYLE = "<style>html{color-scheme:light dark;background:#fff;"
	+ "color:#1b1f22}pre{margin:0;padding:16px 20px;white-space:pre-wrap;"
	+ "overflow-wrap:anywhere;font:15px/1.6 system-ui,sans-serif}"
	+ "body{margin:0}@media(prefers-color-scheme:dark){html{"
	+ "background:#1c2023;color:#e5e7e6}}</style>";

/*
 * Only what a browser would have by default, in the page's own letters: a
 * rule here would win over the message's attributes.
 */
const HTML_STYLE = "<style>html{color-scheme:light;color:#1b1f22;"
	+ "padding:8px 12px;overflow-wrap:break-word;"
	+ "font-family:system-ui,sans-serif;"
	+ "-webkit-print-color-adjust:exact;print-color-adjust:exact}"
	/* As fit.ts asks for, where paper is too narrow. */
	+ "html[data-narrow] *{width:auto!important;min-width:0!important;"
	+ "max-width:100%!important;text-wrap-mode:wrap!important;"
	+ "overflow-wrap:break-word!important}</style>";

/* How the pictures begin that browsers show, whatever they are called. */
const MAGIC: [RegExp, string][] = [
	[/^\x89PNG\r\n/, "image/png"], [/^\xff\xd8\xff/, "image/jpeg"],
	[/^GIF8[79]a/, "image/gif"], [/^RIFF[^]{4}WEBP/, "image/webp"],
	[/^[^]{4}ftypavi[fs]/, "image/avif"], [/^BM/, "image/bmp"],
	[/^\0\0\x01\0/, "image/x-icon"],
];

/* The type of a picture, or null for what is none. */
function imageType({ type, bytes }: MailFile): string | null
{
	const start = latin1(bytes.subarray(0, 12));

	return /^image\/svg\+xml$/i.test(type) ? "image/svg+xml"
		: MAGIC.find(([begins]) => begins.test(start))?.[1] ?? null;
}

export function escapeText(text: string): string
{
	return text.replace(/&/g, "&amp;").replace(/</g, "&lt;")
		.replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

/* The first letter of a line that has a direction, and those from right. */
const LETTER = /\p{L}/u;
const FROM_RIGHT = new RegExp("[\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc"
	+ "\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1eeff}]", "u");

const quotes = (line: string) => /^[> ]*/.exec(line)?.[0].replace(/ /g, "");

/* Does the next line go on with this one, which was broken when full? */
function isFull(line: string): boolean
{
	return line.length >= 50 && !/[.!?:\u061f]\s*$/.test(line);
}

/*
 * Text in blocks of one direction.  A line has that of its first letter;
 * without one, or where it goes on with the line before, it has that one's.
 */
export function directed(text: string): { dir: "ltr" | "rtl", text: string }[]
{
	const blocks: { dir: "ltr" | "rtl", text: string }[] = [];
	let before = "";

	for (const line of text.replace(/\r\n?/g, "\n").replace(/\0/g, "\ufffd")
		.match(/[^\n]*\n|[^\n]+/g) ?? []) {
		const last = blocks[blocks.length - 1];
		const letter = LETTER.exec(line)?.[0];
		const goesOn = isFull(before) && quotes(before) === quotes(line);
		const own = letter === undefined || goesOn ? undefined
			: FROM_RIGHT.test(letter) ? "rtl" : "ltr";
		const dir = own ?? last?.dir ?? "ltr";

		before = line;
		if (last?.dir === dir)
			last.text += line;
		else
			blocks.push({ dir, text: line });
	}
	return blocks;
}

export function textDocument(text: string): FrameDocument
{
	return {
		html: `<!doctype html><html>${HEAD}${TEXT_STYLE}</head><body><pre>`
			+ directed(text).map(block => `<div dir="${block.dir}">${
				escapeText(block.text)}</div>`).join("")
			+ "</pre></body></html>",
		remote: 0,
		shown: new Set(),
	};
}

function dataUrl(file: MailFile, type: string): string
{
	let binary = "";

	for (let at = 0; at < file.bytes.length; at += 8192)
		binary += String.fromCharCode(...file.bytes.subarray(at, at + 8192));
	return `data:${type};base64,${btoa(binary)}`;
}

/* A browser that enforces trusted types takes srcdoc only from a policy. */
interface TypesFactory {
	createPolicy(name: string, rules: {
		createHTML(text: string): string;
	}): { createHTML(text: string): string };
}
const factory = (window as { trustedTypes?: TypesFactory }).trustedTypes;
const policy = factory?.createPolicy("counterfoil",
	{ createHTML: text => text });

function trusted(html: string): string
{
	return policy?.createHTML(html) ?? html;
}

const FORBIDDEN_TAGS = ["form", "input", "button", "textarea", "select",
	"option", "optgroup", "datalist", "label", "fieldset", "legend", "output",
	"meter", "progress", "audio", "video", "source", "track", "picture",
	"dialog", "template", "slot"];
const FORBIDDEN_ATTRIBUTES = ["srcset", "poster", "ping",
	"action", "autofocus", "tabindex", "accesskey", "popover",
	"popovertarget", "download", "xlink:href"];

/*
 * Attributes whose value is never an address that is loaded or followed:
 * they stay as they are.  Every other one is held to LINK.
 */
const HARMLESS = ["abbr", "align", "alink", "axis", "behavior", "bgcolor",
	"border", "bordercolor", "bordercolordark", "bordercolorlight",
	"bottommargin", "cellpadding", "cellspacing", "char", "charoff",
	"charset", "cite", "clear", "color", "cols", "colspan", "compact",
	"coords", "datetime", "decoding", "dir", "direction", "draggable",
	"face", "frame", "headers", "height", "hidden", "hreflang", "hspace",
	"ismap", "itemid", "itemprop", "itemref", "itemscope", "itemtype",
	"lang", "leftmargin", "link", "loop", "marginheight", "marginwidth",
	"media", "nohref", "noshade", "nowrap", "open", "rel", "rev",
	"reversed", "rightmargin", "rows", "rowspan", "rules", "scope",
	"scrollamount", "scrolldelay", "shape", "size", "span", "spellcheck",
	"start", "target", "text", "topmargin", "translate", "truespeed",
	"type", "valign", "version", "vlink", "vspace", "width", "wrap",
	"xml:lang"];
const LINK = /^(?:https?:|mailto:|tel:|#)/i;

/*
 * What makes a browser look up a name or connect, without a request that a
 * policy could forbid.  The sanitiser takes it out; where it stands all the
 * same, the sanitiser has failed, and nothing of the HTML is shown.
 */
const BARRED = "link,base,script,iframe,frame,frameset,fencedframe,portal,"
	+ "object,embed,applet,template";

function unlessBarred(html: string): string
{
	const inert = new DOMParser().parseFromString(trusted(html), "text/html");
	const root = Reflect.get(Document.prototype, "documentElement",
		inert) as HTMLElement;

	return root.querySelector(BARRED) === null
	    && root.querySelectorAll("meta").length === OUR_METAS ? html
		: `<!doctype html><html>${HEAD}${HTML_STYLE}</head><body>The`
			+ " formatted text of this message could not be made safe and"
			+ " is not shown.</body></html>";
}

/*
 * A style sheet as DOMPurify lets it pass, which takes out one that has
 * markup in it: Word puts <!-- --> around it, others name a <tag> in a
 * comment.
 */
function plainSheet(css: string): string
{
	return css.replace(/<!--|-->/g, " ")
		.replace(/@(?:media|container)[^{;]*/gi, query =>
			query.replace(/<(?=\w)/g, "< "))
		.replace(/<(?=[/\w!])/g, "\\3c ");
}

const BOXES: Record<string, [string, string]> = {
	checkbox: ["\u2610", "\u2611"], radio: ["\u25cb", "\u25cf"],
};

/* What a field of a form says to who only reads it. */
function fieldText(field: Element): string
{
	if (field instanceof HTMLSelectElement)
		return Array.from(field.selectedOptions).map(({ text }) => text)
			.join(", ");
	if (!(field instanceof HTMLInputElement))
		return field.textContent ?? "";
	const { type } = field;

	return BOXES[type]?.[Number(field.defaultChecked)]
		?? (/^(hidden|password|file|color|range)$/.test(type) ? ""
			: type === "image" ? field.alt : field.defaultValue);
}

function written(name: "pre" | "span", text: string, html: Document):
	HTMLElement
{
	const element = Reflect.apply(Document.prototype.createElement, html,
		[name]) as HTMLElement;

	element.textContent = text;
	if (name === "span")
		element.setAttribute("style", "white-space:pre-wrap");
	return element;
}

/*
 * The HTML with text for what the sanitiser takes out as an element, but is
 * seen or read.
 */
function readable(html: string): string | HTMLElement
{
	const inert = new DOMParser().parseFromString(trusted(html), "text/html");
	const root = Reflect.get(Document.prototype, "documentElement",
		inert) as HTMLElement;
	const found = Array.from(root.querySelectorAll("xmp,plaintext,listing,"
		+ "noscript,svg,select,input,textarea"));

	for (const one of found) {
		const name = one.localName;

		if (name === "noscript")
			one.replaceWith(...one.childNodes);
		else if (/^(xmp|plaintext|listing)$/.test(name))
			one.replaceWith(written("pre", one.textContent ?? "", inert));
		else if (name === "svg")
			one.replaceWith(written("span", Array.from(
				one.querySelectorAll("text"), text => text.textContent)
				.join(" "), inert));
		else
			one.replaceWith(written("span", fieldText(one), inert));
	}
	return found.length === 0 ? html : root;
}

/* What a style would load: an address that is only named is none. */
const ELSEWHERE = /(?:url\(|@import)\s*["']?((?:https?:)?\/\/[^\s"')]+)/gi;

/*
 * What it costs to parse a document is the depth at each of its tags, which
 * browsers look through; nobody writes by hand or program what is beyond.
 */
const MAX_WORK = 20_000_000;
const CLOSED_FOR_IT = new RegExp("^(?:p|li|dt|dd|tr|td|th|tbody|thead|tfoot"
	+ "|option|html|head|body|area|base|br|col|embed|hr|img|input|link|meta"
	+ "|source|track|wbr|o:p)$", "i");

function isTooMuch(html: string): boolean
{
	let depth = 0, work = 0;

	for (const [, end, name = ""] of html.matchAll(/<(\/?)([a-z][^\s/>]*)/gi)) {
		if (!CLOSED_FOR_IT.test(name))
			depth = Math.max(0, depth + (end === "/" ? -1 : 1));
		work += depth + 1;
		if (work > MAX_WORK)
			return true;
	}
	return false;
}

const UNSEEN = /display\s*:\s*none|visibility\s*:\s*hidden/i;
const REMOTE = /^(https?:)?\/\//i;

/* Is it, or what it stands in, not to be seen? */
function isHidden(element: Element): boolean
{
	for (let one: Element | null = element; one !== null;
		one = one.parentElement)
		if (one.hasAttribute("hidden")
		    || UNSEEN.test(one.getAttribute("style") ?? ""))
			return true;
	return false;
}

/*
 * DOMPurify drops an attribute in which there is "-->" or "</style", for it
 * knows nothing of where its result will stand.  Where one is, < and > pass
 * it as characters that Unicode keeps for such use, and stand in the result
 * as what they are by escape: wherever it is parsed, no tag comes of them.
 */
function masked(value: string): string
{
	return !/[-!\]]>|<\//.test(value) ? value
		: value.replace(/</g, "\ufdd0").replace(/>/g, "\ufdd1");
}

function unmasked(html: string): string
{
	return html.replace(/\ufdd0/g, "&lt;").replace(/\ufdd1/g, "&gt;");
}

/* Throws when a browser would be busy with it for too long. */
export function htmlDocument(html: string, files: MailFile[]): FrameDocument
{
	const purifier = DOMPurify;
	const shown = new Set<MailFile>();
	const elsewhere = new Set<string>();

	if (isTooMuch(html))
		throw new Error("its HTML is too deep");
	const pictures = new Map(files.flatMap(file => [
		...file.contentId === "" ? [] : [[`cid:${file.contentId}`, file]],
		...file.location === "" ? [] : [[file.location, file]],
	] as [string, MailFile][]));

	/* The picture in the message that an address means, or null. */
	const inline = (address: string, where: Element | null): string | null => {
		const name = address.replace(/^cid:/i, "cid:");
		let file = pictures.get(name);

		try {
			file ??= pictures.get(decodeURIComponent(name));
		} catch {
			/* not percent-encoded after all */
		}
		const type = file === undefined ? null : imageType(file);

		if (file === undefined || type === null)
			return null;
		if (where !== null && !isHidden(where))
			shown.add(file);
		return dataUrl(file, type);
	};
	const styled = (css: string): string => {
		for (const [, url = ""] of css.matchAll(ELSEWHERE))
			elsewhere.add(url);
		return css.replace(/url\(\s*(["']?)(cid:[^"'()\s]+)\1\s*\)/gi, (_, _quote,
			address: string) => `url(${inline(address, null) ?? "data:,"})`);
	};

	purifier.addHook("uponSanitizeElement", (node, { tagName }) => {
		if (tagName === "style")
			node.textContent = plainSheet(styled(node.textContent ?? ""));
	});
	purifier.addHook("uponSanitizeAttribute", (node, attribute) => {
		const value = attribute.attrValue.trim();

		if (attribute.attrName === "style") {
			attribute.attrValue = styled(value);
			return;
		}
		if (attribute.attrName === "srcset" && REMOTE.test(value))
			elsewhere.add(value);
		if (attribute.attrName === "href" && (value === ""
		    || !/^(A|AREA)$/.test(node.nodeName)))
			attribute.keepAttr = false;
		if (!/^(src|background)$/.test(attribute.attrName))
			return;
		const url = inline(value, node);

		if (attribute.attrName === "src" && node.nodeName !== "IMG") {
			attribute.keepAttr = false;
		} else if (url !== null) {
			attribute.attrValue = url;
		} else if (!/^data:image\//i.test(value)) {
			if (REMOTE.test(value))
				elsewhere.add(value);
			attribute.keepAttr = false;
		}
	});
	/* Behind the others: what they look for must not be masked. */
	purifier.addHook("uponSanitizeAttribute", (_, attribute) => {
		attribute.attrValue = masked(attribute.attrValue);
	});
	purifier.addHook("afterSanitizeAttributes", node => {
		if (/^(A|AREA)$/.test(node.nodeName) && node.hasAttribute("href")) {
			node.setAttribute("target", "_blank");
			node.setAttribute("rel", "noopener noreferrer nofollow");
		}
	});

	/*
	 * One purifier for all: it may make its trusted types policy once.
	 * No script looks for an element by a name that a message can take,
	 * and style sheets need their ids: hence not SANITIZE_DOM.
	 */
	const clean = purifier.sanitize(readable(html), {
		USE_PROFILES: { html: true, mathMl: true },
		FORBID_TAGS: FORBIDDEN_TAGS,
		FORBID_ATTR: FORBIDDEN_ATTRIBUTES,
		ADD_ATTR: [...HARMLESS, "background"],
		ADD_URI_SAFE_ATTR: [...HARMLESS, "background"],
		SANITIZE_DOM: false,
		WHOLE_DOCUMENT: true,
		ALLOWED_URI_REGEXP: LINK,
	});

	purifier.removeAllHooks();
	return {
		/* What <html> and <body> say in `clean` is added to ours. */
		html: unlessBarred(
			`<!doctype html><html>${HEAD}${HTML_STYLE}</head>${
				unmasked(clean)}`),
		remote: elsewhere.size,
		shown,
	};
}

/*
 * The frame for a document.  Links in it open a new window; nothing else
 * is allowed to it.
 */
export function frameFor(document_: FrameDocument, title: string,
	part: "text" | "html"): HTMLIFrameElement
{
	const frame = document.createElement("iframe");

	frame.setAttribute("sandbox", "allow-same-origin allow-popups"
		+ " allow-popups-to-escape-sandbox");
	frame.setAttribute("referrerpolicy", "no-referrer");
	frame.title = title;
	frame.dataset["part"] = part;
	frame.srcdoc = trusted(document_.html);
	return frame;
}
