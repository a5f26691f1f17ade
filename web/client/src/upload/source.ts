import { UploadError } from "../errors.js";
import type { Reservation } from "../memory/admission.js";
import type { MemoryManager } from "../memory/manager.js";

/** What can be uploaded. */
export type UploadSource = File | Blob | ReadableStream<Uint8Array>;

/** A piece of a source at an offset, with the memory it takes. */
export interface Piece {
	/** A Blob is not read before it is sent. */
	data: Blob | Uint8Array<ArrayBuffer>;
	length: number;
	/** The source ends behind this piece. */
	last: boolean;
	/** Nobody needs the piece any more. */
	release(): void;
}

/** How a piece is to be read. */
export interface Reading {
	/** As many bytes as there are, up to this. */
	bytes: number;
	/** Into memory. */
	buffered: boolean;
	/** There will be a compressed copy. */
	copied: boolean;
}

export interface Source {
	/** Bytes, or null until a stream has ended. */
	readonly size: number | null;
	/** It can be read from the start again. */
	readonly repeatable: boolean;
	/** Waits for memory, and reads. */
	read(offset: number, reading: Reading, signal: AbortSignal): Promise<Piece>;
	/** Throws where the source has gone, or changed. */
	probe(): Promise<void>;
	close(): void;
}

/** What the browser holds of a slice on its way from the disk. */
const transferBytes = 64 << 10;

export class BlobSource implements Source {
	readonly size: number;
	readonly repeatable = true;
	readonly #blob: Blob;
	readonly #memory: MemoryManager;

	constructor(blob: Blob, memory: MemoryManager) {
		this.size = blob.size;
		this.#blob = blob;
		this.#memory = memory;
	}

	async read(offset: number, { bytes, buffered, copied }: Reading, signal: AbortSignal): Promise<Piece> {
		const slice = this.#blob.slice(offset, offset + bytes);
		const held = (buffered ? slice.size : 0) + (copied ? slice.size : 0) || transferBytes;
		const type = buffered ? "chunk" : copied ? "compressor" : "transfer";
		const reservation = await this.#memory.reserve(type, held, signal);
		const piece: Piece = {
			data: slice,
			length: slice.size,
			last: offset + slice.size === this.size,
			release: () => {
				if (piece.data instanceof Uint8Array) {
					free(piece.data.buffer);
				}
				reservation.release();
			},
		};
		if (buffered) {
			try {
				piece.data = new Uint8Array(await readable(slice.arrayBuffer()));
			} catch (error) {
				reservation.release();
				throw error;
			}
		}
		return piece;
	}

	async probe(): Promise<void> {
		await readable(this.#blob.slice(0, 1).arrayBuffer());
	}

	close(): void {}
}

/**
 * Reads a stream into one buffer, which it keeps until the end: what is not
 * acknowledged can't be read from the stream again.
 */
export class StreamSource implements Source {
	size: number | null = null;
	readonly repeatable = false;
	readonly #memory: MemoryManager;
	readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
	#reservation: Reservation | undefined;
	/** Its data begins at #offset; where it is at is known to whoever has moved it. */
	#piece: Piece = { data: new Uint8Array(0), length: 0, last: false, release: () => {} };
	#offset = 0;
	/** Given by the stream beyond what had room. */
	#rest: Uint8Array | undefined;
	#ended = false;

	constructor(stream: ReadableStream<Uint8Array>, memory: MemoryManager) {
		if (stream.locked) {
			throw new UploadError("INVALID_FILE", "Somebody else reads this stream already: give one that isn't locked.");
		}
		this.#reader = stream.getReader();
		this.#memory = memory;
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
		this.#piece.last = this.#ended && !this.#rest;
		this.#piece.data = buffer.subarray(0, this.#piece.length);
		this.size = this.#piece.last ? offset + this.#piece.length : null;
		return this.#piece;
	}

	async probe(): Promise<void> {}

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

/** A part below this size costs more in requests than it gains. */
const minPartBytes = 1 << 20;

/** A stream is one source; a Blob is as many as wanted, where it is large enough. */
export function split(source: UploadSource, wanted: number, memory: MemoryManager): Source[] {
	if (!(source instanceof Blob)) {
		return [new StreamSource(source, memory)];
	}
	const parts = Math.max(1, Math.min(wanted, Math.floor(source.size / minPartBytes)));
	const bytes = Math.ceil(source.size / parts);
	const slice = (i: number) => (parts > 1 ? source.slice(i * bytes, (i + 1) * bytes) : source);
	return Array.from({ length: parts }, (_, i) => new BlobSource(slice(i), memory));
}

/** Gives a buffer's memory back now, not at the next garbage collection. */
function free(buffer: ArrayBuffer): void {
	if (buffer.byteLength > 0) {
		(buffer as { transfer?(bytes: number): ArrayBuffer }).transfer?.(0);
	}
}

async function readable<T>(reading: Promise<T>): Promise<T> {
	try {
		return await reading;
	} catch (cause) {
		throw new UploadError(
			"INVALID_FILE",
			`The file can't be read (${String(cause)}): it has changed, has gone, or may not be read. Choose it again.`,
			{ cause },
		);
	}
}
