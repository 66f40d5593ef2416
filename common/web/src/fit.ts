// SPDX-License-Identifier: Apache-2.0
/*
 * fit - frames as high as what stands in them.
 *
 * A frame shows all of a part: on the screen it does not scroll up and
 * down, and a print holds it whole.  Its document is measured from here,
 * for nothing runs in it.  What would take its height from the frame's is
 * given a height of its own first; otherwise the one would chase the other.
 *
 * Knows: documents of the page's own origin.   Does not know: mail.
 */

/* How often a height is tried that made the content higher again. */
const PASSES = 5;

/* Fits on every paper from A5 up; a window's width says nothing there. */
const PRINT_WIDTH = 640;

/* What is wider than so many papers could not be read when made smaller. */
const WIDEST = 3;

/*
 * Members as the browser made them: a picture named "body" in a message
 * stands before the document's own member of that name.
 */
function rootOf(frame: HTMLIFrameElement): HTMLElement | null
{
	const inner = frame.contentDocument;

	return inner === null ? null
		: Reflect.get(Document.prototype, "documentElement", inner);
}

function bodyOf(root: HTMLElement): HTMLElement | null
{
	return Reflect.get(Document.prototype, "body", root.ownerDocument);
}

function force(element: HTMLElement, styles: Record<string, string>): void
{
	for (const [name, value] of Object.entries(styles))
		element.style.setProperty(name, value, "important");
}

/* --- what must not depend on the frame ------------------------------------ */

/* The parts of a window's height, in the window that the page has. */
function windowUnits(value: string): string
{
	const { innerWidth: width, innerHeight: height } = window;
	const sizes: Record<string, number> = { h: height, b: height,
		min: Math.min(width, height), max: Math.max(width, height) };

	return value.replace(/([\d.]+)(?:[sld]?v|cq)(h|b|min|max)\b/gi,
		(_, n: string, unit: string) => `${
			Number(n) / 100 * (sizes[unit.toLowerCase()] ?? height)}px`);
}

function steadyStyle(style: CSSStyleDeclaration): void
{
	for (const name of Array.from(style)) {
		const value = style.getPropertyValue(name);
		const steady = name === "position" && value === "fixed" ? "absolute"
			: windowUnits(value);

		if (steady !== value)
			style.setProperty(name, steady, style.getPropertyPriority(name));
	}
}

/* What asks for the height of the window or its shape: of the page's. */
const SHAPE = new RegExp("\\((?:[^()]|\\([^()]*\\))*"
	+ "\\b(?:height|orientation|aspect-ratio)\\b"
	+ "(?:[^()]|\\([^()]*\\))*\\)", "gi");

function windowShape(media: MediaList): void
{
	const text = media.mediaText.replace(SHAPE, query =>
		window.matchMedia(query).matches ? "(min-width:0px)"
			: "(max-width:0px)");

	if (text !== media.mediaText)
		media.mediaText = text;
}

/* What is printed is what was seen: a query for the screen, or for all. */
function screenMedia(media: MediaList): void
{
	windowShape(media);
	const queries = Array.from(media);

	if (queries.some(query => /\b(screen|print)\b/i.test(query)))
		media.mediaText = queries.map(query => !/\bprint\b/i.test(query)
			? query.replace(/\bscreen\b/i, "all")
			: /^not\b/i.test(query) ? "all" : "not all").join(", ");
}

function steadyRules(rules: CSSRuleList): void
{
	for (const rule of Array.from(rules) as (CSSRule & {
		style?: CSSStyleDeclaration,
		media?: MediaList,
		cssRules?: CSSRuleList,
	})[]) {
		if (rule.media !== undefined)
			screenMedia(rule.media);
		if (rule.style !== undefined)
			steadyStyle(rule.style);
		if (rule.cssRules !== undefined)
			steadyRules(rule.cssRules);
	}
}

function steady(root: HTMLElement): void
{
	const sheets: StyleSheetList = Reflect.get(Document.prototype,
		"styleSheets", root.ownerDocument);

	for (const { media, cssRules } of Array.from(sheets)
		.filter(sheet => sheet.href === null)) {
		screenMedia(media);
		steadyRules(cssRules);
	}
	for (const element of root.querySelectorAll<HTMLElement>("[style]"))
		steadyStyle(element.style);
	for (const element of [root, bodyOf(root)])
		if (element !== null)
			force(element, { "height": "auto", "min-height": "0",
				"max-height": "none", "overflow": "visible" });
}

/* Do its lines run from top to bottom?  Then they have no length but ours. */
function isVertical(root: HTMLElement): boolean
{
	return [root, bodyOf(root)].some(element => element !== null
		&& /^(vertical|sideways)/.test(getComputedStyle(element).writingMode));
}

