import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { temporary } from "./files.js";
import { out } from "./paths.js";
import { atEnd } from "./scope.js";

/** A `streamflow serve` of its own. */
export class Streamflow {
	readonly store: string;
	/** Ends with the path of uploads. */
	url = "";
	readonly #flags: string[];
	#process: ChildProcess | undefined;

	private constructor(flags: string[]) {
		this.store = temporary();
		this.#flags = flags;
	}

	static async start(...flags: string[]): Promise<Streamflow> {
		const server = new Streamflow(flags);
		await server.start();
		atEnd(() => server.kill());
		return server;
	}

	/** Starts, or starts again at the same address. */
	async start(): Promise<void> {
		const ready = join(this.store, "../", `${this.store.split("/").pop()}.url`);
		rmSync(ready, { force: true });
		const listen = this.url ? new URL(this.url).host : "127.0.0.1:0";
		const flags = [
			"serve",
			"--listen",
			listen,
			"--store",
			this.store,
			"--ready-file",
			ready,
			"--log-level",
			"warn",
			...this.#flags,
		];
		const process = spawn(join(out, "streamflow"), flags, { stdio: ["ignore", "ignore", "inherit"] });
		this.#process = process;
		while (!existsSync(ready) || !readFileSync(ready, "utf8").trim()) {
			if (process.exitCode !== null) {
				throw new Error(`streamflow ${flags.join(" ")} ended with ${process.exitCode}`);
			}
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
		this.url = readFileSync(ready, "utf8").trim();
		rmSync(ready, { force: true });
	}

	/** Ends it at once, as a crash does. */
	async kill(): Promise<void> {
		const process = this.#process;
		if (process && process.exitCode === null && process.signalCode === null) {
			process.kill("SIGKILL");
			await once(process, "exit");
		}
	}

	/** Names of the finished uploads. */
	finished(): string[] {
		return readdirSync(this.store).filter((name) => !name.startsWith("."));
	}

	/** The SHA-256 of the finished upload at a URL. */
	async sha256(url: string): Promise<string> {
		return sha256(this.#path(url));
	}

	/** Bytes of the finished upload at a URL. */
	size(url: string): number {
		return statSync(this.#path(url)).size;
	}

	#path(url: string): string {
		return join(this.store, new URL(url).pathname.split("/").pop() ?? "");
	}
}

export async function sha256(path: string): Promise<string> {
	const hash = createHash("sha256");
	for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
		hash.update(chunk);
	}
	return hash.digest("hex");
}
