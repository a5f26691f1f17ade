import type { AccessToken } from "../config.js";
import { abortError, UploadError } from "../errors.js";
import { guard, type ProgressEvent } from "../events.js";
import { claim, fingerprint } from "../resume/fingerprint.js";
import { encodeMetadata, Tus } from "../transport/tus.js";
import type { Compression } from "./compression.js";
import { type Engine, load } from "./engine.js";
import { Meter } from "./meter.js";
import type { ParallelTransfer } from "./parallel.js";
import { BlobSource, type Source, type UploadSource } from "./source.js";
import { percentage, remaining, type UploadResult, type UploadState, type UploadStatus } from "./state.js";
import { type Route, Transfer, type Watcher } from "./transfer.js";

/** Options of one upload. They win over those of the manager. */
export interface StreamOptions {
	onProgress?: (event: ProgressEvent) => unknown;
	userId?: string;
	accessToken?: AccessToken;
	/** Its name, where the source has none. */
	name?: string;
	/** Its path below a folder, told to the server as `relativePath`. */
	path?: string;
	/** Told to the server with the upload. */
	metadata?: Record<string, string>;
}

/** What is to be uploaded, and where to. */
interface Job extends StreamOptions {
	id: string;
	name: string;
	source: UploadSource;
	/** A whole URL. */
	endpoint: string;
}

/** The least milliseconds between two performance events. */
const performanceInterval = 1_000;

/**
 * One upload. It is a promise of its result, too, as much as a handle: await it,
 * or hold it and pause, resume and abort.
 */
export class Upload implements PromiseLike<UploadResult> {
	// Keeps reactive frameworks from wrapping it: see MemoryManager.
	readonly [Symbol.toStringTag] = "Upload";
	readonly id: string;
	readonly name: string;
	readonly #engine: Engine;
	readonly #job: Job;
	readonly #meter = new Meter();
	readonly #done: Promise<UploadResult>;
	#resolve!: (result: UploadResult) => void;
	#reject!: (error: unknown) => void;
	#source: Source | undefined;
	#compression: Compression | undefined;
	#transfer: Transfer | ParallelTransfer | undefined;
	#running: Promise<void> = Promise.resolve();
	#stop = new AbortController();
	#status: UploadStatus = "waiting";
	#url: string | null = null;
	#error: UploadError | null = null;
	#processing = 0;
	#reportedAt = performance.now();

	constructor(engine: Engine, job: Job) {
		this.id = job.id;
		this.name = job.name;
		this.#engine = engine;
		this.#job = job;
		this.#done = new Promise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
		this.#done.catch(() => {}); // whoever cares awaits it, or listens for statechange
	}

	// biome-ignore lint/suspicious/noThenProperty: awaiting an upload is what it is for
	then<R = UploadResult, E = never>(
		fulfilled?: ((result: UploadResult) => R | PromiseLike<R>) | null,
		rejected?: ((reason: unknown) => E | PromiseLike<E>) | null,
	): Promise<R | E> {
		return this.#done.then(fulfilled, rejected);
	}

	get state(): UploadState {
		const bytesUploaded = this.#sent();
		const totalBytes = this.#size();
		const speed = this.#status === "uploading" ? this.#meter.speed : 0;
		return {
			id: this.id,
			name: this.name,
			status: this.#status,
			percentage: percentage(bytesUploaded, totalBytes),
			bytesUploaded,
			totalBytes,
			speed,
			estimatedTimeRemaining: remaining(bytesUploaded, totalBytes, speed),
			url: this.#url,
			error: this.#error,
		};
	}

	get over(): boolean {
		return ["completed", "failed", "aborted"].includes(this.#status);
	}

	/** Begins, once. */
	start(): void {
		const { signal } = this.#stop;
		this.#running = this.#running.then(() => this.#run(signal));
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
			this.#error = null;
			this.#set("waiting");
			this.#stop = new AbortController();
			this.start();
		}
	}

