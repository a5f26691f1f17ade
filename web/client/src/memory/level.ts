import type { MemoryEvent } from "../events.js";
import type { Thresholds } from "./config.js";

export type Level = "normal" | "warning" | "critical";

/** How far use must fall below a mark, as a fraction of the limit, to leave its level. */
const hysteresis = 0.05;

const order: readonly Level[] = ["normal", "warning", "critical"];

/**
 * Watches use against the marks. It goes one step at a time, so that a warning
 * comes before each critical, and tells only of levels entered from below.
 */
export class LevelWatch {
	readonly #limit: number;
	readonly #marks: readonly [number, number, number];
	readonly #entered: (level: Level, event: MemoryEvent) => void;
	/** Where in order it is. */
	#at = 0;

	constructor(limit: number, marks: Thresholds, entered: (level: Level, event: MemoryEvent) => void) {
		this.#limit = limit;
		this.#marks = [0, marks.warning, marks.critical];
		this.#entered = entered;
	}

	get level(): Level {
		return order[this.#at] as Level;
	}

	observe(usedBytes: number): void {
		const usage = usedBytes / this.#limit;
		while (this.#at > 0 && usage < (this.#marks[this.#at] as number) - hysteresis) {
			this.#at--;
		}
		for (let next = this.#at + 1; next < order.length; next++) {
			const threshold = this.#marks[next] as number;
			if (usage >= threshold) {
				this.#at = next;
				this.#entered(this.level, { usage, threshold, usedBytes, limitBytes: this.#limit });
			}
		}
	}
}
