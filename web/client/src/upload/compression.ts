import type { Body } from "../transport/tus.js";
import { readable } from "./source.js";

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

	constructor(type: string) {
		this.enabled = typeof CompressionStream === "function" && !compressed.test(type);
	}

	/** The body gzipped, or as it is where that saves nothing. */
	async apply(body: Body): Promise<Body> {
		const plain = new Response(body.bytes).body;
		if (!this.enabled || !plain || body.length === 0) {
			return body;
		}
		const zipped = plain.pipeThrough(new CompressionStream("gzip"));
		const bytes = await readable(new Response(zipped).arrayBuffer());
		if (bytes.byteLength > body.length * worthwhile) {
			this.enabled = false;
			return body;
		}
		this.savedBytes += body.length - bytes.byteLength;
		// Bytes of a gzipped body stand for more of the upload.
		const scale = body.length / bytes.byteLength;
		return {
			bytes,
			headers: { ...body.headers, "Content-Encoding": "gzip" },
			length: body.length,
			onSent: (sent) => body.onSent(Math.min(body.length, sent * scale)),
		};
	}
}
