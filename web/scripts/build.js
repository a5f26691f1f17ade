// Bundles each package into ES modules with source maps; tsc adds the types.
import { readFileSync } from "node:fs";
import { rolldown } from "rolldown";
import { browsers } from "./browsers.js";

const packages = {
	client: { index: "src/index.ts", drop: "src/upload/drop.ts", "checksum-worker": "src/checksum/worker.ts" },
	react: { index: "src/index.ts" },
	vue: { index: "src/index.ts" },
};

for (const [folder, input] of Object.entries(packages)) {
	const cwd = new URL(`../${folder}/`, import.meta.url).pathname;
	const { dependencies = {}, peerDependencies = {} } = JSON.parse(readFileSync(`${cwd}package.json`, "utf8"));
	const bundle = await rolldown({
		cwd,
		input,
		external: Object.keys({ ...dependencies, ...peerDependencies }),
		transform: { target: browsers },
		// What is shared with parts loaded later stays in the index: one request for all that most uploads need.
		preserveEntrySignatures: "allow-extension",
	});
	await bundle.write({
		dir: "dist",
		chunkFileNames: "[name].js",
		minify: true,
		comments: false,
		sourcemap: true,
	});
	await bundle.close();
}
