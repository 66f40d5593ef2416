// SPDX-License-Identifier: Apache-2.0
/*
 * view - what stands on the page.
 *
 * One screen at a time in <main>, whose data-state says which.  Text from
 * outside reaches the document as text only.
 *
 * Knows: the document.   Does not know: keys, the network, the link.
 */
import type { Description } from "./api";
import { recordsSentence } from "./assurance";
import { safeName, sizeText } from "./files";
import { fit } from "./fit";
import { directed, frameFor, htmlDocument, textDocument,
	type FrameDocument } from "./frames";
import type { Bytes } from "./bytes";
import { senderIsVouchedFor, type Mail, type Person } from "./mail";
import type { Trouble } from "./trouble";
import { visible } from "./visible";

type Child = Node | string | null;
type Attributes = Record<string, string>;

export type State =
	"busy" | "server" | "ready" | "opening" | "opened" | "trouble" | "choose"
	| "several";

/* Addresses of what is offered for saving, freed with the screen. */
let offered: string[] = [];

/* What the screen does with a file that is dropped on it. */
let taking: ((file: File) => void) | null = null;

function el<K extends keyof HTMLElementTagNameMap>(name: K,
	attributes: Attributes, ...children: Child[]): HTMLElementTagNameMap[K]
{
	const element = document.createElement(name);

	for (const [key, value] of Object.entries(attributes))
		element.setAttribute(key, value);
	for (const child of children)
		if (child !== null)
			element.append(child);
	return element;
}

function heading(text: string): HTMLHeadingElement
{
	return el("h1", { tabindex: "-1", dir: "auto" }, text);
}

/* Text from outside amid ours: its direction is its own affair. */
function own(text: string): HTMLElement
{
	return el("bdi", {}, text);
}

function place(id: string): HTMLElement
{
	const element = document.getElementById(id);

	if (element === null)
		throw new Error(`no #${id}`);
	return element;
}

/* For screen readers: said once, shown nowhere. */
function say(text: string): void
{
	place("live").textContent = text;
}

function show(state: State, focus: boolean, ...children: Child[]): void
{
	const main = place("main");

	for (const url of offered)
		URL.revokeObjectURL(url);
	offered = [];
	taking = null;
	main.dataset["state"] = state;
	main.replaceChildren(...children.filter(child => child !== null));
	if (focus)
		main.querySelector<HTMLElement>("h1")?.focus();
}

function rows(...pairs: [string, Child][]): HTMLDListElement
{
	return el("dl", { class: "rows" }, ...pairs
		.filter(([, value]) => value !== null && value !== "")
		.map(([name, value]) => el("div", {},
			el("dt", {}, name), el("dd", {}, value))));
}

function details(...pairs: [string, Child][]): HTMLDetailsElement
{
	return el("details", {}, el("summary", {}, "Technical details"),
		rows(...pairs));
}

/* A moment as the person's own clock and calendar show it. */
export function timeText(time: string): string
{
	const date = new Date(time);

	if (Number.isNaN(date.getTime()))
		return time.slice(0, 80);
	return date.toLocaleString("en-GB", {
		day: "numeric", month: "long", year: "numeric",
		hour: "2-digit", minute: "2-digit",
	});
}

/* Never a name without its address. */
function personParts({ name, address }: Person): Child[]
{
	if (address === "")
		return [own(name), name === "" ? "(no address)" : " (no address)"];
	return name === "" || name === address ? [own(address)]
		: [own(name), " <", own(address), ">"];
}

/* One after the other, in our direction whatever the names' is. */
function people(list: Person[], nobody: string): HTMLElement
{
	return el("span", {}, ...list.length === 0 ? [nobody]
		: list.flatMap((person, i) => [i === 0 ? "" : ", ",
			el("bdi", { dir: "ltr" }, ...personParts(person))]));
}

/* --- busy ------------------------------------------------------------- */

export function showBusy(text: string): void
{
	say(text);
	show("busy", false, el("section", { class: "card quiet" },
		el("div", { class: "spinner", "aria-hidden": "true" }),
		el("p", {}, text)));
}

/* --- a key server that is on no list ----------------------------------- */

export interface ServerScreen {
	host: string;
	onAsk: () => void;
	onLeave: () => void;
}

