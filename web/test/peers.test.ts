import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporary } from "./harness/files.js";
import { openClient } from "./harness/page.js";
import { root } from "./harness/paths.js";
import { atEnd } from "./harness/scope.js";
import { Site } from "./harness/site.js";

interface Peer {
	url: string;
	store: string;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
	const socket = createServer().listen(0, "127.0.0.1");
	await new Promise((resolve) => socket.once("listening", resolve));
	const { port } = socket.address() as AddressInfo;
	await new Promise((resolve) => socket.close(resolve));
	return port;
}

/** Runs a server of others until the tests are over. `make peers` installs them. */
async function start(command: string[], port: number, store: string): Promise<Peer> {
	const [program = "", ...args] = command;
	const server = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
	atEnd(() => server.kill("SIGKILL"));
	const url = `http://127.0.0.1:${port}/files/`;
	while (!(await fetch(url, { method: "OPTIONS" }).catch(() => null))) {
		if (server.exitCode !== null) {
			throw new Error(`${command.join(" ")} ended with ${server.exitCode}: run make peers`);
		}
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	return { url, store };
}

const peers = [
	{
		name: "tusd",
		command: (port: number, store: string) => [
			`${root}/bin/tusd`,
			"-host",
			"127.0.0.1",
			"-port",
			String(port),
			"-upload-dir",
			store,
			"-base-path",
			"/files/",
			"-show-greeting=false",
		],
	},
	{
		name: "@tus/server",
		command: (port: number, store: string) => ["node", `${root}/peers/tus-server.mjs`, String(port), store],
	},
];

describe.each(peers)("$name", ({ command }) => {
	let peer: Peer;
	let site: Site;
	beforeAll(async () => {
		const port = await freePort();
		const store = temporary();
		peer = await start(command(port, store), port, store);
		site = await Site.start(peer.url);
	});

	const kept = (url: string) => {
		const id = decodeURIComponent(new URL(url).pathname).split("/").pop() ?? "";
		return createHash("sha256")
			.update(readFileSync(join(peer.store, id)))
			.digest("hex");
	};
	const length = 5_000_001;
	const whole = createHash("sha256").update(Buffer.alloc(length, "streamflow ")).digest("hex");

	test.each([
		{ name: "in one request", config: {}, stream: false },
		{ name: "in chunks", config: { chunkSize: 1 << 20 }, stream: false },
		{ name: "in parallel streams, or one where they can't be joined", config: { parallelStreams: 3 }, stream: false },
		{
			name: "where checksums and compression are asked for in vain",
			config: { validateChunks: true, compressionEnabled: true },
			stream: false,
		},
		{ name: "a stream of unknown length", config: {}, stream: true },
		{ name: "with a pause in the middle", config: { chunkSize: 1 << 20 }, pause: true, stream: false },
	])("takes a file $name", async ({ config, stream, pause = false }) => {
		const page = await openClient(site);
		const { url, size } = await page.evaluate(
			async ([config, stream, pause, length]) => {
				const word = new TextEncoder().encode("streamflow ");
				const data = Uint8Array.from({ length }, (_, i) => word[i % word.length] as number);
				const file = new File([data], "ä file.bin");
				const manager = new window.streamflow.StreamUploadManager(config);
				manager.on("warning", () => {});
				const upload = manager.startStreaming(stream ? file.stream() : file);
				let paused = !pause;
				manager.on("progress", ({ percentage }) => {
					if (!paused && percentage > 30) {
						paused = true;
						manager.pause();
						setTimeout(() => manager.resume(), 100);
					}
				});
				return upload;
			},
			[config, stream, pause, length] as const,
		);
		expect(size).toBe(length);
		expect(kept(url)).toBe(whole);
	});

	test("forgets what is aborted", async () => {
		const page = await openClient(site);
		await page.evaluate(async () => {
			const manager = new window.streamflow.StreamUploadManager({ chunkSize: 1 << 20 });
			const upload = manager.startStreaming(new File([new Uint8Array(8 << 20)], "file.bin"));
			upload.then(undefined, () => {});
			await new Promise((resolve) => manager.on("progress", ({ bytesUploaded }) => bytesUploaded > 0 && resolve(0)));
			await manager.abortStream();
		});
		const { method, path } = site.requests.at(-1) ?? {};
		expect(method).toBe("DELETE");
		const gone = await fetch(new URL(path ?? "", peer.url), { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } });
		expect([404, 410]).toContain(gone.status);
	});
});
