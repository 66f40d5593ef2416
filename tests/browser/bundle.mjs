// SPDX-License-Identifier: Apache-2.0
/*
 * bundle - modules of the page in Node, bundled as the build does it.
 *
 * Node's WebCrypto stands in for the browser's.
 */
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

export const web = join(here, "../../common/web");

if (globalThis.crypto === undefined)
	globalThis.crypto = webcrypto;

/* Node 20 takes windows-1252 for ISO 8859-1, unless it decodes a stream. */
globalThis.TextDecoder = class extends TextDecoder {
	decode(bytes, options)
	{
		return this.encoding !== "windows-1252" || options?.stream === true
			? super.decode(bytes, options)
			: super.decode(bytes, { stream: true }) + super.decode();
	}
};

/* The modules called so, each under its name; `temp`: a folder. */
export async function loadPage(names, temp)
{
	const esbuild = createRequire(join(web, "package.json"))("esbuild");

	await esbuild.build({
		stdin: {
			contents: names.map(name =>
				`export * as ${name} from "./src/${name}";`).join("\n"),
			resolveDir: web, loader: "ts",
		},
		bundle: true, format: "esm", platform: "neutral",
		mainFields: ["module", "main"], target: "es2021",
		outfile: join(temp, "page.mjs"),
	});
	return import(pathToFileURL(join(temp, "page.mjs")));
}
