import { type Algorithm, digest } from "./digest.js";

/** A chunk to be summed; its buffer comes back with the sum. */
export interface Job {
	id: number;
	algorithm: Algorithm;
	bytes: Uint8Array<ArrayBuffer>;
}

/** The first message is "ready": a buffer sent to a worker that never runs is lost. */
export type Message =
	| "ready"
	| { id: number; bytes: Uint8Array<ArrayBuffer>; sum: string }
	| { id: number; error: string };

const post = (message: Message, transfer: Transferable[] = []) => self.postMessage(message, { transfer });

self.onmessage = async ({ data: { id, algorithm, bytes } }: MessageEvent<Job>) => {
	try {
		const sum = await digest(algorithm, bytes);
		post({ id, bytes, sum }, [bytes.buffer]);
	} catch (error) {
		post({ id, error: String(error) });
	}
};

post("ready");
