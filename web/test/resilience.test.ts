import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { isFirefox } from "./harness/browser.js";
import { sparseFile } from "./harness/files.js";
import { loaded, openClient } from "./harness/page.js";
import { startSite } from "./harness/site.js";
import { sha256 } from "./harness/streamflow.js";

const MiB = 1 << 20;

/** Bytes a second. */
const slow = 8 * MiB;

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
	page.waitForFunction(() => window.kept.upload.state.percentage > 50, undefined, { polling: 20 });
const result = (page: Page) =>
	page.evaluate(() => window.kept.upload.then((r: object) => ({ ...r, statuses: window.kept.statuses })));

async function setUp(bytes: number) {
	return { page: await openClient(site), path: sparseFile(bytes) };
}

const { server, site } = await startSite();

test("goes on after a reload, with the same file", async () => {
	const { page, path } = await setUp(24 * MiB);
	site.pace = slow;
	await begin(page, path);
	await halfway(page);
	await page.reload();
	await loaded(page);
	site.requests.length = 0;
	site.pace = Number.POSITIVE_INFINITY;
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
	site.pace = slow;
	await begin(page, path);
	await halfway(page);
	await page.context().setOffline(true);
	site.drop();
	await page.waitForFunction(() => window.kept.upload.state.status === "retrying");
	await new Promise((resolve) => setTimeout(resolve, 10_000));
	expect(await page.evaluate(() => window.kept.upload.state.status)).toBe("retrying");
	await page.context().setOffline(false);
	const { url, statuses } = await result(page);
	expect(await server.sha256(url)).toBe(await sha256(path));
	expect(statuses.slice(0, 3)).toEqual(["uploading", "retrying", "uploading"]);
});

test("survives a server that is killed and comes back", async () => {
	const { page, path } = await setUp(24 * MiB);
	site.pace = slow;
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
	const busy = new Set<string>();
	const refused: number[] = [];
	site.intercept = (incoming, answer) => {
		const { method = "" } = incoming;
		if (busy.has(method)) {
			return false;
		}
		busy.add(method);
		refused.push(Date.now());
		incoming.resume();
		answer.writeHead(503, { "Retry-After": "1" }).end();
		return true;
	};
	await begin(page, path);
	const { url } = await result(page);
	expect(await server.sha256(url)).toBe(await sha256(path));
	expect([...busy]).toEqual(["OPTIONS", "POST", "PATCH", "HEAD"]);
	const gaps = refused.slice(1).map((at, i) => at - (refused[i] as number));
	expect(Math.min(...gaps)).toBeGreaterThan(900);
});

test("pauses, resumes, and aborts on the server, too", async () => {
	const { page, path } = await setUp(24 * MiB);
	const before = server.finished();
	site.pace = slow;
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
	await page.waitForFunction(() => window.kept.upload.state.percentage > 70);
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

test("a pause that is over before the upload has begun costs no request", async () => {
	const { page } = await setUp(1 * MiB);
	const states = await page.evaluate(async () => {
		const manager = new window.streamflow.StreamUploadManager();
		const upload = manager.startStreaming(new File([new Uint8Array(3 << 20)], "file.bin"));
		upload.pause();
		const paused = upload.state.status;
		upload.resume();
		await upload;
		await new Promise((resolve) => setTimeout(resolve, 200));
		return [paused, upload.state.status];
	});
	expect(states).toEqual(["paused", "completed"]);
	expect(site.requests.map(({ method }) => method)).toEqual(["OPTIONS", "POST", "PATCH"]);
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

// Only Chromium can be told to collect garbage.
test.skipIf(isFirefox)("after dispose in the middle nothing is left", async () => {
	const { page, path } = await setUp(24 * MiB);
	const before = server.finished();
	site.pace = slow;
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
	await expect.poll(() => page.workers()).toEqual([]);
	expect(await page.evaluate(() => window.kept.stats)).toMatchObject({ totalAllocated: 0, activeResources: 0 });
	expect(site.requests.length).toBe(requests);
	expect(server.finished()).toEqual(before);
});
