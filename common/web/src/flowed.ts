// SPDX-License-Identifier: Apache-2.0
/*
 * flowed - text of the sort format=flowed (RFC 3676), its lines joined.
 *
 * Does not know: MIME, how text is shown.
 */

/*
 * Lines that end in a blank go on in the next one of the same depth of
 * quoting.  `delSp`: that blank is not of the text.
 */
export function unflowed(text: string, delSp: boolean): string
{
	const out: string[] = [];
	let paragraph: string[] = [];
	let depth = 0;
	const finish = (): void => {
		if (paragraph.length > 0)
			out.push((depth > 0 ? `${">".repeat(depth)} ` : "")
				+ paragraph.join(""));
		paragraph = [];
	};

	for (const line of text.split("\n")) {
		const marks = /^>*/.exec(line)?.[0].length ?? 0;
		const said = line.slice(marks).replace(/^ /, "");
		const goesOn = said.endsWith(" ") && said !== "-- ";

		if (marks !== depth || said === "-- ")
			finish();
		depth = marks;
		paragraph.push(goesOn && delSp ? said.slice(0, -1) : said);
		if (!goesOn)
			finish();
	}
	finish();
	return out.join("\n");
}
