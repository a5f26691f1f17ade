import { UploadError } from "../errors.js";
import { Queue } from "../queue.js";
import type { Level } from "./level.js";
import type { ResourceStats, ResourceType } from "./resources.js";

/** Bytes that the engine holds. Taken before they are allocated, given back once. */
export interface Reservation extends ResourceStats {
	release(): void;
}

/** What admission asks of the budget. */
export interface Budget {
	readonly limit: number;
	readonly used: number;
	/** At critical nothing new may start. */
	readonly level: Level;
	/** Called after each change. */
	charge(bytes: number): void;
	cleanup(): Promise<unknown>;
}

/** How long to wait for memory that only others than the engine can give back. */
const patience = 5_000;

/** Serves requests for memory in the order in which they came. */
export class Admission {
	readonly #budget: Budget;
	readonly #held = new Set<Reservation>();
	readonly #queue = new Queue<Reservation>((reservation) => this.#hold(reservation));
	#starving: ReturnType<typeof setTimeout> | undefined;

	constructor(budget: Budget) {
		this.#budget = budget;
	}

	get held(): ReadonlySet<Reservation> {
		return this.#held;
	}

	/** Waits for bytes. What can't ever fit fails at once. */
	async reserve(type: ResourceType, size: number, signal: AbortSignal): Promise<Reservation> {
		if (size > this.#budget.limit) {
			throw this.#refusal(size, size);
		}
		const reservation: Reservation = {
			type,
			size,
			createdAt: Date.now(),
			metadata: {},
			release: () => {
				if (this.#held.delete(reservation)) {
					this.#budget.charge(-size);
				}
			},
		};
		const entered = this.#queue.enter(reservation, signal);
		this.#look();
		try {
			await entered;
		} finally {
			this.#look();
		}
		return reservation;
	}

	/** Goes on with those who wait, after something has changed. */
	serve(): void {
		this.#queue.serve();
		this.#look();
	}

	/** Refuses all who wait, and takes back what is held: its requests are over. */
	close(reason: unknown): void {
		while (this.#queue.length > 0) {
			this.#queue.refuse(reason);
		}
		for (const reservation of this.#held) {
			reservation.release();
		}
		this.#look();
	}

	/** Takes the bytes, where they are free. */
	#hold(reservation: Reservation): boolean {
		const { level, used, limit } = this.#budget;
		const fits = level !== "critical" && used + reservation.size <= limit;
		if (fits) {
			this.#held.add(reservation);
			this.#budget.charge(reservation.size);
		}
		return fits;
	}

	/** Where nothing of ours will come back: cleans up, waits a while, and gives up. */
	#look(): void {
		const starves = this.#queue.length > 0 && this.#held.size === 0;
		if (starves === !!this.#starving) {
			return;
		}
		if (starves) {
			this.#starving = setTimeout(() => {
				this.#starving = undefined;
				const { size } = this.#queue.head as Reservation;
				this.#queue.refuse(this.#refusal(size, this.#budget.used + size));
				this.serve();
			}, patience);
			void this.#budget.cleanup();
		} else {
			clearTimeout(this.#starving);
			this.#starving = undefined;
		}
	}

	/** `smallest` is the budget that would do. */
	#refusal(bytes: number, smallest: number): UploadError {
		return new UploadError(
			"MEMORY_LIMIT_EXCEEDED",
			`The upload needs ${bytes} bytes of memory, of a budget of ${this.#budget.limit}: set maxMemoryUsage to ${smallest} or more, or release tracked resources.`,
		);
	}
}
