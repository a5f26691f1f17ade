import { UploadError } from "../errors.js";
import { forget, recall, remember } from "../resume/store.js";
import { persist } from "../transport/retry.js";
import { type Body, type Capabilities, isGone, type Position, type Tus } from "../transport/tus.js";
import { isBuffered } from "./bodymode.js";
import type { Compression } from "./compression.js";
import { type Engine, load } from "./engine.js";
import { free, type Piece, type Reading, type Source } from "./source.js";

/** Hears how a transfer goes. */
export interface Watcher {
	/** More of the source is sent, or less than was thought. */
	moved(): void;
	/** The server has answered for an upload; null where its URL is only a part's. */
	located(url: string | null): void;
	/** An attempt begins, or has failed and another one follows. */
	attempt(failure: UploadError | null): void;
	/** Milliseconds went into checksumming and compressing. */
	processed(milliseconds: number): void;
}

/** What goes where. */
export interface Route {
	source: Source;
	tus: Tus;
	/** Sent with the creation. */
	headers: Record<string, string>;
	/** Null where it isn't to be found again. */
	fingerprint: string | null;
	/** Null where nobody wants it. */
	compression: Compression | null;
	watcher: Watcher;
}

/** How often a server may lose an upload before that counts as its answer. */
const maxRestarts = 3;

/** Brings one source into one upload on the server, in order, however many attempts that takes. */
export class Transfer {
	/** Bytes on their way or there. */
	sent = 0;
	readonly #engine: Engine;
	readonly #route: Route;
	#url: string | null = null;
	#offset = 0;
	#finished = false;
	#restarts = 0;

	constructor(engine: Engine, route: Route) {
		this.#engine = engine;
		this.#route = route;
	}

	/**
	 * Returns the URL of the upload when the server has all of it. After an abort it
	 * can run again. Its caller has entered the streams; it leaves them.
	 */
	async run(signal: AbortSignal): Promise<string> {
		const { settings, streams } = this.#engine;
		const { watcher } = this.#route;
		try {
			return await persist(settings.retryAttempts, signal, {
				attempt: (progressed) => {
					watcher.attempt(null);
					return this.#attempt(signal, progressed);
				},
				diagnose: (error) => this.#diagnose(error),
				failed: (error) => watcher.attempt(error),
			});
		} finally {
			streams.leave();
		}
	}

	/** Has this browser forget the upload. */
	forget(): void {
		forget(this.#route.fingerprint);
	}

	/** Has the server forget it, too. */
	async discard(): Promise<void> {
		this.forget();
		if (this.#url !== null) {
			await this.#route.tus.terminate(this.#url, this.#engine.signal);
		}
	}

	async #attempt(signal: AbortSignal, progressed: () => void): Promise<string> {
		const server = await this.#route.tus.capabilities();
		const url = await this.#locate(server, signal);
		while (!this.#finished) {
			await this.#engine.streams.yield(signal);
			const before = this.#offset;
			await this.#send(url, server, signal);
			if (this.#offset > before) {
				progressed();
			} else if (!this.#finished) {
				throw new UploadError("NETWORK_ERROR", "The server takes none of the bytes sent: try again later.", {
					transient: true,
				});
			}
		}
		return url;
	}

