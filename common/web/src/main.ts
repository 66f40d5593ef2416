// SPDX-License-Identifier: Apache-2.0
/*
 * main - the way of one message through the page.
 *
 *   link -> E -> describe -> (the person's click) -> key -> message -> proof
 *
 * Nothing that is recorded happens before the click.
 */
import { askAhead, describe, watchPolicy, type Description }
	from "./api";
import type { Bytes } from "./bytes";
import { findSealed, type Contents, type Found } from "./composite";
import { MAX_CONTAINER } from "./container";
import { blobOfPath, findLocator, type LinkResult, type Locator }
	from "./link";
import { readMail, unread, withoutHtml } from "./mail";
import { open, prepare, type Opened, type Sealed } from "./opening";
import { Trouble } from "./trouble";
import * as view from "./view";

/*
 * The page as a reader serves it comes with a policy that allows the key
 * servers of that site's list and no others.  The single file has no list.
 */
const isListed = document.querySelector(
	"meta[name=key-servers][content=listed]") !== null;

/* A later start makes what an earlier one is still doing void. */
let run = 0;

/* The link that the page was opened with, for a file that has none. */
let kept: Locator | null = null;

/*
 * What stands behind the page's own address, taken out of it at once:
 * neither the history nor a copied address keeps the secret.  It is the
 * fragment, unless a program on the way encoded the `#`.
 */
