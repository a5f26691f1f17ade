import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { open } from "./harness/browser.js";
import { bundle } from "./harness/bundle.js";
import { sparseFile } from "./harness/files.js";
import { openClient } from "./harness/page.js";
import { root } from "./harness/paths.js";
import { startSite } from "./harness/site.js";

const { server, site } = await startSite();

async function openExample(main: string): Promise<Page> {
	site.made.set("/example.js", await bundle(readFileSync(join(root, "web", main), "utf8")));
	site.made.set(
		"/example",
		`<!doctype html><link rel="icon" href="data:,"><script type="module" src="/example.js"></script>`,
	);
	return open(`${site.url}example`);
}

test.each(["react/example/main.tsx", "vue/example/main.ts"])(
	"%s uploads, pauses, resumes and cancels",
	async (main) => {
		const page = await openExample(main);
		site.pace = 8 << 20;
		const output = page.locator("output");
		const input = page.getByLabel("Files to upload");

		await input.setInputFiles(sparseFile(24 << 20));
		await page.waitForFunction(() => (document.querySelector("progress")?.value ?? 0) > 20);
		await page.getByRole("button", { name: "Pause" }).click();
		await output.filter({ hasText: "paused" }).waitFor();
		site.pace = Number.POSITIVE_INFINITY;
		await page.getByRole("button", { name: "Resume" }).click();
		await output.filter({ hasText: "completed" }).waitFor();
		const [name] = server.finished().slice(-1);
		expect(statSync(join(server.store, name ?? "")).size).toBeGreaterThan(0);

		site.pace = 1 << 20;
		await input.setInputFiles(sparseFile(24 << 20, "second.bin"));
		await page.getByRole("button", { name: "Cancel" }).nth(1).click();
		await output.filter({ hasText: "aborted" }).waitFor();
		expect(await output.allTextContents()).toEqual(["completed", "aborted"]);
	},
);

test("useStreamUpload of React has one live manager under StrictMode, and none after the unmount", async () => {
	site.made.set(
		"/strict.js",
		await bundle(`
			import { useStreamUpload } from "@streamflow/react";
			import { StrictMode, useEffect, useState } from "react";
			import { createRoot } from "react-dom/client";
			const seen = new Set();
			let render;
			function Uploads() {
				const [, again] = useState(0);
				const upload = useStreamUpload();
				render = () => again((n) => n + 1);
				if (upload.manager) seen.add(upload.manager);
				window.kept = { upload, seen };
				return <p>{upload.uploads.length}</p>;
			}
			const root = createRoot(document.body.appendChild(document.createElement("div")));
			root.render(<StrictMode><Uploads /></StrictMode>);
			const live = () => [...seen].filter((manager) => {
				try {
					return manager.memoryManager.trackResource({}) !== "";
				} catch {
					return false;
				}
			});
			async function until(holds) {
				while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
			}
			export async function run() {
				await until(() => live().includes(window.kept?.upload.manager));
				const { upload } = window.kept;
				const { size } = await upload.start(new Blob(["react"]));
				const rendered = window.kept;
				render();
				await until(() => window.kept !== rendered);
				const same = window.kept.upload.start === upload.start && window.kept.upload.manager === upload.manager;
				root.unmount();
				await until(() => live().length === 0);
				return { size, same, uploads: window.kept.upload.uploads.map(({ status }) => status) };
			}
		`),
	);
	const page = await openClient(site);
	const outcome = await page.evaluate(async () => {
		const { run } = (await window.load("/strict.js")) as { run(): Promise<object> };
		return run();
	});
	expect(outcome).toEqual({ size: 5, same: true, uploads: ["completed"] });
});

test("useStreamUpload of Vue ends with its scope, in a component or without one", async () => {
	site.made.set(
		"/scope.js",
		await bundle(`
			import { useStreamUpload } from "@streamflow/vue";
			import { createApp, effectScope } from "vue";
			const isLive = ({ memoryManager }) => {
				try {
					return memoryManager.trackResource({}) !== "";
				} catch {
					return false;
				}
			};
			export function run() {
				const scope = effectScope();
				const { manager } = scope.run(() => useStreamUpload());
				let own;
				const app = createApp({ setup: () => ((own = useStreamUpload().manager), () => null) });
				app.mount(document.body.appendChild(document.createElement("div")));
				const before = [manager, own].map(isLive);
				scope.stop();
				app.unmount();
				return [before, [manager, own].map(isLive)];
			}
		`),
	);
	const page = await openClient(site);
	const warnings: string[] = [];
	page.on("console", (message) => message.text().startsWith("[Vue warn]") && warnings.push(message.text()));
	const live = await page.evaluate(async () => {
		const { run } = (await window.load("/scope.js")) as { run(): unknown };
		return run();
	});
	expect(live).toEqual([
		[true, true],
		[false, false],
	]);
	expect(warnings).toEqual([]);
});

test.each([
	{
		framework: "Vue 3",
		code: `
			import { createApp, isReactive, reactive, ref } from "vue";
			import { StreamUploadManager } from "@streamflow/client";
			const manager = new StreamUploadManager();
			const app = createApp({ data: () => ({ manager, uploads: [] }), template: "<p>{{ uploads.length }}</p>" });
			const component = app.mount(document.body.appendChild(document.createElement("div")));
			export const managers = [component.manager, reactive({ manager }).manager, ref(manager).value, reactive(manager)];
			export const wrapped = managers.some(isReactive);
		`,
	},
	{
		framework: "Vue 2",
		code: `
			import Vue from "vue2/dist/vue.esm.js";
			import { StreamUploadManager } from "@streamflow/client";
			const manager = new StreamUploadManager();
			const component = new Vue({ data: () => ({ manager }), render: (h) => h("p") }).$mount();
			export const managers = [component.manager];
			export const wrapped = "__ob__" in component.manager;
		`,
	},
])("a manager survives the proxies of $framework", async ({ framework, code }) => {
	const path = `/${framework.replace(" ", "-")}.js`;
	site.made.set(path, await bundle(code));
	const page = await openClient(site);
	const outcome = await page.evaluate(async (path) => {
		const { managers, wrapped } = (await window.load(path)) as {
			managers: InstanceType<typeof window.streamflow.StreamUploadManager>[];
			wrapped: boolean;
		};
		const sizes: number[] = [];
		for (const manager of managers) {
			sizes.push((await manager.uploadFile(new Blob(["vue"]))).size);
			await manager.memoryManager.releaseResource(manager.memoryManager.trackResource({}));
			manager.getMemoryStats();
		}
		managers[0]?.dispose();
		return { sizes: [...new Set(sizes)], wrapped };
	}, path);
	expect(outcome).toEqual({ sizes: [3], wrapped: false });
});
