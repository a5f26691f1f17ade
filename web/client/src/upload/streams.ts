import { Queue } from "../queue.js";

/** Lets so many streams send at the same time; those who have begun go on first. */
export class Streams {
	readonly #allowed: () => number;
	readonly #queue: Queue<void>;
	#active = 0;

	/** `allowed` is asked each time: fewer may go when memory is short. */
	constructor(allowed: () => number) {
		this.#allowed = allowed;
		this.#queue = new Queue(() => {
			const free = this.#active < allowed();
			this.#active += Number(free);
			return free;
		});
	}

	/** Waits for its turn. Whoever has entered must leave. */
	enter(signal: AbortSignal): Promise<void> {
		return this.#queue.enter(undefined, signal);
	}

	leave(): void {
		this.#active--;
		this.#queue.serve();
	}

	/** Between two chunks: steps back where there are more streams than allowed. */
	async yield(signal: AbortSignal): Promise<void> {
		this.#queue.serve();
		if (this.#active > this.#allowed()) {
			this.#active--;
			// An aborted wait has to leave what the caller believes to hold.
			await this.#queue.enter(undefined, signal, true).catch((error: unknown) => {
				this.#active++;
				throw error;
			});
		}
	}
}
