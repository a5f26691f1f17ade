import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

interface Packed {
	name: string;
	filename: string;
	files: { path: string }[];
}

const web = fileURLToPath(new URL("../..", import.meta.url));
/** A project that has the packages installed; what they are made for it finds further up. */
const project = join(web, "test/out/packed");

let packages: Packed[];

/** What npm would publish; npm run build has to come first. */
beforeAll(() => {
	rmSync(project, { recursive: true, force: true });
	mkdirSync(project, { recursive: true });
	const args = ["pack", "--json", "--workspaces", "--pack-destination", project];
	packages = Object.values(JSON.parse(execFileSync("npm", args, { cwd: web, encoding: "utf8" })));
	for (const { name, filename } of packages) {
		const folder = join(project, "node_modules", name);
		mkdirSync(folder, { recursive: true });
		execFileSync("tar", ["-xzf", join(project, filename), "-C", folder, "--strip-components=1"]);
	}
}, 60_000);
afterAll(() => rmSync(project, { recursive: true, force: true }));

test("each package has its bundles with types, source maps and a README, and nothing else", () => {
	const contents = new Map(packages.map(({ name, files }) => [name, files.map(({ path }) => path)]));
	expect([...contents.keys()].sort()).toEqual(["@streamflow/client", "@streamflow/react", "@streamflow/vue"]);
	for (const [name, files] of contents) {
		const wanted = ["package.json", "README.md", "dist/index.js", "dist/index.js.map", "dist/types/index.d.ts"];
		expect(files, name).toEqual(expect.arrayContaining(wanted));
		const strange = files.filter(
			(path) => !/^(package\.json|README\.md|dist\/[\w-]+\.js(\.map)?|dist\/types\/[\w/-]+\.d\.ts(\.map)?)$/.test(path),
		);
		expect(strange, name).toEqual([]);
	}
	expect(contents.get("@streamflow/client")).toEqual(
		expect.arrayContaining(["dist/checksum-worker.js", "dist/drop.js"]),
	);
});

test("the client depends on nothing", () => {
	const { dependencies, peerDependencies, sideEffects } = JSON.parse(
		readFileSync(join(project, "node_modules/@streamflow/client/package.json"), "utf8"),
	);
	expect({ dependencies, peerDependencies, sideEffects }).toEqual({ sideEffects: false });
});

const use = `
import { StreamUploadManager, UploadError, type UploadResult } from "@streamflow/client";
import { filesFromDrop } from "@streamflow/client/drop";
import { useStreamUpload as react } from "@streamflow/react";
import { useStreamUpload as vue } from "@streamflow/vue";

export const manager: StreamUploadManager = new StreamUploadManager({ endpoint: "/files/" }, { maxMemoryUsage: 1 });
export const upload = (file: File): Promise<UploadResult> => manager.uploadFile(file);
export const all = [UploadError, filesFromDrop, react, vue].every((value) => typeof value === "function");
`;

test("what they export has types, and loads", { timeout: 240_000 }, () => {
	writeFileSync(join(project, "package.json"), '{ "type": "module" }');
	writeFileSync(join(project, "use.ts"), use);
	const compilerOptions = {
		strict: true,
		target: "ES2022",
		module: "NodeNext",
		lib: ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
		types: [],
		skipLibCheck: true,
	};
	writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }));
	execFileSync(join(web, "node_modules/.bin/tsc"), ["-p", project], { stdio: "pipe", encoding: "utf8" });
	// A server that renders pages unmounts nothing: the program ends all the same.
	const run = `import("./use.js").then(({ all }) => console.log(all))`;
	expect(execFileSync("node", ["-e", run], { cwd: project, encoding: "utf8", timeout: 10_000 })).toBe("true\n");
});
