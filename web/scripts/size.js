// Prints what each package weighs to those who load it, and fails where that is over its limit.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** What comes with the first import, in bytes of gzip. */
const limits = { client: 10 * 1024, react: 1024, vue: 1024 };

const gzipped = (text) => gzipSync(text, { level: 9 }).length;

for (const [name, limit] of Object.entries(limits)) {
	const folder = new URL(`../${name}/dist/`, import.meta.url);
	const read = (file) => readFileSync(new URL(file, folder), "utf8");
	const first = new Set(["index.js"]);
	for (const file of first) {
		for (const [, imported] of read(file).matchAll(/(?:import|from)\s*["'`]\.\/([^"'`]+)["'`]/g)) {
			first.add(imported);
		}
	}
	const total = [...first].reduce((sum, file) => sum + gzipped(read(file)), 0);
	console.log(`${name}: ${total} bytes of gzip, of ${limit}, in ${[...first].join(", ")}`);
	for (const file of readdirSync(folder).filter((file) => file.endsWith(".js") && !first.has(file))) {
		console.log(`  when it is needed: ${gzipped(read(file))} ${file}`);
	}
	if (total > limit) {
		process.exitCode = 1;
	}
}
