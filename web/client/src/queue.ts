interface Waiter<T> {
	item: T;
	resolve(): void;
	reject(error: unknown): void;
}

/** A line of those who wait. Only its head is let in, so that nobody is passed by for ever. */
export class Queue<T> {
	readonly #admit: (item: T) => boolean;
	readonly #waiting: Waiter<T>[] = [];

	/** `admit` reports whether it has let an item in. */
	constructor(admit: (item: T) => boolean) {
		this.#admit = admit;
	}

	get length(): number {
		return this.#waiting.length;
	}

	get head(): T | undefined {
		return this.#waiting[0]?.item;
	}

	/** Waits until it is let in, or its signal ends that. */
	async enter(item: T, signal: AbortSignal, first = false): Promise<void> {
		signal.throwIfAborted();
		if (this.length === 0 && this.#admit(item)) {
			return;
		}
		let leave = () => {};
		const entered = new Promise<void>((resolve, reject) => {
			const waiter = { item, resolve, reject };
			leave = () => {
				const at = this.#waiting.indexOf(waiter);
				// Let in already, and about to hear of it: it stays in.
				if (at >= 0) {
					this.#waiting.splice(at, 1);
					reject(signal.reason);
					this.serve();
				}
			};
			this.#waiting.splice(first ? 0 : this.length, 0, waiter);
		});
		signal.addEventListener("abort", leave);
		this.serve();
		await entered.finally(() => signal.removeEventListener("abort", leave));
	}

	/** Lets in who may go now. */
	serve(): void {
		// Out of the line first: whoever hears of an admission may make others leave it.
		for (let head = this.#waiting.shift(); head; head = this.#waiting.shift()) {
			if (!this.#admit(head.item)) {
				this.#waiting.unshift(head);
				return;
			}
			head.resolve();
		}
	}

	/** Sends the head away. */
	refuse(error: unknown): void {
		this.#waiting.shift()?.reject(error);
	}
}