function takeSecret(blob: string | null): string
{
	const own = blob === null ? location.pathname : `/m/${blob}`;
	const secret = location.pathname.slice(own.length) + location.search
		+ location.hash;

	if (!location.href.endsWith(own))
		history.replaceState(null, "", own);
	return secret.replace(/^#$/, "") === "" ? ""
		: location.origin + own + secret;
}

function locatorOf(found: LinkResult): Locator
{
	if (found.kind !== "ok")
		throw new Trouble(`link-${found.kind}`,
			found.kind === "opaque" ? found.service : "");
	return found.locator;
}

function checkBrowser(): void
{
	if (!window.isSecureContext)
		throw new Trouble("not-secure");
	if (typeof crypto.subtle === "undefined")
		throw new Trouble("too-old");
}

/* A body that may be large, with a limit that holds without a length. */
async function bodyOf(response: Response): Promise<Bytes>
{
	const pieces: Uint8Array[] = [];
	const reader = response.body?.getReader();
	let len = 0;

	for (;;) {
		const piece = await reader?.read();

		if (piece === undefined || piece.done)
			break;
		len += piece.value.length;
		if (len > MAX_CONTAINER) {
			await reader?.cancel();
			throw new Trouble("sealed-too-large");
		}
		pieces.push(piece.value);
	}
	const whole = new Uint8Array(len);
	let at = 0;

	for (const piece of pieces) {
		whole.set(piece, at);
		at += piece.length;
	}
	return whole;
}

async function fetchSealed(blob: string): Promise<Bytes>
{
	try {
		const response = await fetch(`/e/${blob}`, {
			credentials: "omit", cache: "no-store", redirect: "error",
			referrerPolicy: "no-referrer",
		});

		if (response.status === 404 || response.status === 410)
			throw new Trouble("sealed-missing");
		if (!response.ok)
			throw new Trouble("sealed-unreachable",
				`HTTP status ${response.status}`);
		return await bodyOf(response);
	} catch (error) {
		throw error instanceof Trouble ? error
			: new Trouble("sealed-unreachable");
	}
}

/*
 * The message is decrypted and its release recorded: whatever goes wrong
 * from here on, it is not kept from the person.  As much of it is shown as
 * can be, and the original is offered for saving in any case.
 */
async function showMessage({ original, release }: Opened, host: string):
	Promise<void>
{
	const { message } = original;
	const { issuer } = release;

	for (const read of [() => readMail(message),
		() => withoutHtml(readMail(message)), () => unread(message)])
		try {
			await view.showOpened({ mail: read(), message, issuer, host,
				isListed });
			return;
		} catch (error) {
			console.error(error);
		}
	view.showUnshown(message);
}

/* Its end in the person's own time, which the key server does not know. */
function expired({ expiresAt }: Description): Trouble
{
	return new Trouble("expired",
		expiresAt === null ? "" : `${view.timeText(expiresAt)}.`);
}

/* The click: from here on things are recorded. */
async function openAndShow(mine: number, sealed: Sealed,
	description: Description): Promise<void>
{
	const { host } = sealed.locator;

	view.showOpening();
	const opened = await open(sealed).catch((error: unknown) => {
		throw error instanceof Trouble && error.kind === "expired"
			? expired(description) : error;
	});

	if (mine !== run)
		return;
	await showMessage(opened, host);
	if (mine !== run)
		return;
	try {
		view.showReceipt(true, await opened.confirm());
	} catch {
		view.showReceipt(false, "");
	}
}

async function describeAndShow(mine: number, sealed: Sealed): Promise<void>
{
	const { locator, possession, atHand } = sealed;

	view.showBusy("Asking the key server who sent this message …");
	const description = await describe(locator, possession, atHand);

	if (mine !== run)
		return;
	if (description.state === "expired")
		throw expired(description);
	if (description.state === "revoked")
		throw new Trouble("revoked");
	view.showReady({
		description, host: locator.host, isListed, handle: locator.handle,
		onOpen: () => attempt(mine,
			() => openAndShow(mine, sealed, description), {
				again: () => attempt(mine,
					() => describeAndShow(mine, sealed)),
			}),
	});
}

interface Chosen {
	file: File | null;
	link: string;		/* as pasted */
}

interface Ways {
	again?: () => void;	/* unless it is the same step */
	chosen?: Chosen;	/* by which it began */
}

/*
 * Do one step and show what went wrong with it.  The person may then try
 * again, or choose another file.
 */
function attempt(mine: number, step: () => Promise<void>, ways: Ways = {}):
	void
{
	const { chosen } = ways;

	step().catch((error: unknown) => {
		if (mine !== run)
			return;
		if (!(error instanceof Trouble))
			console.error(error);
		const trouble = error instanceof Trouble ? error
			: new Trouble("internal");
		/* A link that was of no use counts no more. */
		const isLinkWrong = trouble.kind === "unknown-key";
		const link = isLinkWrong ? "" : chosen?.link ?? "";

		if (isLinkWrong)
			kept = null;
		view.showTrouble(trouble, {
			again: ways.again ?? (() => attempt(mine, step, ways)),
			file: chosen !== undefined || trouble.words.file === true
				? file => openFile({ file, link }, null) : null,
			back: chosen !== undefined ? () => chooseFile(chosen) : null,
		});
	});
}

/* A key server on no list hears nothing before the person says yes. */
async function askAndShow(mine: number, sealed: Sealed, chosen: Chosen):
	Promise<void>
{
	const step = (): Promise<void> => describeAndShow(mine, sealed);

	if (isListed)
		return step();
	view.showServer({ host: sealed.locator.host,
		onAsk: () => attempt(mine, step, { chosen }),
		onLeave: () => chooseFile(chosen) });
}

function chooseFile(chosen: Chosen, trouble: Trouble | null = null): void
{
	run++;
	view.showChoose({ ...chosen, trouble, hasLink: kept !== null,
		onFile: (file, link) => openFile({ file, link }, null) });
}

/* What is in a file; of it, the sealed messages that a link may mean. */
function sealedIn(file: Bytes, pasted: LinkResult): Contents
{
	const contents = findSealed(file);
	const { sealed, isCut, isPacked, isMail, hasLink } = contents;
	const meant = pasted.kind !== "ok" ? sealed : sealed.filter(
		({ handle }) => handle === pasted.locator.handle);

	if (sealed.length === 0)
		throw new Trouble(isPacked ? "file-packed" : isCut ? "file-cut"
			: hasLink ? "mail-emptied"
			: isMail ? "mail-not-sealed" : "not-sealed");
	if (meant.length === 0)
		throw new Trouble("not-together");
	return { ...contents, sealed: meant };
}

/*
 * A link that was pasted counts, else what the file has, else that of the
 * page if it is for this message.
 */
function locatorFor({ locator, handle }: Found, pasted: LinkResult,
	{ lost }: Contents): Locator
{
	if (pasted.kind !== "none")
		return locatorOf(pasted);
	if (locator !== null)
		return locator;
	if (kept?.handle === handle)
		return kept;
	throw lost === null ? new Trouble("link-needed")
		: new Trouble(`mail-${lost.kind}`,
			lost.kind === "opaque" ? lost.service : "");
}

/* `which`: the one of several that the person has chosen, or null. */
function openFile(chosen: Chosen & { file: File }, which: number | null): void
{
	const mine = ++run;
	const step = async (): Promise<void> => {
		if (chosen.file.size > 1.5 * MAX_CONTAINER)
			throw new Trouble("sealed-too-large");
		const bytes = new Uint8Array(await chosen.file.arrayBuffer());
		const pasted = findLocator(chosen.link);
		const contents = sealedIn(bytes, pasted);
		const all = contents.sealed;
		const found = all[which ?? 0];

		if (found === undefined || (which === null && all.length > 1)) {
			view.showSeveral({ sealed: all.map(({ handle, name }) =>
				({ handle, name })), onLeave: () => chooseFile(chosen),
			onChoose: i => openFile(chosen, i) });
			return;
		}
		await askAndShow(mine, await prepare(found.e,
			locatorFor(found, pasted, contents)), chosen);
	};

	attempt(mine, () => step().catch((error: unknown) => {
		if (mine !== run || !(error instanceof Trouble)
		    || error.withField === null)
			throw error;
		chooseFile(chosen, error);
	}), { chosen });
}

/* Was the page come to by a link, and not shown again? */
function isNew(): boolean
{
	const [entry] = performance.getEntriesByType("navigation");

	return entry instanceof PerformanceNavigationTiming
		&& entry.type === "navigate";
}

/* A link behind the address of the page without a message. */
function brokenLink(found: LinkResult): Trouble | null
{
	if (found.kind === "ok" || found.kind === "none"
	    || found.kind === "unknown")
		return null;
	return new Trouble(`link-${found.kind}`,
		found.kind === "opaque" ? found.service : "");
}

function start(isFirst: boolean): void
{
	const mine = ++run;
	const onDisk = location.protocol === "file:";
	const blob = onDisk ? null : blobOfPath(location.pathname);
	const secret = takeSecret(blob);
	const found = findLocator(secret);

	kept = found.kind === "ok" ? found.locator : null;
	attempt(mine, async () => {
		checkBrowser();
		if (blob === null && (onDisk || location.pathname === "/")) {
			chooseFile({ file: null, link: "" }, brokenLink(found));
			return;
		}
		if (found.kind === "none" && isFirst && isNew())
			throw new Trouble("link-stripped");
		const locator = locatorOf(found);

		if (blob === null)
			throw new Trouble("link-unknown");
		view.showBusy("Loading the sealed message …");
		const atHand = askAhead(locator);

		await describeAndShow(mine,
			await prepare(await fetchSealed(blob), locator, atHand));
	});
}

watchPolicy(document);
view.takeDrops();
window.addEventListener("hashchange", () => {
	if (location.hash !== "")
		start(false);
});

/* A page that is left keeps nothing; one that comes back starts anew. */
window.addEventListener("pagehide", () => {
	run++;
	kept = null;
	view.clear();
});
window.addEventListener("pageshow", event => {
	if (event.persisted)
		start(false);
});
start(true);
