import { expect, test } from "vitest";
import { sparseFile } from "./harness/files.js";
import { openClient } from "./harness/page.js";
import { Site } from "./harness/site.js";
import { Streamflow } from "./harness/streamflow.js";

const MiB = 1 << 20;

test("a file of 2 GiB goes in one request, and takes no memory", { timeout: 600_000 }, async () => {
	const server = await Streamflow.start();
	const site = await Site.start(server.url);
	const page = await openClient(site);
	const path = sparseFile(2048 * MiB);
	const idle = await page.evaluate(() => {
		window.gc?.();
		return performance.memory.usedJSHeapSize;
	});
	await page.setInputFiles("#files", path);
	await page.evaluate(() => {
		const { files } = document.querySelector("#files") as HTMLInputElement;
		const manager = new window.streamflow.StreamUploadManager();
		window.kept = { manager, upload: manager.startStreaming(files?.[0] as File) };
	});
	const { url, stats, used } = await page.evaluate(async () => {
		const { url } = await window.kept.upload;
		window.gc?.();
		return { url, stats: window.kept.manager.getMemoryStats(), used: performance.memory.usedJSHeapSize };
	});
	expect(server.size(url)).toBe(2048 * MiB);
	expect(site.requests.map(({ method }) => method)).toEqual(["OPTIONS", "POST", "PATCH"]);
	expect(stats.peakMemoryUsage).toBeLessThanOrEqual(64 * 1024);
	expect(used - idle).toBeLessThan(MiB);
});
