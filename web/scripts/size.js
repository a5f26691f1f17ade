// Prints what each bundle weighs, and fails where the client is over its limit.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const limits = {
	"client/dist/index.js": 12 * 1024,
	"client/dist/checksum-worker.js": 1024,
	"react/dist/index.js": 1024,
	"vue/dist/index.js": 1024,
};

for (const [file, limit] of Object.entries(limits)) {
	const bundle = readFileSync(new URL(`../${file}`, import.meta.url));
	const gzipped = gzipSync(bundle, { level: 9 }).length;
	console.log(`${file}: ${bundle.length} bytes, ${gzipped} with gzip, of ${limit}`);
	if (gzipped > limit) {
		process.exitCode = 1;
	}
}
