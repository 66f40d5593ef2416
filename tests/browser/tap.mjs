// SPDX-License-Identifier: Apache-2.0
/*
 * tap - test results as TAP, one line a test.
 *
 * Tests are functions that throw when something is wrong.  They run one
 * after another, in the order given; process.exitCode says how it went.
 */
import assert from "node:assert/strict";

const tests = [];

export function test(name, body)
{
	tests.push({ name, body });
}

const comment = text => String(text).split("\n")
	.map(line => `# ${line}`).join("\n");

/* A test that never ends fails. */
function limited(promise, ms)
{
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no end in ${ms} ms`)), ms);
	});

	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/* `only`: a text that the names of the tests to run contain. */
export async function run({ limitMs = 300_000, only = process.argv[2] } = {})
{
	const chosen = only === undefined ? tests
		: tests.filter(({ name }) => name.includes(only));
	let failed = 0;

	if (chosen.length === 0) {
		console.log("1..0\n# no such test");
		process.exitCode = 1;
		return;
	}
	console.log(`1..${chosen.length}`);
	for (const [i, { name, body }] of chosen.entries()) {
		try {
			await limited(Promise.resolve().then(body), limitMs);
			console.log(`ok ${i + 1} - ${name}`);
		} catch (error) {
			failed++;
			console.log(`not ok ${i + 1} - ${name}`);
			console.log(comment(error?.stack ?? error));
		}
	}
	if (failed > 0) {
		console.log(`# ${failed} of ${chosen.length} failed`);
		process.exitCode = 1;
	}
}

export { assert };