/* --- measuring --------------------------------------------------------------- */

/* Pictures wider than the frame shrink, in their own shape. */
function shrinkPictures(root: HTMLElement): void
{
	for (const picture of root.querySelectorAll("img"))
		if (picture.offsetWidth > root.clientWidth)
			force(picture, { "max-width": "calc(100vw - 40px)",
				"height": "auto" });
}

/* How much of what is placed from the foot upwards is out at the top. */
function outAtTop(root: HTMLElement): number
{
	return -Array.from(root.querySelectorAll("*"))
		.filter(element => getComputedStyle(element).position === "absolute")
		.reduce((top, element) =>
			Math.min(top, element.getBoundingClientRect().top), 0);
}

function measure(frame: HTMLIFrameElement): void
{
	const root = rootOf(frame);
	const holder = frame.parentElement;

	if (root === null || holder === null || root.clientWidth === 0)
		return;
	let height = isVertical(root) ? Math.round(window.innerHeight / 2) : 0;
	let fits = false;

	/* The page must not jump while the frame is small. */
	holder.style.minHeight = `${holder.offsetHeight}px`;
	force(root, { "overflow-x": "auto", "overflow-y": "hidden" });
	shrinkPictures(root);
	for (let pass = 0; pass < PASSES && !fits; pass++) {
		frame.style.height = `${height}px`;
		/* With the bar by which a wide table is moved. */
		const needed = root.scrollHeight + height - root.clientHeight;

		fits = needed <= height;
		height = Math.max(needed, height);
	}
	const out = Math.ceil(outAtTop(root));

	frame.style.height = `${height + out}px`;
	if (out > 0 && outAtTop(root) > 0)
		frame.style.height = `${height}px`;
	if (!fits)
		force(root, { "overflow-y": "auto" });
	holder.style.minHeight = "";
}

/*
 * Paper has no bar to move a wide table by: it is made smaller.  The frame
 * hangs in a box that can be cut where a page ends, which a frame itself
 * would rather leave empty; letters on paper may be a trifle wider.
 */
function measureForPrint(frame: HTMLIFrameElement): void
{
	const root = rootOf(frame);
	const holder = frame.parentElement;

	if (root === null || holder === null || root.clientWidth === 0)
		return;
	frame.style.width = `${PRINT_WIDTH}px`;
	measure(frame);
	if (root.scrollWidth > WIDEST * PRINT_WIDTH) {
		root.dataset["narrow"] = "";
		measure(frame);
	}
	if (root.scrollWidth > root.clientWidth) {
		force(root, { zoom: String(root.clientWidth / root.scrollWidth) });
		measure(frame);
	}
	frame.style.height = `${Math.ceil(frame.offsetHeight * 1.02)}px`;
	holder.style.height = frame.style.height;
	holder.classList.add("printed");
}

function measureForScreen(frame: HTMLIFrameElement): void
{
	const root = rootOf(frame);
	const holder = frame.parentElement;

	holder?.classList.remove("printed");
	holder?.style.removeProperty("height");
	frame.style.width = "";

	root?.style.removeProperty("zoom");
	root?.removeAttribute("data-narrow");
	measure(frame);
}

/* --- keeping at it ------------------------------------------------------------- */

/*
 * A link to a place within the message leads there; others open a window of
 * their own or do nothing.
 */
function follow(event: Event): void
{
	const root = event.currentTarget as HTMLElement;
	const link = (event.target as Element).closest("a,area");
	const href = link?.getAttribute("href") ?? "";

	if (link === null || (link.getAttribute("target") === "_blank"
	    && !href.startsWith("#")))
		return;
	event.preventDefault();
	const name = CSS.escape(href.slice(1));

	if (href.startsWith("#"))
		(root.querySelector(`[id="${name}"],[name="${name}"]`) ?? root)
			.scrollIntoView();
}

const watched = new ResizeObserver(entries => {
	const inner = new Set(entries.map(({ target }) => target.ownerDocument));

	for (const frame of document.querySelectorAll("iframe"))
		if (frame.contentDocument !== null
		    && inner.has(frame.contentDocument))
			measure(frame);
});

/* Make `frame` as high as its document, when it is loaded and from then on. */
export function fit(frame: HTMLIFrameElement): void
{
	frame.addEventListener("load", () => {
		const root = rootOf(frame);

		if (root === null)
			return;
		steady(root);
		measure(frame);
		root.addEventListener("click", follow);
		for (const element of [root, ...root.querySelectorAll(
			"body,details,img")])
			watched.observe(element);
	});
}

window.addEventListener("beforeprint", () => {
	document.querySelectorAll("iframe").forEach(measureForPrint);
});
window.addEventListener("afterprint", () => {
	document.querySelectorAll("iframe").forEach(measureForScreen);
});
