// SPDX-License-Identifier: Apache-2.0
/*
 * trouble - everything that can go wrong, in words for people.
 *
 * Each sort of trouble has a title, a sentence that says what happened and
 * one that says what to do.   Does not know: how it is shown.
 */
import type { Bytes } from "./bytes";

interface Words {
	title: string;
	what: string;
	todo: string;
	again?: boolean;	/* trying again on this page can help */
	file?: boolean;		/* the whole mail, chosen here, can help */
	reason?: string;	/* what stands before the reason; "" if nothing */
}

const OPEN_AGAIN = "Go back to the mail and open its link again.";
const ASK_SENDER = "Tell the sender, by another way than by answering this"
	+ " mail, and ask for the message to be sent again.";

/* The mail and its reader each have a copy. */
const OTHER_COPY = "There may be another copy that is whole: if you opened the"
	+ " link, save the whole mail as a file and choose it here; if you chose a"
	+ " file, open the link in the mail. If that does not help: ";

/* What works where the mail itself has no link that can be used. */
const OTHER_MAIL = "Choose another copy of the mail, as it was before that"
	+ " (from another mailbox, or not forwarded), or copy the link from there"
	+ " into the field below. If there is none, ask the sender for the link.";

const FOLLOW = "Follow that link in the mail. If that does not work: ";

/* What works though the link was lost or changed. */
const WHOLE_MAIL = "Save the whole mail as a file and choose it here; the"
	+ " link is in it.";

