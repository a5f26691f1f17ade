import { UploadError } from "../errors.js";
import type { Engine } from "../upload/engine.js";
import type { Piece } from "../upload/source.js";
import { choose, digest } from "./digest.js";
import type { Job, Message } from "./worker.js";

interface Pending {
	resolve(sum: { sum: string; bytes: Uint8Array<ArrayBuffer> }): void;
	reject(error: unknown): void;
}

/**
 * Computes checksums in a worker, which it starts when the first is asked for.
 * Where a page may have no workers it says so once, and computes them here.
 */
export class Summer {
	readonly #warn: (error: UploadError) => void;
	readonly #signal: AbortSignal;
	readonly #pending = new Map<number, Pending>();
	#worker: Worker | null = null;
	#started: Promise<Worker | null> | undefined;
	#end: (() => void) | undefined;
	#next = 0;
	/** Somebody knows that a server takes no checksums. */
	#told = false;

	/** The signal ends it. */
	constructor(warn: (error: UploadError) => void, signal: AbortSignal) {
		this.#warn = warn;
		this.#signal = signal;
		signal.addEventListener("abort", () => {
			this.#stop(signal.reason);
			this.#end?.();
		});
	}

	/**
	 * The header with the checksum; none, and one warning for all, where the server takes
	 * none that can be computed here. Meanwhile the data is away, in the worker.
	 */
	async sum(offered: ReadonlySet<string>, piece: Piece): Promise<Record<string, string>> {
		this.#signal.throwIfAborted();
		const bytes = piece.data as Uint8Array<ArrayBuffer>; // checksums select the array-buffer mode
		const algorithm = choose(offered);
		if (!algorithm) {
			const missing = "validateChunks is on, but the server takes no checksums that this page can compute.";
			if (!this.#told) {
				this.#told = true;
				this.#warn(new UploadError("VALIDATION_ERROR", missing));
			}
			return {};
		}
		this.#started ??= this.#start();
		const worker = await this.#started;
		const summed = worker
			? await this.#ask(worker, { id: this.#next++, algorithm, bytes })
			: { sum: await digest(algorithm, bytes), bytes };
		piece.data = summed.bytes;
		return { "Upload-Checksum": `${algorithm} ${summed.sum}` };
	}

	#ask(worker: Worker, job: Job): Promise<{ sum: string; bytes: Uint8Array<ArrayBuffer> }> {
		return new Promise((resolve, reject) => {
			this.#pending.set(job.id, { resolve, reject });
			worker.postMessage(job, [job.bytes.buffer]);
		});
	}

	/** The worker once it runs, or null where it can't. */
	#start(): Promise<Worker | null> {
		return new Promise((resolve) => {
			this.#end = () => resolve(null);
			const blocked = (cause: unknown) => {
				const error = workerError(cause);
				this.#stop(error);
				this.#started = Promise.resolve(null);
				resolve(null);
				this.#warn(error);
			};
			try {
				const worker = new Worker(new URL("./checksum-worker.js", import.meta.url), { type: "module" });
				this.#worker = worker;
				worker.onerror = (event) => {
					event.preventDefault();
					blocked(event.message || "it could not be loaded");
				};
				worker.onmessage = ({ data }: MessageEvent<Message>) =>
					data === "ready" ? resolve(worker) : this.#settle(data);
			} catch (cause) {
				blocked(cause);
			}
		});
	}

	#settle(message: Exclude<Message, "ready">): void {
		const pending = this.#pending.get(message.id);
		this.#pending.delete(message.id);
		if ("sum" in message) {
			pending?.resolve(message);
		} else {
			pending?.reject(workerError(message.error));
		}
	}

	#stop(reason: unknown): void {
		this.#worker?.terminate();
		this.#worker = null;
		for (const pending of this.#pending.values()) {
			pending.reject(reason);
		}
		this.#pending.clear();
	}
}

/** The one that all uploads of a manager share. */
export function summerOf(engine: Engine): Summer {
	engine.summer ??= new Summer(engine.warn, engine.signal);
	return engine.summer;
}

/** It is transient: what the worker held is read again, and summed in the page. */
function workerError(cause: unknown): UploadError {
	return new UploadError(
		"WORKER_ERROR",
		`The checksum worker can't run (${cause}), so checksums are computed in the page itself. Allow it by worker-src 'self' in the Content-Security-Policy, and serve checksum-worker.js beside the client.`,
		{ cause, transient: true },
	);
}
