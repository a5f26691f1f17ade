import { createHash } from "node:crypto";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { loaded, openClient } from "./harness/page.js";
import { startSite } from "./harness/site.js";

const MiB = 1 << 20;

const { server, site } = await startSite();

test.each([
	{ name: "one manager", managers: 1 },
	{ name: "two", managers: 2 },
])("files that look the same and are uploaded at the same time stay apart, in $name", async ({ managers }) => {
	const page = await openClient(site);
	site.pace = 4 * MiB;
	const sent = await page.evaluate(async (managers) => {
		const hex = (sum: ArrayBuffer) => [...new Uint8Array(sum)].map((b) => b.toString(16).padStart(2, "0")).join("");
		const { StreamUploadManager } = window.streamflow;
		const made = Array.from({ length: managers }, () => new StreamUploadManager({ chunkSize: 1 << 20 }));
		const begin = (byte: number, manager = made[0]) => {
			const data = new Uint8Array(4 << 20).fill(byte);
			const upload = manager?.startStreaming(new File([data], "index.html", { lastModified: 1 }));
			return { upload, sum: crypto.subtle.digest("SHA-256", data) };
		};
		const first = begin(1);
		while ((first.upload?.state.percentage ?? 0) < 25) {
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
		const all = [first, begin(2, made.at(-1))];
		return Promise.all(all.map(async ({ upload, sum }) => ({ url: (await upload)?.url, sum: hex(await sum) })));
	}, managers);
	for (const { url, sum } of sent) {
		expect(await server.sha256(url ?? "")).toBe(sum);
	}
	expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([]);
});

/** Begins to upload in two parts, of which one gets through. */
async function partly(page: Page): Promise<void> {
	let patches = 0;
	const passed = new Promise((resolve) => {
		site.intercept = ({ method }, answer) => {
			if (method !== "PATCH") {
				return false;
			}
			answer.on("finish", resolve);
			return ++patches > 1; // and gets no answer
		};
	});
	await page.evaluate(begin);
	await passed;
	await expect.poll(() => patches).toBe(2);
	site.intercept = () => false;
}

function begin(): void {
	const data = new Uint8Array(4 << 20).fill(1, 1 << 20, 3 << 20);
	const manager = new window.streamflow.StreamUploadManager({ parallelStreams: 2 });
	window.kept = manager.startStreaming(new File([data], "parts.bin", { lastModified: 1 }));
}

const wholeSum = createHash("sha256")
	.update(Buffer.alloc(4 * MiB).fill(1, MiB, 3 * MiB))
	.digest("hex");
const methods = () => site.requests.map(({ method }) => method).sort();

test("a part that is there isn't sent again after a reload", async () => {
	const page = await openClient(site);
	await partly(page);
	await page.reload();
	await loaded(page);
	site.requests.length = 0;
	await page.evaluate(begin);
	const { url } = await page.evaluate(async () => ({ ...(await window.kept) }));
	expect(await server.sha256(url)).toBe(wholeSum);
	expect(methods()).toEqual(["HEAD", "HEAD", "OPTIONS", "PATCH", "POST"]);
	expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([]);
});

test("a part that was there and is lost is sent again", async () => {
	const page = await openClient(site);
	await partly(page);
	await page.evaluate(() => window.kept.pause());
	const [sent] = site.requests.filter(({ method }) => method === "PATCH");
	const lost = await fetch(new URL(sent?.path ?? "", server.url), {
		method: "DELETE",
		headers: { "Tus-Resumable": "1.0.0" },
	});
	expect(lost.status).toBe(204);
	await page.evaluate(() => window.kept.resume());
	const { url } = await page.evaluate(async () => ({ ...(await window.kept) }));
	expect(await server.sha256(url)).toBe(wholeSum);
});

test.each([
	{ name: "an address that is none", url: "http://" },
	{ name: "an address of another kind", url: "data:,x" },
	{ name: "an upload that is longer", url: "long" },
])("what is remembered costs no upload where it is $name", async ({ url }) => {
	const page = await openClient(site);
	const size = await page.evaluate(async (url) => {
		const manager = new window.streamflow.StreamUploadManager({ retryAttempts: 0, accessToken: "any" });
		const file = new File([new Uint8Array(2 << 20)], "file.bin", { lastModified: 1 });
		const other = await manager.uploadFile(new Blob([new Uint8Array(3 << 20)]));
		const fingerprint = [new URL("/files/", location.href).href, { filename: "file.bin" }, file.size, 1];
		const entry = `${Date.now() + 60_000} ${url === "long" ? other.url : url}`;
		localStorage.setItem(`streamflow:${JSON.stringify(fingerprint)}`, entry);
		return (await manager.uploadFile(file)).size;
	}, url);
	expect(size).toBe(2 * MiB);
	expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([]);
});

test("the same file goes to another upload where something else is told of it", async () => {
	const page = await openClient(site);
	const urls = await page.evaluate(async () => {
		const manager = new window.streamflow.StreamUploadManager();
		const file = new File([new Uint8Array(2 << 20)], "file.bin", { lastModified: 1 });
		const first = manager.startStreaming(file, undefined, { metadata: { album: "1" } });
		while (first.state.url === null) {
			await new Promise((resolve) => setTimeout(resolve, 1));
		}
		first.pause();
		const { url } = first.state;
		manager.dispose();
		const next = new window.streamflow.StreamUploadManager();
		const second = await next.uploadFile(file, { metadata: { album: "2" } });
		return [url, second.url];
	});
	expect(urls[0]).not.toBe(urls[1]);
});

test("a pause in the moment of a failure stays one, and a resume ends what was amiss", async () => {
	const page = await openClient(site);
	site.intercept = ({ method }, answer) => {
		const breaks = method === "PATCH" && site.requests.every(({ method }) => method !== "HEAD");
		if (breaks) {
			answer.destroy();
		}
		return breaks;
	};
	const states = await page.evaluate(async () => {
		const { StreamUploadManager } = window.streamflow;
		const manager: InstanceType<typeof StreamUploadManager> = new StreamUploadManager();
		const upload = manager.startStreaming(new File([new Uint8Array(3 << 20)], "file.bin"));
		// After a failure the client looks whether the file is still there. It finds out late.
		const { arrayBuffer } = Blob.prototype;
		const looked = new Promise<() => void>((looked) => {
			Blob.prototype.arrayBuffer = async function () {
				await new Promise<void>(looked);
				return arrayBuffer.call(this);
			};
		});
		const found = await looked;
		upload.pause();
		found();
		await new Promise((resolve) => setTimeout(resolve, 100));
		const paused = upload.state.status;
		upload.resume();
		const { status, error } = upload.state;
		await upload;
		return { paused, resumed: status, error, end: upload.state.status };
	});
	expect(states).toEqual({ paused: "paused", resumed: "waiting", error: null, end: "completed" });
});
