// Bundles each package into ES modules with source maps; tsc adds the types.
import { build } from "esbuild";
import { browsers } from "./browsers.js";

const packages = {
	client: { index: "src/index.ts", drop: "src/upload/drop.ts", "checksum-worker": "src/checksum/worker.ts" },
	react: { index: "src/index.ts" },
	vue: { index: "src/index.ts" },
};

for (const [folder, entryPoints] of Object.entries(packages)) {
	await build({
		absWorkingDir: new URL(`../${folder}`, import.meta.url).pathname,
		entryPoints,
		outdir: "dist",
		bundle: true,
		splitting: true,
		chunkNames: "[name]-[hash]",
		packages: "external",
		format: "esm",
		target: browsers,
		minify: true,
		sourcemap: true,
		logLevel: "warning",
	});
}
