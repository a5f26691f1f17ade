// Builds the upload page into what the server embeds, after the packages.
// With --check it changes nothing, and fails where that would change a file.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { browsers } from "./browsers.js";

const from = fileURLToPath(new URL("../page/src", import.meta.url));
const to = fileURLToPath(new URL("../../server/page/assets", import.meta.url));

const { outputFiles } = await build({
	absWorkingDir: from,
	entryPoints: { page: "main.ts", style: "page.css" },
	outdir: "out",
	bundle: true,
	write: false,
	format: "esm",
	target: browsers,
	minify: true,
	legalComments: "none",
	logLevel: "warning",
});

const built = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
for (const name of ["index.html", "icon.svg"]) {
	const text = readFileSync(join(from, name), "utf8");
	built.set(name, text.replace(/<!-- .*? -->/g, "").replace(/^\s+/gm, ""));
}

for (const name of new Set([...built.keys(), ...readdirSync(to)])) {
	const path = join(to, name);
	const text = built.get(name);
	const before = existsSync(path) ? readFileSync(path, "utf8") : undefined;
	if (text === before) {
		continue;
	}
	if (process.argv.includes("--check")) {
		console.error(`server/page/assets/${name} is stale: run npm run page in web/, and commit what it made`);
		process.exitCode = 1;
	} else if (text === undefined) {
		rmSync(path);
	} else {
		writeFileSync(path, text);
	}
}