/* Shown before anything goes to the server. */
export function showServer({ host, onAsk, onLeave }: ServerScreen): void
{
	const ask = el("button", { type: "button", class: "primary", id: "ask" },
		"Ask this key server");

	ask.addEventListener("click", onAsk, { once: true });
	say(`The message names the key server ${host}.`);
	show("server", true, el("section", { class: "card" },
		heading("Do you want to ask this key server?"),
		el("p", {}, "The message says that its key is at"),
		el("p", { class: "sender", id: "server" }, host),
		el("p", {}, "This page does not know that server. Whoever writes a"
			+ " message can name one of their own, and it can say anything:"
			+ " who sent the message, and what is recorded. Go on only if you"
			+ " expect a message by way of this server."),
		el("p", {}, "Nothing has been sent to it yet. If you ask it, it learns"
			+ " that somebody has this message, when, and at which network"
			+ " address."),
		el("p", { class: "ways" }, ask, wayButton("Back", onLeave))));
}

/* --- ready: who sent it, what will be recorded ------------------------ */

const ASSURANCE: Record<string, string> = {
	bearer: "Whoever holds this mail and its link can open it.",
};

const STATE: Record<string, string> = {
	released: "The key of this message has been given out before.",
	opened: "This message has been opened before.",
};

export interface ReadyScreen {
	description: Description;
	host: string;
	isListed: boolean;	/* the key server is on the list of this page */
	handle: string;
	onOpen: () => void;
}

/* What a key server says of a sender is worth what the server is worth. */
function vouching(domain: string, host: string, isListed: boolean):
	HTMLElement
{
	if (isListed)
		return el("p", { class: "vouch" }, "Checked: ", el("b", {}, host),
			" confirms that this sender may write for ",
			el("b", {}, own(domain)), ".");
	return el("p", { class: "note", id: "unlisted" }, "Nobody has checked"
		+ " this. ", el("b", {}, host), ", a key server that this page does"
		+ " not know, says that the sender may write for ",
	el("b", {}, own(domain)), "; it can say anything.");
}

export function showReady({ description, host, isListed, handle, onOpen }:
	ReadyScreen): void
{
	const { issuer } = description;
	const before = STATE[description.state] ?? null;
	const end = description.expiresAt;
	const assurance = ASSURANCE[description.assurance] ?? null;
	const button = el("button", { type: "button", class: "primary",
		id: "open" }, "Open the message");

	button.addEventListener("click", onOpen, { once: true });
	say(`Sealed message from ${issuer.address}.`);
	show("ready", false, el("section", { class: "card ticket" },
		el("div", { class: "body" },
			heading("A sealed message for you"),
			el("p", { class: "label" }, "From"),
			el("p", { class: "sender", id: "issuer" },
				own(issuer.address)),
			vouching(issuer.domain, host, isListed),
			rows(["Sealed on", timeText(description.issuedAt)],
				["Open until", end === null ? null : timeText(end)]),
			before === null ? null : el("p", { class: "note" }, before)),
		el("div", { class: "stub" },
			el("h2", {}, "If you open it"),
			el("p", { id: "records" },
				recordsSentence(description.assurance)),
			isListed ? null : el("p", {}, "That is what the rules are. This"
				+ " key server may keep to others."),
			assurance === null ? null : el("p", {}, assurance),
			button,
			el("p", { class: "small" }, isListed
				? "Looking at this page records nothing. " : "",
			"To leave the message unopened, close this page."))),
		details(["Page of", location.host], ["Key server", host],
			["Account", own(issuer.account)],
			["Key", el("code", {}, handle)],
			["Assurance", description.assurance],
			["Algorithm", description.algorithm]));
}

/* The button was pressed. */
export function showOpening(): void
{
	const button = document.getElementById("open") as HTMLButtonElement | null;

	place("main").dataset["state"] = "opening";
	say("Opening the message.");
	if (button === null)
		return;
	button.disabled = true;
	button.textContent = "Opening …";
}

/* --- opened ----------------------------------------------------------- */

export interface OpenedScreen {
	mail: Mail;
	message: Bytes;		/* the original, for Save as .eml */
	issuer: { address: string, domain: string };
	host: string;
	isListed: boolean;
}

function saveLink(bytes: Bytes, name: string, attributes: Attributes,
	...children: Child[]): HTMLAnchorElement
{
	const url = URL.createObjectURL(
		new Blob([bytes], { type: "application/octet-stream" }));

	offered.push(url);
	return el("a", { ...attributes, href: url, download: name }, ...children);
}

