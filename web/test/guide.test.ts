import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { transform } from "esbuild";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cases } from "./guide/cases.js";
import { bundle } from "./harness/bundle.js";
import { openClient } from "./harness/page.js";
import { out, root } from "./harness/paths.js";
import { Site } from "./harness/site.js";
import { Streamflow } from "./harness/streamflow.js";

// Each TypeScript example of docs/memory-guide.md, word for word.
const guide = readFileSync(`${root}/docs/memory-guide.md`, "utf8");
const snippets = [...guide.matchAll(/^```typescript\n(.*?)^```$/gms)].map((match) => match[1] as string);

test("all examples of the guide are here, in their order", () => {
	expect(snippets.map((snippet, i) => snippet.slice(0, cases[i]?.begins.length))).toEqual(
		cases.map(({ begins }) => begins),
	);
});

test("the examples compile under strict TypeScript", { timeout: 120_000 }, () => {
	const folder = `${out}/guide`;
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(folder, { recursive: true });
	for (const [i, snippet] of snippets.entries()) {
		writeFileSync(`${folder}/snippet-${i}.ts`, `${snippet}\nexport {};\n`);
	}
	// The excerpts of a class and of a Vue component stand without what is around them.
	const compilerOptions = {
		composite: false,
		incremental: false,
		declaration: false,
		declarationMap: false,
		emitDeclarationOnly: false,
		noEmit: true,
		noUnusedLocals: false,
		strictPropertyInitialization: false,
		noImplicitThis: false,
	};
	const config = {
		extends: "../../../tsconfig.base.json",
		compilerOptions,
		files: ["../../guide/ambient.d.ts", ...snippets.map((_, i) => `snippet-${i}.ts`)],
	};
	writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config));
	execFileSync(`${root}/web/node_modules/.bin/tsc`, ["--build", `${root}/web`]);
	const diagnostics = (() => {
		try {
			execFileSync(`${root}/web/node_modules/.bin/tsc`, ["-p", folder], { encoding: "utf8" });
			return "";
		} catch (error) {
			return (error as { stdout: string }).stdout;
		}
	})();
	expect(diagnostics).toBe("");
});

test.each(cases.map((example, i) => ({ ...example, snippet: snippets[i] as string, i })))(
	"runs: $begins",
	async ({ snippet, i, before, after, expect: check }) => {
		const server = await Streamflow.start();
		const site = await Site.start(server.url);
		const names = [...snippet.matchAll(/^(?:const|class|function) (\w+)/gm)].map((match) => match[1]);
		const { code } = await transform(`${snippet}\nexport { ${names.join(", ")} };\n`, {
			loader: "ts",
			target: "es2022",
		});
		site.made.set(`/snippet-${i}.js`, code);
		site.made.set("/surroundings.js", await surroundings);
		const page = await openClient(site);
		await page.evaluate(() => window.load("/surroundings.js"));
		if (before) {
			await page.evaluate(before);
		}
		await run(page, `/snippet-${i}.js`);
		const extra = after ? await page.evaluate(after) : undefined;
		const ran = await page.evaluate(() => ({
			declared: JSON.parse(JSON.stringify({ ...window.kept.declared, manager: undefined, ref: undefined })),
			logged: window.kept.logged,
			stats: window.manager.getMemoryStats(),
		}));
		check({ ...ran, extra });
	},
);

/** Imports a snippet and notes what it declares and logs. */
function run(page: Page, path: string): Promise<void> {
	return page.evaluate(async (path) => {
		const logged: unknown[][] = [];
		const log = (...what: unknown[]) => void logged.push(what);
		Object.assign(console, { log, debug: log });
		window.kept = { ...window.kept, logged };
		window.kept.declared = { ...(await window.load(path)) };
	}, path);
}

let surroundings: Promise<string>;
beforeAll(() => {
	surroundings = bundle(readFileSync(`${root}/web/test/guide/surroundings.tsx`, "utf8"));
});
afterAll(() => rmSync(`${out}/guide`, { recursive: true, force: true }));
