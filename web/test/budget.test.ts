import { beforeAll, beforeEach, expect, test } from "vitest";
import { openClient } from "./harness/page.js";
import { Site } from "./harness/site.js";
import { Streamflow } from "./harness/streamflow.js";

let server: Streamflow;
let site: Site;
beforeAll(async () => {
	server = await Streamflow.start();
	site = await Site.start(server.url);
});
beforeEach(() => site.reset());

test("a budget too small fails at once, names one that would do, and that one does", async () => {
	const page = await openClient(site);
	const outcome = await page.evaluate(async () => {
		const file = new Blob([new Uint8Array(1 << 20)]);
		const small = new window.streamflow.StreamUploadManager({ bodyMode: "buffer" }, { maxMemoryUsage: 1000 });
		const began = performance.now();
		const error = await small.uploadFile(file).catch((error) => error);
		const took = performance.now() - began;
		const named = Number(/set maxMemoryUsage to (\d+)/.exec(error.message)?.[1]);
		const enough = new window.streamflow.StreamUploadManager({ bodyMode: "buffer" }, { maxMemoryUsage: named });
		const { size } = await enough.uploadFile(file);
		return { code: error.code, took, named, size, peak: enough.getMemoryStats().peakMemoryUsage };
	});
	expect(outcome).toMatchObject({ code: "MEMORY_LIMIT_EXCEEDED", named: 65536, size: 1 << 20 });
	expect(outcome.peak).toBeLessThanOrEqual(outcome.named);
	expect(outcome.took).toBeLessThan(1000);
});

test("the ledger has what the buffers have, and stays inside the budget", async () => {
	const page = await openClient(site);
	const { samples, peak, limit } = await page.evaluate(async () => {
		const file = new Blob([new Uint8Array(48 << 20)]);
		const limit = 8 << 20;
		const manager = new window.streamflow.StreamUploadManager(
			{ validateChunks: true, chunkSize: 2 << 20, concurrentStreams: 3 },
			{ maxMemoryUsage: limit },
		);
		const samples: { ledger: number; limit: number }[] = [];
		manager.on("progress", () => samples.push({ ledger: manager.getMemoryStats().totalAllocated, limit }));
		await Promise.all([0, 1, 2].map((i) => manager.uploadFile(file.slice(i << 24, (i + 1) << 24))));
		return { samples, peak: manager.getMemoryStats().peakMemoryUsage, limit };
	});
	expect(samples.length).toBeGreaterThan(10);
	expect(Math.max(...samples.map(({ ledger }) => ledger))).toBeGreaterThan(0);
	expect(peak).toBeLessThanOrEqual(limit);
});

test("at critical nothing new begins, until memory is given back", async () => {
	const page = await openClient(site);
	const outcome = await page.evaluate(async () => {
		const manager = new window.streamflow.StreamUploadManager({ bodyMode: "buffer" }, { maxMemoryUsage: 1 << 20 });
		const seen: string[] = [];
		manager.on("memoryWarning", () => seen.push("warning"));
		manager.on("memoryCritical", () => seen.push("critical"));
		const cache = {};
		const id = manager.memoryManager.trackResource(cache, "cache", { size: 1 << 20 });
		const refused = await manager.uploadFile(new Blob(["x"])).catch((error) => error.code);
		manager.memoryManager.onBeforeGC(() => manager.memoryManager.releaseResource(id));
		const { size } = await manager.uploadFile(new Blob(["x"]));
		return { seen, refused, size, cache };
	});
	expect(outcome).toMatchObject({ seen: ["warning", "critical"], refused: "MEMORY_LIMIT_EXCEEDED", size: 1 });
});