const WORDS = {
	"link-none": {
		title: "Please open the link again",
		what: "The secret part of the link is not in the address. This page"
			+ " takes it out as soon as it has read it, so that it stays in"
			+ " no history; reloading the page therefore loses it.",
		todo: `${OPEN_AGAIN} If that does not work: ${WHOLE_MAIL}`,
		file: true,
	},
	"link-stripped": {
		title: "The secret part of the link is missing",
		what: "All that stood behind the # in the link is gone. Some mail"
			+ " programs and scanners take it off; opening the link again"
			+ " then does not help.",
		todo: `${WHOLE_MAIL} If that does not work either, tell the sender,`
			+ " by another way than by answering this mail.",
		file: true,
	},
	"link-incomplete": {
		title: "The link is incomplete",
		what: "The end of the link is missing. Some mail programs break long"
			+ " links in two.",
		todo: "Go back to the mail and copy the whole link, up to its last"
			+ " character, into the address bar. If that does not work: "
			+ WHOLE_MAIL,
		file: true,
	},
	"link-lowercase": {
		title: "The link was changed on the way",
		what: "A program made small letters of its capitals (or the other way"
			+ " round), and with them the secret in the link is lost.",
		todo: WHOLE_MAIL,
		file: true,
	},
	"link-opaque": {
		title: "This is another service’s link",
		what: "It stands for the link of the message, which is not in it, so"
			+ " that this page cannot read it.",
		todo: `Follow that link itself. If that does not work: ${WHOLE_MAIL}`,
		file: true,
		reason: "Service: ",
	},
	"link-ambiguous": {
		title: "The link is not clear",
		what: "There is more than one key link in this address, and this page"
			+ " does not guess.",
		todo: `${OPEN_AGAIN} If that does not work: ${WHOLE_MAIL}`,
		file: true,
	},
	"link-unknown": {
		title: "The link cannot be read",
		what: "This is not a link to a sealed message, or it was changed on"
			+ " the way.",
		todo: "Go back to the mail and copy the whole link, up to its last"
			+ " character, into the address bar. If that does not work: "
			+ WHOLE_MAIL,
		file: true,
	},
	"not-secure": {
		title: "This page cannot open messages here",
		what: "It was loaded over a connection that is not secure. Browsers"
			+ " switch off decryption on such pages.",
		todo: "Open the link with https:// at its beginning. If that does not"
			+ " work, tell the people who run your mail.",
	},
	"too-old": {
		title: "This browser cannot open the message",
		what: "It lacks the decryption functions this page needs.",
		todo: "Open the link in a current version of Firefox, Chrome, Edge or"
			+ " Safari.",
	},
	"sealed-missing": {
		title: "The message is no longer kept here",
		what: "This reader keeps sealed messages for a limited time, and does"
			+ " not have this one, or not any more. The mail still has it:"
			+ " sealed, as its attachment message.counterfoil.",
		todo: "Save the mail as a file, or only that attachment, and choose"
			+ " the file here.",
		file: true,
	},
	"sealed-unreachable": {
		title: "The message could not be loaded",
		what: "This reader did not answer.",
		todo: "Check your connection and try again. If it stays so: save the"
			+ " mail as a file, or save its attachment message.counterfoil,"
			+ " and choose that file here.",
		again: true,
		file: true,
	},
	"sealed-too-large": {
		title: "The message is too large for a browser",
		what: "It is larger than 100 MB.",
		todo: "Save the mail as a file and open it with the command"
			+ " “counterfoil open”.",
	},
	"not-sealed": {
		title: "This file is not a sealed message",
		what: "It is neither a whole mail with a sealed part nor a sealed"
			+ " attachment.",
		todo: "Save the mail from your mail program as an .eml file and open"
			+ " that. Nothing was sent anywhere.",
	},
	"mail-not-sealed": {
		title: "There is no sealed message in this mail",
		what: "No part of this mail, whatever its name, is a sealed message."
			+ " If there was one, somebody has taken it out on the way.",
		todo: "Open the mail that has the sealed attachment. If that is this"
			+ " one, tell the sender, by another way than by answering it.",
	},
	"mail-emptied": {
		title: "The sealed attachment was taken out of this mail",
		what: "The mail has its link, but the sealed message itself is not in"
			+ " this file. A scanner on the way may have removed it.",
		todo: "Open the link in the mail: the message may still be where it"
			+ " leads. If it is not, ask the people who run your mail for the"
			+ " attachment, or the sender for another copy.",
	},
	"file-cut": {
		title: "The sealed message in this file is not whole",
		what: "It was changed or cut off on the way, or when the file was"
			+ " saved.",
		todo: "Open the link in the mail: the copy it leads to may be whole."
			+ " If that does not work either, tell the sender, by another way"
			+ " than by answering this mail.",
	},
	"file-packed": {
		title: "A packed file has to be unpacked first",
		what: "There is a packed file (zip or the like), and this page does"
			+ " not look into those.",
		todo: "Unpack it and choose what was in it: the mail, or its"
			+ " attachment message.counterfoil.",
	},
	"link-needed": {
		title: "The link is needed too",
		what: "This file does not say where its key is.",
		todo: OPEN_AGAIN,
	},
	"mail-lowercase": {
		title: "The link in this mail was changed on the way",
		what: "A program made small letters of its capitals (or the other way"
			+ " round), and with them the secret in the link is lost; to copy"
			+ " it does not help.",
		todo: OTHER_MAIL,
	},
	"mail-cut": {
		title: "The link in this mail is incomplete",
		what: "The end of the link is missing, wherever it stands in this"
			+ " file.",
		todo: OTHER_MAIL,
	},
	"mail-opaque": {
		title: "Another service’s link stands in this mail",
		what: "It is in the place of the message’s own link, which is not in"
			+ " it; to copy it does not help.",
		todo: FOLLOW + OTHER_MAIL,
		reason: "Service: ",
	},
	"not-together": {
		title: "The link belongs to another message",
		what: "The key that the link names is not the key of this sealed"
			+ " message.",
		todo: "Open the link and the attachment of the same mail, or save the"
			+ " whole mail as a file and choose it here.",
		file: true,
	},
	"key-unreachable": {
		title: "The key server cannot be reached",
		what: "It did not answer. Your message is safe, and nothing has been"
			+ " lost.",
		todo: "Check your connection and try again in a few minutes.",
		again: true,
		reason: "Key server: ",
	},
	"key-busy": {
		title: "The key server is busy",
		what: "It asks for a little patience. Nothing has been lost.",
		todo: "Try again in a few seconds.",
		again: true,
		reason: "The key server says: ",
	},
	"key-often": {
		title: "This message is opened too often",
		what: "Its key was asked for very many times within the hour. Nothing"
			+ " has been lost.",
		todo: "Try again in an hour at the latest.",
		again: true,
		reason: "The key server says: ",
	},
	"key-foreign": {
		title: "This reader does not work with that key server",
		what: "The link names a key server that the people who run this reader"
			+ " have not allowed.",
		todo: "If you expected this message, tell them the name of the key"
			+ " server.",
		reason: "Key server: ",
	},
	"key-garbage": {
		title: "The key server gave an answer that makes no sense",
		what: "Its answer is not what the protocol asks for, so nothing was"
			+ " opened.",
		todo: "Try again later. If it stays so, tell the sender.",
		again: true,
		reason: "What is wrong: ",
	},
	"stale": {
		title: "The key server wants to be asked again",
		what: "Its question to this page had been used or was too old.",
		todo: "Try again. If it stays so, check the clock of your computer.",
		again: true,
		reason: "The key server says: ",
	},
	"unknown-key": {
		title: "The key server does not know this message",
		what: "The link is wrong, or its last part was changed on the way.",
		todo: `${WHOLE_MAIL} If that does not help: ${ASK_SENDER}`,
		file: true,
	},
	"expired": {
		title: "This message can no longer be opened",
		what: "The sender has set an end for it, which has passed. Nothing was"
			+ " opened.",
		todo: "If you still need it, ask the sender to send it again.",
		reason: "It could be opened until ",
	},
	"revoked": {
		title: "This message can no longer be opened",
		what: "The sender has withdrawn it. Nothing was opened.",
		todo: "If you still need it, ask the sender to send it again.",
	},
	"refused": {
		title: "The key server refused the key",
		what: "Nothing was opened.",
		todo: "If you think this is a mistake, tell the sender.",
		reason: "The key server says: ",
	},
	"changed": {
		title: "The message is damaged",
		what: "This copy is not the one that the sender sealed: the key server"
			+ " does not accept it as the message it has the key for.",
		todo: OTHER_COPY + ASK_SENDER,
		file: true,
		reason: "The key server says: ",
	},
	"damaged": {
		title: "The message is damaged",
		what: "The sealed part was changed or cut off on the way. It cannot be"
			+ " opened, and nothing of it is shown.",
		todo: OTHER_COPY + ASK_SENDER,
		file: true,
	},
	"wrong-key": {
		title: "The key does not fit",
		what: "The key that the key server gave does not open this message.",
		todo: ASK_SENDER,
	},
	"mismatch": {
		title: "The message does not match its registration",
		what: "What is sealed in it is not what the sender registered with the"
			+ " key server. Such a message could show different texts to"
			+ " different people, so nothing of it is shown.",
		todo: ASK_SENDER,
	},
	"malformed": {
		title: "The message has an unknown form",
		what: "It was opened, but what is inside is not built as this page"
			+ " expects, so nothing of it is shown.",
		todo: "Save what was decrypted: your mail program may be able to show"
			+ " the file. The reader may be too old for this message; tell the"
			+ " people who run your mail.",
	},
	"internal": {
		title: "This page has failed",
		what: "Something happened that should not have.",
		todo: OPEN_AGAIN,
	},
} satisfies Record<string, Words>;

