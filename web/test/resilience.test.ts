import { statSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { sparseFile } from "./harness/files.js";
import { loaded, openClient } from "./harness/page.js";
import { Site } from "./harness/site.js";
import { Streamflow, sha256 } from "./harness/streamflow.js";

const MiB = 1 << 20;

/** Slows uploads down to bytes per second, so that there is a middle. */
async function throttle(page: Page, uploadThroughput: number): Promise<void> {
	const session = await page.context().newCDPSession(page);
	await session.send("Network.emulateNetworkConditions", {
		offline: false,
		latency: 0,
		downloadThroughput: -1,
		uploadThroughput,
	});
}

/** Begins to upload the file chosen in the page. */
async function begin(page: Page, path: string, config: object = {}): Promise<void> {
	await page.setInputFiles("#files", path);
	await page.evaluate((config) => {
		const input = document.querySelector("#files") as HTMLInputElement;
		const manager = new window.streamflow.StreamUploadManager(config);
		const statuses: string[] = [];
		manager.on("statechange", ({ status }) => statuses.push(status));
		const upload = manager.startStreaming(input.files?.[0] as File);
		window.kept = { manager, upload, statuses };
	}, config);
}

const halfway = (page: Page) =>
	page.waitForFunction(() => window.kept.upload.state.percentage > 30, undefined, { polling: 20 });
const result = (page: Page) =>
	page.evaluate(() => window.kept.upload.then((r: object) => ({ ...r, statuses: window.kept.statuses })));

async function setUp(bytes: number) {
	const server = await Streamflow.start();
	const site = await Site.start(server.url);
	const page = await openClient(site);
	return { server, site, page, path: sparseFile(bytes) };
}

test("a file of 2 GiB goes in one request, and takes no memory", { timeout: 240_000 }, async () => {
	const { server, site, page, path } = await setUp(2048 * MiB);
	const idle = await page.evaluate(() => {
		window.gc?.();
		return performance.memory.usedJSHeapSize;
	});
	await begin(page, path);
	const { url, stats, used } = await page.evaluate(async () => {
		const { url } = await window.kept.upload;
		window.gc?.();
		return { url, stats: window.kept.manager.getMemoryStats(), used: performance.memory.usedJSHeapSize };
	});
	expect(statSync(join(server.store, new URL(url).pathname.split("/").pop() ?? "")).size).toBe(2048 * MiB);
	expect(site.requests.map(({ method }) => method)).toEqual(["OPTIONS", "POST", "PATCH"]);
	expect(stats.peakMemoryUsage).toBeLessThanOrEqual(64 * 1024);
	expect(used - idle).toBeLessThan(MiB);
});

test("goes on after a reload, with the same file", async () => {
	const { server, site, page, path } = await setUp(64 * MiB);
	await throttle(page, 16 * MiB);
	await begin(page, path);
	await halfway(page);
	await page.reload();
	await loaded(page);
	site.requests.length = 0;
	await throttle(page, -1);
	await begin(page, path);
	const { url } = await result(page);
	expect(await server.sha256(url)).toBe(await sha256(path));
	const patch = site.requests.find(({ method }) => method === "PATCH");
	expect(site.requests.map(({ method }) => method)).toEqual(["OPTIONS", "HEAD", "PATCH"]);
	expect(Number(patch?.headers["upload-offset"])).toBeGreaterThan(MiB);
	expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([]);
});

test("survives ten seconds offline", async () => {
	const { server, page, path } = await setUp(64 * MiB);
	await throttle(page, 16 * MiB);
	await begin(page, path);
	await halfway(page);
	await page.context().setOffline(true);
	await page.waitForFunction(() => window.kept.upload.state.status === "retrying");
	await new Promise((resolve) => setTimeout(resolve, 10_000));
	expect(await page.evaluate(() => window.kept.upload.state.status)).toBe("retrying");
	await page.context().setOffline(false);
	const { url, statuses } = await result(page);
	expect(await server.sha256(url)).toBe(await sha256(path));
	expect(statuses.slice(0, 3)).toEqual(["uploading", "retrying", "uploading"]);
});

test("survives a server that is killed and comes back", async () => {
	const { server, page, path } = await setUp(64 * MiB);
	await throttle(page, 16 * MiB);
	await begin(page, path);
	await halfway(page);
	await server.kill();
	await page.waitForFunction(() => window.kept.upload.state.status === "retrying");
	await server.start();
	const { url } = await result(page);
	expect(await server.sha256(url)).toBe(await sha256(path));
});

test("waits while the server is full, as long as it says", async () => {
	const { server, site, page, path } = await setUp(4 * MiB);
	const busy = new Map<string, number>();
	const refused: number[] = [];
	site.intercept = ({ method = "" }, answer) => {
		const times = busy.get(method) ?? 0;
		busy.set(method, times + 1);
		if (times >= 2) {
			return false;
		}
		refused.push(Date.now());
		answer.writeHead(503, { "Retry-After": "1" }).end();
		return true;
	};
	await begin(page, path);
	const { url } = await result(page);
	expect(await server.sha256(url)).toBe(await sha256(path));
	expect(refused.length).toBe(8); // OPTIONS, POST, PATCH and HEAD, twice each
	const gaps = refused.slice(1).map((at, i) => at - (refused[i] as number));
	expect(Math.min(...gaps)).toBeGreaterThan(900);
});

test("pauses, resumes, and aborts on the server, too", async () => {
	const { server, site, page, path } = await setUp(64 * MiB);
	await throttle(page, 16 * MiB);
	await begin(page, path);
	await halfway(page);
	const paused = await page.evaluate(async () => {
		const { manager, upload } = window.kept;
		manager.pause(upload.id);
		const { bytesUploaded } = upload.state;
		await new Promise((resolve) => setTimeout(resolve, 500));
		return { before: bytesUploaded, after: upload.state.bytesUploaded, status: upload.state.status };
	});
	expect(paused.status).toBe("paused");
	expect(paused.after).toBe(paused.before);
	await page.evaluate(() => window.kept.manager.resume(window.kept.upload.id));
	await page.waitForFunction(() => window.kept.upload.state.percentage > 60);
	const aborted = await page.evaluate(async () => {
		const { manager, upload } = window.kept;
		const failure = upload.then(
			() => "done",
			(error: Error) => error.name,
		);
		await manager.abortStream(upload.id);
		return { failure: await failure, status: upload.state.status, keys: Object.keys(localStorage) };
	});
	expect(aborted).toEqual({ failure: "AbortError", status: "aborted", keys: [] });
	expect(site.requests.at(-1)?.method).toBe("DELETE");
	expect(server.finished()).toEqual([]);
});

test("a thousand files, and the page stays quick", { timeout: 180_000 }, async () => {
	const { server, page } = await setUp(1 * MiB);
	const { urls, longest, stats } = await page.evaluate(async () => {
		let longest = 0;
		new PerformanceObserver((list) => {
			longest = Math.max(longest, ...list.getEntries().map(({ duration }) => duration));
		}).observe({ type: "longtask" });
		const data = new Uint8Array(100 << 10);
		const files = Array.from({ length: 1000 }, (_, i) => new File([data], `file-${i}.bin`, { lastModified: i }));
		await new Promise((resolve) => setTimeout(resolve, 200));
		longest = 0;
		const manager = new window.streamflow.StreamUploadManager();
		const results = await Promise.all(files.map((file) => manager.uploadFile(file)));
		return { urls: results.map(({ url }) => url), longest, stats: manager.getMemoryStats() };
	});
	expect(new Set(urls).size).toBe(1000);
	expect(server.finished().length).toBeGreaterThanOrEqual(1000);
	expect(longest).toBeLessThan(50);
	expect(stats).toMatchObject({ totalAllocated: 0, activeResources: 0 });
});

test("after dispose in the middle nothing is left", async () => {
	const { server, site, page, path } = await setUp(64 * MiB);
	await throttle(page, 16 * MiB);
	await begin(page, path, { validateChunks: true });
	await halfway(page);
	await page.evaluate(() => {
		const { manager, upload } = window.kept;
		upload.then(undefined, () => {});
		const held = new WeakRef(manager);
		const heldUpload = new WeakRef(upload);
		const heldMemory = new WeakRef(manager.memoryManager);
		manager.dispose();
		manager.dispose();
		window.kept = { stats: manager.getMemoryStats(), held, heldUpload, heldMemory };
	});
	const requests = site.requests.length;
	await page.waitForFunction(
		() => {
			window.gc?.();
			const { held, heldUpload, heldMemory } = window.kept;
			return !held.deref() && !heldUpload.deref() && !heldMemory.deref();
		},
		undefined,
		{ polling: 100, timeout: 10_000 },
	);
	expect(page.workers()).toEqual([]);
	expect(await page.evaluate(() => window.kept.stats)).toMatchObject({ totalAllocated: 0, activeResources: 0 });
	expect(site.requests.length).toBe(requests);
	expect(server.finished()).toEqual([]);
});