function warning(mail: Mail, issuer: { address: string, domain: string },
	isListed: boolean): HTMLElement | null
{
	if (isListed && senderIsVouchedFor(mail.from, issuer.domain))
		return null;
	return el("div", { class: "warning", role: "alert", id: "warning" },
		el("b", {}, "Take care: the sender’s name is not confirmed."), " ",
		"Inside, the message names ", people(mail.from, "no clear sender"),
		". ", ...isListed ? ["It was sealed by ", own(issuer.address),
			", who may write for ", own(issuer.domain), " only."]
			: ["This page does not know its key server."]);
}

/* One way to see the message. */
interface View {
	label: string;
	element: HTMLElement;
}

interface Parts {
	element: HTMLElement;
	listed: Mail["files"];
}

/* A part in its frame, as high as it is. */
function framed(document_: FrameDocument, title: string,
	part: "text" | "html"): HTMLElement
{
	const frame = frameFor(document_, title, part);

	fit(frame);
	return el("div", { class: "fitted" }, frame);
}

/*
 * Text is printed from the page itself: paper cuts a frame in two wherever
 * it ends, in the middle of a line too.
 */
function textView(text: string): HTMLElement
{
	return el("div", { class: "text" },
		framed(textDocument(text), "The message as plain text", "text"),
		el("pre", { class: "paper" }, ...directed(text).map(block =>
			el("div", { dir: block.dir }, block.text))));
}

function remoteNote(count: number): HTMLElement | null
{
	if (count === 0)
		return null;
	return el("p", { class: "note", id: "remote" }, count === 1
		? "One picture or font from elsewhere was not loaded: its owner"
			+ " would learn that you are reading."
		: `${count} pictures or fonts from elsewhere were not loaded:`
			+ " their owners would learn that you are reading.");
}

function messageParts(mail: Mail): Parts
{
	const views: View[] = [];
	const box = el("div", { class: "message" });
	let listed = mail.files;

	if (mail.html !== null) {
		const html = htmlDocument(mail.html, mail.files);

		views.push({ label: "Formatted", element: el("div", {},
			remoteNote(html.remote),
			framed(html, "The message, formatted", "html")) });
		listed = mail.files.filter(file => !html.shown.has(file));
	}
	if (mail.text !== null)
		views.push({ label: "Plain text", element: textView(mail.text) });
	if (views.length > 1)
		box.prepend(switcher(views));
	if (views.length === 0)
		box.append(el("p", { class: "note" }, "This message has no text."));
	box.append(...mail.notes.map(note => el("p", { class: "note" }, note)));
	box.append(...views.map(({ element }) => element));
	return { element: box, listed };
}

/* Radio buttons that show one of several views. */
function switcher(views: View[]): HTMLElement
{
	return el("fieldset", { class: "switch" },
		el("legend", { class: "hidden" }, "Show the message as"),
		...views.map(({ label, element }, i) => {
			const input = el("input", { type: "radio", name: "view",
				value: String(i) });

			input.checked = i === 0;
			element.hidden = i !== 0;
			input.addEventListener("change", () => {
				for (const view of views)
					view.element.hidden = view.element !== element;
			});
			return el("label", {}, input, el("span", {}, label));
		}));
}

function fileList(files: Mail["files"]): HTMLElement | null
{
	if (files.length === 0)
		return null;
	return el("section", { class: "files", "aria-labelledby": "files-title" },
		el("h2", { id: "files-title" }, files.length === 1
			? "One attachment" : `${files.length} attachments`),
		el("ul", {}, ...files.map(file => el("li", {},
			saveLink(file.bytes, file.name, { "data-file": file.name },
				el("span", { class: "file-name" }, own(file.name)),
				el("span", { class: "file-note" },
					`${sizeText(file.bytes.length)} · ${file.type}`),
				el("span", { class: "file-save" }, "Save"))))));
}

function actions(message: Bytes, name: string): HTMLElement
{
	return el("footer", { class: "actions" },
		saveLink(message, `${name}.eml`, { class: "button", id: "save-eml" },
			"Save as .eml"),
		el("p", { class: "small", id: "receipt", role: "status" },
			"Telling the key server that the message was opened …"));
}

/* Until the screen was painted, or would have been where it is not seen. */
function painted(): Promise<void>
{
	return new Promise(resolve => {
		requestAnimationFrame(() => setTimeout(resolve));
		setTimeout(resolve, 200);
	});
}

/*
 * What the message says is taken in hand last: whatever a browser makes of
 * it, the original is there to be saved before.
 */
