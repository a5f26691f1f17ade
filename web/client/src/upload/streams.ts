import { Queue } from "../queue.js";

/** How many may get in line in one task: a thousand would hold up the page. */
const entriesPerTask = 100;

/** Lets so many streams send at the same time; those who have begun go on first. */
export class Streams {
	readonly #allowed: () => number;
	readonly #queue: Queue<void>;
	#active = 0;
	#entries = 0;
	#task = Promise.resolve();

	/** `allowed` is asked each time: fewer may go when memory is short. */
	constructor(allowed: () => number) {
		this.#allowed = allowed;
		this.#queue = new Queue(() => {
			const free = this.#active < allowed();
			this.#active += Number(free);
			return free;
		});
	}

	/** Waits for its turn, ahead of others where it belongs to one that sends. Whoever has entered must leave. */
	async enter(signal: AbortSignal, first = false): Promise<void> {
		if (this.#entries++ % entriesPerTask === 0) {
			// Without a scheduler it is the same task: timers would come late in a hidden page.
			this.#task = this.#task.then(() => globalThis.scheduler?.yield());
		}
		await this.#task;
		await this.#queue.enter(undefined, signal, first);
	}

	/** For who has entered and is to leave at the end of what this prepares. */
	async leaveIfFails<T>(preparation: Promise<T>): Promise<T> {
		try {
			return await preparation;
		} catch (error) {
			this.leave();
			throw error;
		}
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
			await this.enter(signal, true).catch((error: unknown) => {
				this.#active++;
				throw error;
			});
		}
	}
}
