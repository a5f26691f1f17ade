import { abortError, UploadError } from "../errors.js";
import { type Emitter, guard, type ManagerEvents, type ProgressEvent } from "../events.js";
import { persist } from "../transport/retry.js";
import { encodeMetadata } from "../transport/tus.js";
import { Compression } from "./compression.js";
import type { Engine } from "./engine.js";
import { Meter } from "./meter.js";
import { type Source, split, type UploadSource } from "./source.js";
import { percentage, remaining, type UploadResult, type UploadState, type UploadStatus } from "./state.js";
import { Transfer, type Watcher } from "./transfer.js";

export interface UploadIdentity {
	id: string;
	name: string;
	/** Sent to the server as Upload-Metadata. */
	metadata: Record<string, string>;
	fingerprint: string | null;
}

/** The least milliseconds between two performance events. */
const performanceInterval = 1_000;

/**
 * One upload. It is a promise of its result, too, as much as a handle: await it,
 * or hold it and pause, resume and abort.
 */
export class Upload implements PromiseLike<UploadResult> {
	readonly id: string;
	readonly name: string;
	readonly #engine: Engine;
	readonly #events: Emitter<ManagerEvents>;
	readonly #identity: UploadIdentity;
	readonly #compression: Compression;
	readonly #meter = new Meter();
	readonly #done: Promise<UploadResult>;
	#resolve!: (result: UploadResult) => void;
	#reject!: (error: unknown) => void;
	readonly #source: UploadSource;
	/** One, or the parts that the server is to join. Known once the server is. */
	#sources: Source[] = [];
	#transfers: Transfer[] = [];
	/** Bytes sent of each transfer. */
	#moved: number[] = [];
	readonly #onProgress: ((event: ProgressEvent) => unknown) | undefined;
	#running: Promise<void> = Promise.resolve();
	#stop = new AbortController();
	#status: UploadStatus = "waiting";
	#url: string | null = null;
	#error: UploadError | null = null;
	#processing = 0;
	#reportedAt = performance.now();

	constructor(
		engine: Engine,
		events: Emitter<ManagerEvents>,
		identity: UploadIdentity,
		source: UploadSource,
		onProgress?: (event: ProgressEvent) => unknown,
	) {
		this.id = identity.id;
		this.name = identity.name;
		this.#engine = engine;
		this.#events = events;
		this.#identity = identity;
		this.#onProgress = onProgress;
		this.#compression = new Compression(engine.settings.compressionEnabled, source instanceof Blob ? source.type : "");
		this.#source = source;
		if (engine.settings.parallelStreams === 1) {
			this.#plan(1);
		}
		this.#done = new Promise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
		this.#done.catch(() => {}); // whoever cares awaits it, or listens for statechange
	}

	// Keeps reactive frameworks from wrapping it: see MemoryManager.
	get [Symbol.toStringTag](): string {
		return "Upload";
	}

	// biome-ignore lint/suspicious/noThenProperty: awaiting an upload is what it is for
	then<R = UploadResult, E = never>(
		fulfilled?: ((result: UploadResult) => R | PromiseLike<R>) | null,
		rejected?: ((reason: unknown) => E | PromiseLike<E>) | null,
	): Promise<R | E> {
		return this.#done.then(fulfilled, rejected);
	}

	get state(): UploadState {
		const bytesUploaded = Math.floor(this.#meter.bytes);
		const totalBytes = this.#size();
		const { speed } = this.#meter;
		return {
			id: this.id,
			name: this.name,
			status: this.#status,
			percentage: this.#status === "completed" ? 100 : percentage(bytesUploaded, totalBytes),
			bytesUploaded,
			totalBytes,
			speed: this.#status === "uploading" ? speed : 0,
			estimatedTimeRemaining: this.#status === "uploading" ? remaining(bytesUploaded, totalBytes, speed) : null,
			url: this.#url,
			error: this.#error,
		};
	}

	get over(): boolean {
		return ["completed", "failed", "aborted"].includes(this.#status);
	}

	/** Begins, once. */
	start(): void {
		this.#running = this.#running.then(() => this.#run());
	}

	/** Ends the requests under way. What the server has, it keeps. */
	pause(): void {
		if (!this.over && this.#status !== "paused") {
			this.#set("paused");
			this.#stop.abort(abortError("The upload is paused."));
		}
	}

	/** Goes on after a pause. */
	resume(): void {
		if (this.#status === "paused") {
			this.#set("waiting");
			this.#stop = new AbortController();
			this.start();
		}
	}

	/** Ends the upload, and has the server and this browser forget it. */
	async abort(): Promise<void> {
		if (this.over) {
			return;
		}
		this.end(abortError("The upload was aborted."));
		const urls = this.#transfers.map((transfer) => {
			transfer.forget();
			return transfer.url;
		});
		await Promise.allSettled(urls.map((url) => url && this.#engine.tus.terminate(url, this.#engine.signal)));
	}

	/** Ends the upload and leaves it resumable. */
	end(reason: unknown): void {
		if (!this.over) {
			this.#settle("aborted", null, () => this.#reject(reason));
			this.#stop.abort(reason);
		}
	}

	/** One run from the start or a pause to the next pause or the end. It never rejects. */
	async #run(): Promise<void> {
		const { signal } = this.#stop;
		try {
			signal.throwIfAborted();
			if (this.#transfers.length === 0) {
				this.#plan(await this.#parts(signal));
			}
			const urls = await Promise.all(this.#transfers.map((transfer) => this.#stream(transfer, signal)));
			const url = urls.length > 1 ? await this.#join(urls, signal) : (urls[0] as string);
			this.#url = url;
			const { id, name } = this;
			const result = { id, name, url, size: this.#size() ?? 0, savedBytes: this.#compression.savedBytes };
			this.#settle("completed", null, () => this.#resolve(result));
		} catch (error) {
			if (!signal.aborted) {
				const known = error instanceof UploadError ? error : unexpected(error);
				this.#settle("failed", known, () => this.#reject(known));
				this.#stop.abort(known);
			}
		}
	}

	async #stream(transfer: Transfer, signal: AbortSignal): Promise<string> {
		const { streams } = this.#engine;
		await streams.enter(signal);
		try {
			return await transfer.run(signal);
		} finally {
			streams.leave();
		}
	}

	/** How many parts there are to be: parts are joined by the server only. */
	async #parts(signal: AbortSignal): Promise<number> {
		const { extensions } = await this.#persist(signal, () => this.#engine.tus.capabilities());
		return extensions.has("concatenation") ? this.#engine.settings.parallelStreams : 1;
	}

	#plan(parts: number): void {
		this.#sources = split(this.#source, parts, this.#engine.memory);
		this.#moved = this.#sources.map(() => 0);
		this.#transfers = this.#sources.map((part, i) => this.#transfer(part, i));
	}