export async function showOpened({ mail, message, issuer, host, isListed }:
	OpenedScreen): Promise<void>
{
	const content = el("div", {});
	const name = safeName(mail.subject, "message").slice(0, 80);

	say("The message is open.");
	show("opening", true);
	place("main").append(
		el("article", { class: "card", "aria-label": "Message" },
			el("header", {},
				heading(mail.subject === "" ? "(no subject)" : mail.subject),
				rows(["From", people(mail.from, "(not given)")],
					["To", mail.to.length === 0 ? null : people(mail.to, "")],
					["Cc", mail.cc.length === 0 ? null : people(mail.cc, "")],
					["Date", mail.date === "" ? "" : timeText(mail.date)]),
				warning(mail, issuer, isListed)
				?? el("p", { class: "vouch" }, "Sealed by ",
					el("b", {}, own(issuer.address)), ", confirmed by ",
					el("b", {}, host), ".")),
			content,
			actions(message, name)));
	place("main").querySelector<HTMLElement>("h1")?.focus();
	await painted();
	if (!content.isConnected)
		return;
	const { element, listed } = messageParts(mail);

	content.replaceWith(element, ...[fileList(listed)]
		.filter(list => list !== null));
	place("main").dataset["state"] = "opened";
}

/* The message is open, but the page fails at all of it. */
export function showUnshown(message: Bytes): void
{
	show("opened", true);
	place("main").append(
		el("article", { class: "card", "aria-label": "Message" },
			heading("The message is open, but it cannot be shown"),
			el("p", {}, "This page has failed at it. Save the message and open"
				+ " the file with your mail program."),
			actions(message, "message")));
	place("main").querySelector<HTMLElement>("h1")?.focus();
}

/* What became of the opening proof. */
export function showReceipt(recorded: boolean, time: string): void
{
	const line = document.getElementById("receipt");

	if (line === null)
		return;
	line.dataset["recorded"] = recorded ? "yes" : "no";
	line.textContent = recorded
		? `Opening recorded on ${timeText(time)}. When you close this page,`
			+ " nothing of the message stays here."
		: "The opening could not be reported. The key server has recorded"
			+ " only that it gave out the key. You need not do anything.";
}

/* --- trouble ---------------------------------------------------------- */

export interface Ways {
	again: (() => void) | null;	/* the same once more */
	file: ((file: File) => void) | null;	/* with one chosen now */
	back: (() => void) | null;	/* to what was chosen */
}

function wayButton(text: string, act: (() => void) | null):
	HTMLButtonElement | null
{
	if (act === null)
		return null;
	const button = el("button", { type: "button", class: "button" }, text);

	button.addEventListener("click", act, { once: true });
	return button;
}

/* A button that opens the browser's own choice of a file. */
function fileButton(onFile: ((file: File) => void) | null): Child[]
{
	if (onFile === null)
		return [];
	const input = el("input", { type: "file", hidden: "" });
	const button = el("button", { type: "button", class: "button" },
		"Choose a file");

	button.addEventListener("click", () => input.click());
	input.addEventListener("change", () => {
		const file = input.files?.[0];

		if (file !== undefined)
			onFile(file);
	});
	return [button, input];
}

/*
 * A file may be dropped anywhere on the page: where the screen wants none, the
 * browser would leave the page for it.
 */
export function takeDrops(): void
{
	window.addEventListener("dragover", event => {
		if (event.dataTransfer?.types.includes("Files") !== true)
			return;
		event.preventDefault();
		if (taking === null)
			event.dataTransfer.dropEffect = "none";
	});
	window.addEventListener("drop", event => {
		const file = event.dataTransfer?.files[0];

		if (file === undefined)
			return;
		event.preventDefault();
		taking?.(file);
	});
}

export function showTrouble(trouble: Trouble, ways: Ways): void
{
	const { title, what, todo, again } = trouble.words;
	const { decrypted } = trouble;

	say("");
	show("trouble", true, el("section",
		{ class: "card trouble", "data-trouble": trouble.kind },
		el("div", { class: "mark", "aria-hidden": "true" }, "!"),
		el("div", {},
			heading(title),
			el("p", { id: "what" }, what),
			trouble.reason === "" ? null
			: el("p", { class: "reason", id: "reason" },
				trouble.words.reason ?? "", own(trouble.reason)),
			el("p", {}, el("b", {}, "What to do: "), todo),
			el("p", { class: "ways", id: "ways" },
				wayButton("Try again", again === true ? ways.again : null),
				...fileButton(ways.file), wayButton("Back", ways.back)))));
	taking = ways.file;
	if (decrypted !== null)
		place("ways").append(saveLink(decrypted, "decrypted.eml",
			{ class: "button", id: "save-eml" }, "Save what was decrypted"));
}

