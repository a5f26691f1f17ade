interface Waiter {
	enter(): void;
}

/** Lets so many streams send at the same time; those who have begun go on first. */
export class Streams {
	readonly #allowed: () => number;
	readonly #waiting: Waiter[] = [];
	#active = 0;

	/** `allowed` is asked each time: fewer may go when memory is short. */
	constructor(allowed: () => number) {
		this.#allowed = allowed;
	}

	/** Waits for its turn. Whoever has entered must leave. */
	enter(signal: AbortSignal, first = false): Promise<void> {
		return new Promise((resolve, reject) => {
			signal.throwIfAborted();
			const waiter: Waiter = {
				enter: () => {
					signal.removeEventListener("abort", give);
					resolve();
				},
			};
			const give = () => {
				this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
				reject(signal.reason);
			};
			signal.addEventListener("abort", give, { once: true });
			this.#waiting.splice(first ? 0 : this.#waiting.length, 0, waiter);
			this.serve();
		});
	}

	leave(): void {
		this.#active--;
		this.serve();
	}

	/** Between two chunks: steps back where there are more streams than allowed. */
	async yield(signal: AbortSignal): Promise<void> {
		this.serve();
		if (this.#active > this.#allowed()) {
			this.#active--;
			// An aborted wait has to leave what the caller believes to hold.
			await this.enter(signal, true).catch((error: unknown) => {
				this.#active++;
				throw error;
			});
		}
	}

	serve(): void {
		while (this.#active < this.#allowed()) {
			const next = this.#waiting.shift();
			if (!next) {
				return;
			}
			this.#active++;
			next.enter();
		}
	}
}
