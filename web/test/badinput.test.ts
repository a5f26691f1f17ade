import { rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { temporary } from "./harness/files.js";
import { openClient } from "./harness/page.js";
import { Site } from "./harness/site.js";
import { Streamflow } from "./harness/streamflow.js";

interface Outcome {
	code: string;
	message: string;
	status?: number;
	/** The manager uploads another file afterwards. */
	usable: boolean;
}

let server: Streamflow;
let site: Site;
beforeAll(async () => {
	server = await Streamflow.start();
	site = await Site.start(server.url);
});
beforeEach(() => site.reset());

/** Uploads while the site misbehaves, and then once more while it behaves. */
async function misbehave(page: Page, intercept: Site["intercept"], config: object): Promise<Outcome> {
	site.intercept = intercept;
	const outcome = await page.evaluate(async (config) => {
		window.kept = new window.streamflow.StreamUploadManager({ retryAttempts: 0, ...config });
		const file = new File([new Uint8Array((1 << 20) + 1)], "file.bin", { lastModified: 1 });
		const done = () => ({ code: "none", message: "", status: undefined });
		const { code, message, status } = await window.kept.uploadFile(file).then(done, (error: unknown) => error);
		return { code, message, status };
	}, config);
	return { ...outcome, usable: await usable(page) };
}

/** The manager uploads another file, when the site behaves again. */
async function usable(page: Page): Promise<boolean> {
	site.intercept = () => false;
	return page.evaluate(async () => (await window.kept.uploadFile(new Blob(["abc"]))).size === 3);
}

/** Has an upload of that file be known from before a reload. */
function remember(page: Page): Promise<void> {
	return page.evaluate(() => {
		const fingerprint = [new URL("/files/", location.href).href, null, "file.bin", "", (1 << 20) + 1, 1];
		const entry = { url: "/files/x", expires: Date.now() + 60_000 };
		localStorage.setItem(`streamflow:${JSON.stringify(fingerprint)}`, JSON.stringify(entry));
	});
}

const refuse =
	(stage: string, status: number): Site["intercept"] =>
	({ method }, answer) => {
		if (method === stage) {
			answer.writeHead(status).end();
		}
		return method === stage;
	};

const statuses = [
	[400, "VALIDATION_ERROR"],
	[401, "INVALID_TOKEN"],
	[403, "INVALID_TOKEN"],
	[404, "VALIDATION_ERROR"],
	[409, "NETWORK_ERROR"],
	[410, "NETWORK_ERROR"],
	[413, "INVALID_FILE"],
	[415, "INVALID_FILE"],
	[429, "RATE_LIMIT_EXCEEDED"],
	[500, "NETWORK_ERROR"],
	[503, "NETWORK_ERROR"],
] as const;

/** Where a status is no reason to give up: what isn't known of a server isn't used, and what is lost begins anew. */
const harmless: Record<string, number[]> = {
	OPTIONS: [400, 404, 409, 410, 413, 415],
	HEAD: [404, 410],
	DELETE: [404, 410],
};

test("each status at each stage has its code, and a sentence", { timeout: 120_000 }, async () => {
	const page = await openClient(site);
	for (const stage of ["OPTIONS", "POST", "HEAD", "PATCH"]) {
		for (const [status, code] of statuses) {
			if (stage === "HEAD") {
				await remember(page);
			}
			const outcome = await misbehave(page, refuse(stage, status), {});
			const expected = harmless[stage]?.includes(status)
				? { code: "none", message: "" }
				: { code, status, message: expect.stringMatching(new RegExp(`status ${status}\\. [A-Z].*[.:]`)) };
			expect(outcome, `${stage} ${status}`).toMatchObject({ ...expected, usable: true });
			await page.evaluate(() => localStorage.clear());
		}
	}
	expect(new Set(site.requests.map(({ method }) => method))).toEqual(new Set(["OPTIONS", "POST", "HEAD", "PATCH"]));
});

test("each status that an abort meets has its code, and a sentence", async () => {
	const page = await openClient(site);
	for (const [status, code] of statuses) {
		// A PATCH that gets no answer is still under way.
		site.intercept = (incoming, answer) => incoming.method === "PATCH" || refuse("DELETE", status)(incoming, answer);
		const { ended, warnings } = await page.evaluate(async () => {
			const { StreamUploadManager } = window.streamflow;
			const manager: InstanceType<typeof StreamUploadManager> = new StreamUploadManager();
			window.kept = manager;
			const warnings: string[] = [];
			manager.on("warning", ({ code, message }) => warnings.push(`${code} ${message}`));
			const upload = manager.startStreaming(new File([new Uint8Array((1 << 20) + 1)], "file.bin"));
			while (upload.state.url === null) {
				await new Promise((resolve) => setTimeout(resolve, 5));
			}
			await manager.abortStream(upload.id);
			return { ended: upload.state.status, warnings };
		});
		const told = expect.stringMatching(new RegExp(`^${code} Ending the upload failed with status ${status}\\. [A-Z]`));
		expect({ ended, warnings }, `DELETE ${status}`).toEqual({
			ended: "aborted",
			warnings: harmless.DELETE?.includes(status) ? [] : [told],
		});
		expect(await usable(page), `DELETE ${status}`).toBe(true);
	}
});

const reply = (status: number, headers: Record<string, string>) => (answer: ServerResponse) => {
	answer.writeHead(status, headers).end();
};
const created = { Location: "/files/lie", "Tus-Resumable": "1.0.0" };

test.each([
	{
		name: "a site that is no tus server",
		on: { POST: reply(200, {}) },
		code: "VALIDATION_ERROR",
		says: "tus 1.0 server",
	},
	{ name: "a creation without Location", on: { POST: reply(201, {}) }, code: "VALIDATION_ERROR", says: "Location" },
	{
		name: "a Location that is none",
		on: { POST: reply(201, { Location: "http://" }) },
		code: "VALIDATION_ERROR",
		says: "Location",
	},
	{
		name: "an answer without offset",
		on: { POST: reply(201, created), PATCH: reply(204, {}) },
		code: "VALIDATION_ERROR",
		says: "nothing for Upload-Offset",
	},
	{
		name: "an offset that is text",
		on: { POST: reply(201, created), PATCH: reply(204, { "Upload-Offset": "-1" }) },
		code: "VALIDATION_ERROR",
		says: "-1 for Upload-Offset",
	},
	{
		name: "an offset beyond what was sent",
		on: { POST: reply(201, created), PATCH: reply(204, { "Upload-Offset": "99999999" }) },
		code: "VALIDATION_ERROR",
		says: "can't be",
	},
	{
		name: "a server that takes nothing",
		on: { POST: reply(201, created), PATCH: reply(204, { "Upload-Offset": "0" }) },
		code: "NETWORK_ERROR",
		says: "none of the bytes",
	},
	{
		name: "a connection that breaks",
		on: { POST: (answer: ServerResponse) => void answer.destroy() },
		code: "NETWORK_ERROR",
		says: "got no answer",
	},
	{ name: "a server that says nothing", on: { POST: () => {} }, code: "NETWORK_ERROR", says: "check the connection" },
])("$name", async ({ on, code, says }) => {
	const answers: Record<string, ((answer: ServerResponse) => void) | undefined> = on;
	const outcome = await misbehave(
		await openClient(site),
		({ method = "" }, answer) => {
			answers[method]?.(answer);
			return answers[method] !== undefined;
		},
		{ stallTimeout: 500 },
	);
	expect(outcome).toMatchObject({ code, usable: true });
	expect(outcome.message).toContain(says);
});

test.each([
	{
		name: "changes",
		harm: (path: string) => writeFileSync(path, "something else altogether"),
	},
	{ name: "vanishes", harm: (path: string) => rmSync(path) },
])("a file that $name under the upload", async ({ harm }) => {
	for (const { bodyMode, size, during } of [
		{ bodyMode: "blob", size: 3 << 20, during: "POST" },
		{ bodyMode: "buffer", size: 3 << 20, during: "POST" },
		{ bodyMode: "blob", size: 100 << 10, during: "OPTIONS" }, // its POST has the bytes
	] as const) {
		const page = await openClient(site);
		const path = join(temporary(), "file.bin");
		writeFileSync(path, Buffer.alloc(size, "x"));
		await page.setInputFiles("#files", path);
		site.intercept = async ({ method }) => {
			if (method === during) {
				site.intercept = () => false;
				harm(path);
			}
			return false;
		};
		const outcome = await page.evaluate(async (bodyMode) => {
			const manager = new window.streamflow.StreamUploadManager({ bodyMode, resume: false });
			const input = document.querySelector("#files") as HTMLInputElement;
			const { code } = await manager.uploadFile(input.files?.[0] as File).then(
				() => ({ code: "none" }),
				(error: { code: string }) => error,
			);
			const { size } = await manager.uploadFile(new Blob(["abc"]));
			return { code, size };
		}, bodyMode);
		expect(outcome, `${bodyMode}, ${size} bytes`).toEqual({ code: "INVALID_FILE", size: 3 });
	}
});

test("files that the config doesn't allow, and what is no file", async () => {
	const limited = await Streamflow.start("--max-file-size", "1MiB");
	const page = await openClient(await Site.start(limited.url));
	const outcomes = await page.evaluate(async () => {
		const { StreamUploadManager } = window.streamflow;
		const text = new File(["hello"], "notes.txt", { type: "text/plain" });
		const tryIt = async (config: object, file: unknown) => {
			const manager = new StreamUploadManager(config);
			const { code, message } = await manager.uploadFile(file as File).then(
				() => ({ code: "none", message: "" }),
				(error: { code: string; message: string }) => error,
			);
			const { size } = await new StreamUploadManager().uploadFile(text);
			return `${code} ${message} ${size}`;
		};
		return Promise.all([
			tryIt({ maxFileSize: 4 }, text),
			tryIt({ allowedMimeTypes: ["image/*"] }, text),
			tryIt({ allowedExtensions: ["png", ".jpg"] }, text),
			tryIt({}, new File([new Uint8Array(2 << 20)], "large.bin")),
			tryIt({}, "notes.txt"),
			tryIt({}, null),
			tryIt({ accessToken: () => Promise.reject(new Error("signed out")) }, text),
			tryIt({ accessToken: "two words" }, text),
		]);
	});
	expect(outcomes).toEqual([
		expect.stringMatching(/^INVALID_FILE "notes.txt" has 5 bytes; up to 4 .* 5$/),
		expect.stringMatching(/^INVALID_FILE "notes.txt" is of type text\/plain; allowed: image.* 5$/),
		expect.stringMatching(/^INVALID_FILE .*extension.*png, .jpg.* 5$/),
		expect.stringMatching(/^INVALID_FILE .*2097152 bytes; the server takes up to 1048576.* 5$/),
		expect.stringMatching(/^VALIDATION_ERROR The file must be .* not "notes.txt".* 5$/),
		expect.stringMatching(/^VALIDATION_ERROR The file must be .* not null.* 5$/),
		expect.stringMatching(/^INVALID_TOKEN .*signed out.* 5$/),
		expect.stringMatching(/^INVALID_TOKEN .* 5$/),
	]);
});

test.each([
	{
		name: "disabled",
		breakIt: () => {
			Object.defineProperty(window, "localStorage", {
				get() {
					throw new DOMException("denied", "SecurityError");
				},
			});
		},
	},
	{
		name: "full",
		breakIt: () => {
			Storage.prototype.setItem = () => {
				throw new DOMException("full", "QuotaExceededError");
			};
		},
	},
])("storage that is $name costs the resume after a reload, nothing else", async ({ breakIt }) => {
	const page = await openClient(site);
	await page.evaluate(breakIt);
	const size = await page.evaluate(async () => {
		const manager = new window.streamflow.StreamUploadManager();
		return (await manager.uploadFile(new File([new Uint8Array(3 << 20)], "file.bin"))).size;
	});
	expect(size).toBe(3 << 20);
});

test("what is remembered expires, and makes room", async () => {
	const page = await openClient(site);
	const keys = await page.evaluate(async () => {
		const remember = (name: string, expires: number) =>
			localStorage.setItem(`streamflow:${name}`, JSON.stringify({ url: "/files/x", expires }));
		remember("expired", Date.now() - 1);
		remember("oldest", Date.now() + 1000);
		remember("newer", Date.now() + 2000);
		localStorage.setItem("streamflow:broken", "{");
		localStorage.setItem("somebody else's", "x");
		const { setItem } = Storage.prototype;
		let full = true;
		Storage.prototype.setItem = function (key, value) {
			if (full && key.startsWith("streamflow:") && this.getItem("streamflow:oldest")) {
				throw new DOMException("full", "QuotaExceededError");
			}
			full = false;
			setItem.call(this, key, value);
		};
		const manager = new window.streamflow.StreamUploadManager();
		const upload = manager.startStreaming(new File([new Uint8Array(3 << 20)], "file.bin"));
		await upload;
		return Object.keys(localStorage).sort();
	});
	expect(keys).toEqual(["somebody else's", "streamflow:newer"]);
});

test("a worker that the page's policy blocks is told once, and checksums go on", async () => {
	site.policy = "worker-src 'none'";
	const page = await openClient(site);
	const { warnings, size } = await page.evaluate(async () => {
		const manager = new window.streamflow.StreamUploadManager({ validateChunks: true });
		const warnings: string[] = [];
		manager.on("warning", ({ code, message }) => warnings.push(`${code} ${message}`));
		const { size } = await manager.uploadFile(new Blob([new Uint8Array(3 << 20)]));
		return { warnings, size };
	});
	expect(warnings).toEqual([expect.stringMatching(/^WORKER_ERROR .*worker-src 'self'/)]);
	expect(size).toBe(3 << 20);
	const sent = site.requests.filter(({ method }) => method === "PATCH");
	expect(sent.every(({ headers }) => String(headers["upload-checksum"]).startsWith("sha256 "))).toBe(true);
});

test("a token goes out with each request, is asked for anew after a 401, and to no other origin", async () => {
	const page = await openClient(site);
	let expired = false;
	site.intercept = ({ method, headers }, answer) => {
		if (method === "PATCH" && headers.authorization === "Bearer token-1") {
			expired = true;
			answer.writeHead(401).end();
			return true;
		}
		return false;
	};
	await page.evaluate(async () => {
		let asked = 0;
		const accessToken = () => `token-${++asked < 4 ? 1 : 2}`;
		const manager = new window.streamflow.StreamUploadManager({ accessToken, chunkSize: 1 << 20 });
		await manager.uploadFile(new Blob([new Uint8Array(3 << 20)]));
	});
	expect(expired).toBe(true);
	expect(site.requests.every(({ headers }) => headers.authorization?.startsWith("Bearer token-"))).toBe(true);
	site.requests.length = 0;
	const elsewhere = await Site.start(server.url);
	site.intercept = ({ method }, answer) => {
		if (method === "POST") {
			answer.writeHead(201, { Location: `${elsewhere.url}files/x` }).end();
			return true;
		}
		return false;
	};
	elsewhere.intercept = (_, answer) => {
		answer
			.writeHead(204, {
				"Access-Control-Allow-Origin": "*",
				"Access-Control-Allow-Headers": "*",
				"Access-Control-Allow-Methods": "*",
			})
			.end();
		return true;
	};
	await page.evaluate(async () => {
		const manager = new window.streamflow.StreamUploadManager({ accessToken: "secret", retryAttempts: 0 });
		await manager.uploadFile(new Blob([new Uint8Array(3 << 20)])).catch(() => {});
	});
	expect(elsewhere.requests.length).toBeGreaterThan(0);
	expect(elsewhere.requests.some(({ headers }) => "authorization" in headers)).toBe(false);
});
