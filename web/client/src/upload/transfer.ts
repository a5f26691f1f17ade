import { UploadError } from "../errors.js";
import { persist } from "../transport/retry.js";
import type { Body, Capabilities, Position } from "../transport/tus.js";
import { isBuffered } from "./bodymode.js";
import type { Compression } from "./compression.js";
import type { Engine } from "./engine.js";
import type { Piece, Reading, Source } from "./source.js";

/** Hears how a transfer goes. */
export interface Watcher {
	/** So many bytes of the source are sent. */
	moved(bytes: number): void;
	located(url: string): void;
	/** An attempt begins, or has failed and another one follows. */
	attempt(failure: UploadError | null): void;
	/** Milliseconds went into reading, checksumming and compressing. */
	processed(milliseconds: number): void;
}

/** How often a server may lose an upload before that counts as its answer. */
const maxRestarts = 3;

/** Brings one source into one upload on the server, in order, however many attempts that takes. */
export class Transfer {
	url: string | null = null;
	readonly #engine: Engine;
	readonly #source: Source;
	readonly #headers: Record<string, string>;
	readonly #fingerprint: string | null;
	readonly #compression: Compression;
	readonly #watcher: Watcher;
	#offset = 0;
	#finished = false;
	#restarts = 0;

	/** `headers` go with the creation; without a fingerprint it isn't remembered. */
	constructor(
		engine: Engine,
		source: Source,
		headers: Record<string, string>,
		fingerprint: string | null,
		compression: Compression,
		watcher: Watcher,
	) {
		this.#engine = engine;
		this.#source = source;
		this.#headers = headers;
		this.#fingerprint = fingerprint;
		this.#compression = compression;
		this.#watcher = watcher;
	}

