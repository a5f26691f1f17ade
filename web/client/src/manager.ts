import type { Summer } from "./checksum/summer.js";
import {
	type AccessToken,
	check,
	checkEndpoint,
	isCallback,
	isObject,
	isText,
	type Settings,
	settle,
	show,
	type UploadConfig,
} from "./config.js";
import { abortError, UploadError } from "./errors.js";
import { Emitter, type Listener, type ManagerEvents, type ProgressEvent } from "./events.js";
import { type MemoryConfig, settleMemory } from "./memory/config.js";
import { MemoryManager, type MemoryStats } from "./memory/manager.js";
import { fingerprint } from "./resume/fingerprint.js";
import { ResumeStore } from "./resume/store.js";
import { type Capabilities, Tus } from "./transport/tus.js";
import { checkFile } from "./upload/accept.js";
import type { UploadSource } from "./upload/source.js";
import { type StreamingState, sum, type UploadResult, type UploadState } from "./upload/state.js";
import { Streams } from "./upload/streams.js";
import { Upload } from "./upload/upload.js";

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

/**
 * Uploads files, Blobs and streams to a tus server, inside a memory budget.
 *
 * @example
 * const manager = new StreamUploadManager({ endpoint: "/files/" });
 * manager.on("progress", ({ name, percentage }) => console.log(name, percentage));
 * const { url } = await manager.uploadFile(file);
 */
export class StreamUploadManager {
	readonly memoryManager: MemoryManager;
	readonly #settings: Settings;
	readonly #events = new Emitter<ManagerEvents>();
	readonly #uploads = new Map<string, Upload>();
	readonly #streams: Streams;
	#summer: Promise<Summer> | undefined;
	readonly #store = new ResumeStore();
	readonly #servers = new Map<string, Promise<Capabilities>>();
	readonly #end = new AbortController();
	#next = 0;

	/** An option that can't be is a VALIDATION_ERROR with its name. */
	constructor(config: UploadConfig = {}, memoryConfig: MemoryConfig = {}) {
		this.#settings = settle(config);
		this.memoryManager = new MemoryManager(settleMemory(config, memoryConfig), this.#events);
		this.#streams = new Streams(() => this.#allowed());
		this.#events.on("statechange", ({ id }) => {
			if (this.#uploads.get(id)?.over) {
				this.#uploads.delete(id);
			}
		});
	}

	// Keeps reactive frameworks from wrapping it: see MemoryManager.
	get [Symbol.toStringTag](): string {
		return "StreamUploadManager";
	}

	/** Returns how to stop listening. */
	on<K extends keyof ManagerEvents>(type: K, listener: Listener<ManagerEvents[K]>): () => void {
		check("The listener", listener, isCallback);
		return this.#events.on(type, listener);
	}

	off<K extends keyof ManagerEvents>(type: K, listener: Listener<ManagerEvents[K]>): void {
		this.#events.off(type, listener);
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
			throw new UploadError("VALIDATION_ERROR", "This manager is disposed: make a new StreamUploadManager.");
		}
		if (!(file instanceof Blob) && !(file instanceof ReadableStream)) {
			throw new UploadError(
				"VALIDATION_ERROR",
				`The file must be a File, a Blob or a ReadableStream, not ${show(file)}.`,
			);
		}
		checkOptions(options);
		const upload = this.#make(file, checkEndpoint(endpoint ?? this.#settings.endpoint), options);
		this.#uploads.set(upload.id, upload);
		upload.start();
		return upload;
	}

	/** Ends an upload, or all, and has the server forget it. */
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
		return sum([...this.#uploads.values()].map((upload) => upload.state));
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
		for (const upload of [...this.#uploads.values()]) {
			upload.end(reason);
		}
		this.#end.abort(reason);
		this.#uploads.clear();
		this.#servers.clear();
		void this.#summer?.then((summer) => summer.dispose(reason));
		this.memoryManager.dispose(reason);
		this.#events.clear();
	}

	#make(source: UploadSource, endpoint: string, options: StreamOptions): Upload {
		const file = source instanceof File ? source : undefined;
		const name = options.name ?? file?.name ?? "stream";
		checkFile(source, name, this.#settings);
		const userId = options.userId ?? this.#settings.userId;
		const path = options.path ?? file?.webkitRelativePath;
		const { signal } = this.#end;
		const { headers, stallTimeout } = this.#settings;
		const accessToken = options.accessToken ?? this.#settings.accessToken;
		const engine = {
			settings: this.#settings,
			memory: this.memoryManager,
			streams: this.#streams,
			summer: () => this.#summing(),
			store: this.#store,
			tus: new Tus({ endpoint, accessToken, headers, stallTimeout, signal }, this.#servers),
			signal,
			warn: (error: UploadError) => this.#warn(error),
		};
		const identity = {
			id: `upload-${++this.#next}`,
			name,
			fingerprint: this.#settings.resume ? fingerprint(source, endpoint, userId, path) : null,
			metadata: {
				filename: name,
				...(source instanceof Blob && source.type && { filetype: source.type }),
				...(path && { relativePath: path }),
				...(userId && { userId }),
				...options.metadata,
			},
		};
		return new Upload(engine, this.#events, identity, source, options.onProgress);
	}

	#summing(): Promise<Summer> {
		this.#summer ??= import("./checksum/summer.js").then(({ Summer }) => new Summer((error) => this.#warn(error)));
		return this.#summer;
	}

	/** Half the streams when memory is short, and no new one when it is shorter. */
	#allowed(): number {
		const { concurrentStreams } = this.#settings;
		return this.memoryManager.level === "normal" ? concurrentStreams : Math.ceil(concurrentStreams / 2);
	}

	#pick(id: string | undefined): Upload[] {
		const one = id === undefined ? undefined : this.#uploads.get(id);
		return id === undefined ? [...this.#uploads.values()] : one ? [one] : [];
	}

	#warn(error: UploadError): void {
		if (!this.#events.emit("warning", error)) {
			console.warn(error.message);
		}
	}
}

function checkOptions(options: StreamOptions): void {
	check("options", options, isObject);
	const { onProgress, userId, accessToken, name, path, metadata } = options;
	const given = (value: unknown) => value !== undefined;
	if (given(onProgress)) check("options.onProgress", onProgress, isCallback);
	if (given(userId)) check("options.userId", userId, isText);
	if (given(name)) check("options.name", name, isText);
	if (given(path)) check("options.path", path, isText);
	if (given(metadata)) check("options.metadata", metadata, isObject);
	if (given(accessToken) && typeof accessToken !== "function") check("options.accessToken", accessToken, isText);
}
