// SPDX-License-Identifier: Apache-2.0
/*
 * files - names and offers of files that come out of a message.
 *
 * The names are the sender's and are not trusted: no path, no control or
 * direction-changing character, no leading dot, a sensible length.
 */
import { visible } from "./visible";

const MAX_NAME = 120;

/* What separates paths, and what stands for a character not to be seen. */
const UNSAFE = /[\ufffd/\\:*?"<>|]/g;

/* Names that are devices on some systems. */
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

export function safeName(name: string | null, fallback: string): string
{
	let safe = visible((name ?? "").normalize("NFC")).replace(UNSAFE, "_")
		.replace(/^[ .]+|[ .]+$/g, "");

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
	const used = new Map<string, number>();	/* how often it was asked for */

	return names.map(name => {
		const dot = name.lastIndexOf(".") > 0 ? name.lastIndexOf(".")
			: name.length;
		let n = used.get(name.toLowerCase()) ?? 0;
		let candidate = name;

		for (; used.has(candidate.toLowerCase()); n++)
			candidate = `${name.slice(0, dot)} (${n + 1})${name.slice(dot)}`;
		used.set(name.toLowerCase(), Math.max(n, 1));
		used.set(candidate.toLowerCase(),
			used.get(candidate.toLowerCase()) ?? 1);
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