	/** Ends the upload, and has the server and this browser forget it. A server that doesn't is a warning. */
	async abort(): Promise<void> {
		if (this.over) {
			return;
		}
		this.end(abortError("The upload was aborted."));
		await this.#transfer?.discard().catch((error) => {
			if (error instanceof UploadError) {
				this.#engine.warn(error);
			}
		});
	}

	/** Ends the upload and leaves it resumable. */
	end(reason: unknown): void {
		if (!this.over) {
			this.#settle("aborted", null, () => this.#reject(reason));
			this.#stop.abort(reason);
		}
	}

	/** One run from the start or a pause to the next pause or the end. It never rejects. */
	async #run(signal: AbortSignal): Promise<void> {
		try {
			const { streams } = this.#engine;
			await streams.enter(signal);
			const transfer = await streams.leaveIfFails(this.#plan());
			const url = await transfer.run(signal);
			transfer.forget();
			this.#url = url;
			const { id, name } = this;
			const result = { id, name, url, size: this.#size() ?? 0, savedBytes: this.#savedBytes() };
			this.#settle("completed", null, () => this.#resolve(result));
		} catch (error) {
			if (!signal.aborted) {
				const known = error instanceof UploadError ? error : unexpected(error);
				this.#settle("failed", known, () => this.#reject(known));
				this.#stop.abort(known);
			}
		}
		if (this.over) {
			this.#source?.close(); // it may have been opened while the upload was ended
		}
	}

	/** Decides how, once. What few uploads need is loaded by those. */
	async #plan(): Promise<Transfer | ParallelTransfer> {
		const { settings, memory } = this.#engine;
		const { source: file, name } = this.#job;
		if (this.#transfer) {
			return this.#transfer;
		}
		if (settings.maxFileSize ?? settings.allowedMimeTypes ?? settings.allowedExtensions) {
			const { checkFile } = await load(import("./accept.js"));
			checkFile(file, name, settings);
		}
		if (settings.compressionEnabled) {
			const { Compression } = await load(import("./compression.js"));
			this.#compression = new Compression(file instanceof Blob ? file.type : "");
		}
		if (file instanceof ReadableStream) {
			const { StreamSource } = await load(import("./streamsource.js"));
			this.#source = new StreamSource(file, memory, settings.maxFileSize);
		} else {
			this.#source = new BlobSource(file, memory);
			if (settings.parallelStreams > 1) {
				const { ParallelTransfer } = await load(import("./parallel.js"));
				this.#transfer = new ParallelTransfer(this.#engine, file, await this.#route(this.#source));
			}
		}
		this.#transfer ??= new Transfer(this.#engine, await this.#route(this.#source));
		return this.#transfer;
	}

	async #route(source: Source): Promise<Route> {
		const { settings, servers, signal } = this.#engine;
		const { name, source: file, endpoint, metadata } = this.#job;
		const { userId = settings.userId, accessToken = settings.accessToken } = this.#job;
		const { path = file instanceof File && file.webkitRelativePath } = this.#job;
		const type = file instanceof Blob && file.type;
		const told = {
			filename: name,
			...(type && { filetype: type }),
			...(path && { relativePath: path }),
			...(userId && { userId }),
			...metadata,
		};
		return {
			source,
			tus: new Tus({ ...settings, endpoint, accessToken, signal }, servers),
			headers: { "Upload-Metadata": encodeMetadata(told) },
			fingerprint: settings.resume ? await claim(fingerprint(file, endpoint, told), this.#done) : null,
			compression: this.#compression ?? null,
			watcher: this.#watcher(),
		};
	}

	#watcher(): Watcher {
		return {
			moved: () => this.#progress(),
			located: (url) => {
				// The server has answered: whatever went wrong before is over.
				this.#url = url;
				this.#meter.start(this.#sent(), performance.now());
				if (this.#status === "retrying") {
					this.#error = null;
					this.#set("uploading");
				}
			},
			attempt: (failure) => {
				if (failure) {
					this.#error = failure;
					this.#set("retrying");
				} else if (this.#status === "waiting") {
					this.#set("uploading");
				}
			},
			processed: (milliseconds) => {
				this.#processing += milliseconds;
			},
		};
	}

	#progress(): void {
		if (this.over) {
			return;
		}
		const now = performance.now();
		this.#meter.moveTo(this.#sent(), now);
		const { status, url, error, ...event } = this.state;
		this.#engine.events.emit("progress", event);
		void guard(() => this.#job.onProgress?.(event));
		if (now - this.#reportedAt >= performanceInterval) {
			this.#report(now);
		}
	}

	#report(now: number): void {
		this.#reportedAt = now;
		this.#engine.events.emit("performance", {
			id: this.id,
			speed: this.#meter.speed,
			memoryUsage: this.#engine.memory.used,
			processingTime: this.#processing,
			savedBytes: this.#savedBytes(),
		});
		this.#processing = 0;
	}

	#settle(status: UploadStatus, error: UploadError | null, tell: () => void): void {
		if (this.over) {
			return;
		}
		this.#report(performance.now());
		this.#error = error;
		this.#source?.close();
		this.#set(status);
		tell();
	}

	#set(status: UploadStatus): void {
		this.#status = status;
		this.#engine.events.emit("statechange", this.state);
	}

	#sent(): number {
		return Math.floor(this.#transfer?.sent ?? 0);
	}

	#size(): number | null {
		const { source } = this.#job;
		return source instanceof Blob ? source.size : (this.#source?.size ?? null);
	}

	#savedBytes(): number {
		return this.#compression?.savedBytes ?? 0;
	}
}

function unexpected(cause: unknown): UploadError {
	return new UploadError("VALIDATION_ERROR", `The upload failed: ${cause}`, { cause });
}
