// SPDX-License-Identifier: Apache-2.0
/*
 * assurance - what a release records, by how the person was checked.
 *
 * These are our sentences, the same in common/assurance.c: what a server says
 * of itself would prove nothing.
 */

const BEGIN = "When you open this message, a record is kept that its key was"
	+ " given";
const END = ", with the time and the web origin of the page used; the sender"
	+ " is told.";

const RECORDS = new Map([
	["bearer", `${BEGIN} to someone who had the message and its link${END}`
		+ " Who you are is not checked."],
	["mailbox", `${BEGIN} to someone who typed a code that was mailed to the`
		+ ` recipient’s address${END}`],
	["account", `${BEGIN} to the account that you sign in to${END}`],
	["certificate", `${BEGIN} to the holder of the certificate that you`
		+ ` show${END}`],
]);

/* Null for an assurance that this page does not know. */
export function recordsSentence(assurance: string): string | null
{
	return RECORDS.get(assurance) ?? null;
}