	/** Returns the URL of the upload when the server has all of it. After an abort it can run again. */
	run(signal: AbortSignal): Promise<string> {
		return persist(this.#engine.settings.retryAttempts, signal, {
			attempt: (progressed) => {
				this.#watcher.attempt(null);
				return this.#attempt(signal, progressed);
			},
			diagnose: (error) => this.#diagnose(error),
			failed: (error) => this.#watcher.attempt(error),
		});
	}

	/** Nothing of this upload is to be found again. */
	forget(): void {
		if (this.#fingerprint !== null) {
			this.#engine.store.remove(this.#fingerprint);
		}
	}

	async #attempt(signal: AbortSignal, progressed: () => void): Promise<string> {
		const server = await this.#engine.tus.capabilities();
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
		this.forget();
		return url;
	}

	/** Finds out where the upload is and how far, or creates it. */
	async #locate(server: Capabilities, signal: AbortSignal): Promise<string> {
		const { store, tus } = this.#engine;
		if (this.url === null && this.#fingerprint !== null) {
			this.url = store.get(this.#fingerprint);
		}
		// Known before this attempt: another one has broken off, nobody knows where.
		if (this.url !== null) {
			const found = await tus.head(this.url, this.#source.size, signal);
			if (found) {
				this.#arrive(found);
			} else {
				this.#lose();
			}
		}
		this.url ??= await this.#create(server, signal);
		this.#watcher.located(this.url);
		return this.url;
	}

	async #create(server: Capabilities, signal: AbortSignal): Promise<string> {
		const { size } = this.#source;
		if (size !== null && server.maxSize !== null && size > server.maxSize) {
			throw new UploadError("INVALID_FILE", `The file has ${size} bytes; the server takes up to ${server.maxSize}.`);
		}
		if (size === null && server.extensions.size > 1 && !server.extensions.has("creation-defer-length")) {
			throw new UploadError(
				"VALIDATION_ERROR",
				"The server takes no streams of unknown length: give a File or a Blob.",
			);
		}
		const headers = {
			...this.#headers,
			...(size === null ? { "Upload-Defer-Length": "1" } : { "Upload-Length": String(size) }),
		};
		const whole = size !== null && size > 0 && size <= this.#engine.settings.chunkSize;
		if (whole && server.extensions.has("creation-with-upload")) {
			return this.#with(server, signal, async (body) => {
				const created = await this.#engine.tus.create(headers, body, signal);
				this.#arrive(created);
				return created.url;
			});
		}
		const created = await this.#engine.tus.create(headers, undefined, signal);
		if (this.#fingerprint !== null && size !== 0) {
			this.#engine.store.set(this.#fingerprint, created.url, created.expires);
		}
		this.#arrive(created);
		return created.url;
	}

	async #send(url: string, server: Capabilities, signal: AbortSignal): Promise<void> {
		await this.#with(server, signal, async (body, piece) => {
			const at = await this.#engine.tus.patch(url, this.#offset, body, signal);
			if (this.#fingerprint !== null && at.expires !== null) {
				this.#engine.store.set(this.#fingerprint, url, at.expires);
			}
			this.#finished = piece.last && at.offset === this.#offset + piece.length;
			this.#arrive(at);
		});
	}

	/** Reads a piece, has it sent, and releases it. */
	async #with<T>(server: Capabilities, signal: AbortSignal, use: (body: Body, piece: Piece) => Promise<T>): Promise<T> {
		const reading = this.#reading(server);
		const piece = await this.#source.read(this.#offset, reading, signal);
		try {
			const began = performance.now();
			const body = await this.#encode(piece, server, reading.copied);
			this.#watcher.processed(performance.now() - began);
			return await use(body, piece);
		} finally {
			piece.release();
		}
	}

	/** Compression and checksums read their pieces, so those have to be small. */
	#reading(server: Capabilities): Reading {
		const { settings, memory } = this.#engine;
		const copied = this.#compression.enabled && server.gzip;
		const buffered = isBuffered(settings);
		const inMemory = copied || buffered || !this.#source.repeatable;
		const streams = settings.concurrentStreams * (copied && buffered ? 2 : 1);
		const chunk = inMemory ? memory.narrow(settings.chunkSize, streams) : settings.chunkSize;
		return { bytes: inMemory || settings.chunked ? chunk : Number.MAX_SAFE_INTEGER, buffered, copied };
	}

	async #encode(piece: Piece, server: Capabilities, compress: boolean): Promise<Body> {
		const from = this.#offset;
		const headers: Record<string, string> = {};
		const checksum = await this.#sum(piece, server);
		if (checksum) {
			headers["Upload-Checksum"] = checksum;
		}
		if (piece.last && !this.#source.repeatable) {
			headers["Upload-Length"] = String(from + piece.length);
		}
		const gzipped = compress && piece.length > 0 ? await this.#compression.apply(piece.data) : null;
		if (gzipped) {
			headers["Content-Encoding"] = "gzip";
		}
		// Bytes of a gzipped body stand for more of the upload.
		const scale = gzipped ? piece.length / gzipped.byteLength : 1;
		return {
			bytes: gzipped ?? piece.data,
			headers,
			length: piece.length,
			onSent: (bytes) => this.#watcher.moved(from + Math.min(piece.length, bytes * scale)),
		};
	}

	async #sum(piece: Piece, server: Capabilities): Promise<string | null> {
		if (!this.#engine.settings.validateChunks || piece.length === 0 || piece.data instanceof Blob) {
			return null;
		}
		const summer = await this.#engine.summer();
		const summed = await summer.sum(server.checksums, piece.data);
		if (!summed) {
			const missing = "validateChunks is on, but the server takes no checksums that this page can compute.";
			this.#engine.warn(new UploadError("VALIDATION_ERROR", missing));
			return null;
		}
		piece.data = summed.bytes;
		return summed.checksum;
	}

	/** What an error means for the next attempt, if there is to be one. */
	async #diagnose(error: unknown): Promise<unknown> {
		if (!(error instanceof UploadError)) {
			return error;
		}
		if (error.code === "NETWORK_ERROR" && error.status === undefined) {
			// A file that has changed looks like a broken connection.
			await this.#source.probe();
		}
		const again = new UploadError(error.code, error.message, { transient: true, cause: error });
		if (error.status === 415 && this.#compression.enabled) {
			this.#compression.enabled = false;
			return again;
		}
		const lost = (error.status === 404 || error.status === 410) && this.url !== null;
		if (lost && this.#source.repeatable && this.#restarts++ < maxRestarts) {
			this.#lose();
			return again;
		}
		return error;
	}

	#arrive({ offset }: Position): void {
		this.#offset = offset;
		this.#finished ||= this.#source.repeatable && offset === this.#source.size;
		this.#watcher.moved(offset);
	}

	#lose(): void {
		if (!this.#source.repeatable) {
			throw new UploadError(
				"NETWORK_ERROR",
				"The server has lost the upload of a stream, which can't be read again: begin it anew.",
			);
		}
		this.forget();
		this.url = null;
		this.#offset = 0;
	}
}
