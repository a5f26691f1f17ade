import { UploadError } from "../errors.js";
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
	/** How a creation tells its length; throws where a server can't take it. */
	announce(extensions: ReadonlySet<string>): Record<string, string>;
	/** Throws where the source has gone, or changed. */
	probe(): Promise<void>;
	/** Throws where it can't be read from the start again. */
	rewind(): void;
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
		// To make a slice takes Chromium longer than to send 100 KiB, and a whole file has a shorter way to the network.
		const whole = offset === 0 && bytes >= this.size;
		const slice = whole ? this.#blob : this.#blob.slice(offset, offset + bytes);
		const held = (buffered ? slice.size : 0) + (copied ? slice.size : 0) || transferBytes;
		const type = buffered ? "chunk" : copied ? "compressor" : "transfer";
		const reservation = await this.#memory.reserve(type, held, signal);
		const piece: Piece = {
			data: slice,
			length: slice.size,
			last: offset + slice.size === this.size,
			release: () => {
				free((piece.data as Partial<Uint8Array<ArrayBuffer>>).buffer);
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

	announce(): Record<string, string> {
		return { "Upload-Length": String(this.size) };
	}

	async probe(): Promise<void> {
		await readable(this.#blob.slice(0, 1).arrayBuffer());
	}

	rewind(): void {}

	close(): void {}
}

/** Gives a buffer's memory back now, not at the next garbage collection. Anything else it leaves alone. */
export function free(buffer: { byteLength?: number; transfer?(bytes: number): ArrayBuffer } | undefined): void {
	if (buffer?.byteLength) {
		buffer.transfer?.(0);
	}
}

export async function readable<T>(reading: Promise<T>): Promise<T> {
	try {
		return await reading;
	} catch (cause) {
		throw new UploadError(
			"INVALID_FILE",
			`The file can't be read (${cause}): it has changed, has gone, or may not be read. Choose it again.`,
			{ cause },
		);
	}
}
