import { UploadError } from "../errors.js";
import type { Reservation } from "../memory/admission.js";
import type { MemoryManager } from "../memory/manager.js";
import { free, type Piece, type Reading, readable, type Source } from "./source.js";

/**
 * Reads a stream into one buffer, which it keeps until the end: what is not
 * acknowledged can't be read from the stream again.
 */
export class StreamSource implements Source {
	size: number | null = null;
	readonly repeatable = false;
	readonly #memory: MemoryManager;
	readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
	readonly #maxBytes: number;
	#reservation: Reservation | undefined;
	/** Its data begins at #offset; where it is at is known to whoever has moved it. */
	#piece: Piece = { data: new Uint8Array(0), length: 0, last: false, release: () => {} };
	#offset = 0;
	/** Given by the stream beyond what had room. */
	#rest: Uint8Array | undefined;
	#ended = false;

	constructor(stream: ReadableStream<Uint8Array>, memory: MemoryManager, maxBytes: number = Number.POSITIVE_INFINITY) {
		if (stream.locked) {
			throw new UploadError("INVALID_FILE", "Somebody else reads this stream already: give one that isn't locked.");
		}
		this.#reader = stream.getReader();
		this.#memory = memory;
		this.#maxBytes = maxBytes;
	}

	async read(offset: number, { bytes, copied }: Reading, signal: AbortSignal): Promise<Piece> {
		this.#reservation ??= await this.#memory.reserve("chunk", copied ? 2 * bytes : bytes, signal);
		const buffer = this.#shift(offset, bytes);
		while (this.#piece.length < buffer.length && (this.#rest || !this.#ended)) {
			const more = this.#rest ?? (await this.#next());
			const taken = more.subarray(0, buffer.length - this.#piece.length);
			buffer.set(taken, this.#piece.length);
			this.#piece.length += taken.length;
			this.#rest = taken.length < more.length ? more.subarray(taken.length) : undefined;
		}
		if (offset + this.#piece.length + (this.#rest?.length ?? 0) > this.#maxBytes) {
			throw new UploadError("INVALID_FILE", `The stream is longer than the ${this.#maxBytes} bytes that are allowed.`);
		}
		this.#piece.last = this.#ended && !this.#rest;
		this.#piece.data = buffer.subarray(0, this.#piece.length);
		this.size = this.#piece.last ? offset + this.#piece.length : null;
		return this.#piece;
	}

	announce(extensions: ReadonlySet<string>): Record<string, string> {
		if (extensions.size > 1 && !extensions.has("creation-defer-length")) {
			throw new UploadError(
				"VALIDATION_ERROR",
				"The server takes no streams of unknown length: give a File or a Blob.",
			);
		}
		return { "Upload-Defer-Length": "1" };
	}

	async probe(): Promise<void> {}

	rewind(): void {
		throw new UploadError(
			"NETWORK_ERROR",
			"The server has lost the upload of a stream, which can't be read again: begin it anew.",
		);
	}

	close(): void {
		this.#reservation?.release();
		free((this.#piece.data as Uint8Array<ArrayBuffer>).buffer);
		this.#rest = undefined;
		void this.#reader.cancel().catch(() => {}); // it has failed already, then
	}

	/** Moves what lies behind offset to the start of the buffer, and returns the whole of it. */
	#shift(offset: number, bytes: number): Uint8Array<ArrayBuffer> {
		const data = this.#piece.data as Uint8Array<ArrayBuffer>;
		const skip = offset - this.#offset;
		if (skip < 0 || skip > this.#piece.length || data.length < this.#piece.length) {
			throw new UploadError(
				"NETWORK_ERROR",
				"Bytes of a stream are lost, and it can't be read again: begin the upload anew.",
			);
		}
		const buffer = data.buffer.byteLength > 0 ? new Uint8Array(data.buffer) : new Uint8Array(bytes);
		buffer.copyWithin(0, skip, this.#piece.length);
		this.#piece.length -= skip;
		this.#piece.data = buffer.subarray(0, this.#piece.length);
		this.#offset = offset;
		return buffer;
	}

	async #next(): Promise<Uint8Array> {
		const { done, value } = await readable(this.#reader.read());
		this.#ended = done;
		if (done) {
			return new Uint8Array(0);
		}
		if (!(value instanceof Uint8Array)) {
			throw new UploadError("INVALID_FILE", "The stream must give Uint8Arrays: pipe text through a TextEncoderStream.");
		}
		return value;
	}
}
