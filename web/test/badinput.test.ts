import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { launchUnprivileged } from "./harness/browser.js";
import { temporary } from "./harness/files.js";
import { openClient } from "./harness/page.js";
import { Site, startSite } from "./harness/site.js";
import { Streamflow } from "./harness/streamflow.js";

const { server, site } = await startSite();

test.each([
	{
		name: "changes",
		harm: (path: string) => writeFileSync(path, "something else altogether"),
	},
	{ name: "vanishes", harm: (path: string) => rmSync(path) },
])("a file that $name under the upload", async ({ harm }) => {
	for (const { size, during, ...config } of [
		{ bodyMode: "blob", size: 3 << 20, during: "POST" },
		{ bodyMode: "buffer", size: 3 << 20, during: "POST" },
		{ bodyMode: "blob", size: 3 << 20, during: "POST", compressionEnabled: true },
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
		const outcome = await page.evaluate(async (config) => {
			const manager = new window.streamflow.StreamUploadManager({ ...config, resume: false });
			const input = document.querySelector("#files") as HTMLInputElement;
			const { code } = await manager.uploadFile(input.files?.[0] as File).then(
				() => ({ code: "none" }),
				(error: { code: string }) => error,
			);
			const { size } = await manager.uploadFile(new Blob(["abc"]));
			return { code, size };
		}, config);
		expect(outcome, `${JSON.stringify(config)}, ${size} bytes`).toEqual({ code: "INVALID_FILE", size: 3 });
	}
});

test("a file that may not be read", async () => {
	const page = await openClient(site, launchUnprivileged());
	const path = join(temporary(), "file.bin");
	for (const bodyMode of ["blob", "buffer"] as const) {
		for (const size of [100 << 10, 3 << 20]) {
			writeFileSync(path, Buffer.alloc(size, "x"));
			chmodSync(path, 0);
			await page.setInputFiles("#files", path);
			const outcome = await page.evaluate(async (bodyMode) => {
				const manager = new window.streamflow.StreamUploadManager({ bodyMode });
				const { files } = document.querySelector("#files") as HTMLInputElement;
				const { code, message } = await manager.uploadFile(files?.[0] as File).then(
					() => ({ code: "none", message: "" }),
					(error: { code: string; message: string }) => error,
				);
				const { size } = await manager.uploadFile(new Blob(["abc"]));
				return { code, message, size };
			}, bodyMode);
			chmodSync(path, 0o600);
			expect(outcome, `${bodyMode}, ${size} bytes`).toEqual({
				code: "INVALID_FILE",
				message: expect.stringMatching(/^The file can't be read \(NotReadableError: .* Choose it again\.$/),
				size: 3,
			});
		}
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
			localStorage.setItem(`streamflow:${name}`, `${expires} /files/x`);
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

test("a server that takes no checksums is told once", async () => {
	const page = await openClient(site);
	site.intercept = ({ method }, answer) => {
		if (method === "OPTIONS") {
			answer.writeHead(204, { "Tus-Extension": "creation" }).end();
		}
		return method === "OPTIONS";
	};
	const warnings = await page.evaluate(async () => {
		const manager = new window.streamflow.StreamUploadManager({ validateChunks: true });
		const warnings: string[] = [];
		manager.on("warning", ({ code }) => warnings.push(code));
		await manager.uploadFile(new Blob([new Uint8Array(3 << 20)]));
		return warnings;
	});
	expect(warnings).toEqual(["VALIDATION_ERROR"]);
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
