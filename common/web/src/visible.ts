// SPDX-License-Identifier: Apache-2.0
/*
 * visible - names, addresses and other text from outside, as people see it.
 *
 * One line in which every character can be seen: what would start a line,
 * turn the writing direction or hide is U+FFFD, a run of blanks of any width
 * is one blank, and none stands at the ends.  The same in C: common/visible.c;
 * the cases of both: tests/vectors/visible.json.
 *
 * Does not know: documents; there such a text stands in a <bdi>, so that
 * letters written from right to left do not move what stands beside it.
 */

/* Not seen, but they change how others are read, or pass for nothing. */
const HIDDEN = new RegExp("[\\0-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f"
	+ "\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e"
	+ "\\u2060-\\u206f\\u2800\\u3164\\ud800-\\udfff\\ufdd0-\\ufdef"
	+ "\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffc\\ufffe\\uffff"
	+ "\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]",
"gu");
const BLANKS = new RegExp("[\\t\\n\\r \\xa0\\u1680\\u2000-\\u200a\\u202f"
	+ "\\u205f\\u3000]+", "g");

/* Scripts whose letters a joiner ties or parts: Arabic to Sinhala. */
const JOINING = /^[\u0620-\u06ff\u0750-\u077f\u08a0-\u0dff]$/;

/* What a joiner makes one picture of. */
const PICTURE = new RegExp("^[\\xa9\\xae\\u203c\\u2049\\u2122\\u2139"
	+ "\\u2190-\\u21ff\\u2300-\\u27bf\\u2900-\\u2bff\\u3030-\\u303d"
	+ "\\u3297-\\u3299\\u{1f000}-\\u{1faff}]$", "u");

const ZWNJ = "\u200c", ZWJ = "\u200d", IN_COLOUR = "\ufe0f", KEYCAP = "\u20e3";
const REPLACEMENT = "\ufffd";

/* The character in front of `at`. */
function characterBefore(text: string, at: number): string
{
	const point = text.codePointAt(at - 2) ?? 0;

	return point > 0xffff ? String.fromCodePoint(point)
		: text.charAt(at - 1);
}

function characterAt(text: string, at: number): string
{
	const point = text.codePointAt(at);

	return point === undefined ? "" : String.fromCodePoint(point);
}

/*
 * Joiners stay where they do their work, inside words of some scripts and
 * inside pictures, and a picture or a digit on a key may be in colour.
 */
function isAtWork(before: string, c: string, after: string): boolean
{
	if (c === IN_COLOUR)
		return PICTURE.test(before) || after === KEYCAP;
	if (c === ZWJ && (PICTURE.test(before) || before === IN_COLOUR))
		return PICTURE.test(after);
	return (c === ZWJ || c === ZWNJ) && JOINING.test(before)
		&& JOINING.test(after);
}

export function visible(text: string): string
{
	return text.replace(BLANKS, " ").replace(/^ | $/g, "").replace(HIDDEN,
		(c, at: number, all: string) => isAtWork(characterBefore(all, at), c,
			characterAt(all, at + c.length)) ? c : REPLACEMENT);
}