	/** Finds out where the upload is and how far, or creates it. */
	async #locate(server: Capabilities, signal: AbortSignal): Promise<string> {
		const { tus, source, fingerprint, watcher } = this.#route;
		const recalled = this.#url === null;
		this.#url ??= recall(fingerprint);
		// Known before this attempt: another one has broken off, nobody knows where.
		if (this.#url !== null) {
			const found = await tus.head(this.#url, source.size, signal).catch((error: UploadError) => {
				// What an earlier page has left, and nobody can go on with, is as good as gone.
				if (!recalled || signal.aborted || error.transient || error.status === 401) {
					throw error;
				}
			});
			if (found) {
				this.#arrive(found);
			} else {
				this.#lose();
			}
		}
		this.#url ??= await this.#create(server, signal);
		watcher.located(this.#url);
		return this.#url;
	}

	async #create(server: Capabilities, signal: AbortSignal): Promise<string> {
		const { tus, source, fingerprint } = this.#route;
		const { size } = source;
		if (size !== null && server.maxSize !== null && size > server.maxSize) {
			throw new UploadError("INVALID_FILE", `The file has ${size} bytes; the server takes up to ${server.maxSize}.`);
		}
		const headers = { ...this.#route.headers, ...source.announce(server.extensions) };
		const create = async (body?: Body) => {
			const created = await tus.create(headers, body, signal);
			this.#arrive(created);
			return created;
		};
		const whole = size !== null && size > 0 && size <= this.#engine.settings.chunkSize;
		if (whole && server.extensions.has("creation-with-upload")) {
			return (await this.#with(server, signal, create)).url;
		}
		const { url, expires } = await create();
		if (size !== 0) {
			remember(fingerprint, url, expires);
		}
		return url;
	}

	async #send(url: string, server: Capabilities, signal: AbortSignal): Promise<void> {
		const { tus, fingerprint } = this.#route;
		await this.#with(server, signal, async (body, piece) => {
			const at = await tus.patch(url, this.#offset, body, signal);
			if (at.expires !== null) {
				remember(fingerprint, url, at.expires);
			}
			this.#finished = piece.last && at.offset === this.#offset + piece.length;
			this.#arrive(at);
		});
	}

	/** Reads a piece, has it sent, and releases it. */
	async #with<T>(server: Capabilities, signal: AbortSignal, use: (body: Body, piece: Piece) => Promise<T>): Promise<T> {
		const { source, watcher } = this.#route;
		const reading = this.#reading(server);
		const piece = await source.read(this.#offset, reading, signal);
		try {
			const began = performance.now();
			const body = await this.#encode(piece, server, reading);
			watcher.processed(performance.now() - began);
			// It is a buffer where the piece was compressed.
			return await use(body, piece).finally(() => free(body.bytes as ArrayBuffer));
		} finally {
			piece.release();
		}
	}

	/** Compression and checksums read their pieces, so those have to be small. */
	#reading(server: Capabilities): Reading {
		const { settings, memory } = this.#engine;
		const { source, compression } = this.#route;
		const copied = !!compression?.enabled && server.gzip;
		const buffered = isBuffered(settings);
		const inMemory = copied || buffered || !source.repeatable;
		const streams = settings.concurrentStreams * (copied && buffered ? 2 : 1);
		const chunk = inMemory ? memory.narrow(settings.chunkSize, streams) : settings.chunkSize;
		return { bytes: inMemory || settings.chunked ? chunk : Number.MAX_SAFE_INTEGER, buffered, copied };
	}

	async #encode(piece: Piece, server: Capabilities, { copied }: Reading): Promise<Body> {
		const { source, compression } = this.#route;
		const from = this.#offset;
		const headers = await this.#sum(piece, server);
		if (piece.last && !source.repeatable) {
			headers["Upload-Length"] = String(from + piece.length);
		}
		const body = {
			bytes: piece.data,
			headers,
			length: piece.length,
			onSent: (bytes: number) => this.#move(from + bytes),
		};
		return copied && compression ? compression.apply(body) : body;
	}

	async #sum(piece: Piece, server: Capabilities): Promise<Record<string, string>> {
		if (!this.#engine.settings.validateChunks || piece.length === 0) {
			return {};
		}
		const { summerOf } = await load(import("../checksum/summer.js"));
		return summerOf(this.#engine).sum(server.checksums, piece);
	}

	/** What an error means for the next attempt, if there is to be one. */
	async #diagnose(error: unknown): Promise<unknown> {
		const { source, compression } = this.#route;
		if (!(error instanceof UploadError)) {
			return error;
		}
		if (error.code === "NETWORK_ERROR" && error.status === undefined) {
			// A file that has changed looks like a broken connection.
			await source.probe();
		}
		if (error.status === 415 && compression?.enabled) {
			compression.enabled = false;
		} else if (isGone(error.status) && this.#url !== null && source.repeatable && this.#restarts++ < maxRestarts) {
			this.#lose();
		} else {
			return error;
		}
		return new UploadError(error.code, error.message, { ...error, transient: true, cause: error });
	}

	#arrive({ offset }: Position): void {
		const { source } = this.#route;
		this.#offset = offset;
		this.#finished ||= source.repeatable && offset === source.size;
		this.#move(offset);
	}

	#move(bytes: number): void {
		this.sent = bytes;
		this.#route.watcher.moved();
	}

	#lose(): void {
		this.#route.source.rewind();
		this.forget();
		this.#url = null;
		this.#offset = 0;
		this.#finished = false;
	}
}
