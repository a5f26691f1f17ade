import { UploadError } from "../errors.js";
import type { ResourceStats, ResourceType } from "./resources.js";

/** Bytes that the engine holds. Taken before they are allocated, given back once. */
export interface Reservation extends ResourceStats {
	release(): void;
}

/** What admission asks of the budget. */
export interface Budget {
	readonly limit: number;
	readonly used: number;
	/** Nothing new may start. */
	readonly critical: boolean;
	/** Called after each change. */
	charge(bytes: number): void;
	cleanup(): Promise<unknown>;
}

interface Waiter {
	type: ResourceType;
	bytes: number;
	grant(reservation: Reservation): void;
	refuse(error: unknown): void;
}

/** How long to wait for memory that only others than the engine can give back. */
const patience = 5_000;

/** Serves requests for memory in the order in which they came. */
export class Admission {
	readonly #budget: Budget;
	readonly #held = new Set<Reservation>();
	readonly #waiting: Waiter[] = [];
	#starving: ReturnType<typeof setTimeout> | undefined;

	constructor(budget: Budget) {
		this.#budget = budget;
	}

	get held(): ReadonlySet<Reservation> {
		return this.#held;
	}

	/** Waits for bytes. What can't ever fit fails at once. */
	reserve(type: ResourceType, bytes: number, signal: AbortSignal): Promise<Reservation> {
		if (bytes > this.#budget.limit) {
			return Promise.reject(refusal(bytes, this.#budget.limit, bytes));
		}
		if (signal.aborted) {
			return Promise.reject(signal.reason);
		}
		if (this.#waiting.length === 0 && this.#fits(bytes)) {
			return Promise.resolve(this.#hold(type, bytes));
		}
		return new Promise((resolve, reject) => {
			const waiter: Waiter = {
				type,
				bytes,
				grant: (reservation) => {
					signal.removeEventListener("abort", leave);
					resolve(reservation);
				},
				refuse: (error) => {
					signal.removeEventListener("abort", leave);
					reject(error);
				},
			};
			const leave = () => {
				this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
				reject(signal.reason);
				this.serve();
			};
			signal.addEventListener("abort", leave, { once: true });
			this.#waiting.push(waiter);
			this.serve();
		});
	}

	/** Goes on with those who wait, after something has changed. */
	serve(): void {
		for (let head = this.#waiting[0]; head && this.#fits(head.bytes); head = this.#waiting[0]) {
			this.#waiting.shift();
			this.#rest();
			head.grant(this.#hold(head.type, head.bytes));
		}
		if (this.#waiting.length === 0) {
			this.#rest();
		} else if (this.#held.size === 0) {
			this.#starve();
		}
	}

	/** Refuses all who wait, and takes back what is held: its requests are over. */
	close(reason: unknown): void {
		this.#rest();
		for (const waiter of this.#waiting.splice(0)) {
			waiter.refuse(reason);
		}
		for (const reservation of this.#held) {
			reservation.release();
		}
	}

	#fits(bytes: number): boolean {
		return !this.#budget.critical && this.#budget.used + bytes <= this.#budget.limit;
	}

	#hold(type: ResourceType, size: number): Reservation {
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
		this.#held.add(reservation);
		this.#budget.charge(size);
		return reservation;
	}

	/** Nothing of ours will come back: clean up, wait a while, and give up. */
	#starve(): void {
		if (this.#starving !== undefined) {
			return;
		}
		this.#starving = setTimeout(() => {
			this.#rest();
			const head = this.#waiting.shift();
			if (head) {
				const { used, limit } = this.#budget;
				head.refuse(refusal(head.bytes, limit, used + head.bytes));
			}
			this.serve();
		}, patience);
		void this.#budget.cleanup();
	}

	#rest(): void {
		clearTimeout(this.#starving);
		this.#starving = undefined;
	}
}

/** `smallest` is the budget that would do. */
export function refusal(bytes: number, limit: number, smallest: number): UploadError {
	return new UploadError(
		"MEMORY_LIMIT_EXCEEDED",
		`The upload needs ${bytes} bytes of memory, which a budget of ${limit} bytes can't give: set maxMemoryUsage to ${smallest} or more, or release tracked resources.`,
	);
}