export type TroubleKind = keyof typeof WORDS;

/* What to do where the person has a file and a field for its link. */
const COPY_WHOLE = "Copy the whole link out of the mail, up to its last"
	+ " character, into the field below.";
const MAIL_INSTEAD = "If that does not work: empty the field and choose the"
	+ " whole mail, saved as an .eml file, which may have the link as it was sent."
	+ " If it has not, ask the sender for the link.";
const OR_EMPTY = " If the file is the whole mail, empty the field.";
const WITH_FIELD: Partial<Record<TroubleKind, string>> = {
	"link-needed": COPY_WHOLE + " If the mail has none that is"
		+ " whole, ask the sender for it.",
	"mail-lowercase": OTHER_MAIL,
	"mail-cut": OTHER_MAIL,
	"mail-opaque": FOLLOW + OTHER_MAIL,
	"link-incomplete": COPY_WHOLE + OR_EMPTY,
	"link-unknown": COPY_WHOLE + OR_EMPTY,
	"link-lowercase": `Copy the link out of the mail once more. ${
		MAIL_INSTEAD}`,
	"link-opaque": `Follow that link itself. ${MAIL_INSTEAD}`,
	"link-ambiguous": `Leave one link in the field below.${OR_EMPTY}`,
	"not-together": `Copy the link of the same mail into the field below.${
		OR_EMPTY}`,
};

export class Trouble extends Error {
	readonly words: Words;
	/* What to do where the link can be pasted; null if that helps nothing. */
	readonly withField: string | null;

	/*
	 * `reason` is a sentence from the key server or a name that helps; it
	 * is shown as text and never trusted.  `decrypted`: what is not shown
	 * but is the person's to save.
	 */
	constructor(readonly kind: TroubleKind, readonly reason = "",
		readonly decrypted: Bytes | null = null)
	{
		super(kind);
		this.words = WORDS[kind];
		this.withField = WITH_FIELD[kind]
			?? (kind.startsWith("link-") ? this.words.todo : null);
	}
}
