import { expect, test } from "vitest";
import { Crowd } from "./harness/crowd.js";
import { openClient } from "./harness/page.js";
import { Site, startSite } from "./harness/site.js";
import { Streamflow } from "./harness/streamflow.js";

const { site } = await startSite();

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

test.each([
	{ compressionEnabled: false, least: 1 << 20 },
	{ compressionEnabled: true, least: 256 << 10 }, // twice the buffers make the chunks smaller
])(
	"no buffer is there that the ledger doesn't have, and all stay inside the budget: %o",
	async ({ compressionEnabled, least }) => {
		const page = await openClient(site);
		const { live, most, uncounted, peak, limit } = await page.evaluate(async (compressionEnabled) => {
			const limit = 4 << 20;
			const manager = new window.streamflow.StreamUploadManager(
				{ validateChunks: true, chunkSize: 1 << 20, compressionEnabled },
				{ maxMemoryUsage: limit },
			);
			const buffers = { live: 0, most: 0, uncounted: 0 };
			for (const { prototype } of [Blob, Response]) {
				const { arrayBuffer } = prototype as Body;
				prototype.arrayBuffer = async function () {
					const buffer = await arrayBuffer.call(this);
					buffers.live += buffer.byteLength;
					buffers.most = Math.max(buffers.most, buffers.live);
					buffers.uncounted = Math.max(buffers.uncounted, buffers.live - manager.getMemoryStats().totalAllocated);
					return buffer;
				};
			}
			// The client gives a buffer's memory back by moving it away.
			const prototype = ArrayBuffer.prototype as ArrayBuffer & { transfer(bytes?: number): ArrayBuffer };
			const { transfer } = prototype;
			prototype.transfer = function (this: ArrayBuffer, bytes?: number) {
				buffers.live -= this.byteLength;
				return transfer.call(this, bytes);
			};
			const file = new Blob([new Uint8Array(12 << 20)]);
			await Promise.all([0, 1, 2].map((i) => manager.uploadFile(file.slice(i << 22, (i + 1) << 22))));
			return { ...buffers, peak: manager.getMemoryStats().peakMemoryUsage, limit };
		}, compressionEnabled);
		expect(uncounted).toBe(0);
		expect(live).toBe(0);
		expect(most).toBeGreaterThan(least);
		expect(most).toBeLessThanOrEqual(peak);
		expect(peak).toBeLessThanOrEqual(limit);
	},
);

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

test("a server that is full by its own budget is asked again when it says, and takes the file then", async () => {
	const small = await Streamflow.start("--max-memory", "32MiB", "--log-level", "error");
	const crowded = await Site.start(small.url);
	const page = await openClient(crowded);
	const crowd = await Crowd.at(small.url);
	const asked: number[] = [];
	crowded.intercept = ({ method }) => {
		if (method === "POST") {
			asked.push(Date.now());
		}
		return false;
	};
	const { status, detail, retryAfter } = await page.evaluate(async () => {
		const upload = new window.streamflow.StreamUploadManager().startStreaming(new Blob([new Uint8Array(3 << 20)]));
		window.kept = upload;
		while (upload.state.status !== "retrying") {
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
		const { status, detail, retryAfter } = upload.state.error ?? {};
		return { status, detail, retryAfter };
	});
	await crowd.leave();
	expect({ status, detail }).toEqual({ status: 503, detail: expect.stringContaining("memory of the server") });
	expect(await page.evaluate(async () => (await window.kept).size)).toBe(3 << 20);
	expect(retryAfter).toBeGreaterThanOrEqual(2000);
	expect((asked[1] ?? Number.NaN) - (asked[0] ?? 0)).toBeGreaterThanOrEqual((retryAfter ?? 0) - 50); // two clocks
});
