import { createHash } from "node:crypto";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { openClient } from "./harness/page.js";
import { Site } from "./harness/site.js";
import { Streamflow } from "./harness/streamflow.js";

const bytes = (length: number) => Buffer.alloc(length, "streamflow ");
const hash = (data: Buffer) => createHash("sha256").update(data).digest("hex");

let server: Streamflow;
let site: Site;
beforeAll(async () => {
	server = await Streamflow.start();
	site = await Site.start(server.url);
});
beforeEach(() => site.reset());

test.each([
	{ name: "nothing", length: 0, config: {} },
	{ name: "one byte", length: 1, config: {} },
	{ name: "one chunk", length: 1 << 20, config: {} },
	{ name: "more than a chunk, in one request", length: 5_000_001, config: {} },
	{ name: "in chunks", length: 5_000_001, config: { chunkSize: 1 << 20 } },
	{ name: "in buffers", length: 5_000_001, config: { bodyMode: "buffer" } },
	{ name: "with checksums", length: 5_000_001, config: { validateChunks: true } },
	{ name: "in parallel streams", length: 5_000_001, config: { parallelStreams: 3 } },
] as const)("uploads a file: $name", async ({ length, config }) => {
	const page = await openClient(site);
	const result = await page.evaluate(
		async ([length, config]) => {
			const word = new TextEncoder().encode("streamflow ");
			const data = Uint8Array.from({ length }, (_, i) => word[i % word.length] as number);
			const manager = new window.streamflow.StreamUploadManager(config);
			const result = await manager.uploadFile(new File([data], "täst.bin"));
			return { ...result, stats: manager.getMemoryStats(), state: manager.getStreamingState() };
		},
		[length, config] as const,
	);
	expect(result).toMatchObject({ name: "täst.bin", size: length, stats: { totalAllocated: 0, activeResources: 0 } });
	expect(result.state.uploads).toEqual([]);
	expect(await server.sha256(result.url)).toBe(hash(bytes(length)));
});