/* --- choose a file ---------------------------------------------------- */

export interface ChooseScreen {
	file: File | null;	/* chosen before */
	link: string;		/* what stood in the field before */
	trouble: Trouble | null;	/* with the two */
	hasLink: boolean;	/* the page was opened with one */
	onFile: (file: File, link: string) => void;
}

/* What is wrong with the link, where it can be mended. */
function linkTrouble(trouble: Trouble): HTMLElement
{
	return el("div", { class: "warning", role: "alert",
		"data-trouble": trouble.kind },
	el("b", {}, trouble.words.title), " ", trouble.words.what, " ",
	...trouble.reason === "" ? []
		: [trouble.words.reason ?? "", el("bdi", {}, trouble.reason), ". "],
	el("b", {}, "What to do: "), trouble.withField);
}

/* File and link come in any order; `Open` is for a link that comes last. */
export function showChoose({ file: chosen, link: before, trouble, hasLink,
	onFile }: ChooseScreen): void
{
	const file = el("input", { type: "file", id: "file" });
	const link = el("input", { type: "text", id: "link", autocomplete: "off",
		spellcheck: "false", autocapitalize: "none",
		placeholder: "https://…" });
	const open = chosen === null ? null
		: el("button", { type: "button", class: "primary", id: "again" },
			"Open");

	link.value = before;
	const zone = el("label", { class: "zone", for: "file" },
		el("span", { class: "zone-title" }, "Drop the file here"),
		el("span", { class: "small" }, "or click to choose it"), file);
	const take = (one: File | null | undefined): void => {
		if (one !== undefined && one !== null)
			onFile(one, link.value);
	};

	file.addEventListener("change", () => take(file.files?.[0]));
	open?.addEventListener("click", () => take(chosen));
	link.addEventListener("keydown", event => {
		if (event.key === "Enter")
			take(chosen);
	});
	zone.addEventListener("dragover", event => {
		if (event.dataTransfer?.types.includes("Files") === true)
			zone.classList.add("over");
	});
	zone.addEventListener("dragleave", () => zone.classList.remove("over"));
	zone.addEventListener("drop", () => zone.classList.remove("over"));
	show("choose", false, el("section", { class: "card" },
		heading("Open a sealed message from a file"),
		trouble === null ? null : linkTrouble(trouble),
		el("p", {}, "Save the mail from your mail program as an .eml file and"
			+ " drop it here. The file stays in this browser; it is not"
			+ " sent anywhere."),
		zone,
		chosen === null ? null : el("p", { id: "chosen" }, "The file ",
			el("bdi", {}, safeName(chosen.name, "without a name")),
			" is chosen."),
		el("div", { class: "field" },
			el("label", { for: "link" }, "Link from the mail"),
			link,
			el("p", { class: "small" }, hasLink
				? "This page still has the link that it was opened with."
					+ " Another message needs its own, if its file does not"
					+ " have it."
				: "Needed only where the file does not have it, as the"
					+ " sealed attachment alone."),
			open)));
	taking = take;
	if (trouble !== null)
		link.focus();
}

/* --- several sealed messages in one file ------------------------------- */

export interface SeveralScreen {
	sealed: { handle: string, name: string }[];
	onChoose: (index: number) => void;
	onLeave: () => void;
}

export function showSeveral({ sealed, onChoose, onLeave }: SeveralScreen):
	void
{
	show("several", true, el("section", { class: "card" },
		heading("There is more than one sealed message in this file"),
		el("p", {}, "Each has a key of its own. Nothing is recorded yet."),
		el("ul", { class: "several" }, ...sealed.map(({ handle, name }, i) =>
			el("li", {}, name === "" ? "(no subject)"
				: el("bdi", {}, visible(name)),
				el("p", { class: "small" }, "Key ", el("code", {}, handle)),
				wayButton("Look at this one", () => onChoose(i))))),
		el("p", { class: "ways" }, wayButton("Back", onLeave))));
}

/* Nothing of a message may stay in a page that is left. */
export function clear(): void
{
	say("");
	show("busy", false);
}