	#join(urls: string[], signal: AbortSignal): Promise<string> {
		return this.#persist(signal, () => this.#engine.tus.concatenate(urls, this.#metadata(), signal));
	}

	#persist<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
		return persist(this.#engine.settings.retryAttempts, signal, { attempt, failed: (error) => this.#failed(error) });
	}

	#failed(error: UploadError): void {
		this.#error = error;
		this.#set("retrying");
	}

	#transfer(source: Source, index: number): Transfer {
		const { fingerprint } = this.#identity;
		const parts = this.#sources.length;
		const watcher: Watcher = {
			moved: (bytes) => {
				this.#moved[index] = bytes;
				this.#progress();
			},
			located: (url) => {
				this.#url = parts > 1 ? null : url;
				this.#begin();
			},
			attempt: (failure) => {
				if (failure) {
					this.#failed(failure);
				} else if (this.#status === "waiting") {
					this.#set("uploading");
				}
			},
			processed: (milliseconds) => {
				this.#processing += milliseconds;
			},
		};
		return new Transfer(
			this.#engine,
			source,
			parts > 1 ? { "Upload-Concat": "partial" } : this.#metadata(),
			fingerprint !== null && parts > 1 ? `${fingerprint}/${index}of${parts}` : fingerprint,
			this.#compression,
			watcher,
		);
	}

	#metadata(): Record<string, string> {
		const encoded = encodeMetadata(this.#identity.metadata);
		return encoded ? { "Upload-Metadata": encoded } : {};
	}

	/** The server has answered: whatever went wrong before is over. */
	#begin(): void {
		this.#meter.start(this.#sent(), performance.now());
		if (this.#status === "retrying") {
			this.#error = null;
			this.#set("uploading");
		}
	}

	#progress(): void {
		if (this.over) {
			return;
		}
		const now = performance.now();
		this.#meter.moveTo(this.#sent(), now);
		const { status, url, error, ...event } = this.state;
		this.#events.emit("progress", event);
		void guard(() => this.#onProgress?.(event));
		if (now - this.#reportedAt >= performanceInterval) {
			this.#report(now);
		}
	}

	#report(now: number): void {
		this.#reportedAt = now;
		this.#events.emit("performance", {
			id: this.id,
			speed: this.#meter.speed,
			memoryUsage: this.#engine.memory.used,
			processingTime: this.#processing,
			savedBytes: this.#compression.savedBytes,
		});
		this.#processing = 0;
	}

	#settle(status: UploadStatus, error: UploadError | null, tell: () => void): void {
		if (this.over) {
			return;
		}
		this.#report(performance.now());
		this.#error = error;
		for (const source of this.#sources) {
			source.close();
		}
		this.#set(status);
		tell();
	}

	#set(status: UploadStatus): void {
		this.#status = status;
		this.#events.emit("statechange", this.state);
	}

	#sent(): number {
		return this.#moved.reduce((total, bytes) => total + bytes, 0);
	}

	#size(): number | null {
		if (this.#sources.length === 0) {
			return this.#source instanceof Blob ? this.#source.size : null;
		}
		return this.#sources.reduce<number | null>(
			(total, { size }) => (total === null || size === null ? null : total + size),
			0,
		);
	}
}

function unexpected(cause: unknown): UploadError {
	return new UploadError("VALIDATION_ERROR", `The upload failed: ${String(cause)}`, { cause });
}
