/** Types that are compressed already: more of it costs time and saves nothing. */
const compressed =
	/^(audio|video)\/|^image\/(?!svg|bmp|tiff|x-)|^font\/woff|^application\/(zip|gzip|x-(7z|bzip2?|gzip|rar|xz|zstd)|zstd|vnd\.rar|pdf|java-archive|vnd\.openxml)/;

/** A chunk has to become smaller than this fraction of itself. */
const worthwhile = 0.95;

/** Gzips the chunks of one upload, as long as it saves something. */
export class Compression {
	/** Bytes kept off the network. */
	savedBytes = 0;
	enabled: boolean;

	constructor(wanted: boolean, type: string) {
		this.enabled = wanted && typeof CompressionStream === "function" && !compressed.test(type);
	}

	/** The gzipped chunk, or null where it is better sent as it is. */
	async apply(data: Blob | Uint8Array<ArrayBuffer>): Promise<ArrayBuffer | null> {
		const plain = new Response(data).body;
		if (!this.enabled || !plain) {
			return null;
		}
		const size = data instanceof Blob ? data.size : data.byteLength;
		const gzipped = await new Response(plain.pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
		if (gzipped.byteLength > size * worthwhile) {
			this.enabled = false;
			return null;
		}
		this.savedBytes += size - gzipped.byteLength;
		return gzipped;
	}
}
