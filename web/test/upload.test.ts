import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { openClient } from "./harness/page.js";
import { startSite } from "./harness/site.js";

const bytes = (length: number) => Buffer.alloc(length, "streamflow ");
const hash = (data: Buffer) => createHash("sha256").update(data).digest("hex");

const { server, site } = await startSite();

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

test.each([
	{ name: "WebKit", gesture: true, config: {}, kind: "Uint8Array" },
	{ name: "WebKit, told otherwise", gesture: true, config: { bodyMode: "blob" }, kind: "File" },
	{ name: "another browser", gesture: false, config: {}, kind: "File" },
	{ name: "another browser, told otherwise", gesture: false, config: { bodyMode: "buffer" }, kind: "Uint8Array" },
] as const)("what a request is given in $name", async ({ gesture, config, kind }) => {
	const page = await openClient(site);
	const { kinds, peak } = await page.evaluate(
		async ([gesture, config]) => {
			if (gesture) {
				Object.assign(window, { GestureEvent: class extends UIEvent {} }); // WebKit alone has it
			}
			const kinds = new Set<string>();
			const { send } = XMLHttpRequest.prototype;
			XMLHttpRequest.prototype.send = function (body) {
				if (body) {
					kinds.add(body.constructor.name);
				}
				send.call(this, body);
			};
			const manager = new window.streamflow.StreamUploadManager(config);
			await manager.uploadFile(new File([new Uint8Array(5_000_001)], "file.bin"));
			return { kinds: [...kinds], peak: manager.getMemoryStats().peakMemoryUsage };
		},
		[gesture, config] as const,
	);
	expect(kinds).toEqual([kind]);
	expect(peak).toBe(kind === "File" ? 64 << 10 : 1 << 20);
});
