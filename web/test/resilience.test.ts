import { statSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { sparseFile } from "./harness/files.js";
import { loaded, openClient } from "./harness/page.js";
import { Site } from "./harness/site.js";
import { Streamflow, sha256 } from "./harness/streamflow.js";

const MiB = 1 << 20;

interface Network {
	offline?: boolean;
	/** Bytes per second; -1 is as fast as it goes. */
	uploadThroughput?: number;
}

/** Slows the network of a page down, so that there is a middle, or cuts it. */
async function emulate(page: Page): Promise<(network: Network) => Promise<unknown>> {
	const session = await page.context().newCDPSession(page);
	const as = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
	return (network) => session.send("Network.emulateNetworkConditions", { ...as, ...network });
}

const slow = { uploadThroughput: 8 << 20 };

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
	return { page: await openClient(site), path: sparseFile(bytes) };
}

let server: Streamflow;
let site: Site;
beforeAll(async () => {
	server = await Streamflow.start();
	site = await Site.start(server.url);
});
beforeEach(() => site.reset());

test("a file of 2 GiB goes in one request, and takes no memory", { timeout: 240_000 }, async () => {
	const { page, path } = await setUp(2048 * MiB);
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
	const { page, path } = await setUp(24 * MiB);
	const network = await emulate(page);
	await network(slow);
	await begin(page, path);
	await halfway(page);
	await page.reload();
	await loaded(page);
	site.requests.length = 0;
	await network({});
	await begin(page, path);
	const { url } = await result(page);
	expect(await server.sha256(url)).toBe(await sha256(path));
	const patch = site.requests.find(({ method }) => method === "PATCH");
	expect(site.requests.map(({ method }) => method)).toEqual(["OPTIONS", "HEAD", "PATCH"]);
	expect(Number(patch?.headers["upload-offset"])).toBeGreaterThan(MiB);
	expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([]);
});

test("survives ten seconds offline", async () => {
	const { page, path } = await setUp(24 * MiB);
	const network = await emulate(page);
	await network(slow);
	await begin(page, path);
	await halfway(page);
	await network({ offline: true });
	site.drop();
	await page.waitForFunction(() => window.kept.upload.state.status === "retrying");
	await new Promise((resolve) => setTimeout(resolve, 10_000));
	expect(await page.evaluate(() => window.kept.upload.state.status)).toBe("retrying");
	await network(slow);
	const { url, statuses } = await result(page);
	expect(await server.sha256(url)).toBe(await sha256(path));
	expect(statuses.slice(0, 3)).toEqual(["uploading", "retrying", "uploading"]);
});

test("survives a server that is killed and comes back", async () => {
	const { page, path } = await setUp(24 * MiB);
	const network = await emulate(page);
	await network(slow);
	await begin(page, path);
	await halfway(page);
	await server.kill();
	await page.waitForFunction(() => window.kept.upload.state.status === "retrying");
	await server.start();
	const { url } = await result(page);
	expect(await server.sha256(url)).toBe(await sha256(path));
});

test("waits while the server is full, as long as it says", async () => {
	const { page, path } = await setUp(4 * MiB);
	const busy = new Map<string, number>();
	const refused: number[] = [];
	site.intercept = (incoming, answer) => {
		const { method = "" } = incoming;
		const times = busy.get(method) ?? 0;
		busy.set(method, times + 1);
		if (times >= 2) {
			return false;
		}
		refused.push(Date.now());
		incoming.resume();
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
	const { page, path } = await setUp(24 * MiB);
	const before = server.finished();
	const network = await emulate(page);
	await network(slow);
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
	expect(server.finished()).toEqual(before);
});

test("a thousand files take one request each, three at a time", { timeout: 180_000 }, async () => {
	const { page } = await setUp(1 * MiB);
	let underWay = 0;
	let most = 0;
	site.intercept = (_, answer) => {
		most = Math.max(most, ++underWay);
		answer.on("close", () => underWay--);
		return false;
	};
	const { urls, stats } = await page.evaluate(async () => {
		const data = new Uint8Array(10 << 10);
		const files = Array.from({ length: 1000 }, (_, i) => new File([data], `file-${i}.bin`, { lastModified: i }));
		const manager = new window.streamflow.StreamUploadManager();
		const results = await Promise.all(files.map((file) => manager.uploadFile(file)));
		return { urls: results.map(({ url }) => url), stats: manager.getMemoryStats() };
	});
	expect(new Set(urls).size).toBe(1000);
	expect(site.requests.filter(({ method }) => method === "POST").length).toBe(1000);
	expect(site.requests.length).toBe(1001);
	expect(most).toBeLessThanOrEqual(3);
	expect(stats).toMatchObject({ totalAllocated: 0, activeResources: 0 });
	expect(server.finished()).toEqual(expect.arrayContaining(urls.map((url) => url.split("/").pop())));
});

test("after dispose in the middle nothing is left", async () => {
	const { page, path } = await setUp(24 * MiB);
	const before = server.finished();
	const network = await emulate(page);
	await network(slow);
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
	expect(server.finished()).toEqual(before);
});
