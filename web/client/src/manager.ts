import { resolveEndpoint, settleConfig, type UploadConfig } from "./config.js";
import { abortError, disposedError } from "./errors.js";
import { Emitter, type Listener, type ManagerEvents } from "./events.js";
import { type MemoryConfig, settleMemory } from "./memory/config.js";
import { MemoryManager, type MemoryStats } from "./memory/manager.js";
import { check, isCallback, isText, isTexts, isToken, type Option, type Rule, settle } from "./option.js";
import type { Engine } from "./upload/engine.js";
import type { UploadSource } from "./upload/source.js";
import { type StreamingState, sum, type UploadResult, type UploadState } from "./upload/state.js";
import { Streams } from "./upload/streams.js";
import { type StreamOptions, Upload } from "./upload/upload.js";

const isSource: Rule = [(v) => v instanceof Blob || v instanceof ReadableStream, "a File, a Blob or a ReadableStream"];

const streamOptions: Record<keyof StreamOptions, Option> = {
	onProgress: [isCallback],
	userId: [isText],
	accessToken: [isToken],
	name: [isText],
	path: [isText],
	metadata: [isTexts],
};

/**
 * Uploads files, Blobs and streams to a tus server, inside a memory budget.
 *
 * @example
 * const manager = new StreamUploadManager({ endpoint: "/files/" });
 * manager.on("progress", ({ name, percentage }) => console.log(name, percentage));
 * const { url } = await manager.uploadFile(file);
 */
export class StreamUploadManager {
	// Keeps reactive frameworks from wrapping it: see MemoryManager.
	readonly [Symbol.toStringTag] = "StreamUploadManager";
	readonly memoryManager: MemoryManager;
	readonly #engine: Engine;
	readonly #uploads = new Map<string, Upload>();
	readonly #end = new AbortController();
	#next = 0;

	/** An option that can't be is a VALIDATION_ERROR with its name. */
	constructor(config: UploadConfig = {}, memoryConfig: MemoryConfig = {}) {
		const settings = settleConfig(config);
		const events = new Emitter<ManagerEvents>();
		const memory = new MemoryManager(settleMemory(config, memoryConfig), events);
		// Half the streams when memory is short, and no new one when it is shorter.
		const allowed = () => Math.ceil(settings.concurrentStreams / (memory.level === "normal" ? 1 : 2));
		this.memoryManager = memory;
		this.#engine = {
			settings,
			events,
			memory,
			streams: new Streams(allowed),
			servers: new Map(),
			signal: this.#end.signal,
			warn: (error) => {
				if (!events.emit("warning", error)) {
					console.warn(error.message);
				}
			},
		};
		events.on("statechange", ({ id }) => {
			if (this.#uploads.get(id)?.over) {
				this.#uploads.delete(id);
			}
		});
	}

	/** Returns how to stop listening. */
	on<K extends keyof ManagerEvents>(type: K, listener: Listener<ManagerEvents[K]>): () => void {
		check("The listener", listener, isCallback);
		return this.#engine.events.on(type, listener);
	}

	off<K extends keyof ManagerEvents>(type: K, listener: Listener<ManagerEvents[K]>): void {
		this.#engine.events.off(type, listener);
	}

	getMemoryStats(): MemoryStats {
		return this.memoryManager.stats();
	}

	/** Uploads to the endpoint of the config. */
	async uploadFile(file: UploadSource, options?: StreamOptions): Promise<UploadResult> {
		return this.startStreaming(file, undefined, options);
	}

	/** Begins an upload; await it for its result. Its turn comes when a stream is free. */
	startStreaming(file: UploadSource, endpoint?: string, options: StreamOptions = {}): Upload {
		if (this.#end.signal.aborted) {
			throw disposedError();
		}
		check("The file", file, isSource);
		const { name = file instanceof File ? file.name : "stream", ...others } = settle<StreamOptions>(
			"options",
			options,
			streamOptions,
		);
		const upload = new Upload(this.#engine, {
			...others,
			id: `upload-${++this.#next}`,
			name,
			source: file,
			endpoint: endpoint === undefined ? this.#engine.settings.endpoint : resolveEndpoint(endpoint),
		});
		this.#uploads.set(upload.id, upload);
		upload.start();
		return upload;
	}

	/** Ends an upload, or all, and has the server forget it; one that doesn't is told by a `warning`. */
	async abortStream(id?: string): Promise<void> {
		await Promise.all(this.#pick(id).map((upload) => upload.abort()));
	}

	/** Pauses an upload, or all. */
	pause(id?: string): void {
		for (const upload of this.#pick(id)) {
			upload.pause();
		}
	}

	/** Goes on with an upload, or with all that are paused. */
	resume(id?: string): void {
		for (const upload of this.#pick(id)) {
			upload.resume();
		}
	}

	/** How an upload stands, or all that aren't over together. */
	getStreamingState(): StreamingState;
	getStreamingState(id: string): UploadState | undefined;
	getStreamingState(id?: string): StreamingState | UploadState | undefined {
		if (id !== undefined) {
			return this.#uploads.get(id)?.state;
		}
		return sum(this.#pick(id).map((upload) => upload.state));
	}

	/**
	 * Ends everything: requests, the worker, timers and listeners. What the server
	 * has of an upload it keeps, and another manager goes on with it.
	 */
	dispose(): void {
		if (this.#end.signal.aborted) {
			return;
		}
		const reason = abortError("The manager was disposed.");
		for (const upload of this.#uploads.values()) {
			upload.end(reason);
		}
		this.#end.abort(reason);
		this.memoryManager.dispose(reason);
		this.#engine.events.clear();
	}

	#pick(id: string | undefined): Upload[] {
		return [...this.#uploads.values()].filter((upload) => id === undefined || upload.id === id);
	}
}
