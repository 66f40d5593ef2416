// SPDX-License-Identifier: Apache-2.0
/*
 * files - names and offers of files that come out of a message.
 *
 * The names are the sender's and are not trusted: no path, no control or
 * direction-changing character, no leading dot, a sensible length.
 */

const MAX_NAME = 120;

/* Characters that hide, reorder or separate paths. */
const UNSAFE = new RegExp("[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c"
	+ "\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\uffff"
	+ "\\ud800-\\udfff"
	+ "/\\\\:*?\"<>|]", "gu");

/* Names that are devices on some systems. */
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

export function safeName(name: string | null, fallback: string): string
{
	let safe = (name ?? "").normalize("NFC").replace(UNSAFE, "_")
		.replace(/\s+/g, " ").replace(/^[ .]+|[ .]+$/g, "");

	if (safe === "" || /^_+$/.test(safe))
		return fallback;
	if (DEVICE.test(safe))
		safe = `_${safe}`;
	const chars = [...safe];

	if (chars.length <= MAX_NAME)
		return safe;
	const ending = /\.[A-Za-z0-9]{1,10}$/.exec(safe)?.[0] ?? "";

	return chars.slice(0, MAX_NAME - ending.length).join("") + ending;
}

/* The same name twice becomes name (2). */
export function distinctNames(names: string[]): string[]
{
	const used = new Set<string>();

	return names.map(name => {
		const dot = name.lastIndexOf(".") > 0 ? name.lastIndexOf(".")
			: name.length;
		let candidate = name;

		for (let n = 2; used.has(candidate.toLowerCase()); n++)
			candidate = `${name.slice(0, dot)} (${n})${name.slice(dot)}`;
		used.add(candidate.toLowerCase());
		return candidate;
	});
}

export function sizeText(bytes: number): string
{
	if (bytes < 1000)
		return bytes === 1 ? "1 byte" : `${bytes} bytes`;
	if (bytes < 1_000_000)
		return `${(bytes / 1000).toPrecision(bytes < 10_000 ? 2 : 3)} kB`
			.replace(/\.0 /, " ");
	return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
