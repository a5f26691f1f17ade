import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { openClient } from "./harness/page.js";
import { startSite } from "./harness/site.js";

const { server, site } = await startSite();

const word = "streamflow ";
const hash = (length: number) => createHash("sha256").update(Buffer.alloc(length, word)).digest("hex");

test.each([
	{ name: "nothing", length: 0, broken: 0 },
	{ name: "one byte", length: 1, broken: 0 },
	{ name: "exactly two chunks", length: 2 << 20, broken: 0 },
	{ name: "three chunks and some, over connections that break", length: 3_500_000, broken: 3 },
])("uploads a stream of unknown length: $name", async ({ length, broken }) => {
	const page = await openClient(site);
	let breaks = broken;
	site.intercept = (incoming, answer) => {
		if (incoming.method === "PATCH" && breaks > 0) {
			breaks--;
			// What came before the break is on the server.
			setTimeout(() => answer.destroy(), 20);
		}
		return false;
	};
	const { url, size, peak, held } = await page.evaluate(async (length) => {
		const word = new TextEncoder().encode("streamflow ");
		let given = 0;
		const stream = new ReadableStream<Uint8Array>({
			pull(controller) {
				const piece = Uint8Array.from(
					{ length: Math.min(100_000, length - given) },
					(_, i) => word[(given + i) % word.length] as number,
				);
				given += piece.length;
				if (piece.length > 0) {
					controller.enqueue(piece);
				} else {
					controller.close();
				}
			},
		});
		const manager = new window.streamflow.StreamUploadManager();
		const result = await manager.startStreaming(stream, undefined, { name: "endless.log" });
		const { peakMemoryUsage, totalAllocated } = manager.getMemoryStats();
		return { ...result, peak: peakMemoryUsage, held: totalAllocated };
	}, length);
	expect(size).toBe(length);
	expect(await server.sha256(url)).toBe(hash(length));
	expect(peak).toBe(1 << 20);
	expect(held).toBe(0);
	expect(breaks).toBe(0);
});

test.each([
	{ name: "a stream that fails", chunks: ["x"], error: "the disk is gone" },
	{ name: "a stream of text", chunks: ["text"], error: "" },
])("$name is an INVALID_FILE", async ({ chunks, error }) => {
	const page = await openClient(site);
	const code = await page.evaluate(
		async ([chunks, error]) => {
			const stream = new ReadableStream({
				start(controller) {
					for (const chunk of chunks) {
						controller.enqueue(error ? new TextEncoder().encode(chunk) : chunk);
					}
				},
				pull(controller) {
					controller.error(new Error(error));
				},
			});
			const manager = new window.streamflow.StreamUploadManager();
			return manager.uploadFile(stream).catch((failure: { code: string }) => failure.code);
		},
		[chunks, error] as const,
	);
	expect(code).toBe("INVALID_FILE");
});

test("a stream that becomes longer than allowed is refused, one that doesn't isn't", async () => {
	const page = await openClient(site);
	const codes = await page.evaluate(() => {
		const manager = new window.streamflow.StreamUploadManager({ maxFileSize: 250_000 });
		const upload = (length: number) => {
			const pieces = [200_000, length - 200_000];
			const stream = new ReadableStream<Uint8Array>({
				pull(controller) {
					const next = pieces.shift();
					next === undefined ? controller.close() : controller.enqueue(new Uint8Array(next));
				},
			});
			return manager.uploadFile(stream).then(
				({ size }) => size,
				({ code }) => code,
			);
		};
		return Promise.all([upload(250_000), upload(250_001)]);
	});
	expect(codes).toEqual([250_000, "INVALID_FILE"]);
});

test.each([
	{ name: "text, straight from the file", config: {}, type: "text/plain", saved: true },
	{ name: "text, with checksums", config: { validateChunks: true }, type: "text/plain", saved: true },
	{ name: "a picture", config: {}, type: "image/png", saved: false },
])("compresses what is worth it: $name", async ({ config, type, saved }) => {
	const page = await openClient(site);
	const { url, savedBytes, told } = await page.evaluate(
		async ([config, type]) => {
			const text = "streamflow ".repeat(300_000);
			const manager = new window.streamflow.StreamUploadManager({ compressionEnabled: true, ...config });
			let told = 0;
			manager.on("performance", ({ savedBytes }) => {
				told = savedBytes;
			});
			return { ...(await manager.uploadFile(new File([text], "log", { type }))), told };
		},
		[config, type] as const,
	);
	expect(await server.sha256(url)).toBe(hash(word.length * 300_000));
	expect(savedBytes > 3_000_000).toBe(saved);
	expect(told).toBe(savedBytes);
	const gzipped = site.requests.filter(({ headers }) => headers["content-encoding"] === "gzip");
	expect(gzipped.length > 0).toBe(saved);
});
