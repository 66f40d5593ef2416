// SPDX-License-Identifier: Apache-2.0
/*
 * Builds dist/: the page as the reader serves it (index.html, page.js,
 * page.css), the same in one file for use from disk (counterfoil.html),
 * each also compressed (.gz, .br), and the licences of the libraries in them.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");

/* The single file may ask any key server, after a yes of its user. */
const FILE_CONNECT = "https: http://127.0.0.1:* http://localhost:*";

const digest = (algorithm, data) => `${algorithm}-${
	createHash(algorithm).update(data).digest("base64")}`;

async function bundle()
{
	const { outputFiles, metafile } = await esbuild.build({
		entryPoints: [join(here, "src/main.ts")],
		absWorkingDir: here,
		bundle: true,
		format: "iife",
		target: ["es2021"],
		charset: "ascii",
		legalComments: "none",
		minify: true,
		write: false,
		metafile: true,
	});
	const inputs = Object.keys(metafile.inputs);
	const libraries = new Set(inputs.flatMap(input =>
		/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []));

	return { script: outputFiles[0].text, libraries: [...libraries].sort() };
}

async function licences(libraries)
{
	const texts = [
		"The page contains these libraries, each under its own licence.\n"];

	for (const name of libraries) {
		const folder = join(here, "node_modules", name);
		const { version, license } = JSON.parse(
			await readFile(join(folder, "package.json"), "utf8"));
		const file = (await readdir(folder))
			.find(entry => /^(licen[cs]e|copying)/i.test(entry));

		if (file === undefined)
			throw new Error(`${name} has no licence file`);
		texts.push(`${"=".repeat(72)}\n${name} ${version} (${license})\n\n${
			await readFile(join(folder, file), "utf8")}`);
	}
	return texts.join("\n");
}

/* `</script` within the script would end it. */
const inlineSafe = script => script.replace(/<\/(script)/gi, "<\\/$1")
	.replace(/<!--/g, "<\\!--");

function fill(template, parts)
{
	return template.replace(/<!--(policy|style|script)-->\n?/g,
		(_, name) => parts[name] === "" ? "" : `${parts[name]}\n`);
}

/* As the reader names it, which keeps it for good: cf_reader_name(). */
function hashed(name, data)
{
	const hash = createHash("sha256").update(data).digest("base64url");

	return `/${name.replace(".", `.${hash.slice(0, 16)}.`)}`;
}

/* RFC 1952: byte 9 names the system; 255 is none.  Node writes no time. */
function gzipped(text)
{
	const data = gzipSync(text, { level: constants.Z_BEST_COMPRESSION });

	data[9] = 255;
	return data;
}

/* The same bytes each time. */
const compressed = text => ({
	".gz": gzipped(text),
	".br": brotliCompressSync(text, { params: {
		[constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
		[constants.BROTLI_PARAM_SIZE_HINT]: Buffer.byteLength(text),
	} }),
});

function servedPage(template, script, style)
{
	const integrity = data => digest("sha384", data);

	/* Its policy is the reader's: it names the key servers of a list. */
	return fill(template, {
		policy: "<meta name=\"key-servers\" content=\"listed\">",
		style: `<link rel="stylesheet" href="${
			hashed("page.css", style)}" integrity="${
			integrity(style)}">`,
		script: `<script src="${
			hashed("page.js", script)}" integrity="${
			integrity(script)}"></script>`,
	});
}

function singleFile(template, script, style)
{
	const inline = inlineSafe(script);
	const policy = ["default-src 'none'",
		`script-src '${digest("sha256", inline)}'`,
		"style-src 'unsafe-inline'", "img-src data: blob:",
		`connect-src ${FILE_CONNECT}`, "form-action 'none'",
		"base-uri 'none'", "require-trusted-types-for 'script'",
		"trusted-types counterfoil dompurify"].join("; ");

	return fill(template, {
		policy: "<meta http-equiv=\"Content-Security-Policy\" content=\""
			+ `${policy}">`,
		style: `<style>${style}</style>`,
		script: `<script>${inline}</script>`,
	});
}

const { script, libraries } = await bundle();
const { code: style } = await esbuild.transform(
	await readFile(join(here, "src/page.css"), "utf8"),
	{ loader: "css", minify: true });
const template = await readFile(join(here, "src/index.html"), "utf8");
const pages = {
	"page.js": script,
	"page.css": style,
	"counterfoil.html": singleFile(template, script, style),
	"index.html": servedPage(template, script, style),
};
/* index.html comes last: it is what make looks at. */
const files = {
	"LICENSES.txt": await licences(libraries),
	...Object.fromEntries(Object.entries(pages).flatMap(([name, text]) => [
		...Object.entries(compressed(text)).map(([suffix, data]) =>
			[name + suffix, data]),
		[name, text]])),
};

await mkdir(dist, { recursive: true });
for (const [name, text] of Object.entries(files)) {
	await writeFile(join(dist, `.${name}.new`), text);
	await rename(join(dist, `.${name}.new`), join(dist, name));
}
console.log(Object.entries(files).map(([name, text]) =>
	`${name} ${Buffer.byteLength(text)}`).join(", "));
