import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

interface Packed {
	name: string;
	files: { path: string }[];
}

const web = fileURLToPath(new URL("../..", import.meta.url));

/** What `npm pack` would put into each package; npm run build has to come first. */
function packed(): Map<string, string[]> {
	const args = ["pack", "--dry-run", "--json", "--workspaces"];
	const listed: Packed[] = Object.values(JSON.parse(execFileSync("npm", args, { cwd: web, encoding: "utf8" })));
	return new Map(listed.map(({ name, files }) => [name, files.map(({ path }) => path)]));
}

test("each package has its bundles with types and source maps, and nothing else", { timeout: 60_000 }, () => {
	const packages = packed();
	expect([...packages.keys()].sort()).toEqual(["@streamflow/client", "@streamflow/react", "@streamflow/vue"]);
	for (const [name, files] of packages) {
		expect(files, name).toEqual(expect.arrayContaining(["package.json", "dist/index.js", "dist/index.js.map"]));
		expect(files, name).toContain("dist/types/index.d.ts");
		const strange = files.filter(
			(path) => !/^(package\.json|dist\/[\w-]+\.js(\.map)?|dist\/types\/[\w/-]+\.d\.ts(\.map)?)$/.test(path),
		);
		expect(strange, name).toEqual([]);
	}
	expect(packages.get("@streamflow/client")).toEqual(
		expect.arrayContaining(["dist/checksum-worker.js", "dist/drop.js"]),
	);
});
